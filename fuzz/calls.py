"""A user agent that answers whatever comes: hostile messages, one after another, on a clock that obeys."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final

from ringback.governance.private import Private
from ringback.sip.authentication import ClientAuthentication
from ringback.sip.effects import Effect, Transmit
from ringback.sip.endpoint import (
    Endpoint,
    EndpointSettings,
    IncomingCall,
    OfferReceived,
    ReferReceived,
    RequestArrived,
)
from ringback.sip.flow import Flow
from ringback.sip.message import NameAddr, SipUri, make_response
from ringback.sip.parse import Malformed, parse_message

SDP: Final = b"v=0\r\no=- 2 1 IN IP4 192.0.2.1\r\ns=-\r\n"
SEPARATOR: Final = b"\0\0"
"""Between two messages; the byte after it says what happens before the next one."""

_ALLOW: Final = (
    *("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY", "REGISTER"),
    *("SUBSCRIBE", "PUBLISH"),
)
_FLOWS: Final = (
    Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060)),
    Flow("tcp", ("192.0.2.1", 5060), ("192.0.2.9", 5060), 7),
)
PAUSES: Final = (0.0, 0.6, 5.0, 40.0)
_LONGEST_ANSWER: Final = 70_000
# All timers of RFC 3261 and the shortest session timer of RFC 4028 fit in here many times.
_AFTERWARDS_S: Final = 100_000.0
_MOST_STEPS: Final = 20_000


def play(data: bytes) -> Iterator[bytes]:
    """What the agent sends while the messages in `data` come, except answers to malformed ones.

    Raises AssertionError when something stays behind at the end. The agent's tokens are t1, t2, ... and it
    has called out once, with Call-ID t3 and From tag t1.
    """
    numbers = count(1)
    contact = SipUri(user="agent", host="192.0.2.1", port=5060)
    endpoint = Endpoint(
        EndpointSettings(
            "Fuzz",
            contact_for=lambda _: contact,
            allow=_ALLOW,
            supported=("replaces",),
            session_expires_s=1_800,
        ),
        new_token=lambda: f"t{next(numbers)}",
    )
    agent = _Agent(endpoint)
    callee = NameAddr(SipUri(user="101", host="192.0.2.9"))
    session, effects = endpoint.invite(
        target=SipUri(user="101", host="192.0.2.9"),
        to=callee,
        from_=NameAddr(contact),
        flow=_FLOWS[0],
        now=0.0,
        sdp=SDP,
        credentials=ClientAuthentication("agent", Private("secret")),
    )
    yield from agent.carry_out(effects)
    for number, part in enumerate(data.split(SEPARATOR)[:12]):
        what = part[0] if number and part else 0
        yield from agent.pass_time(PAUSES[what & 3])
        agent.answers = what >> 3
        flow = _FLOWS[what >> 2 & 1]
        message = parse_message(part[1:] if number else part)
        effects = endpoint.receive(message, flow, agent.now)
        if isinstance(message, Malformed):
            assert all(
                isinstance(effect, Transmit) and len(effect.data) < _LONGEST_ANSWER for effect in effects
            )
        else:
            yield from agent.carry_out(effects)
    for flow in _FLOWS[1:]:
        yield from agent.carry_out(endpoint.connection_lost(flow, agent.now))
    yield from agent.carry_out(session.hangup(agent.now))
    yield from agent.pass_time(60.0)
    for call in agent.sessions:
        yield from agent.carry_out(call.hangup(agent.now))
    yield from agent.pass_time(_AFTERWARDS_S)
    assert (endpoint.sessions, endpoint.dialogs, endpoint.transactions) == (0, 0, 0)
    assert endpoint.deadline() is None


class _Agent:
    """The application: `answers` chooses what it does with the next thing that comes."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.now = 0.0
        self.answers = 0
        self.sessions = []

    def pass_time(self, seconds: float) -> Iterator[bytes]:
        end = self.now + seconds
        for _ in range(_MOST_STEPS):
            due = self.endpoint.deadline()
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            yield from self.carry_out(self.endpoint.expire(self.now))
        raise AssertionError("time does not pass")

    def carry_out(self, effects: list[Effect]) -> Iterator[bytes]:
        pending = list(effects)
        while pending:
            effect = pending.pop(0)
            if isinstance(effect, Transmit):
                yield effect.data
            else:
                pending += self._react(effect)

    def _react(self, effect: Effect) -> list[Effect]:
        now, choice = self.now, self.answers & 3
        match effect:
            case IncomingCall(session=session):
                self.sessions.append(session)
                if choice == 0:
                    return session.accept(SDP, now)
                if choice == 1:
                    return [*session.ring(now, 183, SDP), *session.accept(SDP, now)]
                return session.ring(now) if choice == 2 else session.reject(486, now)
            case OfferReceived(session=session):
                return session.reject_offer(488, now) if choice == 3 else session.answer_offer(SDP, now)
            case ReferReceived(session=session):
                if choice == 3:
                    return session.reject_refer(603, now)
                return [*session.accept_refer(now), *session.notify_refer(180 + 20 * choice, now)]
            case RequestArrived(transaction_id=transaction, request=request):
                return self.endpoint.respond(
                    transaction, make_response(request, 200 + 204 * (choice & 1)), now
                )
        return []
