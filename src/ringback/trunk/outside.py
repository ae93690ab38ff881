"""A call to a number elsewhere: by one trunk and address after another, until one takes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from ringback.call.bridge import RING_PATIENCE_S, Bridge, Line
from ringback.call.leg import Leg
from ringback.call.onward import Onward, nowhere
from ringback.call.party import Party
from ringback.call.terms import Terms
from ringback.governance.private import Private
from ringback.routing.outbound import WayOut
from ringback.routing.steps import Outcome
from ringback.routing.toll_caps import TollCall, TollCaps
from ringback.sip.agent import add_all
from ringback.sip.flow import Flow
from ringback.sip.headers import Headers
from ringback.sip.identity import ANONYMOUS
from ringback.sip.session_state import SessionState
from ringback.sip.uri import NameAddr, SipUri, escape_user
from ringback.store.directory import Trunk
from ringback.trunk.watch import PATIENCE_S, credentials_of, retry_after_s, uri_host

_ELSEWHERE: Final = frozenset({401, 407, 408, 415, 430, 488, 500, 502, 503, 504, 606})
"""Answers after which another address or trunk may do better; the rest is about the number or the person."""
_NO_LINE: Final = frozenset({486, 503, 600})
"""What a carrier says when all lines of its customer's are in use."""
_NOT_THE_CALLERS: Final = frozenset({401, 407})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One address of one trunk, and the number as that trunk wants it."""

    trunk: Trunk
    flow: Flow
    number: str = field(repr=False)
    caller_id: str = field(default="", repr=False)
    """Shown in place of the trunk's."""
    call_class: str = ""


class Trunks(Line, Protocol):
    """What is asked of the switchboard."""

    def on_trunk(self, name: str) -> int:
        """How many legs there are beyond a trunk."""

    def free_line(self, trunk: str, now: float) -> bool:
        """End the newest call beyond a trunk that is no emergency call; False where there is none."""


def attempts_of(
    ways: Iterable[WayOut], targets: Callable[[Trunk], tuple[Flow, ...]], is_down: Callable[[Trunk], bool]
) -> list[Attempt]:
    """Every address of every way, in order; those of trunks that are down come last, for they may be back."""
    attempts = [
        Attempt(way.trunk, flow, way.number, way.caller_id, way.call_class)
        for way in ways
        for flow in targets(way.trunk)
    ]
    return sorted(attempts, key=lambda attempt: is_down(attempt.trunk))


