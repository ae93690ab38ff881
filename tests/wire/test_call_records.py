"""Records of real calls; calls while the database is away or the disk is full; numbers nowhere else."""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ringback.web import control_socket
from tests.wire.baresip import Baresip
from tests.wire.disks import disk_full, own_disk
from tests.wire.namespaces import skip_without_namespaces
from tests.wire.server import RingbackServer, ServerError
from tests.wire.sip_phone import Call, SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBaresip = Callable[..., Baresip]
MakeServer = Callable[..., RingbackServer]
MakePhone = Callable[..., SipPhone]

OUTSIDE, DID, EMERGENCY = "+14155550177", "+14155550188", "112"


def add_trunk(server: RingbackServer, make_phone: MakePhone) -> SipPhone:
    """A trunk to a phone, which stands for all that is outside."""
    outside = make_phone(server, OUTSIDE)
    where = ("127.0.0.1", "--port", str(outside.port))
    server.ask("trunk", "add", "carrier", *where, "--prefix", "", "--did", f"{DID}=1001")
    return outside


def add_phone(server: RingbackServer, make_phone: MakePhone, number: str) -> SipPhone:
    """A registered phone of a new extension."""
    phone = make_phone(server, number, server.add_extension(number))
    assert phone.register().status == 200
    return phone


def talk(caller: SipPhone, target: str, called: SipPhone, seconds: float = 0.3) -> None:
    """One calls the other, who answers; each hears the other, and the caller hangs up."""
    done: list[Call] = []

    def answer() -> None:
        done.append(called.answer())

    taking = threading.Thread(target=answer)
    taking.start()
    call = caller.dial(target)
    taking.join(30)
    (other,) = done
    deadline = time.monotonic() + 30
    while not (call.media.received and other.media.received):
        assert time.monotonic() < deadline, "one of the two hears nothing"
        time.sleep(0.02)
    time.sleep(seconds)
    call.hang_up()
    other.wait_ended(5)
    for ended in (call, other):
        ended.media.stop()


def recorded(server: RingbackServer, count: int, **asked: str) -> list[dict[str, Any]]:
    """Wait until so many calls are found."""
    deadline = time.monotonic() + 15
    while True:
        calls = json.loads(server.fetch(f"/api/v1/call-records?{urlencode(asked)}"))["items"]
        if len(calls) >= count:
            return list(calls)
        if time.monotonic() > deadline:
            raise ServerError(f"{count} records expected, but {calls}\n{server.output()[-3000:]}")
        time.sleep(0.2)


def metric(server: RingbackServer, name: str) -> float:
    lines = server.fetch("/metrics").splitlines()
    return float(
        next(line.split()[-1] for line in lines if line.startswith(f"ringback_call_records_{name} "))
    )


