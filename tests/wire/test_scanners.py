"""The sipvicious programs and forgers against a running server: nothing is found, and no phone notices."""

from __future__ import annotations

import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone, digest

pytestmark = [pytest.mark.wire]
MakePhone = Callable[..., SipPhone]
MakeServer = Callable[..., RingbackServer]

PATIENCE_S = 30.0
DISGUISE = """
import sys
import sipvicious.libs.svhelper as h
defaults = h.makeRequest.__defaults__
h.makeRequest.__defaults__ = tuple("Desk phone" if d == "friendly-scanner" else d for d in defaults)
name = sys.argv.pop(1)
sys.argv[0] = name
__import__("sipvicious." + name, fromlist=["main"]).main()
"""
"""Runs one of the programs under another name than it gives itself."""


@contextmanager
def scanning(folder: Path, *words: str, disguised: bool = False) -> Iterator[subprocess.Popen[str]]:
    """One of the programs at work; it is ended with the block."""
    command = [sys.executable, "-c", DISGUISE] if disguised else []
    program = words[0] if disguised else str(Path(sys.executable).with_name(f"sipvicious_{words[0]}"))
    with subprocess.Popen(
        [*command, program, *words[1:]], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_banned(server: RingbackServer, **wanted: object) -> dict[str, Any]:
    """Wait until somebody is banned so; the ban."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        bans: list[dict[str, Any]] = server.ask("ban", "list")
        for ban in bans:
            if wanted.items() <= ban.items():
                return ban
        assert time.monotonic() < deadline, f"{wanted} is not among {bans}"
        time.sleep(0.2)


class Office:
    """A server with limits, and two phones elsewhere than the scanners, which come from 127.0.0.1 and .2."""

    def __init__(self, make_server: MakeServer, make_phone: MakePhone) -> None:
        self.server = make_server(limits=True)
        self.phones = [
            make_phone(self.server, number, self.server.add_extension(number), local=f"127.0.0.{place}")
            for place, number in ((3, "431"), (4, "432"))
        ]
        self.assert_well()

    def assert_well(self) -> None:
        """The phones register and call each other."""
        for phone in self.phones:
            assert phone.register().status == 200
        here, there = self.phones
        call = here.new_call("432")
        there.incoming.clear()
        answer = here.attempt(call)
        call.media.stop()
        assert answer.status == 486, "it rang: the phone there said so"

    def wordlist(self) -> Path:
        """Passwords to try, the right one at the end."""
        path = self.server.folder / "words"
        path.write_text("\n".join([*(f"guess-{number}" for number in range(200)), "secret-of-431", ""]))
        return path


@pytest.fixture
def office(make_server: MakeServer, make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch) -> Office:
    # Whoever is called is busy: that it rang is enough to know.
    monkeypatch.setattr(
        SipPhone, "_incoming_call", lambda self, message: self.respond(message, 486, "Busy Here", tag="busy")
    )
    return Office(make_server, make_phone)


def test_scanners_find_nothing_and_the_phones_elsewhere_do_not_notice(office: Office) -> None:
    server, folder = office.server, office.server.folder
    port = ("-p", str(server.udp_port))
    words = str(office.wordlist())
    with (
        scanning(folder, "svmap", "-b", "127.0.0.2", *port, "127.0.0.1") as svmap,
        scanning(folder, "svwar", "--force", "-P", "5070", *port, "-e", "400-450", "127.0.0.1") as svwar,
        scanning(folder, "svcrack", "-P", "5080", *port, "-u", "431", "-d", words, "127.0.0.1") as svcrack,
    ):
        office.assert_well()
        for program in (svmap, svwar, svcrack):
            said = "".join(program.communicate(timeout=PATIENCE_S))
            assert "found nothing" in said or "no server response" in said, said
            assert "secret" not in said
    bans = server.ask("ban", "list")
    assert {(ban["source"], ban["reason"]) for ban in bans} == {
        ("127.0.0.1", "scanner"),
        ("127.0.0.2", "scanner"),
    }
    office.assert_well()


def test_under_another_name_it_is_found_out_by_what_it_does(office: Office) -> None:
    server, folder = office.server, office.server.folder
    port = ("-p", str(server.udp_port))
    words = str(office.wordlist())
    for method in ("REGISTER", "INVITE"):
        war = ("svwar", "--force", "-m", method, *port, "-e", "400-480", "127.0.0.1")
        with scanning(folder, *war, disguised=True) as svwar:
            # Every number is answered alike: it gives up.
            assert "found nothing" in "".join(svwar.communicate(timeout=PATIENCE_S))
    with scanning(folder, "svcrack", *port, "-u", "431", "-d", words, "127.0.0.1", disguised=True):
        wait_banned(server, source="127.0.0.1", reason="passwords", proven=True)
        office.assert_well()


def test_a_banned_source_is_not_answered_and_not_let_in(office: Office, make_phone: MakePhone) -> None:
    server = office.server
    with pytest.raises(OSError, match=r"closed|reset"):
        _register_many(server, "127.0.0.2")
    wait_banned(server, source="127.0.0.2", reason="accounts", proven=True)
    assert not _answers_over_tcp(server, "127.0.0.2")
    assert not _answers_over_udp(server, "127.0.0.2")
    assert _answers_over_tcp(server, "127.0.0.5")
    office.assert_well()
    server.ask("ban", "remove", "127.0.0.2")
    assert _answers_over_tcp(server, "127.0.0.2")
    assert _answers_over_udp(server, "127.0.0.2")
    server.ask("ban", "add", "127.0.0.5", "--minutes", "5")
    assert not _answers_over_udp(server, "127.0.0.5")
    assert server.run("ban", "add", "nonsense").returncode == 1
    assert server.run("ban", "remove", "127.0.0.77").returncode == 1
    assert 'ringback_sip_banned_sources{state="banned"} 1.0' in server.fetch("/metrics")


def test_a_request_that_was_heard_cannot_be_sent_again(office: Office) -> None:
    phone = office.phones[0]
    call = phone.new_call(f"sip:127.0.0.1:{office.server.udp_port}")
    call.media.stop()
    call.remote = f"<sip:{phone.user}@127.0.0.1>"
    challenged = phone.request(call, "REGISTER")
    assert phone.password is not None
    value = digest(challenged.get("WWW-Authenticate"), "REGISTER", call.target, phone.user, phone.password)
    assert phone.request(call, "REGISTER", headers=(f"Authorization: {value}",)).status == 200
    replayed = phone.request(call, "REGISTER", headers=(f"Authorization: {value}",))
    assert replayed.status == 401
    assert "stale=true" in replayed.get("WWW-Authenticate")


def _options(user: str = "") -> bytes:
    token = secrets.token_hex(6)
    method = "REGISTER" if user else "OPTIONS"
    return (
        f"{method} sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK{token};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{user or 'x'}@127.0.0.1>;tag={token}\r\n"
        f"To: <sip:{user or 'x'}@127.0.0.1>\r\nCall-ID: {token}\r\nCSeq: 1 {method}\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def _register_many(server: RingbackServer, source: str) -> None:
    """REGISTER for one name after the other over TCP; OSError when that is stopped."""
    address = ("127.0.0.1", server.tcp_port)
    with socket.create_connection(address, timeout=5, source_address=(source, 0)) as connection:
        for number in range(400, 500):
            connection.sendall(_options(str(number)))
            if not connection.recv(4_096):
                raise ConnectionError("closed")


def _answers_over_tcp(server: RingbackServer, source: str) -> bool:
    try:
        address = ("127.0.0.1", server.tcp_port)
        with socket.create_connection(address, timeout=5, source_address=(source, 0)) as connection:
            connection.sendall(_options())
            return re.match(rb"SIP/2.0 200", connection.recv(4_096)) is not None
    except ConnectionError:
        return False


def _answers_over_udp(server: RingbackServer, source: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.bind((source, 0))
        asking.settimeout(1.0)
        asking.sendto(_options().replace(b"SIP/2.0/TCP", b"SIP/2.0/UDP"), server.udp)
        try:
            return re.match(rb"SIP/2.0 200", asking.recv(4_096)) is not None
        except TimeoutError:
            return False
