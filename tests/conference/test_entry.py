"""The way into a meeting, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

from ringback.call.exchange import Refinement
from ringback.conference.entry import Phase
from ringback.conference.roles import Role
from ringback.governance.private import Private
from ringback.media import protocol as media
from tests.conference.stage import GUEST_PIN, HOST_PIN, NUMBER, Stage, meeting


def test_a_caller_enters_number_and_pin_and_hears_who_is_there_before_joining() -> None:
    stage = Stage()
    caller = stage.call(number=None)
    assert caller.hears() == ["prompt:enter-number"]
    caller.dial(NUMBER)
    assert caller.hears() == ["prompt:enter-pin"]
    caller.dial(GUEST_PIN)
    assert caller.hears() == ["prompt:alone"]
    assert not caller.in_room
    caller.listen()
    assert caller.in_room
    assert "tone:entry" in caller.room_heard()


def test_keys_interrupt_prompts() -> None:
    stage = Stage()
    caller = stage.call(number=None).dial(NUMBER[0])
    assert caller.hears() == []
    caller.dial(NUMBER[1:] + GUEST_PIN)
    assert caller.hears() == ["prompt:alone"]
    caller.dial("1")
    assert caller.in_room


def test_a_dial_string_with_the_pin_skips_both_prompts() -> None:
    caller = Stage().call(pin=GUEST_PIN)
    assert caller.hears() == ["prompt:alone"]


def test_the_hash_key_is_optional_and_never_ends_anything() -> None:
    stage = Stage()
    caller = stage.call(number=None).dial(NUMBER + "#")
    assert caller.hears() == ["prompt:enter-pin"]
    caller.dial(GUEST_PIN + "#")
    assert caller.hears() == ["prompt:alone"]
    caller.listen().dial("####")
    assert caller.in_room
    assert not caller.gone


def test_three_wrong_pins_end_the_call_with_a_spoken_reason() -> None:
    stage = Stage()
    caller = stage.call()
    for _ in range(2):
        caller.dial("111111")
        stage.wait(10)
        assert caller.hears() == ["prompt:wrong-pin", "prompt:enter-pin"]
    caller.dial("111111")
    stage.wait(10)
    assert caller.hears() == ["prompt:wrong-pin", "prompt:goodbye"]
    assert not caller.gone
    caller.listen()
    assert caller.gone


def test_a_wrong_pin_in_the_dial_string_is_asked_for_again() -> None:
    caller = Stage().call(pin="111111")
    assert caller.hears() == ["prompt:wrong-pin", "prompt:enter-pin"]
    caller.dial(GUEST_PIN)
    assert caller.entry.phase in (Phase.ANNOUNCING, Phase.CHECKING)


def test_a_caller_who_keys_nothing_is_asked_again_after_thirty_seconds_and_dismissed_in_the_end() -> None:
    stage = Stage()
    caller = stage.call().listen()
    stage.wait(29)
    assert caller.hears() == ["prompt:enter-pin"]
    stage.wait(2)
    assert caller.hears() == ["prompt:enter-pin"]
    for _ in range(2):
        caller.listen()
        stage.wait(31)
    assert caller.hears()[-1] == "prompt:goodbye"


def test_a_short_pin_is_judged_five_seconds_after_its_last_digit() -> None:
    stage = Stage()
    caller = stage.call().dial("274")
    stage.wait(4.9)
    assert caller.entry.phase is Phase.PIN
    stage.wait(0.2)
    assert caller.hears()[0] == "prompt:wrong-pin"


def test_the_host_pin_makes_a_host_and_the_guest_pin_a_guest() -> None:
    stage = Stage()
    host, guest = stage.call(pin=HOST_PIN), stage.call(pin=GUEST_PIN)
    assert host.entry.participant is not None
    assert host.entry.participant.role is Role.HOST
    assert guest.entry.participant is not None
    assert guest.entry.participant.role is Role.GUEST


def test_a_newcomer_hears_how_many_are_there() -> None:
    stage = Stage()
    stage.call(pin=GUEST_PIN).listen()
    second = stage.call(pin=GUEST_PIN)
    assert second.hears() == ["prompt:one-other"]
    second.listen()
    assert stage.call(pin=GUEST_PIN).hears() == ["prompt:there-are", "prompt:number-2", "prompt:others"]


def test_star_six_mutes_and_unmutes() -> None:
    caller = Stage().call(pin=GUEST_PIN).listen().dial("*6")
    assert caller.muted
    assert caller.hears() == ["prompt:muted"]
    caller.dial("*6")
    assert not caller.muted


def test_star_alone_speaks_the_menu_after_a_moment() -> None:
    stage = Stage()
    caller = stage.call(pin=GUEST_PIN).listen().dial("*")
    assert caller.hears() == ["prompt:alone"]
    stage.wait(2.1)
    assert caller.hears() == ["prompt:menu-guest"]


def test_star_nine_raises_the_hand_and_the_host_hears_it() -> None:
    stage = Stage()
    host = stage.call(pin=HOST_PIN).listen()
    guest = stage.call(pin=GUEST_PIN).listen().dial("*9")
    assert guest.entry.participant is not None
    assert guest.entry.participant.hand
    assert host.hears() == ["tone:chime"]


def test_only_a_host_locks_and_then_only_hosts_come_in() -> None:
    stage = Stage()
    guest = stage.call(pin=GUEST_PIN).listen().dial("*5")
    assert guest.hears() == ["tone:error"]
    host = stage.call(pin=HOST_PIN).listen().dial("*5")
    assert "prompt:now-locked" in host.room_heard()
    late = stage.call(pin=GUEST_PIN)
    assert late.hears() == ["prompt:locked", "prompt:goodbye"]
    assert late.listen().gone
    assert stage.call(pin=HOST_PIN).listen().in_room
    host.dial("*5")
    assert stage.call(pin=GUEST_PIN).listen().in_room


def test_the_lobby_is_outside_the_room_until_the_host_admits() -> None:
    stage = Stage(meeting(admission="lobby"))
    host = stage.call(pin=HOST_PIN).listen()
    guest = stage.call(pin=GUEST_PIN)
    assert guest.hears() == ["prompt:wait-for-host", "music"]
    assert host.hears() == ["tone:chime"]
    assert not guest.in_room
    room = stage.meetings.rooms[NUMBER]
    assert room.admit(room.people.values(), stage.now) == 1
    assert guest.in_room
    assert guest.hears() == []


def test_who_is_removed_hears_it_and_is_gone() -> None:
    stage = Stage()
    guest = stage.call(pin=GUEST_PIN).listen()
    room = stage.meetings.rooms[NUMBER]
    assert room.remove(room.select(None), stage.now) == 1
    assert not guest.in_room
    assert guest.hears() == ["prompt:removed", "prompt:goodbye"]
    assert guest.listen().gone


def test_the_room_is_gone_with_its_last_person_and_its_lock_with_it() -> None:
    stage = Stage()
    host = stage.call(pin=HOST_PIN).listen().dial("*5")
    host.hang_up()
    assert stage.meetings.rooms == {}
    assert stage.call(pin=GUEST_PIN).listen().in_room


def test_wrong_pins_slow_a_meeting_but_a_right_one_still_gets_in() -> None:
    stage = Stage()
    for n in range(12):
        stage.call(pin="111111", source=f"198.51.100.{n}").hang_up()
        stage.wait(1)
    caller = stage.call(pin=GUEST_PIN, source="203.0.113.9")
    assert caller.entry.phase is Phase.CHECKING
    stage.wait(30)
    assert caller.listen().in_room


def test_a_source_of_many_wrong_pins_is_refused_for_a_while() -> None:
    stage = Stage()
    for _ in range(15):
        caller = stage.call(source="198.51.100.7")
        for _ in range(3):
            caller.dial("111111")
            stage.wait(8)
        caller.hang_up()
    caller = stage.call(pin=GUEST_PIN, source="198.51.100.7")
    stage.wait(8)
    assert caller.hears() == ["prompt:too-many-tries", "prompt:goodbye"]
    assert stage.call(pin=GUEST_PIN, source="203.0.113.9").entry.phase is not Phase.LEAVING


def test_who_hangs_up_before_the_answer_to_the_pin_leaves_nobody_behind() -> None:
    stage = Stage()
    for source in range(1, 12):
        stage.call(pin="111111", source=f"192.0.2.{source}")
    late = stage.call(pin=GUEST_PIN, source="192.0.2.99")
    assert late.entry.phase is Phase.CHECKING
    late.hang_up()
    stage.wait(30)
    assert stage.meetings.rooms == {}


def test_a_pin_that_was_replaced_during_the_call_is_wrong_and_the_new_one_right() -> None:
    stage = Stage()
    caller = stage.call()
    stage.directory = stage.directory.with_meeting(replace(meeting(), guest_pin=Private("555555")))
    caller.dial(GUEST_PIN)
    assert caller.hears() == ["prompt:wrong-pin", "prompt:enter-pin"]
    caller.dial("555555")
    assert caller.hears() == ["prompt:alone"]


def test_a_meeting_made_after_the_call_began_is_found_and_a_deleted_one_is_not_entered() -> None:
    stage = Stage()
    other = meeting("555010101")
    caller = stage.call(number=None)
    stage.directory = stage.directory.with_meeting(other)
    caller.dial(other.number)
    assert caller.hears() == ["prompt:enter-pin"]
    stage.directory = stage.directory.without_meeting(other.number)
    caller.dial(GUEST_PIN)
    assert caller.hears() == ["prompt:wrong-number", "prompt:goodbye"]
    assert caller.listen().gone


def test_people_in_a_deleted_meeting_are_told_and_go() -> None:
    stage = Stage(meeting(), meeting("555010101"))
    inside = stage.call(pin=HOST_PIN).listen()
    elsewhere = stage.call("555010101", pin=GUEST_PIN).listen()
    stage.directory = stage.directory.without_meeting(NUMBER)
    stage.meetings.follow(stage.directory.meeting, stage.now)
    assert not inside.in_room
    assert inside.hears() == ["prompt:ended", "prompt:goodbye"]
    assert inside.listen().gone
    inside.hang_up()
    assert elsewhere.in_room
    assert list(stage.meetings.rooms) == ["555010101"]


def test_a_lobby_begins_and_ends_with_the_setting_while_the_meeting_goes_on() -> None:
    stage = Stage()
    stage.call(pin=HOST_PIN).listen()
    stage.directory = stage.directory.with_meeting(meeting(admission="lobby"))
    stage.meetings.follow(stage.directory.meeting, stage.now)
    assert stage.call(pin=GUEST_PIN).entry.phase is Phase.LOBBY


def test_larger_meetings_have_no_tones() -> None:
    stage = Stage(quiet_above=2)
    for _ in range(2):
        stage.call(pin=GUEST_PIN).listen()
    assert stage.commands.count(media.PlayToRoom(room=1, sounds=["tone:entry"])) == 2
    stage.call(pin=GUEST_PIN).listen()
    assert stage.commands.count(media.PlayToRoom(room=1, sounds=["tone:entry"])) == 2


def test_voices_are_refined_where_that_is_wished_and_only_in_the_room() -> None:
    stage = Stage()
    stage.refinement = Refinement(agc=True, denoise=True)
    caller = stage.call(pin=GUEST_PIN)
    assert not [c for c in stage.commands if isinstance(c, media.SetVoice)]
    caller.listen()
    voices = [c for c in stage.commands if isinstance(c, media.SetVoice)]
    assert voices == [media.SetVoice(leg=caller.leg.id, agc=True, denoise=True)]
    caller.dial("*6")
    assert stage.commands[-2:] != voices
    assert media.SetVoice(leg=caller.leg.id, muted=True, agc=True, denoise=True) in stage.commands
