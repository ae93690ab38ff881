"""Trunks at a carrier that others wrote: registered, called by, refused, lost and found again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.wire.baresip import Baresip
from tests.wire.kamailio import CARRIER, Kamailio
from tests.wire.ports import free_ports
from tests.wire.server import RingbackServer, ServerError
from tests.wire.sip_phone import CallFailed, SipPhone
from tests.wire.test_meeting import TONES_HZ, check_who_is_heard

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBaresip = Callable[..., Baresip]
MakeServer = Callable[..., RingbackServer]
MakeCarrier = Callable[..., Kamailio]

PASSWORD = "carrier-secret"
OUTSIDE = "15550199"
DID = "+15550100"


@pytest.fixture
def make_carrier(tmp_path: Path) -> Iterator[MakeCarrier]:
    """Start carriers that end with the test."""
    carriers: list[Kamailio] = []

    def make(phone: int = 9, algorithm: str = "MD5", expires: int = 60) -> Kamailio:
        carrier = Kamailio(
            tmp_path / f"carrier-{len(carriers)}",
            CARRIER,
            phone=phone,
            username="alice",
            password=PASSWORD,
            algorithm=algorithm,
            expires=expires,
        )
        carriers.append(carrier)
        return carrier.start()

    yield make
    for carrier in carriers:
        carrier.stop()


def add_trunk(server: RingbackServer, carrier: Kamailio, *words: str, password: str = PASSWORD) -> None:
    """The trunk `carrier`, which registers as alice."""
    account = ("--username", "alice", "--password-stdin", "--register")
    where = ("127.0.0.1", "--port", str(carrier.port))
    server.ask("trunk", "add", "carrier", *where, *account, *words, stdin=password + "\n")


def wait_state(server: RingbackServer, up: bool, timeout: float = 20) -> dict[str, Any]:
    """Wait until the trunk is up or down; what is said of it."""
    deadline = time.monotonic() + timeout
    while (trunk := server.api("GET", "/trunks/carrier"))["up"] is not up:
        if time.monotonic() > deadline:
            raise ServerError(f"{trunk}\n{server.output()[-3000:]}")
        time.sleep(0.2)
    return dict(trunk)


@pytest.mark.parametrize("transport", ["udp", pytest.param("tcp", marks=pytest.mark.long)])
def test_calls_go_out_and_come_in_by_a_registered_trunk_and_are_heard_both_ways(
    make_server: MakeServer, make_baresip: MakeBaresip, make_carrier: MakeCarrier, transport: str
) -> None:
    server = make_server()
    outside = make_baresip(OUTSIDE, tone_hz=TONES_HZ[0], answer="auto")
    carrier = make_carrier(phone=outside.sip_port)
    words = ("--realm", "carrier.example", "--prefix", "1", "--did", f"{DID}=2101")
    add_trunk(server, carrier, *words, "--transport", transport)
    account = {"server": server.udp, "password": server.add_extension("2101"), "answer": "auto"}
    inside = make_baresip("2101", tone_hz=TONES_HZ[1], **account)
    inside.register()
    wait_state(server, True)
    assert 'ringback_trunk_up{trunk="carrier"} 1.0' in server.fetch("/metrics")
    for caller, target in (
        (inside, server.uri(OUTSIDE)),
        (outside, f"sip:{DID}@127.0.0.1:{carrier.port}"),
    ):
        after = len(inside.events)
        caller.dial(target)
        time.sleep(3)
        assert server.ask("trunk", "show", "carrier")["calls"] == 1
        caller.hang_up_and_wait()
        inside.wait_event("CALL_CLOSED", 5, after=after)
        check_who_is_heard([outside, inside], TONES_HZ[:2], 2)
    (usage,) = server.ask("trunk", "usage")
    assert (usage["account"], usage["call_class"], usage["calls"]) == ("2101", "national", 1)
    # The registration is taken back at the end; what was called counts on after a restart.
    server.stop()
    phone = SipPhone(("127.0.0.1", carrier.port))
    with pytest.raises(CallFailed) as failed:
        phone.dial(DID)
    phone.close()
    assert failed.value.status == 480
    server.start()
    assert server.ask("trunk", "usage") == [usage]
    wait_state(server, True)


@pytest.mark.long
def test_a_wrong_password_and_a_carrier_that_is_gone_are_said_in_words(
    make_server: MakeServer, make_carrier: MakeCarrier
) -> None:
    server = make_server()
    carrier = make_carrier(algorithm="SHA-256", expires=6)
    add_trunk(server, carrier, password="a wrong one")
    assert wait_state(server, False)["reason"] == "wrong username or password (401)"
    assert "trunk carrier" in server.run("status").stdout.lower()
    server.ask("trunk", "set", "carrier", "--password-stdin", stdin=PASSWORD + "\n")
    wait_state(server, True)
    carrier.stop()
    down = wait_state(server, False)
    assert down["reason"] == f"no answer from 127.0.0.1:{carrier.port} over UDP"
    assert 'ringback_trunk_up{trunk="carrier"} 0.0' in server.fetch("/metrics")
    carrier.start()
    wait_state(server, True)
    assert server.run("trunk", "test", "carrier").stdout == "carrier: up\n"
    assert PASSWORD not in server.output()
    assert server.output().count("trunk.down") == 2


@pytest.mark.long
def test_a_name_that_does_not_exist_and_a_refused_connection_are_said_in_words(
    make_server: MakeServer,
) -> None:
    server = make_server()
    server.ask("trunk", "add", "carrier", "no-such-host.invalid")
    assert wait_state(server, False)["reason"] == "DNS: no such host no-such-host.invalid"
    port = free_ports()
    server.ask("trunk", "set", "carrier", "--host", "127.0.0.1", "--port", str(port), "--transport", "tcp")
    deadline = time.monotonic() + 10
    wanted = f"no connection to 127.0.0.1:{port} over TCP"
    while (said := server.api("GET", "/trunks/carrier")["reason"]) != wanted:
        assert time.monotonic() < deadline, said
        time.sleep(0.2)