class OutsideCall(Bridge):
    """Connects a caller to a number beyond a trunk; sans-IO.

    An address that says nothing for 3.5 s, or that it cannot, gives way to the next one. `caps` None: the
    call is not counted, as to emergency numbers, which no trunk is too full for either.
    """

    def __init__(
        self,
        line: Trunks,
        attempts: list[Attempt],
        caller: Party,
        room: int,
        caps: TollCaps | None,
        *,
        account: str,
        max_forwards: int = 70,
        diverted: Callable[[str], Headers] | None = None,
        unreachable: Callable[[str], None],
        rest: Callable[[Trunk, Flow, float], None] | None = None,
        onward: Onward = nowhere,
    ) -> None:
        nobody = NameAddr(SipUri())
        super().__init__(line, [], nobody, nobody, Party(Private("")), room, onward)
        self._trunks = line
        self._attempts = attempts
        self._calling = caller
        self._caps = caps
        self._account = account
        self._max_forwards = max_forwards
        self._diverted = diverted
        self._unreachable = unreachable
        self._rest = rest
        self._toll: TollCall | None = None
        # The number that answered. It costs until this leg is over, whoever it is transferred to.
        self._beyond: Leg | None = None
        self._attempt: Attempt | None = None
        self._next_at = 0.0
        self._last_status = 503

    def offered(self, leg: Leg, now: float) -> None:
        """The caller is there: try the best way."""
        self._caller = leg
        leg.call.emergency |= self._caps is None
        # Help may be long in answering; it is waited for as long as the caller does.
        self._give_up_at = math.inf
        if self._caps is not None:
            self._give_up_at = now + RING_PATIENCE_S
            self._line.wake(self._give_up_at, self)
        if self._caps is not None and self._attempts:
            first = self._attempts[0]
            self._toll = self._caps.begin(self._account, first.number, first.call_class)
        self._try_next(now)

    def connected(self, leg: Leg, now: float) -> None:
        """The number answered, or the caller was answered in turn."""
        super().connected(leg, now)
        if leg is self._callee and self._beyond is None:
            self._beyond = leg
            leg.when_over.append(self._settle)
            if self._toll is not None and self._caps is not None:
                self._caps.answered(self._toll, now)
                self._watch_minutes(now)

    def failed(self, leg: Leg, status: int, now: float) -> None:
        """This way does not take the call: the next one may, unless it is about the number itself."""
        if self._ringing.pop(leg.id, None) is None or self._callee is not None or self._caller is None:
            return
        self._respect(leg, status, now)
        if self._caps is None and self._free_line(status, now):
            self._try_next(now)
        elif status in _ELSEWHERE or (self._caps is None and self._attempts):
            self._last_status = 503 if status in _NOT_THE_CALLERS else status
            self._try_next(now)
        else:
            self._refuse(status if status >= 400 else 480, now)

    def _respect(self, leg: Leg, status: int, now: float) -> None:
        """Who asks not to be called for a while is not."""
        rest_s = retry_after_s(leg.refusal) if status == 503 and leg.refusal is not None else 0.0
        if rest_s > 0 and self._attempt is not None and self._rest is not None:
            self._rest(self._attempt.trunk, self._attempt.flow, now + rest_s)

    def expire(self, now: float) -> None:
        """An address said nothing, nobody answered, or the day's minutes are over."""
        if self._beyond is not None:
            self._watch_minutes(now)
            return
        silent = [leg for leg in self._ringing.values() if _says_nothing(leg)]
        if silent and now >= self._next_at:
            for leg in silent:
                del self._ringing[leg.id]
                leg.hangup(now, "No answer")
            if self._attempt is not None:
                self._unreachable(self._attempt.trunk.name)
            self._try_next(now)
            return
        super().expire(now)

    def ended(self, leg: Leg, now: float) -> None:
        """One side went: the other goes too, and of a call that nobody answered no more is counted."""
        if leg.id in self._ringing:
            # It ended by itself, not by an answer.
            self.failed(leg, 503, now)
        super().ended(leg, now)
        if leg is self._caller and self._beyond is None:
            self._settle(now)

    def release(self, leg: Leg, now: float) -> None:
        """Let a leg go on elsewhere; a call that nobody has answered is counted no more."""
        super().release(leg, now)
        if self._beyond is None:
            self._settle(now)

    def _next_round(self, now: float) -> None:
        """Nobody answered in time."""
        self._refuse(480, now, "No answer")

    def _refuse(
        self, status: int, now: float, reason: str | None = None, outcome: Outcome | None = None
    ) -> None:
        if self._beyond is None:
            self._settle(now)
        super()._refuse(status, now, reason, outcome)

    def _settle(self, now: float) -> None:
        """The call is over, or nobody took it: it is counted no more."""
        if self._toll is not None and self._caps is not None:
            self._caps.ended(self._toll, now)

    def _try_next(self, now: float) -> None:
        assert self._caller is not None
        while self._attempts and not self._caller.over:
            attempt = self._attempts.pop(0)
            full = self._trunks.on_trunk(attempt.trunk.name) >= attempt.trunk.max_calls
            if full and self._caps is not None:
                continue
            self._attempt = attempt
            leg = self._dial(attempt, now)
            leg.urgent = self._caps is None
            self._ringing[leg.id] = leg
            self._next_at = now + PATIENCE_S
            self._line.wake(self._next_at, self)
            return
        self._refuse(self._last_status, now)

    def _free_line(self, status: int, now: float) -> bool:
        """For an emergency call that the carrier has no line for: end another call of ours, where all lines
        that we know of are in use, and try again."""
        attempt = self._attempt
        if attempt is None or status not in _NO_LINE:
            return False
        name = attempt.trunk.name
        # Our own, refused leg is among them.
        full = self._trunks.on_trunk(name) > attempt.trunk.max_calls
        if not full or not self._trunks.free_line(name, now):
            return False
        self._attempts.insert(0, attempt)
        return True

    def _dial(self, attempt: Attempt, now: float) -> Leg:
        trunk, user = attempt.trunk, escape_user(attempt.number)
        host = uri_host(trunk.host)
        from_, headers = identity(trunk, self._calling, attempt.caller_id)
        if self._diverted is not None:
            headers = headers or Headers()
            add_all(headers, self._diverted(host))
        return self._line.dial(
            SipUri(user=user, host=host, port=trunk.port),
            attempt.flow,
            NameAddr(SipUri(user=user, host=host)),
            from_,
            Party(Private(attempt.number), trunk=trunk.name),
            self,
            now,
            Terms(credentials_of(trunk), headers, trunk.codecs, self._max_forwards),
        )

    def _watch_minutes(self, now: float) -> None:
        """End the call when the day's minutes are over; others may have used them up meanwhile."""
        if self._toll is None or self._caps is None or self._beyond is None or self._beyond.over:
            return
        left = self._caps.seconds_left(self._toll, now)
        if left <= 0:
            self._beyond.hangup(now, "The minutes of this day are over")
        elif left < 86_400:
            self._line.wake(now + max(left, 1.0), self)


def identity(trunk: Trunk, caller: Party, caller_id: str = "") -> tuple[NameAddr, Headers | None]:
    """Who the other side is told that calls: From, and P-Asserted-Identity where it goes there (RFC 3325).

    `caller_id`, else the trunk's caller ID, stands for all; without one it is the caller's own number.
    """
    shown_for_all = caller_id or trunk.caller_id
    number = shown_for_all or caller.number.reveal() or trunk.username
    name = "" if shown_for_all or caller.name is None else caller.name.reveal()
    shown = NameAddr(SipUri(user=escape_user(number) or None, host=uri_host(trunk.host)), name)
    if caller.hidden:
        # The carrier has to know, and may not tell it on (RFC 3325 §7).
        from_ = ANONYMOUS
        if trunk.identity != "from" and trunk.username:
            from_ = NameAddr(SipUri(user=escape_user(trunk.username), host=uri_host(trunk.host)))
        return from_, Headers(("P-Asserted-Identity", str(shown)), ("Privacy", "id"))
    if trunk.identity == "from" or not trunk.username:
        return shown, None
    account = NameAddr(SipUri(user=escape_user(trunk.username), host=uri_host(trunk.host)))
    return account, Headers(("P-Asserted-Identity", str(shown)))


def _says_nothing(leg: Leg) -> bool:
    return leg.session is None or leg.session.state is SessionState.CALLING
