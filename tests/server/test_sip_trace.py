"""What a watcher is shown: the chosen messages, masked unless revealed, none that came too fast in secret."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import pytest
from hypothesis import given

from ringback.governance.private import Private
from ringback.server.sip_trace import SipTrace, _Shown
from ringback.sip.flow import Flow
from ringback.sip.parse import parse_message
from ringback.sip.tap import BACKLOG, Tap
from ringback.testing.fake_clock import FakeClock
from ringback.web.operations import Missed, SipMessage, TraceFilter
from tests.sip.test_masking import NAMES, NUMBERS, PINS, TEMPLATES, fill

OURS = ("192.0.2.1", 5060)
ALICE = Flow("udp", OURS, ("192.0.2.20", 5060))
BOB = Flow("tls", OURS, ("2001:db8::5", 40_001), 7)

INVITE = (
    b"INVITE sip:481516234*274113@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK1\r\n"
    b'From: "Ada" <sip:1001@192.0.2.1>;tag=1\r\nTo: <sip:481516234*274113@192.0.2.1>\r\n'
    b"Call-ID: a84b4c76e66710\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n"
    b"Content-Length: 5\r\n\r\nv=0\r\n"
)
RINGING = (
    b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK1\r\n"
    b'From: "Ada" <sip:1001@192.0.2.1>;tag=1\r\nTo: <sip:481516234*274113@192.0.2.1>;tag=2\r\n'
    b"Call-ID: a84b4c76e66710\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)
OPTIONS = (
    b"OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.5;branch=z9hG4bK2\r\n"
    b"From: <sip:1002@192.0.2.1>;tag=1\r\nTo: <sip:192.0.2.1>\r\nCall-ID: f81d4fae\r\nCSeq: 3 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)
BAD = b"INVITE sip:192.0.2.1 twice SIP/2.0\r\nCall-ID: a84b4c76e66710\r\n\r\n"


class Edge:
    """A tap with messages, and whoever looks at them."""

    def __init__(self) -> None:
        self.clock = FakeClock(1_767_323_045.0)
        self.tap = Tap(self.clock, 1_000_000)
        self.trace = SipTrace(self.tap)

    def hear(self, data: bytes, flow: Flow) -> None:
        self.clock.advance(1)
        self.tap.hear(data, flow, parse_message(data))

    def a_call(self) -> None:
        self.hear(INVITE, ALICE)
        self.tap.send(RINGING, ALICE)
        self.hear(OPTIONS, BOB)
        self.hear(BAD, ALICE)

    def kept(self, wanted: TraceFilter, *, reveal: bool = False) -> AsyncIterator[SipMessage | Missed]:
        return self.trace.messages(wanted, last_s=3600, follow=False, reveal=reveal, now=self.clock.now)


async def methods(stream: AsyncIterator[SipMessage | Missed]) -> list[str]:
    found = [one async for one in stream]
    return [f"{one.method}{one.status or ''}" for one in found if isinstance(one, SipMessage)]


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (TraceFilter(), ["INVITE", "INVITE180", "OPTIONS", "INVITE"]),
        (TraceFilter(call="a84b"), ["INVITE", "INVITE180", "INVITE"]),
        (TraceFilter(method="invite"), ["INVITE", "INVITE180", "INVITE"]),
        (TraceFilter(number=Private("481516234")), ["INVITE", "INVITE180"]),
        (TraceFilter(number=Private("48-15 16 234")), ["INVITE", "INVITE180"]),
        (TraceFilter(number=Private("1002")), ["OPTIONS"]),
        (TraceFilter(number=Private("4815")), []),
        (TraceFilter(number=Private("274113")), []),
        (TraceFilter(source="192.0.2.20"), ["INVITE", "INVITE180", "INVITE"]),
        (TraceFilter(source="192.0.2.20:5061"), []),
        (TraceFilter(source="2001:db8::5"), ["OPTIONS"]),
        (TraceFilter(source="[2001:DB8::5]:40001"), ["OPTIONS"]),
        (
            TraceFilter(call="a84b", method="INVITE", source="192.0.2.20:5060"),
            ["INVITE", "INVITE180", "INVITE"],
        ),
    ],
)
async def test_filters(wanted: TraceFilter, shown: list[str]) -> None:
    edge = Edge()
    edge.a_call()
    assert await methods(edge.kept(wanted)) == shown


async def test_a_message_says_what_a_ladder_needs() -> None:
    edge = Edge()
    edge.a_call()
    edge.hear(INVITE, ALICE)
    invite, ringing, options, bad, again = [one async for one in edge.kept(TraceFilter())]
    assert isinstance(invite, SipMessage)
    assert isinstance(ringing, SipMessage)
    assert isinstance(options, SipMessage)
    assert isinstance(bad, SipMessage)
    assert isinstance(again, SipMessage)
    assert invite.at.isoformat() == "2026-01-02T03:04:06+00:00"
    assert (invite.direction, invite.transport, invite.remote) == ("in", "udp", ("192.0.2.20", 5060))
    assert (invite.cseq, invite.described, invite.again, invite.fault) == (1, True, False, None)
    assert (invite.from_user, invite.to_user) == ("xx01", "xxxxxxx34*xxxxxx")
    assert (ringing.direction, ringing.status, ringing.reason) == ("out", 180, "Ringing")
    assert (options.transport, options.local, options.described) == ("tls", OURS, False)
    assert (bad.fault, bad.method) == ("bad request line", "INVITE")
    assert (again.method, again.again) == ("INVITE", True)


async def test_what_is_malformed_shows_what_can_be_read() -> None:
    edge = Edge()
    edge.hear(b"SIP/2.0 503 Busy\r\nTo: x\r\n\r\n", ALICE)
    edge.tap.send(b"SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP 192.0.2.20\r\n\r\n", ALICE)
    theirs, ours = [one async for one in edge.kept(TraceFilter())]
    assert isinstance(theirs, SipMessage)
    assert isinstance(ours, SipMessage)
    assert (theirs.status, theirs.fault) == (503, "missing Call-ID")
    assert (ours.status, ours.fault) == (400, None)


async def test_nothing_private_without_reveal() -> None:
    edge = Edge()
    edge.a_call()
    masked = [one async for one in edge.kept(TraceFilter())]
    for private in ("481516234", "274113", "1001", "Ada"):
        assert private not in repr(masked)
    revealed = [one async for one in edge.kept(TraceFilter(), reveal=True)]
    assert [one.data for one in revealed if isinstance(one, SipMessage)] == [INVITE, RINGING, OPTIONS, BAD]
    first = revealed[0]
    assert isinstance(first, SipMessage)
    assert first.to_user == "481516234*274113"


@pytest.mark.parametrize("kind", TEMPLATES)
@given(number=NUMBERS, other=NUMBERS, pin=PINS, name=NAMES)
def test_nothing_private_beside_the_message_either(
    kind: str, number: str, other: str, pin: str, name: str
) -> None:
    edge = Edge()
    edge.hear(fill(TEMPLATES[kind], number=number, other=other, pin=pin, name=name), ALICE)
    (kept,) = edge.tap.since(0)
    shown = _Shown(reveal=False).of(kept)
    words = (shown.call_id, shown.method, shown.reason, shown.from_user, shown.to_user, shown.fault)
    assert not re.search("[3456789]{3}|[QZqz]{2}", " ".join(map(str, words)))


async def test_a_live_watcher_gets_what_comes_and_leaves_nothing_behind() -> None:
    edge = Edge()
    edge.hear(INVITE, ALICE)
    stream = edge.trace.messages(
        TraceFilter(method="INVITE"), last_s=60, follow=True, reveal=False, now=edge.clock.now
    )
    first = await anext(stream)
    coming = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    edge.hear(OPTIONS, BOB)
    edge.tap.send(RINGING, ALICE)
    second = await coming
    assert [first.method, second.method] == ["INVITE", "INVITE"]  # type: ignore[union-attr]
    last = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    last.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await last
    assert edge.tap._watches == []


async def test_a_slow_watcher_costs_messages_and_nothing_else() -> None:
    edge = Edge()
    stream = edge.trace.messages(TraceFilter(), last_s=0, follow=True, reveal=False, now=edge.clock.now)
    coming = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    for _ in range(BACKLOG + 23):
        edge.hear(OPTIONS, BOB)
    got: list[SipMessage | Missed] = [await coming]
    edge.trace.close()
    got += [one async for one in stream]
    assert len(got) == BACKLOG + 1
    assert got[-1] == Missed(23)


async def test_a_stop_of_the_server_ends_every_trace() -> None:
    edge = Edge()
    stream = edge.trace.messages(TraceFilter(), last_s=0, follow=True, reveal=False, now=0)
    coming = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    edge.trace.close()
    with pytest.raises(StopAsyncIteration):
        await coming
