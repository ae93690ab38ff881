"""A number that is asked for, or was dialled already; and what is said of what came of it."""

from __future__ import annotations

import pytest

from ringback.call.ask_number import AskNumber
from ringback.call.told import Told
from tests.attendant.test_attendant import Hall

ASKS = ["prompt:enter-number-to-call"]


class Asked:
    """What was done with numbers, and the calls that wait to be told."""

    def __init__(self, number: str | None = None) -> None:
        self.done: list[str] = []
        self.told: list[Told] = []
        self.hall = Hall()
        self.hall.begin(AskNumber(self.hall.switchboard, self._act, number))

    def _act(self, number: str, told: Told) -> None:
        self.done.append(number)
        self.told.append(told)

    def say(self, *sounds: str) -> None:
        self.told[-1].say(sounds)
        self.hall.server.do(self.hall.flush())


@pytest.mark.parametrize("ends", ["#", "silence"])
def test_a_number_is_asked_for(ends: str) -> None:
    asked = Asked()
    hall = asked.hall
    assert hall.heard() == [ASKS]
    hall.press("1002")
    assert asked.done == []
    hall.press("#") if ends == "#" else hall.run(4.2)
    assert asked.done == ["1002"]
    asked.say("prompt:activated")
    assert hall.heard()[-1] == ["prompt:activated"]
    hall.said()
    hall.run(0.5)
    assert hall.switchboard.legs == {}
    assert hall.faults == []


def test_a_number_that_was_dialled_is_not_asked_for() -> None:
    asked = Asked("1003")
    assert asked.done == ["1003"]
    assert asked.hall.heard() == []
    asked.hall.press("1#")
    assert asked.done == ["1003"]


def test_who_keys_in_nothing_or_hangs_up_changes_nothing() -> None:
    asked = Asked()
    asked.hall.run(10.2)
    assert asked.hall.heard() == [ASKS, ["prompt:not-possible"]]
    asked.hall.said()
    asked.hall.run(0.5)
    other = Asked()
    other.hall.press("10")
    other.hall.caller.phone.do(other.hall.caller.sessions[-1].hangup(other.hall.server.now))
    other.hall.run(6)
    assert asked.done == other.done == []
    assert other.hall.heard() == [ASKS]


def test_who_hangs_up_before_it_is_told_is_not_told() -> None:
    asked = Asked("1003")
    asked.hall.caller.phone.do(asked.hall.caller.sessions[-1].hangup(asked.hall.server.now))
    asked.hall.run(0.5)
    asked.say("prompt:activated")
    assert asked.hall.heard() == []
    assert asked.hall.faults == []