def test_a_call_is_recorded_with_its_legs_and_lines_and_its_numbers_are_nowhere_else(
    make_server: MakeServer, make_phone: MakePhone, make_baresip: MakeBaresip
) -> None:
    server = make_server()
    outside = add_trunk(server, make_phone)
    account = {"server": server.udp, "password": server.add_extension("1001"), "answer": "auto"}
    phone = make_baresip("1001", tone_hz=600, **account)
    phone.register()
    meeting = server.add_meeting()
    phone.dial(server.uri(OUTSIDE), wait=False)
    answered = outside.answer()
    time.sleep(2.0)
    phone.hang_up()
    answered.wait_ended(5)
    phone.stop()
    guest = add_phone(server, make_phone, "1002")
    in_meeting = guest.dial(f"{meeting['number']}*{meeting['guest_pin']}")
    time.sleep(0.3)
    in_meeting.hang_up()
    entered, out = recorded(server, 2)
    assert (out["direction"], out["outcome"], out["ended_by"]) == ("outbound", "answered", "caller")
    assert (out["caller"], out["dialled"], out["trunks"]) == ("1001", OUTSIDE, ["carrier"])
    assert (entered["dialled"], entered["called"]) == (meeting["number"], f"meeting:{meeting['number']}")
    shown = server.ask("calls", "show", out["id"])
    caller, beyond = shown["legs"]
    assert (caller["device"], caller["transport"], caller["family"]) == ("phone", "udp", "ipv4")
    assert (beyond["device"], beyond["trunk"], beyond["number"]) == ("trunk", "carrier", OUTSIDE)
    assert set(caller["negotiated"]) <= set(caller["offered"])
    assert caller["sent"] == [caller["negotiated"][0]]
    assert beyond["sent"] == ["PCMU"]
    assert caller["line"]["received"] > 80
    assert caller["line"]["sent"] > 80
    assert caller["line"]["mos"] > 3.5
    assert 1.5 < shown["talk_s"] < 10
    assert shown["story"][0] == f"0.0 s  1001 dials {OUTSIDE}"
    masked = masked_export(server)
    assert out["id"] in masked
    interrupted = cut_off(server, guest, outside)
    assert (interrupted["caller"], interrupted["dialled"]) == ("1002", OUTSIDE)
    assert interrupted["ended_at"] is None
    assert [call["id"] for call in recorded(server, 3)][1:] == [entered["id"], out["id"]]
    server.ask("backup", "create", "--to", str(server.folder / "backups"))
    server.stop()
    secrets = [text.encode() for text in (OUTSIDE, OUTSIDE[1:], meeting["guest_pin"])]
    assert not [text for text in secrets if text in masked.encode()]
    for path in (path for path in server.folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert not [text for text in secrets if text in content], path


@pytest.mark.long
def test_a_call_that_is_refused_unread_has_a_record(make_server: MakeServer, make_phone: MakePhone) -> None:
    server = make_server()
    phone = make_phone(server, "5550142")
    assert phone.attempt(phone.new_call("600"), headers=("Require: moon",)).status == 420
    assert phone.attempt(phone.new_call("601"), headers=("Max-Forwards: many",)).status == 400
    found = {(one["caller"], one["dialled"], one["cause"], one["outcome"]) for one in recorded(server, 2)}
    assert found == {("5550142", "600", 420, "refused"), ("5550142", "601", 400, "refused")}


def cut_off(server: RingbackServer, caller: SipPhone, called: SipPhone) -> dict[str, Any]:
    """A call, in the middle of which the power fails; its record after the next start."""
    call = caller.new_call(OUTSIDE)
    taking = threading.Thread(target=called.answer)
    taking.start()
    call.start_media(caller.attempt(call).body)
    taking.join(10)
    time.sleep(1.2)
    server.kill_all()
    server.start()
    (interrupted,) = recorded(server, 1, outcome="interrupted")
    assert "records.interrupted" in server.output()
    return interrupted


def masked_export(server: RingbackServer) -> str:
    """All that an auditor gets, and what monitoring sees."""
    token = server.ask("token", "add", "--role", "auditor")["token"]
    parts = [server.fetch("/metrics")]
    for body in ({"format": "jsonl"}, {"format": "csv"}, {"format": "csv", "rows": "legs"}):
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.web_port}/api/v1/call-records/export",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            parts.append(answer.read().decode())
    return "".join(parts)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[RingbackServer]:
    """A server with a disk of its own."""
    skip_without_namespaces()
    server = RingbackServer(tmp_path / "server")
    with own_disk(server):
        yield server.start()


