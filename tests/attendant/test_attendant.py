"""Menus and announcements: what callers hear, and where keys, silence and mistakes lead."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.attendant.announcement import Announcing
from ringback.attendant.menu import Asking
from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.call.transfer import Handover
from ringback.media import protocol as media
from ringback.routing.steps import Outcome
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.plan.target import Target
from tests.call.office import Desk, Office

WORDS = "words:For sales press 1."


class Hall(Office):
    """One caller, one menu or announcement, and nothing behind it but a note of where it led."""

    def __init__(self, leads: bool = True) -> None:
        super().__init__()
        self.led: list[str] = []
        self.leads = leads
        self.caller: Desk = self.desk("192.0.2.1")

    def onward(
        self,
        leg: Leg,
        outcome: Outcome,
        now: float,
        target: Target | None = None,
        *,
        handover: Handover | None = None,
    ) -> bool:
        del leg, now, handover
        self.led.append(str(target or outcome.value))
        return self.leads

    def menu(self, **changes: Any) -> Hall:
        keys = {"1": "group:sales", "2": "extension:102", "9": "hangup"}
        menu = Menu(**{"name": "main", "words": WORDS[6:], "keys": keys, "otherwise": "busy", **changes})
        return self.begin(
            Asking(menu, self.switchboard, lambda number: number in ("102", "1234"), self.onward)
        )

    def begin(self, application: Application) -> Hall:
        self.application = lambda: application  # type: ignore[method-assign]
        self.caller.call(self)
        self.run(0.3)
        # The call has no account: it is connected by its ACK.
        self.run(0.3)
        return self

    @property
    def leg(self) -> Leg:
        return next(iter(self.switchboard.legs.values()))

    def heard(self) -> list[list[str]]:
        return [command.sounds for command in self.given(media.Play)]  # type: ignore[attr-defined]

    def said(self) -> None:
        assert self.leg.playing is not None
        self.media_says(media.PlayEnded(leg=self.leg.id, play=self.leg.playing, reason="finished"))

    def press(self, keys: str) -> None:
        for key in keys:
            self.media_says(media.Digit(leg=self.leg.id, digit=key, duration_ms=100))


def test_a_key_leads_on_while_the_words_are_spoken() -> None:
    hall = Hall().menu()
    assert hall.heard() == [[WORDS]]
    hall.press("1")
    assert hall.led == ["group:sales"]
    assert hall.given(media.StopPlay)


def test_a_wrong_key_is_told_and_too_many_lead_elsewhere() -> None:
    hall = Hall().menu()
    hall.press("5")
    assert hall.heard()[1:] == [["prompt:wrong-extension", WORDS]]
    hall.press("*")
    assert hall.led == []
    hall.press("7")
    assert hall.led == ["done"]


def test_silence_is_asked_again_then_leads_elsewhere() -> None:
    hall = Hall().menu(wait_s=4, tries=2)
    hall.run(30)
    assert hall.heard() == [[WORDS]], "no time runs while the words are spoken"
    hall.said()
    hall.run(3.8)
    assert len(hall.heard()) == 1
    hall.run(0.4)
    assert hall.heard() == [[WORDS], [WORDS]]
    hall.said()
    hall.run(4.2)
    assert hall.led == ["done"]


@pytest.mark.parametrize(("leads", "otherwise"), [(False, "busy"), (True, "hangup")])
def test_where_nothing_follows_it_hangs_up(leads: bool, otherwise: str) -> None:
    hall = Hall(leads).menu(tries=1, otherwise=otherwise)
    hall.press("5")
    hall.run(0.5)
    assert hall.switchboard.legs == {}
    assert hall.faults == []


def test_a_key_may_hang_up() -> None:
    hall = Hall().menu()
    hall.press("9")
    hall.run(0.5)
    assert hall.led == []
    assert hall.switchboard.legs == {}


def test_an_extension_may_be_dialled() -> None:
    hall = Hall().menu(dial_extensions=True)
    hall.press("123")
    hall.run(2)
    assert hall.led == []
    hall.press("4")
    hall.run(2.6)
    assert hall.led == ["extension:1234"]


@pytest.mark.parametrize(
    ("keys", "led"),
    [("102#", ["extension:102"]), ("1#", ["group:sales"]), ("2", ["extension:102"]), ("103#", [])],
)
def test_a_single_digit_is_a_key_and_unknown_numbers_are_wrong(keys: str, led: list[str]) -> None:
    hall = Hall().menu(dial_extensions=True)
    hall.press(keys)
    hall.run(2.6)
    assert hall.led == led
    assert led or hall.heard()[-1] == ["prompt:wrong-extension", WORDS]


def test_who_hangs_up_is_not_asked_any_more() -> None:
    hall = Hall().menu(wait_s=1)
    hall.said()
    hall.caller.phone.do(hall.caller.sessions[-1].hangup(hall.server.now))
    hall.run(5)
    assert hall.heard() == [[WORDS]]
    assert hall.led == []
    assert hall.faults == []


@pytest.mark.parametrize("by_key", [True, False])
def test_an_announcement_then_what_follows(by_key: bool) -> None:
    hall = Hall()
    hall.begin(Announcing(Announcement(name="closed", words="We are closed.", then="queue:x"), hall.onward))
    assert hall.heard() == [["words:We are closed."]]
    hall.press("5")
    assert hall.led == []
    if by_key:
        hall.press("#")
    else:
        hall.said()
    assert hall.led == ["done"]
    assert hall.switchboard.legs


def test_an_announcement_that_ends_the_call() -> None:
    hall = Hall()
    hall.begin(Announcing(Announcement(name="closed", words="We are closed."), hall.onward))
    hall.said()
    hall.run(0.5)
    assert hall.led == []
    assert hall.switchboard.legs == {}
