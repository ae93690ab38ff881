"""Recording by policy: nobody is recorded who was not told, refused, or did not agree where that is asked."""

from __future__ import annotations

import pytest

from ringback.call.application import Application
from ringback.call.party import LegState, Party
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.sip.flow import Flow
from tests.call.office import offer
from tests.recording.conversation import Conversation, policy

NOT_RECORDED, RECORDED = "You are not recorded.", "You are recorded from now on."


def begin(conversation: Conversation, voice: str = "0123456789abcdef") -> None:
    conversation.row_is_there(voice)
    conversation.started()


def begun(conversation: Conversation) -> int:
    return len(conversation.office.given(media.StartRecording))


def test_nothing_is_recorded_before_everybody_has_heard_the_notice() -> None:
    talk = Conversation(policy(mode="opt-out"))
    assert talk.words(1) == talk.words(2) == ["Recorded."]
    talk.play_ends(1)
    talk.run(10)
    assert talk.tape.begun == []
    talk.play_ends(2)
    talk.run(2.5)
    assert talk.tape.begun == []
    talk.run(0.7)
    assert [speaker.leg for speaker in talk.tape.begun[0].speakers] == [1, 2]
    assert begun(talk) == 0
    talk.row_is_there()
    assert begun(talk) == 1
    assert talk.in_file() == {1: True, 2: True}
    start = talk.office.given(media.StartRecording)[0]
    assert (start.room, start.folder, start.key) == (  # type: ignore[attr-defined]
        talk.talk.room,
        "/voices/0123456789abcdef",
        bytes(32),
    )
    talk.started()
    assert talk.leg(1).call.recorded
    assert "recording.started" in talk.office.notices
    assert [(line.speaker.leg, line.state, line.how) for line in talk.tape.lines] == [
        (1, "agreed", "did not refuse"),
        (2, "agreed", "did not refuse"),
    ]


def test_who_refuses_is_not_in_the_file_and_the_key_is_nobody_elses() -> None:
    talk = Conversation(policy(mode="opt-out"))
    talk.key(2, "9")
    assert talk.words(2) == ["Recorded.", NOT_RECORDED]
    assert talk.office.given(media.SendDigits) == []
    talk.play_ends(1)
    talk.run(3.2)
    assert [speaker.leg for speaker in talk.tape.begun[0].speakers] == [1]
    begin(talk)
    assert talk.in_file() == {1: True, 2: False}
    assert [(line.speaker.leg, line.state, line.how) for line in talk.tape.lines] == [
        (2, "refused", "pressed 9"),
        (1, "agreed", "did not refuse"),
    ]


def test_when_all_refuse_nothing_is_recorded() -> None:
    talk = Conversation(policy(mode="opt-out"))
    talk.key(1, "9")
    talk.key(2, "9")
    talk.run(10)
    assert talk.tape.begun == []
    assert talk.talk.people[1].leg.state.value == "connected"


def test_by_opt_in_only_who_agrees_is_recorded() -> None:
    talk = Conversation(policy(mode="opt-in"))
    talk.all_hear()
    assert talk.tape.begun == []
    assert {line.state for line in talk.tape.lines} == {"silent"}
    talk.key(1, "1")
    assert talk.tape.begun == [], "this key is for the other side now"
    talk.key(1, "*1")
    assert [speaker.leg for speaker in talk.tape.begun[0].speakers] == [1]
    begin(talk)
    assert talk.in_file() == {1: True, 2: False}
    talk.key(2, "*1")
    assert talk.in_file() == {1: True, 2: True}
    assert talk.tape.joined == [("0123456789abcdef", 2)]


def test_always_needs_no_answer_and_takes_none() -> None:
    talk = Conversation(policy(mode="always"))
    talk.key(2, "9")
    assert len(talk.office.given(media.SendDigits)) == 1
    talk.play_ends(1)
    assert talk.tape.begun == []
    talk.play_ends(2)
    begin(talk)
    talk.key(2, "*9")
    assert talk.in_file() == {1: True, 2: True}
    assert talk.office.given(media.StopRecording) == []


def test_of_who_withdraws_later_nothing_stays_and_the_other_is_recorded_anew() -> None:
    talk = Conversation(policy(mode="opt-out"))
    talk.all_hear()
    begin(talk)
    talk.key(2, "*9")
    assert len(talk.office.given(media.StopRecording)) == 1
    talk.ended()
    assert talk.tape.finished == [("0123456789abcdef", "stopped", False)]
    assert [speaker.leg for speaker in talk.tape.begun[1].speakers] == [1]
    begin(talk, "fedcba9876543210")
    assert talk.in_file() == {1: True, 2: False}
    talk.key(1, "*9")
    talk.ended()
    assert talk.tape.finished[1] == ("fedcba9876543210", "stopped", False)
    assert len(talk.tape.begun) == 2


