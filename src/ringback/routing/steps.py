"""What routing decides: one step of a call's way, what it leads to by each outcome, and why."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

import msgspec

from ringback.governance.private import Private
from ringback.routing.outbound import WayOut
from ringback.store.directory import Meeting
from ringback.store.plan.groups import Queue
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.plan.safety import Location
from ringback.store.plan.target import Target


class Outcome(Enum):
    """How a step can end other than with somebody to talk to; the value is shown to people."""

    BUSY = "busy"
    NO_ANSWER = "no answer"
    UNREACHABLE = "unreachable"
    DECLINED = "declined"
    DONE = "done"
    """It has been said, or time is up: the call goes on with what comes next."""


class Asked(msgspec.Struct, frozen=True):
    """Who calls what: all that routing looks at beside the directory and the time.

    `account` is the extension that proved itself, `trunk` the trunk that the call came in by; at most one of
    them is set, none for a guest. `number` is what the caller is known by. `dialled` is what the caller's
    side dialled: of calls by a trunk the number outside, as in its `dids`. `emergency_location` names the
    `Location` of the device.
    """

    dialled: Private[str]
    number: Private[str]
    account: str | None = None
    trunk: str | None = None
    emergency_location: str = ""

    def __repr__(self) -> str:
        # The account is a number, too.
        return "Asked()"


class Rule(msgspec.Struct, frozen=True):
    """One rule that was passed: `kind` and `name` as in the plan, and in words what it did. Names may be
    numbers, and words may hold them."""

    kind: str
    name: Private[str]
    said: Private[str]


_NOWHERE: Final[Mapping[Outcome, Target]] = MappingProxyType({})


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all steps: where each outcome leads; an outcome that is not in it ends the call.

    `path` is what was passed on the way here, for finding loops: give it back with the target. Where a
    caller chose the target by a key, give an empty one: who goes back to a menu is in no circle.
    """

    onward: Mapping[Outcome, Target] = _NOWHERE
    path: tuple[Target, ...] = ()

    def __repr__(self) -> str:
        # The rest says whom it leads to.
        return f"{type(self).__name__}()"


class Round(msgspec.Struct, frozen=True):
    """Extensions whose devices ring together, for so long."""

    extensions: tuple[str, ...]
    for_s: float

    def __repr__(self) -> str:
        return f"Round(for_s={self.for_s})"


class Ring(Step, frozen=True, kw_only=True):
    """Ring devices, a round after the other; the caller is shown `called`, an extension or a group."""

    rounds: tuple[Round, ...]
    called: Target
    call_waiting: bool = True
    """Whether extensions that are in a call ring as well; a group does not ring them."""
    test: bool = False
    """A test of emergency calls: whoever answers is told so."""


class GoOut(Step, frozen=True, kw_only=True):
    """Leave by one of these ways, the first that takes it. `emergency`: nothing may hold it back.

    `payer` is who it is counted for: the caller's extension, the one that forwards, or `trunk:NAME`. Where
    help is to be sent is `location`; `test` says that it is a test of emergency calls, which the caller and
    who is told have to know.
    """

    ways: tuple[WayOut, ...]
    call_class: str = ""
    payer: str = ""
    emergency: bool = False
    location: Location | None = None
    test: bool = False


class Wait(Step, frozen=True, kw_only=True):
    """Wait in a queue."""

    queue: Queue


class Ask(Step, frozen=True, kw_only=True):
    """Be asked by a menu; its keys lead onward by themselves."""

    menu: Menu


class Say(Step, frozen=True, kw_only=True):
    """Hear an announcement; then DONE."""

    announcement: Announcement


class LeaveMessage(Step, frozen=True, kw_only=True):
    """Leave a message in the mailbox of an extension; `why` decides the greeting, DONE is no reason."""

    extension: str
    why: Outcome


class CheckMessages(Step, frozen=True, kw_only=True):
    """Listen to one's messages: `extension` is whose, None asks for the number."""

    extension: str | None


class EnterMeeting(Step, frozen=True, kw_only=True):
    """Enter a meeting; None asks for its number."""

    meeting: Meeting | None


class Echo(Step, frozen=True, kw_only=True):
    """Hear oneself."""


class Feature(Step, frozen=True, kw_only=True):
    """Something that is done by dialling: `name` as in `routing/features.py`, with what was dialled after."""

    name: str
    argument: str = ""


class Refuse(Step, frozen=True, kw_only=True):
    """Nobody takes the call: the SIP status, and why in words.

    `loop`: the plan leads in a circle; `dead_end`: it leads to something that does not exist, or is empty.
    `emergency`: it was a call for help, from `location`.
    """

    status: int
    why: str
    loop: bool = False
    dead_end: bool = False
    emergency: bool = False
    location: Location | None = None


class Decision(msgspec.Struct, frozen=True):
    """The step to take, and the rules that led to it, in order."""

    step: Step
    rules: tuple[Rule, ...] = ()
