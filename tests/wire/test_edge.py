"""What strangers can do from outside: guess numbers, send nonsense, flood; and that calls do not notice."""

from __future__ import annotations

import re
import secrets
import socket
import statistics
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from ringback.quality.silence import longest_gap_ms
from ringback.quality.tones import make_tones, tone_levels
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipMessage, SipPhone

pytestmark = pytest.mark.wire
MakePhone = Callable[..., SipPhone]
MakeServer = Callable[..., RingbackServer]
Measured = Callable[[str], None]

VARYING = {"via", "to", "from", "call-id", "cseq", "www-authenticate", "date"}


def shape(message: SipMessage) -> list[tuple[str, str]]:
    """An answer without what belongs to the one request."""
    return [(name, "" if name.lower() in VARYING else value) for name, value in message.headers] + [
        ("first line", message.first)
    ]


def test_an_account_is_told_that_a_number_does_not_exist(
    server: RingbackServer, make_phone: MakePhone
) -> None:
    phone = make_phone(server, "3001", server.add_extension("3001"))
    answer = phone.attempt(phone.new_call("3999"))
    assert answer.status == 404


@pytest.mark.alone
def test_a_stranger_cannot_tell_an_extension_from_no_extension(
    server: RingbackServer, make_phone: MakePhone, measured: Measured
) -> None:
    server.add_extension("3011")
    stranger = make_phone(server)
    times: dict[str, list[float]] = {"3011": [], "3998": []}
    shapes = []
    for turn in range(60):
        for number in sorted(times, reverse=bool(turn % 2)):
            call = stranger.new_call(number)
            began = time.monotonic()
            answer = stranger.attempt(call)
            times[number].append((answer.at - began) * 1000)
            call.media.stop()
            assert answer.status == 401
            shapes.append(shape(answer))
    assert all(each == shapes[0] for each in shapes)
    there, absent = (statistics.median(values) for values in times.values())
    measured(f"401 to a stranger: {there:.2f} ms existing, {absent:.2f} ms absent (median of 60)")
    assert abs(there - absent) < 5, "loose on purpose: the machine is shared"


@pytest.mark.alone
def test_a_guesser_with_credentials_cannot_tell_either(
    server: RingbackServer, make_phone: MakePhone, measured: Measured
) -> None:
    server.add_extension("3021")
    shapes, times = [], {}
    for user in ("3021", "3997"):
        phone = make_phone(server, user, "wrong")
        spent = []
        for _ in range(20):
            began = time.monotonic()
            answer = phone.register()
            spent.append((answer.at - began) * 1000)
            assert answer.status == 401
            shapes.append(shape(answer))
        times[user] = statistics.median(spent)
    assert all(each == shapes[0] for each in shapes)
    measured(f"401 to a wrong password: {times['3021']:.2f} ms existing, {times['3997']:.2f} ms absent")
    assert abs(times["3021"] - times["3997"]) < 5


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("this is no session description", "application/sdp"),
        ("v=0\r\n", "application/sdp"),
        ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio x RTP/AVP 0\r\n", "application/sdp"),
        (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            "m=audio 40000 RTP/AVP 99\r\na=rtpmap:99 AMR-WB/16000\r\n",
            "application/sdp",
        ),
        ("\x00\x01\x02\x03", "application/sdp"),
    ],
    ids=["prose", "only a version", "no port", "unknown codec", "bytes"],
)
def test_a_body_that_is_no_usable_sdp_is_refused(
    server: RingbackServer, make_phone: MakePhone, body: str, kind: str
) -> None:
    meeting = server.add_meeting()
    phone = make_phone(server)
    call = phone.new_call(f"{meeting['number']}*{meeting['guest_pin']}")
    answer = phone.attempt(call, body, (f"Content-Type: {kind}",))
    assert answer.status in {400, 488}


def test_a_body_of_another_kind_is_refused(server: RingbackServer, make_phone: MakePhone) -> None:
    meeting = server.add_meeting()
    phone = make_phone(server)
    answer = phone.attempt(phone.new_call(meeting["number"]), "hello", ("Content-Type: text/plain",))
    assert answer.status == 415