@pytest.mark.parametrize("moment", ["row", "file"])
def test_who_refuses_while_it_begins_is_in_no_file(moment: str) -> None:
    talk = Conversation(policy(mode="opt-out"))
    talk.all_hear()
    if moment == "row":
        talk.key(2, "*9")
        talk.row_is_there()
        assert begun(talk) == 0
        assert talk.tape.finished == [("0123456789abcdef", None, False)]
    else:
        talk.row_is_there()
        talk.key(2, "*9")
        talk.started()
        talk.ended()
        assert talk.tape.finished == [("0123456789abcdef", "stopped", False)]
    begin(talk)
    assert talk.in_file() == {1: True, 2: False}


def test_who_agrees_while_it_begins_has_a_name_on_its_track() -> None:
    talk = Conversation(policy(mode="opt-in"))
    talk.all_hear()
    talk.key(1, "*1")
    talk.row_is_there()
    talk.key(2, "*1")
    talk.started()
    assert talk.in_file() == {1: True, 2: True}
    assert talk.tape.joined == [("0123456789abcdef", 2)]


def test_who_withdraws_is_not_in_what_was_kept_before_a_failure_either() -> None:
    talk = Conversation(policy(mode="opt-out"))
    talk.all_hear()
    begin(talk)
    talk.ended("disk_full")
    talk.run(1.2)
    begin(talk, "fedcba9876543210")
    talk.key(1, "*9")
    talk.ended()
    assert talk.tape.withdrawn == ["0123456789abcdef"]
    assert talk.tape.finished[-1] == ("fedcba9876543210", "stopped", False)


def test_from_the_moment_somebody_withdraws_nothing_of_it_may_stay() -> None:
    talk = Conversation(policy(mode="opt-out"))
    talk.all_hear()
    begin(talk)
    talk.key(2, "*9")
    assert talk.tape.forbidden == ["0123456789abcdef"], "before the engine has closed its files"


def joins(talk: Conversation, account: str) -> int:
    """Somebody else comes into the room, connected; the number of the leg."""
    switchboard, now = talk.office.switchboard, talk.office.server.now
    flow = Flow("udp", ("a", 1), ("b", 2))
    third = switchboard._new_leg(Party(Private(account), account=account), Application(), flow, now)
    third.state = LegState.CONNECTED
    third.join(talk.talk.room)
    talk.run(0.1)
    return third.id


def test_who_joins_brings_the_stricter_policy_along() -> None:
    mild = policy(name="mild", mode="opt-out", players=("admin",), keep_days=400)
    strict = policy(
        name="strict", mode="always", everybody=False, extensions=("103",), notice="Strictly recorded.",
        players=("auditor",), keep_days=7,
    )  # fmt: skip
    talk = Conversation(mild, strict)
    talk.key(2, "9")
    talk.play_ends(1)
    talk.run(3.2)
    begin(talk)
    assert talk.in_file() == {1: True, 2: False}
    third = joins(talk, "103")
    # What there is stays under the first policy, and nothing is recorded until all have heard the other.
    assert len(talk.office.given(media.StopRecording)) == 1
    talk.ended()
    assert talk.tape.finished == [("0123456789abcdef", "stopped", True)]
    assert [talk.words(leg)[-1] for leg in (1, 2, third)] == ["Strictly recorded."] * 3
    talk.play_ends(1)
    talk.play_ends(third)
    assert len(talk.tape.begun) == 1
    talk.play_ends(2)
    beginning = talk.tape.begun[1]
    assert (beginning.policy, beginning.mode, beginning.players, beginning.keep_days) == (
        "strict", "always", ("auditor",), 7,
    )  # fmt: skip
    begin(talk, "fedcba9876543210")
    assert talk.in_file() == {1: True, 2: True, third: True}
    assert [(line.policy, line.state) for line in talk.tape.lines if line.speaker.leg == 2] == [
        ("mild", "refused"),
        ("strict", "agreed"),
    ]


@pytest.mark.parametrize("mode", ["opt-in", "opt-out"])
def test_a_policy_that_is_not_stricter_changes_nothing(mode: str) -> None:
    other = policy(name="a", mode=mode, everybody=False, extensions=("103",), notice="Other.")
    talk = Conversation(policy(mode="opt-out"), other)
    talk.all_hear()
    begin(talk)
    third = joins(talk, "103")
    assert talk.office.given(media.StopRecording) == []
    assert talk.words(third) == ["Recorded."]


