"""Checking messages, as the holder meets it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from ringback.voicemail.guard import FREE_FROM_OUTSIDE, MailboxGuard
from ringback.voicemail.mailbox import Box
from tests.voicemail.counter import NOON, PIN, Counter


def inside(counter: Counter) -> object:
    return counter.holder().press(PIN + "#")


def test_the_pin_is_asked_for_and_three_wrong_ones_end_the_call() -> None:
    counter = Counter()
    holder = counter.holder()
    assert holder.hears() == ["vm-password"]
    holder.press("999888#").press("999888#")
    assert holder.hears() == ["vm-incorrect", "vm-password"]
    holder.press("999888#")
    assert holder.hears() == ["vm-incorrect", "goodbye"]
    holder.listen()
    assert holder.gone


def test_a_mailbox_that_is_not_there_is_no_other_than_a_wrong_pin() -> None:
    counter = Counter()
    there, nowhere = counter.holder(None, own=False), counter.holder(None, own=False)
    assert there.hears() == ["vm-mailbox"]
    heard = []
    for caller, number in ((there, "1001"), (nowhere, "7777")):
        caller.press(f"{number}#")
        asked = caller.hears()
        heard.append((asked, caller.press("135790#").hears()))
    assert heard[0] == heard[1] == (["vm-password"], ["vm-incorrect", "vm-password"])


def test_the_first_pin_is_chosen_at_the_own_phone_and_nowhere_else() -> None:
    counter = Counter()
    counter.box_now = Box("b1", "1001")
    outside = counter.holder(own=False)
    assert outside.hears() == ["vm-password"]
    holder = counter.holder()
    assert holder.hears()[0] == "vm-new-pin"
    holder.press("735162#")
    assert holder.hears() == ["vm-pin-again"]
    holder.press("735163#")
    assert holder.hears()[0] == "vm-pin-differs"
    holder.press("111111#111111#")
    assert holder.hears()[0] == "vm-pin-refused"
    holder.press("735162#735162#")
    assert counter.pin == "735162"
    assert holder.hears()[-1] == "vm-menu"


def test_a_trusted_phone_needs_no_pin_but_nobody_else_profits_from_that() -> None:
    counter = Counter()
    counter.box_now = replace(counter.box_now, trusts_own_phone=True)  # type: ignore[type-var]
    assert counter.holder().hears()[-1] == "vm-menu"
    assert counter.holder(own=False).hears() == ["vm-password"]
    # Whom the holder transfers to the own mailbox is asked for the PIN.
    assert counter.holder(account="1002").hears() == ["vm-password"]


def test_new_ones_first_urgent_ones_before_them_then_by_age() -> None:
    counter = Counter()
    counter.message("late", NOON + timedelta(minutes=5))
    counter.message("early", NOON - timedelta(minutes=5))
    counter.message("urgent", NOON, urgent=True)
    counter.message("heard", NOON - timedelta(days=2), state="old")
    holder = counter.holder().press(PIN + "#")
    assert holder.hears()[:8] == [
        *("vm-you-have", "number-3", "vm-new", "vm-messages"),
        *("vm-and", "number-1", "vm-old", "vm-message"),
    ]
    order = []
    holder.press("1")
    for _ in range(4):
        order.append(holder.listen().hears()[0].removeprefix("voice:"))
        holder.press("6")
    assert order == ["urgent", "early", "late", "heard"]
    assert holder.hears() == ["vm-no-more"]


def test_time_length_and_number_are_said_and_an_unknown_number_is_not() -> None:
    counter = Counter()
    counter.message("one", NOON - timedelta(days=1, hours=1, minutes=-5), s=65)
    holder = counter.holder().press(PIN + "#1")
    assert holder.hears() == [
        *("vm-received", "vm-yesterday", "vm-at", "number-11", "vm-oh", "number-5", "vm-am"),
        "vm-from",
        *(f"number-{digit}" for digit in "5550100"),
        *("vm-duration", "number-1", "vm-minutes"),
    ]


def test_what_was_heard_is_old_and_what_was_begun_is_new() -> None:
    counter = Counter()
    counter.message("one", s=10)
    holder = counter.holder().press(PIN + "#1").listen()
    counter.wait(3)
    holder.hang_up()
    assert counter.kept[0].state == "new"
    holder = counter.holder().press(PIN + "#1").listen()
    counter.wait(6)
    holder.hang_up()
    assert counter.kept[0].state == "old"


def test_a_message_is_old_once_it_is_over() -> None:
    counter = Counter()
    counter.message("one")
    holder = counter.holder().press(PIN + "#1").listen(2)
    assert holder.hears() == ["vm-keys"]
    assert counter.kept[0].state == "old"
    holder.press("9")
    assert counter.kept[0].state == "saved"


def test_deleted_ones_can_be_had_back_until_the_end_of_the_call() -> None:
    counter = Counter()
    counter.message("one")
    counter.message("two", NOON + timedelta(minutes=1))
    holder = counter.holder().press(PIN + "#1").listen().press("7")
    assert holder.hears() == ["vm-deleted"]
    holder.press("7")
    assert holder.hears() == ["vm-undeleted"]
    holder.press("6").press("7").press("*")
    assert len(counter.kept) == 2
    holder.hang_up()
    assert [message.id for message in counter.kept] == ["one"]


def test_a_pause_goes_on_a_second_earlier() -> None:
    counter = Counter()
    counter.message("one", s=20)
    holder = counter.holder().press(PIN + "#1").listen()
    counter.wait(8)
    holder.press("3")
    assert holder.hears() == []
    counter.wait(60)
    assert holder.hears() == []
    holder.press("3")
    assert counter.commands[-1][2:] == ("one", 7000)  # type: ignore[index]
    counter.wait(2)
    holder.press("3").press("3")
    assert counter.commands[-1][2:] == ("one", 8000)  # type: ignore[index]


def test_whoever_presses_nothing_is_told_again_and_then_let_go() -> None:
    counter = Counter()
    holder = counter.holder().press(PIN + "#")
    for _ in range(2):
        holder.listen()
        counter.wait(31)
        assert holder.hears() == ["vm-menu"]
    holder.listen()
    counter.wait(31)
    assert holder.hears() == ["goodbye"]


def test_a_greeting_is_recorded_heard_kept_and_removed() -> None:
    counter = Counter()
    holder = counter.holder().press(PIN + "#2")
    assert holder.hears() == ["vm-greetings"]
    holder.press("21")
    assert holder.hears() == ["vm-say-busy"]
    holder.listen(2).speak(3).press("#")
    assert holder.hears() == ["vm-review"]
    holder.press("1")
    assert counter.box_now is not None
    assert set(counter.box_now.greetings) == {"busy"}
    assert holder.hears() == ["vm-sent", "vm-greetings"]
    holder.press("22")
    assert holder.hears() == ["voice:v1"]
    holder.press("3")
    assert counter.box_now.greetings == {}
    assert holder.hears() == ["vm-deleted", "vm-greetings"]
    holder.press("*")
    assert holder.hears() == ["vm-menu"]


def test_an_unfinished_greeting_leaves_nothing() -> None:
    counter = Counter()
    counter.holder().press(PIN + "#211#").press("#").speak(5).hang_up()
    assert counter.dropped == ["v1"]
    assert counter.box_now is not None
    assert counter.box_now.greetings == {}


@pytest.mark.parametrize("own", [False, True])
def test_guesses_from_everywhere_shut_the_mailbox_for_all_but_its_own_phone(own: bool) -> None:
    guard = MailboxGuard()
    for n in range(FREE_FROM_OUTSIDE + 1):
        guard.wrong(f"203.0.113.{n}", "1001", 100.0, own=False)
    assert guard.refuses("198.51.100.1", "1001", 101.0, own=own) is not own
    assert not guard.refuses("198.51.100.1", "1002", 101.0, own=False)
    assert guard.delay_s("198.51.100.1", "1001", 101.0) > 3


def test_a_store_that_is_away_is_nobodys_wrong_pin() -> None:
    counter = Counter()
    counter.works = False
    holder = counter.holder().press(PIN + "#")
    assert holder.hears() == ["not-possible", "goodbye"]
    for n in range(20):
        counter.holder().press(PIN + "#").hang_up()
        assert not counter.guard.refuses("192.0.2.1", "1001", counter.now + n, own=True)
