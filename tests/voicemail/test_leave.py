"""Leaving a message, as the caller meets it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ringback.routing.steps import Outcome
from ringback.store.plan.target import Target
from ringback.voicemail.check import CheckMessages
from ringback.voicemail.mailbox import Voice
from tests.voicemail.counter import Caller, Counter


def test_a_message_is_what_was_said_up_to_the_last_word() -> None:
    counter = Counter()
    caller = counter.caller()
    assert caller.hears()[0] == "vm-person"
    assert caller.hears()[-1] == "vm-intro"
    caller.listen()
    assert caller.hears() == ["tone:beep"]
    caller.listen().speak(6)
    counter.wait(3)
    caller.hang_up()
    (message,) = counter.kept
    assert message.voice.length_ms == 6700
    assert message.caller.reveal() == "5550100"
    assert not message.urgent


def test_ten_seconds_of_silence_end_it_and_who_says_no_more_has_sent_it() -> None:
    counter = Counter()
    caller = counter.caller().listen(2).speak(4)
    counter.wait(9.9)
    assert counter.recording
    counter.wait(0.2)
    assert not counter.recording
    assert caller.hears() == ["vm-review", "vm-review-urgent"]
    caller.listen()
    counter.wait(10.1)
    assert caller.hears() == ["vm-sent", "goodbye"]
    assert len(counter.kept) == 1
    caller.listen()
    assert caller.gone
    assert counter.onward == [(Outcome.DONE, None)]


def test_a_message_is_not_longer_than_the_mailbox_takes() -> None:
    counter = Counter()
    counter.box_now = replace(counter.box_now, max_message_s=30)  # type: ignore[type-var]
    caller = counter.caller().listen(2)
    caller.speak(40)
    assert caller.hears()[0] == "vm-review"
    caller.press("1")
    assert counter.kept[0].voice.length_ms == 30_000


def test_what_became_of_messages_is_counted() -> None:
    counter = Counter()
    counter.caller().listen(2).speak(4).hang_up()
    counter.caller().listen(2).hang_up()
    counter.caller().listen(2).speak(4).press("#").press("*")
    counter.box_now = replace(counter.box_now, full=True)  # type: ignore[type-var]
    counter.caller()
    counter.works = False
    counter.box_now = replace(counter.box_now, full=False)
    counter.caller().listen(2)
    assert counter.office.counts.left == {"kept": 1, "empty": 1, "dropped": 1, "full": 1, "failed": 1}
    assert "5550100" not in repr(counter.office.counts)


@pytest.mark.parametrize("asker", ["silent", "speaking"])
def test_who_is_put_through_to_a_mailbox_hears_its_greeting_from_the_beginning(asker: str) -> None:
    counter = Counter()
    colleague = counter.caller(number="1003").listen()
    if asker == "speaking":
        colleague.listen().speak(5)
    other = counter.caller(number="5550177").leg
    assert colleague.leg.application.stand_in(colleague.leg, other, counter.now)
    colleague.hang_up()
    counter.settle()
    put_through = Caller(counter, other)
    assert put_through.hears()[0] == "vm-person"
    put_through.listen(2).speak(4).hang_up()
    kept = [message.caller.reveal() for message in counter.kept]
    assert kept == (["1003", "5550177"] if asker == "speaking" else ["5550177"])


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_too_short_is_none(seconds: float) -> None:
    counter = Counter()
    caller = counter.caller().listen(2)
    if seconds:
        caller.speak(seconds)
    counter.wait(2)
    caller.hang_up()
    assert counter.kept == []
    assert counter.dropped == ["v1"]


def test_three_times_nothing_ends_the_call() -> None:
    counter = Counter()
    caller = counter.caller()
    for _ in range(2):
        caller.listen(2)
        counter.wait(11)
        assert caller.hears() == ["vm-too-short", "vm-intro"]
    caller.listen(2)
    counter.wait(11)
    assert caller.hears() == ["vm-too-short", "goodbye"]
    caller.listen()
    assert caller.gone
    assert counter.kept == []


def test_softly_said_and_ended_by_key_counts() -> None:
    counter = Counter()
    caller = counter.caller().listen(2)
    counter.wait(4)
    caller.press("#1")
    assert counter.kept[0].voice.length_ms == 4000


def test_keys_skip_the_greeting_and_the_tone() -> None:
    counter = Counter()
    caller = counter.caller().press("#")
    assert caller.hears() == ["tone:beep"]
    caller.press("#")
    assert counter.recording


def test_heard_again_said_again_and_urgent() -> None:
    counter = Counter()
    caller = counter.caller().press("##").speak(4).press("#")
    caller.press("2")
    assert caller.hears() == ["voice:v1"]
    caller.listen()
    assert caller.hears() == ["vm-review", "vm-review-urgent"]
    caller.press("3")
    assert counter.dropped == ["v1"]
    caller.press("#").speak(5).press("#4")
    assert caller.hears() == ["vm-is-urgent", "vm-review"]
    caller.press("1")
    (message,) = counter.kept
    assert message.id == "v2"
    assert message.urgent
    assert caller.hears() == ["vm-sent", "goodbye"]


def test_who_cancels_leaves_nothing() -> None:
    counter = Counter()
    counter.caller().press("##").speak(4).press("#*").hang_up()
    assert counter.kept == []
    assert counter.dropped == ["v1"]


def test_who_hangs_up_in_the_review_has_sent_it() -> None:
    counter = Counter()
    counter.caller().press("##").speak(4).press("#").hang_up()
    assert len(counter.kept) == 1


def test_a_full_mailbox_says_so() -> None:
    counter = Counter()
    counter.box_now = replace(counter.box_now, full=True)  # type: ignore[type-var]
    caller = counter.caller()
    assert caller.hears()[-2:] == ["vm-full", "goodbye"]
    caller.press("#").listen()
    assert caller.gone
    assert not counter.recording


def test_where_nothing_can_be_kept_the_caller_is_told() -> None:
    counter = Counter()
    counter.works = False
    caller = counter.caller().listen()
    assert caller.hears() == ["not-possible", "goodbye"]
    broken = Counter()
    caller = broken.caller().press("##").speak(4)
    broken.end_recording("v1", fails=True)
    broken.settle()
    assert caller.hears() == ["not-possible", "goodbye"]
    assert broken.kept == []


def test_the_operator_is_reached_only_where_there_is_one_and_what_was_said_is_kept() -> None:
    counter = Counter()
    caller = counter.caller().press("0")
    assert caller.hears()[0] == "vm-person"
    counter.box_now = replace(counter.box_now, operator="extension:1000")  # type: ignore[type-var]
    caller = counter.caller()
    counter.leads_on = True
    caller.press("0")
    assert counter.onward == [(Outcome.DONE, Target("extension", "1000"))]
    counter.leads_on = False
    caller = counter.caller().press("##").speak(4).press("0")
    assert len(counter.kept) == 1
    assert caller.hears() == ["vm-no-operator", "goodbye"]


def test_the_greeting_is_that_for_the_occasion() -> None:
    counter = Counter()
    voices = {kind: Voice(kind, 8000, 3000) for kind in ("no-answer", "busy", "name")}
    counter.box_now = replace(counter.box_now, greetings={"name": voices["name"]})  # type: ignore[type-var]
    caller = counter.caller(Outcome.BUSY)
    assert caller.hears() == ["voice:name"]
    assert caller.listen().hears() == ["vm-busy", "vm-intro"]
    counter.box_now = replace(counter.box_now, greetings=voices)
    assert counter.caller(Outcome.BUSY).hears() == ["voice:busy"]
    assert counter.caller(Outcome.UNREACHABLE).hears() == ["voice:no-answer"]
    counter.box_now = replace(counter.box_now, greetings={**voices, "away": Voice("away", 8000, 2000)})
    assert counter.caller(Outcome.BUSY).hears() == ["voice:away"]


def test_nobody_without_a_mailbox_gets_a_message() -> None:
    counter = Counter()
    counter.box_now = None
    assert counter.caller().gone
    assert counter.onward == [(Outcome.UNREACHABLE, None)]
    assert not counter.recording


def test_the_holder_gets_in_from_outside_by_the_star_and_the_pin() -> None:
    counter = Counter()
    caller = counter.caller().press("*")
    assert isinstance(caller.leg.application, CheckMessages)
    assert caller.hears() == ["vm-password"]
    caller.press("274113#")
    assert caller.hears() == ["vm-you-have", "vm-no", "vm-messages", "vm-menu"]