@pytest.mark.parametrize("moment", ["row", "file", "paused"])
def test_a_stricter_policy_comes_while_it_begins_or_pauses(moment: str) -> None:
    strict = policy(name="strict", mode="always", everybody=False, extensions=("103",), notice="Strictly.")
    talk = Conversation(policy(name="mild", mode="opt-out"), strict)
    talk.all_hear()
    if moment == "paused":
        talk.leg(1).party = Party(Private("101"), account="101")
        begin(talk)
        talk.key(1, "*8")
    elif moment == "file":
        talk.row_is_there()
    third = joins(talk, "103")
    if moment == "row":
        talk.row_is_there()
    elif moment == "file":
        talk.started()
        talk.ended()
    else:
        talk.ended()
    assert [keep for *_, keep in talk.tape.finished] == [moment == "paused"]
    for leg in (1, 2, third):
        talk.play_ends(leg)
    assert talk.tape.begun[-1].policy == "strict"
    begin(talk, "fedcba9876543210")
    assert talk.in_file() == dict.fromkeys((1, 2, third), moment != "paused")


def test_a_newcomer_is_recorded_only_after_the_notice() -> None:
    talk = Conversation(policy(mode="always"))
    for leg in (1, 2):
        talk.play_ends(leg)
    begin(talk)
    switchboard, now = talk.office.switchboard, talk.office.server.now
    third = switchboard._new_leg(
        Party(Private("103"), account="103"), Application(), Flow("udp", ("a", 1), ("b", 2)), now
    )
    third.join(talk.talk.room)
    talk.run(0.1)
    assert talk.words(third.id) == [], "it has not answered yet"
    third.state = LegState.CONNECTED
    switchboard.moved(third)
    talk.run(0.1)
    commands = [c for c in talk.office.commands if getattr(c, "leg", None) == third.id]
    assert commands[:2] == [
        media.SetVoice(leg=third.id, recorded=False),
        media.JoinRoom(leg=third.id, room=talk.talk.room),
    ]
    assert talk.words(third.id) == ["Recorded."]
    assert talk.words(1) == ["Recorded."]
    talk.play_ends(third.id)
    assert talk.in_file() == {1: True, 2: True, third.id: True}
    assert talk.tape.joined == [("0123456789abcdef", third.id)]
    # Who has been told is not told again when it comes back.
    third.leave_room()
    talk.run(0.1)
    third.join(talk.talk.room)
    talk.run(0.1)
    assert talk.words(third.id) == ["Recorded."]
    assert talk.in_file()[third.id]


def test_a_notice_that_was_cut_or_not_heard_is_spoken_again() -> None:
    talk = Conversation(policy(mode="always"))
    talk.play_ends(1, "replaced")
    talk.play_ends(2)
    assert talk.words(1) == ["Recorded."]
    talk.run(1.2)
    assert talk.words(1) == ["Recorded."] * 2
    talk.leg(1).on_hold = True
    talk.play_ends(1)
    talk.run(3)
    assert talk.words(1) == ["Recorded."] * 2, "who holds hears nothing"
    talk.leg(1).on_hold = False
    talk.run(1.2)
    assert talk.words(1) == ["Recorded."] * 3
    talk.play_ends(1)
    assert len(talk.tape.begun) == 1


def test_a_long_hold_in_the_notice_costs_a_look_a_second() -> None:
    talk = Conversation(policy(mode="always"))
    phone, looks = talk.caller.phone, 0

    def hold(direction: str) -> None:
        offered = offer("192.0.2.1", direction=direction)
        phone.do(talk.caller.sessions[-1].reinvite(offered, phone.now))
        talk.run(0.3)

    wake = talk.office.switchboard.wake

    def counted(at: float, application: Application) -> None:
        nonlocal looks
        looks += 1
        wake(at, application)

    for leg in (1, 2):
        talk.play_ends(leg, "replaced")
    hold("sendonly")
    talk.office.switchboard.wake = counted  # type: ignore[method-assign]
    talk.run(12)
    assert looks <= 14
    hold("sendrecv")
    talk.run(1.2)
    assert [talk.words(leg).count("Recorded.") for leg in (1, 2)] == [2, 2]
    for leg in (1, 2):
        talk.play_ends(leg)
    begin(talk)
    assert talk.in_file() == {1: True, 2: True}


