"""A real call watched by the real command: live, as a capture file, after its end, and by a slow watcher."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_pcap import read
from tests.wire.server import COMMAND, RingbackServer
from tests.wire.sip_phone import SipPhone

pytestmark = pytest.mark.wire
MakePhone = Callable[..., SipPhone]


@contextmanager
def watching(server: RingbackServer, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`ringback sip trace` that watches already; it is ended when left."""
    process = subprocess.Popen(
        [COMMAND, "sip", "trace", *words, "--data-dir", str(server.data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs tests in the background has them ignore Ctrl-C, and with them what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # it takes no lock
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "watching; Ctrl-C ends it\n"
        yield process
    finally:
        process.kill()
        process.wait()


def make_meeting(server: RingbackServer) -> tuple[str, str]:
    """A meeting's number and its PIN."""
    meeting = server.add_meeting()
    return str(meeting["number"]), str(meeting["guest_pin"])


def call_a_meeting(server: RingbackServer, phone: SipPhone, number: str, pin: str) -> str:
    """A call with the PIN in the dialled number; its Call-ID."""
    call = phone.dial(server.uri(f"{number}*{pin}"))
    call.hang_up()
    return call.call_id


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_call_is_seen_as_it_was_and_nothing_private_with_it(
    server: RingbackServer, make_phone: MakePhone, tmp_path: Path
) -> None:
    path = tmp_path / "call.pcap"
    password = server.add_extension("481516")
    number, pin = make_meeting(server)
    phone = make_phone(server, "481516", password)
    with watching(server, "--pcap", str(path), "--messages") as watcher:
        phone.register()
        call_id = call_a_meeting(server, phone, number, pin)
        deadline = time.monotonic() + 10
        while path.read_bytes().count(b"BYE\r\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        watcher.send_signal(signal.SIGINT)
        ladder, remarks = watcher.communicate(timeout=10)
    assert watcher.returncode == 0
    assert "messages, masked, in" in remarks
    seen = read(path, "sip.Method", "sip.Status-Code", "sip.Call-ID", "udp.srcport")
    ours = [(method or status, port) for method, status, call, port in seen if call == call_id]
    we, they = str(server.udp_port), str(phone.port)
    assert [row for row in ours if row[0] != "100"] == [
        *[("INVITE", they), ("200", we), ("ACK", they), ("BYE", they), ("200", we)]
    ]
    after = server.run("sip", "trace", "--last", "5m", "--call", call_id[:8], "--json")
    kept = lines_of(after.stdout)
    assert {message["call_id"] for message in kept} == {call_id}
    assert [message["method"] for message in kept if message["direction"] == "in"] == ["INVITE", "ACK", "BYE"]
    everything = ladder + after.stdout + path.read_bytes().decode("latin-1") + server.output()
    for private in (number, pin, "481516", password):
        # Random tokens are of the same digits.
        assert not re.search(rf"(?<![0-9a-f]){private}(?![0-9a-f])", everything)
    assert 'Digest username="xxxxxx"' in ladder


def test_a_number_chooses_and_an_administrator_may_see_it(
    server: RingbackServer, make_phone: MakePhone
) -> None:
    phone, other = make_phone(server, "5552001"), make_phone(server, "5552002")
    number, pin = make_meeting(server)
    with watching(server, "--number", number, "--json", "--count", "6") as watcher:
        call_a_meeting(server, other, *make_meeting(server))
        call_id = call_a_meeting(server, phone, number, pin)
        live, _ = watcher.communicate(timeout=10)
    shown = lines_of(live)
    assert {message["call_id"] for message in shown} == {call_id}
    assert [message["method"] for message in shown if "status" not in message] == ["INVITE", "ACK", "BYE"]
    assert {message["to_user"] for message in shown} == {f"xxxxxxx{number[-2:]}*{'x' * len(pin)}"}
    words = ("--last", "5m", "--number", number, "--json", "--reveal")
    revealed = lines_of(server.run("sip", "trace", *words).stdout)
    assert revealed[0]["to_user"] == f"{number}*{pin}"
    assert f"sip:{number}*{pin}@" in revealed[0]["message"]
    log = server.output()
    assert "a SIP trace shows private data" in log
    assert number not in log.partition('"ready"')[2]


def test_a_watcher_who_does_not_read_disturbs_nobody(server: RingbackServer, make_phone: MakePhone) -> None:
    phone = make_phone(server, "5552003")
    number, pin = make_meeting(server)
    before = counted(server)
    with watching(server, "--method", "OPTIONS") as watcher:
        watcher.send_signal(signal.SIGSTOP)
        send_options(phone, 1_500)
        call_a_meeting(server, phone, number, pin)
        asked, answered = counted(server)
        watcher.send_signal(signal.SIGCONT)
        assert watcher.stdout is not None
        missed = next(line for line in watcher.stdout if "messages are missing here" in line)
    assert int(missed.split()[0]) > 0
    assert asked - before[0] == answered - before[1] > 1_000


def counted(server: RingbackServer) -> tuple[float, float]:
    """How many OPTIONS came, and how many 200 went out to them."""
    page = server.fetch("/metrics")
    found = [
        re.search(rf'sip_messages_total{{code="{code}",direction="{way}",method="OPTIONS",.*}} (\S+)', page)
        for code, way in (("", "in"), ("200", "out"))
    ]
    asked, answered = (float(match[1]) if match is not None else 0.0 for match in found)
    return asked, answered


def send_options(phone: SipPhone, count: int) -> None:
    """OPTIONS one after the other, not all at once."""
    for number in range(count):
        phone.send(
            f"OPTIONS sip:127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {phone.local}:{phone.port};branch=z9hG4bKo{number};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=o\r\nTo: <sip:127.0.0.1>\r\n"
            f"Call-ID: o{number}\r\nCSeq: 1 OPTIONS\r\nSubject: {'x' * 400}\r\nContent-Length: 0\r\n\r\n"
        )
        if number % 20 == 0:
            time.sleep(0.04)
