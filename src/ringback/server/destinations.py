"""The register of what routing's steps lead to: for each kind of step who makes its application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from ringback.call.application import Application
from ringback.call.onward import Onward
from ringback.call.party import Party
from ringback.conference.visits import Visit
from ringback.governance.private import Private
from ringback.routing.steps import Asked, Outcome, Step
from ringback.sip.flow import Flow


class Call(msgspec.Struct, frozen=True):
    """A call on its way, the same at all of its steps.

    `asked` is what routing looks at. `caller` is shown to who is called, and `flow` is how it is reached;
    `pin` was dialled after a meeting's number, `visit` is a browser's. `max_forwards` is what is left for
    calls that leave (RFC 3261 §16.6), and `answers_itself`: the caller may have phones answer unasked.
    `why` is what came of the step before, None at the first.
    """

    asked: Asked
    caller: Party
    flow: Flow
    pin: Private[str] | None = None
    visit: Visit | None = None
    max_forwards: int = 70
    answers_itself: bool = False
    why: Outcome | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Nobody takes the call: the SIP status to refuse it with, and why in words."""

    status: int
    reason: str | None = None


_S = TypeVar("_S", bound=Step)
Builder = Callable[[_S, Call, Onward, float], Application | Refusal]
"""Makes what a step leads to. An application that can end without anybody to talk to keeps the Onward."""


class Destinations:
    """Parts register the steps that they carry out, each in its own file."""

    def __init__(self) -> None:
        self._builders: dict[type[Step], Builder[Any]] = {}

    def register(self, kind: type[_S], builder: Builder[_S]) -> None:
        """Steps of this kind are carried out by what `builder` makes."""
        self._builders[kind] = builder

    def build(self, step: Step, call: Call, onward: Onward, now: float) -> Application | Refusal:
        """The application of a step, or why there is none; 501 for a kind that no part has registered."""
        builder = self._builders.get(type(step))
        if builder is None:
            return Refusal(501, "Not served here")
        return builder(step, call, onward, now)
