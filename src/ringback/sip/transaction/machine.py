"""What the four transaction machines share: states, inputs, actions, timers (RFC 3261 §17, RFC 6026)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

from ringback.sip.flow import Flow
from ringback.sip.timers import Ticket, Timers


class Distinct(Enum):
    """An enumeration whose members are looked up often: Enum's own hash, that of the name, is slow."""

    __hash__ = object.__hash__


class State(Distinct):
    """All states of figures 5 to 8, Accepted being that of RFC 6026."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class Input(Distinct):
    """What can happen to a transaction: from the wire, from its user, from a clock."""

    REQUEST = "request"
    ACK = "ack"
    RECEIVE_1XX = "receive 1xx"
    RECEIVE_2XX = "receive 2xx"
    RECEIVE_FAILURE = "receive 300-699"
    SEND_1XX = "send 1xx"
    SEND_2XX = "send 2xx"
    SEND_FAILURE = "send 300-699"
    TRANSPORT_ERROR = "transport error"
    TIMER_A = "A"
    TIMER_B = "B"
    TIMER_D = "D"
    TIMER_E = "E"
    TIMER_F = "F"
    TIMER_G = "G"
    TIMER_H = "H"
    TIMER_I = "I"
    TIMER_J = "J"
    TIMER_K = "K"
    TIMER_L = "L"
    TIMER_M = "M"


class Action(Distinct):
    """What a transition does, in the order written."""

    SEND = "send what the user gave"
    RESEND = "send the last message again"
    ACKNOWLEDGE = "send ACK"
    DELIVER = "deliver to the user"
    REPORT_TIMEOUT = "tell the user of the timeout"
    REPORT_FAILURE = "tell the user of the transport error"
    STOP = "stop all timers"
    START_A = "start A"
    START_B = "start B"
    START_D = "start D"
    START_E = "start E"
    START_E_SLOW = "start E at T2"
    START_F = "start F"
    START_G = "start G"
    START_H = "start H"
    START_I = "start I"
    START_J = "start J"
    START_K = "start K"
    START_L = "start L"
    START_M = "start M"


Row = tuple[State, tuple[Action, ...]]
Table = Mapping[tuple[State, Input], Row]


class Outcome(Distinct):
    """What a step leaves to the layer."""

    TRANSMIT = "transmit"
    DELIVER = "deliver"
    TIMEOUT = "timeout"
    FAILURE = "failure"


class Transaction:
    """One machine run by its class's table; an input that the table does not have is absorbed.

    `step` returns outcomes in order, TRANSMIT with the bytes that go by `flow`.
    """

    table: ClassVar[Table]
    initial: ClassVar[State]

    __slots__ = (
        "_ends",
        "_ends_at",
        "_interval",
        "_repeats",
        "_repeats_at",
        "flow",
        "key",
        "last",
        "scheduled",
        "state",
        "timing",
    )

    def __init__(self, key: tuple[str, ...], flow: Flow, timing: Timers) -> None:
        self.key = key
        self.flow = flow
        self.timing = timing
        self.state = self.initial
        self.last = b""
        self.scheduled: Ticket | None = None
        self._interval = 0.0
        # At any time there are two timers at most: one that sends again (A, E, G), one that ends a wait.
        self._repeats: Input | None = None
        self._repeats_at = _NEVER
        self._ends: Input | None = None
        self._ends_at = _NEVER

    @property
    def terminated(self) -> bool:
        """True when the layer is to forget it."""
        return self.state is State.TERMINATED

    def deadline(self) -> float | None:
        """When the next timer fires, or None."""
        first = self._repeats_at if self._repeats_at < self._ends_at else self._ends_at
        return first if first != _NEVER else None

    def expire(self, now: float) -> list[tuple[Outcome, bytes]]:
        """Fire the timers that are due, the earliest first."""
        out: list[tuple[Outcome, bytes]] = []
        while True:
            if self._repeats is not None and self._repeats_at <= min(now, self._ends_at):
                letter, self._repeats, self._repeats_at = self._repeats, None, _NEVER
            elif self._ends is not None and self._ends_at <= now:
                letter, self._ends, self._ends_at = self._ends, None, _NEVER
            else:
                return out
            out += self.step(letter, now)

    def stop_repeating(self) -> None:
        """Do not send again what was sent, but wait as long as before."""
        self._repeats, self._repeats_at = None, _NEVER

    def _stop_timers(self) -> None:
        self._repeats = self._ends = None
        self._repeats_at = self._ends_at = _NEVER

    def step(self, event: Input, now: float, data: bytes = b"") -> list[tuple[Outcome, bytes]]:
        """Make one transition; `data` is the message to send for the SEND inputs."""
        row = self.table.get((self.state, event))
        if row is None:
            return []
        return self._enter(row, now, data)

    def _enter(self, row: Row, now: float, data: bytes) -> list[tuple[Outcome, bytes]]:
        self.state, actions = row
        out: list[tuple[Outcome, bytes]] = []
        for action in actions:
            if action is _SEND:
                self.last = data
                out.append((_TRANSMIT, data))
            elif action is _STOP:
                self._stop_timers()
            elif (timer := _STARTS.get(action)) is not None:
                if self._start(action, timer, now):
                    # A wait of zero: the timer has fired already.
                    out += self.step(timer, now)
            elif action is _RESEND:
                if self.last:
                    out.append((_TRANSMIT, self.last))
            elif action is _ACKNOWLEDGE:
                out.append((_TRANSMIT, self._acknowledgement()))
            else:
                out.append((_REPORTS[action], data))
        if self.state is _TERMINATED:
            self._stop_timers()
        return out

    def _acknowledgement(self) -> bytes:
        raise NotImplementedError

    def abandon(self) -> None:
        """Terminate without a word to the user (RFC 3261 §9.1: a cancelled INVITE that gets no answer)."""
        self.state = State.TERMINATED
        self._stop_timers()

    def _start(self, action: Action, timer: Input, now: float) -> bool:
        """Start a timer; True when its wait is zero."""
        reliable = self.flow.transport != "udp"
        again = _RETRANSMITS.get(timer)
        if again is not None:
            if not reliable:
                self._interval = again(self._interval, self.timing, action is Action.START_E_SLOW)
                self._repeats, self._repeats_at = timer, now + self._interval
            return False
        wait = _WAITS[timer](self.timing, reliable)
        if wait == 0:
            return True
        self._ends, self._ends_at = timer, now + wait
        return False


# What steps look at, as names of the module: members of a class take several times as long to find.
_SEND, _RESEND, _STOP, _ACKNOWLEDGE = Action.SEND, Action.RESEND, Action.STOP, Action.ACKNOWLEDGE
_TRANSMIT, _TERMINATED = Outcome.TRANSMIT, State.TERMINATED
_NEVER = float("inf")

_REPORTS = {
    Action.DELIVER: Outcome.DELIVER,
    Action.REPORT_TIMEOUT: Outcome.TIMEOUT,
    Action.REPORT_FAILURE: Outcome.FAILURE,
}

_STARTS = {action: Input(action.value[6]) for action in Action if action.name.startswith("START_")}

# Retransmit timers: the wait before, the next wait from it. A doubles without end, E and G up to T2.
_RETRANSMITS: dict[Input, Callable[[float, Timers, bool], float]] = {
    Input.TIMER_A: lambda before, timing, _: 2 * before or timing.timer_a(),
    Input.TIMER_E: lambda before, timing, slow: (
        timing.t2 if slow else min(2 * before or timing.timer_e(), timing.t2)
    ),
    Input.TIMER_G: lambda before, timing, _: min(2 * before or timing.timer_g(), timing.t2),
}

_WAITS: dict[Input, Callable[[Timers, bool], float]] = {
    Input.TIMER_B: lambda timing, _: timing.timer_b(),
    Input.TIMER_D: lambda timing, reliable: timing.timer_d(reliable),
    Input.TIMER_F: lambda timing, _: timing.timer_f(),
    Input.TIMER_H: lambda timing, _: timing.timer_h(),
    Input.TIMER_I: lambda timing, reliable: timing.timer_i(reliable),
    Input.TIMER_J: lambda timing, reliable: timing.timer_j(reliable),
    Input.TIMER_K: lambda timing, reliable: timing.timer_k(reliable),
    Input.TIMER_L: lambda timing, _: timing.timer_l(),
    Input.TIMER_M: lambda timing, _: timing.timer_m(),
}
