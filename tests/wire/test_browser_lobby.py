"""The lobby as heard, by phone and by browser: music and nothing of the room, until a host admits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ringback.quality.silence import level_track
from ringback.quality.tones import make_tones, tone_levels
from tests.wire.browser import Browser
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBrowser = Callable[..., Browser]
MakePhone = Callable[..., SipPhone]

# Between the notes of the music.
ROOM_HZ, WAITING_HZ = 1490.0, 2310.0
MUSIC_S = 6


@pytest.fixture
def meeting(server: RingbackServer) -> dict[str, Any]:
    made: dict[str, Any] = server.ask("meeting", "add", "Talk", "--admission", "lobby")
    return made


def host_by_phone(server: RingbackServer, make_phone: MakePhone, meeting: dict[str, Any]) -> Call:
    """A host who speaks a tone."""
    host = make_phone(server).dial(f"{meeting['number']}*{meeting['host_pin']}")
    host.media.speak(make_tones(8000, 2, [ROOM_HZ]))
    server.wait_participants(meeting["number"], 1)
    return host


def levels(audio: np.ndarray, rate: int) -> tuple[float, float]:
    """The room's tone and the waiting side's, in dBFS."""
    room, waiting = tone_levels(audio, rate, [ROOM_HZ, WAITING_HZ])
    return float(room), float(waiting)


def admit(server: RingbackServer, number: str) -> None:
    """Let everybody in, as a host does."""
    server.ask("meeting", "admit", number, "--all")
    server.wait_participants(number, 2)
    # The tone of coming in is over then.
    time.sleep(3)


@pytest.mark.long
def test_a_browser_waits_with_music(
    server: RingbackServer, make_phone: MakePhone, make_browser: MakeBrowser, meeting: dict[str, Any]
) -> None:
    host = host_by_phone(server, make_phone, meeting)
    guest = make_browser("Ada", tone_hz=WAITING_HZ)
    guest.join(meeting["link"])
    guest.page.get_by_role("heading", name="The host will let you in").wait_for()
    # The words before the music are over then.
    time.sleep(6)
    for speaks in (True, False):
        host.media.speak(make_tones(8000, 2, [ROOM_HZ]) if speaks else np.zeros(8000))
        time.sleep(0.5)
        began = time.time()
        time.sleep(MUSIC_S)
        sound = guest.heard()
        waiting = sound.since(began)
        assert np.median(level_track(waiting, sound.rate)) > -45, "there is music"
        assert levels(waiting, sound.rate)[0] < -55, f"nothing of the room, speaking: {speaks}"
        assert levels(host.media.heard(MUSIC_S - 1), 8000)[1] < -55, "nothing of who waits"
    host.media.speak(make_tones(8000, 2, [ROOM_HZ]))
    admit(server, meeting["number"])
    guest.wait_inside()
    began = time.time()
    time.sleep(3)
    sound = guest.heard()
    assert levels(sound.since(began), sound.rate)[0] > -30
    assert levels(host.media.heard(2), 8000)[1] > -30


@pytest.mark.long
def test_a_phone_waits_with_music(
    server: RingbackServer, make_phone: MakePhone, make_browser: MakeBrowser, meeting: dict[str, Any]
) -> None:
    host = make_browser("Grace", tone_hz=ROOM_HZ)
    host.join(meeting["host_link"])
    host.wait_inside()
    guest = make_phone(server).dial(f"{meeting['number']}*{meeting['guest_pin']}")
    guest.media.speak(make_tones(8000, 2, [WAITING_HZ]))
    host.page.get_by_role("button", name="Admit", exact=True).wait_for()
    time.sleep(6)
    for speaks in (True, False):
        if not speaks:
            host.press("Mute")
        time.sleep(0.5)
        began = time.time()
        time.sleep(MUSIC_S)
        waiting = guest.media.heard(MUSIC_S - 1)
        assert np.median(level_track(waiting, 8000)) > -45, "there is music"
        assert levels(waiting, 8000)[0] < -55, f"nothing of the room, speaking: {speaks}"
        sound = host.heard()
        assert levels(sound.since(began), sound.rate)[1] < -55, "nothing of who waits"
    host.press("Unmute")
    host.press("Admit")
    server.wait_participants(meeting["number"], 2)
    time.sleep(3)
    began = time.time()
    time.sleep(3)
    sound = host.heard()
    assert levels(sound.since(began), sound.rate)[1] > -30
    assert levels(guest.media.heard(2), 8000)[0] > -30


def test_the_host_hears_a_chime_when_somebody_waits(
    server: RingbackServer, make_phone: MakePhone, make_browser: MakeBrowser, meeting: dict[str, Any]
) -> None:
    host = make_browser("Grace")
    host.join(meeting["host_link"])
    host.wait_inside()
    time.sleep(6)
    began = time.time()
    time.sleep(2)
    make_phone(server).dial(f"{meeting['number']}*{meeting['guest_pin']}")
    came = time.time()
    host.page.get_by_role("button", name="Admit", exact=True).wait_for()
    time.sleep(2)
    sound = host.heard()
    before = level_track(sound.between(began, came), sound.rate)
    after = level_track(sound.since(came), sound.rate)
    assert before.max(initial=-120) < -50
    assert after.max(initial=-120) > -40