def test_what_is_not_supported_is_said_with_the_right_status(
    server: RingbackServer, make_phone: MakePhone
) -> None:
    phone = make_phone(server)
    call = phone.new_call("600")
    assert phone.request(call, "SUBSCRIBE", headers=("Event: presence",)).status == 401, (
        "who asks comes first"
    )
    assert phone.request(phone.new_call("600"), "FLY").status in {405, 501}
    assert phone.request(phone.new_call("600"), "OPTIONS").status == 200
    meeting = server.add_meeting()
    asked = phone.new_call(meeting["number"])
    answer = phone.request(asked, "INVITE", asked.sdp(), ("Require: warp",))
    phone.acknowledge(asked, answer)
    assert answer.status == 420
    assert "warp" in answer.get("Unsupported")


@pytest.mark.long
def test_garbage_on_every_port_is_not_heard(make_server: MakeServer, make_phone: MakePhone) -> None:
    server = make_server(limits=True)
    meeting = server.add_meeting()
    listener, speaker = (
        make_phone(server).dial(f"{meeting['number']}*{meeting['guest_pin']}") for _ in range(2)
    )
    speaker.media.speak(make_tones(8000, 2, [440]))
    server.wait_participants(meeting["number"], 2)
    time.sleep(5)
    media_ports = _media_ports(listener), _media_ports(speaker)

    began = time.monotonic()
    held_open = _flood(server, [port for pair in media_ports for port in pair])
    took = time.monotonic() - began
    time.sleep(3)
    heard = listener.media.heard(took + 3)
    assert tone_levels(heard, 8000, [440])[0] == pytest.approx(-12, abs=1)
    assert longest_gap_ms(heard, 8000) <= 40
    assert not listener.ended.is_set()
    assert not speaker.ended.is_set()
    for connection in held_open:
        connection.close()
    listener.hang_up()
    speaker.hang_up()
    again = make_phone(server).dial(f"{meeting['number']}*{meeting['guest_pin']}")
    again.hang_up()


def _media_ports(call: object) -> tuple[int, int]:
    remote = call.media._remote  # type: ignore[attr-defined]
    return remote[1], remote[1] + 1


def _flood(server: RingbackServer, media_ports: list[int]) -> list[socket.socket]:
    """Random datagrams, connections that say nothing, and a header of 10 MB; the connections left open."""
    rng = np.random.default_rng(5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for port in (server.udp_port, *media_ports):
            for number in range(1000):
                size = int(rng.integers(0, 1400))
                data = rng.bytes(size)
                if number % 4 == 1:
                    data = b"\x80\x00" + data
                elif number % 4 == 2:
                    data = b"INVITE sip:x SIP/2.0\r\n" + data
                try:
                    sender.sendto(data, ("127.0.0.1", port))
                except OSError:
                    continue
                if number % 50 == 0:
                    time.sleep(0.005)
    silent = []
    for port in (server.tcp_port, server.tls_port, server.web_port):
        for start in (b"", b"INVITE sip:", secrets.token_bytes(200)):
            connection = socket.create_connection(("127.0.0.1", port), timeout=5)
            connection.sendall(start)
            silent.append(connection)
    threads = [
        threading.Thread(target=_long_header, args=(port,)) for port in (server.tcp_port, server.web_port)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "a header of 10 MB should be refused, not waited for"
    return silent


def _long_header(port: int) -> None:
    """Begin a message whose one header never ends; done when refused or all is sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            connection.sendall(b"INVITE sip:600@127.0.0.1 SIP/2.0\r\nX-Long: ")
            for _ in range(160):
                connection.sendall(b"a" * 65536)
        except OSError:
            return


def test_a_taken_port_gives_the_next_free_one(make_server: MakeServer, make_phone: MakePhone) -> None:
    first = make_server()
    second = RingbackServer(first.folder.with_name("second"))
    second.environment |= {
        name: first.environment[name] for name in first.environment if name.endswith("_PORT")
    }
    second.udp_port = second.tcp_port = first.udp_port
    second.start(wait=False)
    try:
        deadline = time.monotonic() + 20
        while "ready" not in second.output().lower():
            assert time.monotonic() < deadline, second.output()
            time.sleep(0.1)
        status = second.ask("status")
        said = second.output()
        addresses = str(status["addresses"])
        assert str(first.udp_port) not in addresses
        for port in _ports_in(addresses):
            assert str(port) in said
        assert first.ask("status")["pids"] != status["pids"]
    finally:
        second.kill_all()


def _ports_in(text: str) -> set[int]:
    return {int(number) for number in re.findall(r"\b\d{5}\b", text)}
