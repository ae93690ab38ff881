"""The torture messages of RFC 4475 and RFC 5118, sent to a running server: each answered as the RFCs ask."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipMessage

pytestmark = pytest.mark.wire

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "sip-torture"
INDEX = FOLDER / "INDEX.json"

if not INDEX.exists():
    pytest.skip("the torture messages are not beside the checkout", allow_module_level=True)

MESSAGES: list[dict[str, Any]] = json.loads(INDEX.read_text())["messages"]
# "accept" is what a well-formed request gets that means nothing here: a challenge, or no such number.
PROCESSED = {200, 401, 404, 407}
VIA = re.compile(
    rb"^v(?:ia)?\s*:\s*SIP\s*/\s*\d\.\d\s*/\s*\w+\s+(?:\[[^\]]*\]|[^\s:;,]+)\s*(?::\s*(\d+))?", re.I | re.M
)
ANSWER_S = 1.0


def ask(server: RingbackServer, number: int) -> float:
    """Seconds until an OPTIONS of somebody else is answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(ANSWER_S)
        began = time.monotonic()
        other.sendto(
            (
                f"OPTIONS sip:127.0.0.1:{server.udp_port} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bKalive{number};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:alive@example.com>;tag=alive\r\nTo: <sip:127.0.0.1>\r\n"
                f"Call-ID: alive-{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            ).encode(),
            server.udp,
        )
        answer = SipMessage.parse(other.recv(65_536))
        assert (answer.status, answer.get("Call-ID")) == (200, f"alive-{number}")
        return time.monotonic() - began


def answers(server: RingbackServer, number: int, data: bytes) -> list[int]:
    """The statuses that a message gets where its Via says; each comes from an address of its own.

    So what is sent again for want of an ACK is never taken for an answer to another message. Those of
    RFC 5118 are all of one call, some even of one transaction, and here get a Call-ID each.
    """
    data = data.replace(b"SSG9559905523997077", b"SSG%d" % number)
    via = VIA.search(data)
    port = int(via[1]) if via and via[1] else 5060
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((f"127.0.75.{number}", port))
        peer.sendto(data, server.udp)
        # Datagrams are taken in turn: when this one is answered, so was the message if it ever will be.
        ask(server, number)
        statuses = []
        deadline = time.monotonic() + ANSWER_S
        while not statuses or (statuses[-1] < 200 and time.monotonic() < deadline):
            try:
                peer.settimeout(0.02 if not statuses else ANSWER_S)
                statuses.append(SipMessage.parse(peer.recv(65_536)).status)
            except TimeoutError:
                break
        return statuses


@pytest.mark.parametrize("entry", MESSAGES, ids=lambda entry: entry["name"])
def test_a_torture_message_is_answered_and_the_server_goes_on(
    server: RingbackServer, entry: dict[str, Any]
) -> None:
    statuses = answers(server, 1 + MESSAGES.index(entry), (FOLDER / entry["file"]).read_bytes())
    assert 0 not in statuses, "a request of ours to a stranger"
    finals = [status for status in statuses if status >= 200]
    if "response" in entry["validity"]:
        assert statuses == []
        return
    expected = set(entry["expected"])
    if expected & {"accept", "accept-liberal"}:
        expected |= PROCESSED
    if entry["name"] in ("wsinv", "via-received-param-with-delim"):
        # Well-formed, but they name a dialog that is not here.
        expected = {481}
    assert finals[0] in expected if finals else "drop" in expected


def test_the_index_lists_all_of_them() -> None:
    assert len(MESSAGES) == 64