@contextlib.contextmanager
def database_away(server: RingbackServer) -> Iterator[None]:
    """Another process holds the database."""
    other = sqlite3.connect(server.data / "ringback.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def change(server: RingbackServer, name: str) -> tuple[int, str | None]:
    """Ask for a change: the status, and when to try again."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = control_socket.connect(server.data / "control.sock", timeout_s=40)
    with contextlib.closing(connection):
        body = json.dumps({"title": name, "members": ["1001"]})
        connection.request("PUT", f"/api/v1/plan/group/{name}", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
    return answer.status, answer.headers["Retry-After"]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_minute_without_the_database_costs_no_call_and_no_record(
    make_server: MakeServer, make_phone: MakePhone
) -> None:
    server = make_server()
    outside = add_trunk(server, make_phone)
    one, two, late = (add_phone(server, make_phone, number) for number in ("1001", "1002", "1003"))
    meeting = server.add_meeting()
    ways = {
        "internal": (one, "1002", two),
        "inbound": (outside, DID, one),
        "outbound": (two, OUTSIDE, outside),
        "emergency": (one, EMERGENCY, outside),
    }
    made: Counter[str] = Counter()
    refused: list[tuple[int, str | None]] = []
    with database_away(server):
        end = time.monotonic() + 60
        asking = threading.Thread(target=lambda: keep_asking(server, end, refused))
        asking.start()
        while time.monotonic() < end:
            for way, (caller, target, called) in ways.items():
                # Of calls abroad an extension has twenty a day.
                if way != "outbound" or made[way] < 15:
                    talk(caller, target, called, 0.1)
                    made[way] += 1
            entered = late.dial(f"{meeting['number']}*{meeting['guest_pin']}")
            entered.hang_up()
            made["meeting"] += 1
            # Phones refresh their registrations all the time.
            assert [phone.register().status for phone in (one, two, late)] == [200] * 3
            # No more calls than one list holds.
            time.sleep(0.2)
        asking.join()
        assert metric(server, "database_away") == 1
    print(f"{dict(made)}, {len(refused)} changes refused")
    assert min(made.values()) >= 5
    assert len(refused) >= 3
    assert set(refused) == {(503, "5")}
    total = made.total()
    assert total < 500
    recorded(server, total, limit="500")
    time.sleep(2)
    calls = recorded(server, total, limit="500")
    assert len({call["id"] for call in calls}) == len(calls) == total
    found = Counter(
        "emergency"
        if call["emergency"]
        else "meeting"
        if call["called"].startswith("meeting:")
        else call["direction"]
        for call in calls
    )
    assert found == made
    assert all(call["outcome"] == "answered" for call in calls)
    assert metric(server, "lost_total") == 0
    assert change(server, "at-last")[0] < 300
    assert [one["name"] for one in json.loads(server.fetch("/api/v1/plan/group"))["items"]] == ["at-last"]


def way_of(call: dict[str, Any]) -> str:
    meeting = "meeting" if call["called"].startswith("meeting:") else ""
    return "emergency" if call["emergency"] else meeting or str(call["direction"])


def keep_asking(server: RingbackServer, end: float, refused: list[tuple[int, str | None]]) -> None:
    while time.monotonic() < end - 6:
        refused.append(change(server, f"early-{len(refused)}"))


def test_calls_go_on_while_the_database_is_away_and_while_the_disk_is_full(
    small_disk: RingbackServer, make_phone: MakePhone
) -> None:
    server = small_disk
    outside = add_trunk(server, make_phone)
    one, two = (add_phone(server, make_phone, number) for number in ("1001", "1002"))
    with database_away(server):
        talk(one, "1002", two)
        talk(outside, DID, one)
        talk(two, EMERGENCY, outside)
        refused = server.run("meeting", "add", "Too early")
        assert refused.returncode == 1
        assert "the database cannot be used now" in refused.stderr
        assert change(server, "early") == (503, "5")
        assert metric(server, "database_away") == 1
        assert metric(server, "spool_bytes") > 0
    calls = recorded(server, 3)
    assert [(call["direction"], call["emergency"]) for call in calls] == [
        ("outbound", True),
        ("inbound", False),
        ("internal", False),
    ]
    server.ask("meeting", "add", "Now")
    with disk_full(server.data):
        talk(one, "1002", two)
        talk(outside, DID, one)
        deadline = time.monotonic() + 10
        while not metric(server, "spool_unwritable"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "records.spool_failed" in server.output()
        assert server.run("meeting", "add", "Too late").returncode == 1
        talk(two, EMERGENCY, outside)
    assert len(recorded(server, 6)) == 6
    server.ask("meeting", "add", "At last")
    talk(one, "1002", two)
    assert len(recorded(server, 7)) == 7
    assert (metric(server, "spool_unwritable"), metric(server, "database_away")) == (0, 0)
    assert metric(server, "lost_total") == 0
