"""The way into a meeting and the keys inside, as heard: prompts, PINs, mute, lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from ringback.quality.silence import level_track, sounds
from ringback.quality.tones import make_tones, tone_levels
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeServer = Callable[..., RingbackServer]
MakePhone = Callable[..., SipPhone]
RATE = 8000
TONES_HZ = (440.0, 1090.0)


def until(condition: Callable[[], bool], timeout: float, what: str) -> float:
    """Wait for something to be heard; the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout, f"{what}: not in {timeout} s"
        time.sleep(0.02)
    return time.monotonic() - began


def speaks(call: Call, window_s: float = 0.2) -> bool:
    """Whether sound comes in now."""
    return bool(level_track(call.media.heard(window_s), RATE).max(initial=-120) > -40)


def is_silent(call: Call, window_s: float = 1.0) -> bool:
    """Whether nothing was heard for a while, with packets still coming or not."""
    packets = call.media.received
    if not packets or packets[-1].at < time.monotonic() - window_s:
        return True
    heard = call.media.heard(window_s)
    return len(heard) >= window_s * RATE * 0.9 and bool(level_track(heard, RATE).max() < -40)


def inside(server: RingbackServer, make_phone: MakePhone, number: str, pin: str, tone_hz: float = 0) -> Call:
    """A phone that dialled straight into a meeting, and speaks a tone."""
    call = make_phone(server).dial(f"{number}*{pin}")
    if tone_hz:
        call.media.speak(make_tones(RATE, 2, [tone_hz]))
    return call


def test_a_caller_hears_a_prompt_and_interrupts_it_with_the_pin(
    server: RingbackServer, make_phone: MakePhone
) -> None:
    meeting = server.add_meeting()
    call = make_phone(server).dial(meeting["number"])
    until(lambda: speaks(call), 3, "the prompt for the PIN")
    pin = meeting["guest_pin"]
    call.press(pin[0])
    # The recording is longer than this: only the key can have ended it.
    took = until(lambda: is_silent(call, 0.3), 1.0, "silence after the first key")
    assert took < 0.8
    call.press(pin[1:] + "#")
    until(lambda: speaks(call), 3, "how many are there")
    people = server.wait_participants(meeting["number"], 1)
    assert people[0]["role"] == "guest"


def test_a_pin_needs_no_hash_at_its_end(server: RingbackServer, make_phone: MakePhone) -> None:
    meeting = server.add_meeting()
    call = make_phone(server).dial(meeting["number"])
    until(lambda: speaks(call), 3, "the prompt for the PIN")
    call.press(meeting["guest_pin"])
    server.wait_participants(meeting["number"], 1)


def test_a_dial_in_number_asks_for_the_meeting_first(server: RingbackServer, make_phone: MakePhone) -> None:
    meeting = server.add_meeting()
    call = make_phone(server).dial(dial_in_number(meeting["dial_in"]))
    until(lambda: speaks(call), 3, "the prompt for the number")
    call.press(meeting["number"] + "#")
    until(lambda: is_silent(call, 0.2) or speaks(call), 3, "an answer")
    until(lambda: speaks(call), 3, "the prompt for the PIN")
    call.press(meeting["host_pin"] + "#")
    people = server.wait_participants(meeting["number"], 1)
    assert people[0]["role"] == "host"


def dial_in_number(dial_in: object) -> str:
    """The number in what `meeting add` calls its dial-in address: the first, without scheme and host."""
    first = dial_in[0] if isinstance(dial_in, list) else dial_in
    return str(first).removeprefix("sip:").partition("@")[0]


def test_the_host_pin_makes_a_host(server: RingbackServer, make_phone: MakePhone) -> None:
    meeting = server.add_meeting()
    inside(server, make_phone, meeting["number"], meeting["host_pin"])
    inside(server, make_phone, meeting["number"], meeting["guest_pin"])
    people = server.wait_participants(meeting["number"], 2)
    assert sorted(person["role"] for person in people) == ["guest", "host"]


@pytest.mark.long
def test_three_wrong_pins_end_the_call_with_a_spoken_reason(
    make_server: MakeServer, make_phone: MakePhone
) -> None:
    server = make_server(limits=True)
    meeting = server.add_meeting()
    call = make_phone(server).dial(meeting["number"])
    pressed_at = 0.0
    for _ in range(3):
        until(lambda: speaks(call), 5, "a prompt")
        pressed_at = time.monotonic()
        call.press("000000#")
    # The rest of an interrupted prompt may still be in the air; what counts comes later.
    call.wait_ended(15)
    assert call.ended_at > pressed_at + 1
    heard, times = call.media.heard_with_times()
    after = heard[np.nan_to_num(times) > pressed_at + 1.2]
    spoken = sounds(after, RATE, above_dbfs=-40)
    assert (spoken[:, 1] - spoken[:, 0]).sum() > 0.7, "a reason should be spoken before the end"
    assert call.end_reason.startswith("BYE")
    # A right PIN is still taken afterwards.
    inside(server, make_phone, meeting["number"], meeting["guest_pin"])
    server.wait_participants(meeting["number"], 1)