def test_recording_pauses_by_the_key_of_an_extension() -> None:
    talk = Conversation(policy(mode="always"))
    for leg in (1, 2):
        talk.play_ends(leg)
    begin(talk)
    talk.key(2, "*8")
    assert talk.in_file() == {1: True, 2: True}, "not by a stranger's"
    talk.leg(1).party = Party(Private("101"), account="101")
    talk.key(1, "*8")
    assert talk.in_file() == {1: False, 2: False}
    assert talk.words(1)[-1] == "Recording is paused."
    talk.key(1, "*8")
    assert talk.in_file() == {1: True, 2: True}
    assert talk.office.notices[-2:] == ["recording.paused", "recording.resumed"]


def test_everybody_hears_a_tone_now_and_then() -> None:
    talk = Conversation(policy(mode="always"), tone_every_s=15)
    for leg in (1, 2):
        talk.play_ends(leg)
    begin(talk)
    talk.run(31)
    assert len(talk.office.given(media.PlayToRoom)) == 3
    talk.ended("disk_full")
    talk.run(31)
    assert len(talk.office.given(media.PlayToRoom)) == 3


def test_who_is_on_hold_is_not_recorded_meanwhile() -> None:
    talk = Conversation(policy(mode="always"))
    for leg in (1, 2):
        talk.play_ends(leg)
    begin(talk)
    for direction, recorded in (("sendonly", False), ("sendrecv", True)):
        phone = talk.caller.phone
        offered = offer("192.0.2.1", direction=direction)
        phone.do(talk.caller.sessions[-1].reinvite(offered, phone.now))
        talk.run(0.3)
        assert talk.in_file() == {1: recorded, 2: recorded}
    talk.leg(2).leave_room()
    talk.run(0.1)
    assert talk.in_file()[1] is False, "it talks to nobody"
    talk.leg(2).join(talk.talk.room)
    talk.run(0.1)
    assert talk.in_file() == {1: True, 2: True}
    assert begun(talk) == 1
    assert talk.words(2).count("Recorded.") == 1


@pytest.mark.parametrize("kind", ["off", "not approved", "emergency", "nobody's", "voiceless"])
def test_where_nothing_is_recorded(kind: str) -> None:
    rules = {
        "off": policy(mode="off"),
        "not approved": policy(approved_by=""),
        "emergency": policy(mode="always"),
        "nobody's": policy(everybody=False, extensions=("1001",)),
        "voiceless": policy(mode="always"),
    }[kind]
    talk = Conversation(rules, talk=False, emergency_number="102" if kind == "emergency" else "112")
    talk.tape.speaks_words = kind != "voiceless"
    talk.caller.call(talk.office)
    talk.run(10)
    assert talk.caller.talking
    assert talk.words(1) == talk.words(2) == []
    assert talk.tape.begun == []
    failed = ["recording.failed"] if kind == "voiceless" else []
    assert [one for one in talk.office.notices if one.startswith("recording")] == failed


def test_a_full_disk_stops_the_recording_and_not_the_call() -> None:
    talk = Conversation(policy(mode="always"))
    for leg in (1, 2):
        talk.play_ends(leg)
    for attempt in range(1, 4):
        begin(talk)
        talk.ended("disk_full")
        assert talk.tape.finished[-1] == ("0123456789abcdef", "disk_full", True)
        assert talk.office.notices.count("recording.failed") == attempt
        talk.run(1.2)
    assert len(talk.tape.begun) == 3
    assert talk.caller.talking
    told = [(one.kind, one.said) for one in talk.leg(1).call.happenings]
    assert told == [("not-recorded", "disk full")] * 3


def test_without_the_database_the_call_goes_on_unrecorded() -> None:
    talk = Conversation(policy(mode="always"))
    for leg in (1, 2):
        talk.play_ends(leg)
    talk.database_is_away()
    assert begun(talk) == 0
    assert "recording.failed" in talk.office.notices
    talk.run(1.2)
    begin(talk)
    assert begun(talk) == 1


def test_the_end_of_the_call_is_the_end_of_its_recording() -> None:
    talk = Conversation(policy(mode="always"))
    for leg in (1, 2):
        talk.play_ends(leg)
    begin(talk)
    phone = talk.caller.phone
    phone.do(talk.caller.sessions[-1].hangup(phone.now))
    talk.run(1)
    assert talk.desk.talks == {}
    talk.ended("room_ended")
    assert talk.tape.finished == [("0123456789abcdef", "room_ended", True)]
    assert len(talk.tape.begun) == 1
    assert talk.desk._rooms == talk.desk._where == talk.desk._answers == {}
