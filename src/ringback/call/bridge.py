"""One person calls another: every device of the called person rings, the first to answer is connected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ringback.call.application import Application
from ringback.call.leg import Leg, LegState, Party
from ringback.call.terms import PLAIN, Terms
from ringback.sip.flow import Flow
from ringback.sip.uri import NameAddr, SipUri

RING_PATIENCE_S: Final = 60.0

# What one device says weighs more for the caller than another's silence (RFC 3261 §16.7, step 6).
_WEIGHT: Final = {486: 1, 600: 0, 603: 0}


@dataclass(frozen=True, slots=True)
class Device:
    """Where one device of the called person is reached: its contact, and the flow it registered over."""

    contact: SipUri
    flow: Flow


class Line(Protocol):
    """What the bridge asks of the switchboard."""

    def dial(
        self,
        target: SipUri,
        flow: Flow,
        to: NameAddr,
        from_: NameAddr,
        party: Party,
        application: Application,
        now: float,
        terms: Terms = PLAIN,
    ) -> Leg:
        """Call a device."""

    def wake(self, at: float, application: Application) -> None:
        """Call `application.expire` at `at` or soon after."""


class Bridge(Application):
    """Connects a caller to whichever device answers first, with media anchored on both sides; sans-IO."""

    def __init__(
        self,
        line: Line,
        devices: Sequence[Device],
        to: NameAddr,
        from_: NameAddr,
        called: Party,
        room: int,
    ) -> None:
        self._line = line
        self._devices = devices
        self._to = to
        self._from = from_
        self._called = called
        self._room = room
        self._caller: Leg | None = None
        self._ringing: dict[int, Leg] = {}
        self._callee: Leg | None = None
        self._verdict = 480
        self._give_up_at = 0.0

    @property
    def media_room(self) -> int:
        """Where caller and called meet."""
        return self._room

    # Setting up

    def offered(self, leg: Leg, now: float) -> None:
        """The caller is there: ring every device of the called person."""
        self._caller = leg
        if not self._devices:
            leg.reject(480, now, "Not registered")
            return
        self._give_up_at = now + RING_PATIENCE_S
        self._line.wake(self._give_up_at, self)
        for device in self._devices:
            dialled = self._line.dial(
                device.contact, device.flow, self._to, self._from, self._called, self, now
            )
            self._ringing[dialled.id] = dialled

    def ringing(self, leg: Leg, now: float) -> None:
        """A device rings: so does the caller's phone, once."""
        if self._caller is not None:
            self._caller.ring(now)

    def connected(self, leg: Leg, now: float) -> None:
        """A device answered, or the caller was answered in turn."""
        if leg is self._caller:
            self._join(now)
        elif self._callee is None and self._caller is not None:
            self._callee = self._ringing.pop(leg.id)
            self._stop_ringing(now, "Answered elsewhere")
            self._caller.answer(now)
        else:
            leg.hangup(now, "Answered elsewhere")

    def failed(self, leg: Leg, status: int, now: float) -> None:
        """A device does not take the call; when none is left the caller hears the weightiest answer."""
        self._ringing.pop(leg.id, None)
        if _WEIGHT.get(status, 2) < _WEIGHT.get(self._verdict, 2):
            self._verdict = status
        if not self._ringing and self._callee is None and self._caller is not None:
            self._caller.reject(self._verdict, now)

    def expire(self, now: float) -> None:
        """Nobody answered in time."""
        if self._callee is None and self._ringing and now >= self._give_up_at:
            self._stop_ringing(now, "No answer")
            if self._caller is not None:
                self._caller.reject(480, now, "No answer")

    # Talking

    def digit(self, leg: Leg, digit: str, now: float) -> None:
        """Keys go through to the other side."""
        other = self._other(leg)
        if other is not None:
            other.send_digit(digit)

    def held(self, leg: Leg, on_hold: bool, now: float) -> None:
        """Who is put on hold hears music."""
        other = self._other(leg)
        if other is None:
            return
        if on_hold:
            other.play(["music"], loop=True)
        else:
            other.stop_play()

    def ended(self, leg: Leg, now: float) -> None:
        """One side went: the other goes too."""
        if leg is self._caller:
            self._stop_ringing(now, None)
            if self._callee is not None:
                self._callee.hangup(now)
        elif leg is self._callee:
            if self._caller is not None:
                self._caller.hangup(now)
        elif self._ringing.pop(leg.id, None) is not None:
            self.failed(leg, 480, now)

    def _join(self, now: float) -> None:
        assert self._caller is not None
        if self._callee is None or self._callee.over:
            self._caller.hangup(now)
            return
        self._callee.join(self._room)
        self._caller.join(self._room)

    def _stop_ringing(self, now: float, reason: str | None) -> None:
        ringing, self._ringing = self._ringing, {}
        for leg in ringing.values():
            leg.hangup(now, reason)

    def _other(self, leg: Leg) -> Leg | None:
        other = self._callee if leg is self._caller else self._caller if leg is self._callee else None
        return other if other is not None and other.state is LegState.CONNECTED else None