@pytest.fixture
def two_inside(server: RingbackServer, make_phone: MakePhone) -> Iterator[tuple[dict[str, str], Call, Call]]:
    """A meeting with a host at 440 Hz and a guest at 1090 Hz."""
    meeting = server.add_meeting()
    host = inside(server, make_phone, meeting["number"], meeting["host_pin"], TONES_HZ[0])
    guest = inside(server, make_phone, meeting["number"], meeting["guest_pin"], TONES_HZ[1])
    server.wait_participants(meeting["number"], 2)
    until(lambda: hears(guest, 0), 5, "the guest hears the host")
    until(lambda: hears(host, 1), 5, "the host hears the guest")
    return meeting, host, guest


def hears(call: Call, tone: int, window_s: float = 0.4) -> bool:
    """Whether a tone is in what comes in now."""
    heard = call.media.heard(window_s)
    return len(heard) >= 0.2 * RATE and bool(tone_levels(heard, RATE, TONES_HZ)[tone] > -30)


def test_star_six_mutes_and_unmutes_oneself(
    server: RingbackServer, two_inside: tuple[dict[str, str], Call, Call]
) -> None:
    meeting, host, guest = two_inside
    guest.press("*6")
    until(lambda: not hears(host, 1), 2, "the guest is muted")
    # Hearing goes on while muted.
    until(lambda: hears(guest, 0), 5, "the muted guest hears the host")
    muted = {person["role"]: person["muted"] for person in server.participants(meeting["number"])}
    assert muted == {"host": False, "guest": True}
    guest.press("*6")
    until(lambda: hears(host, 1), 2, "the guest is heard again")


def test_the_command_line_mutes_and_removes(
    server: RingbackServer, two_inside: tuple[dict[str, str], Call, Call]
) -> None:
    meeting, host, guest = two_inside
    people = server.participants(meeting["number"])
    guest_id = next(str(person["id"]) for person in people if person["role"] == "guest")
    server.ask("meeting", "mute", meeting["number"], guest_id)
    until(lambda: not hears(host, 1), 2, "the guest is muted")
    server.ask("meeting", "remove", meeting["number"], guest_id)
    guest.wait_ended(10)
    assert not host.ended.is_set()
    server.wait_participants(meeting["number"], 1)


def test_star_nine_raises_a_hand(
    server: RingbackServer, two_inside: tuple[dict[str, str], Call, Call]
) -> None:
    meeting, _, guest = two_inside
    guest.press("*9")
    time.sleep(0.5)
    hands = {person["role"]: person["hand"] for person in server.participants(meeting["number"])}
    assert hands == {"host": False, "guest": True}


def test_a_lone_star_speaks_the_menu_and_hash_never_hangs_up(
    server: RingbackServer, two_inside: tuple[dict[str, str], Call, Call]
) -> None:
    meeting, host, guest = two_inside
    guest.press("#")
    host.media.speak(np.zeros(RATE))
    until(lambda: is_silent(guest, 0.5), 3, "silence")
    guest.press("*")
    until(lambda: speaks(guest), 5, "the menu")
    assert not guest.ended.is_set()
    assert len(server.participants(meeting["number"])) == 2


@pytest.mark.long
def test_star_five_of_a_host_locks_the_meeting(
    server: RingbackServer, make_phone: MakePhone, two_inside: tuple[dict[str, str], Call, Call]
) -> None:
    meeting, host, guest = two_inside
    guest.press("*5")
    time.sleep(1)
    third = inside(server, make_phone, meeting["number"], meeting["guest_pin"])
    server.wait_participants(meeting["number"], 3)
    third.hang_up()
    host.press("*5")
    time.sleep(1)
    late = inside(server, make_phone, meeting["number"], meeting["guest_pin"])
    until(lambda: speaks(late), 4, "the reason")
    late.wait_ended(15)
    server.wait_participants(meeting["number"], 2)
    host.press("*5")
    time.sleep(1)
    inside(server, make_phone, meeting["number"], meeting["guest_pin"])
    server.wait_participants(meeting["number"], 3)
