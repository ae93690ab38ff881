"""How late a voice arrives: coded chirps from one phone to another, mouth to ear."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest

from ringback.quality.markers import CODES, find_markers, marker
from ringback.quality.silence import sounds
from ringback.quality.tones import make_tones
from tests.wire.baresip import Baresip
from tests.wire.rtp_stream import FRAME, FRAME_S, RATE, RtpStream
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.calm]
MakePhone = Callable[..., SipPhone]
MakeBaresip = Callable[..., Baresip]
Measured = Callable[[str], None]


def ruler() -> np.ndarray:
    """One chirp of each code, a second apart, over a quiet tone that keeps a talk gate open."""
    audio = make_tones(RATE, CODES, [500], -36)
    for code in range(CODES):
        start = code * RATE + RATE // 4
        audio[start : start + len(marker(code, RATE))] += marker(code, RATE, -10)
    return audio


def delays_ms(speaker: RtpStream, listener: RtpStream) -> list[float]:
    """From each chirp's first sample at the mouth to its first sample at the ear.

    A phone sends a frame when its last sample was spoken: the mouth is 20 ms before the packet, and the
    packetisation is thereby part of the number. The ear plays a packet as it comes.
    """
    heard, times = listener.heard_with_times()
    found = []
    for code in range(CODES):
        sample = code * RATE + RATE // 4
        frame = sample // FRAME
        if frame >= len(speaker.sent_at):
            break
        mouth = speaker.sent_at[frame] - FRAME_S + sample % FRAME / RATE
        for place in find_markers(heard, RATE, code) * RATE:
            whole = int(place)
            ear = times[whole] + (place - whole) / RATE
            if not np.isnan(ear) and 0 < ear - mouth < 0.8:
                found.append((ear - mouth) * 1000)
                break
    return found


def describe(delays: list[float]) -> str:
    """Median and worst."""
    return f"median {statistics.median(delays):.1f} ms, worst {max(delays):.1f} ms of {len(delays)} chirps"


def talk(speaker: Call, listener: Call, seconds: float = 6) -> list[float]:
    """Let the chirps run, and measure."""
    speaker.media.speak(ruler())
    time.sleep(seconds)
    delays = delays_ms(speaker.media, listener.media)
    assert len(delays) >= seconds - 4, f"only {len(delays)} chirps were heard"
    return delays


def test_the_ruler_is_right(make_phone: MakePhone) -> None:
    mouth, ear = RtpStream(), RtpStream()
    ear.start(("127.0.0.1", mouth.port))
    mouth.speak(ruler())
    mouth.start(("127.0.0.1", ear.port))
    time.sleep(3)
    delays = delays_ms(mouth, ear)
    mouth.stop()
    ear.stop()
    assert len(delays) == 3
    assert statistics.median(delays) == pytest.approx(20, abs=2)


def test_mouth_to_ear_in_a_meeting(server: RingbackServer, make_phone: MakePhone, measured: Measured) -> None:
    meeting = server.add_meeting()
    target = f"{meeting['number']}*{meeting['guest_pin']}"
    speaker, listener = make_phone(server).dial(target), make_phone(server).dial(target)
    server.wait_participants(meeting["number"], 2)
    time.sleep(4)
    delays = talk(speaker, listener)
    measured(f"mouth to ear, PCMU to PCMU in a meeting: {describe(delays)} (aim: under 60 ms)")
    assert statistics.median(delays) < 100, "loose on purpose: the machine is shared"


@pytest.mark.long
def test_mouth_to_ear_between_extensions(
    server: RingbackServer, make_phone: MakePhone, make_baresip: MakeBaresip, measured: Measured
) -> None:
    caller = make_phone(server, "5001", server.add_extension("5001"))
    delays = talk_to_echo(caller)
    measured(f"mouth to ear, PCMU through the echo test: {describe(delays)}")
    assert statistics.median(delays) < 100


def talk_to_echo(caller: SipPhone) -> list[float]:
    """One phone hears itself through the echo test, whose prompt it cuts short."""
    call = caller.dial("600")
    time.sleep(1)
    call.press("#")
    wait_for_prompt_end(call)
    return talk(call, call)


def wait_for_prompt_end(call: Call, timeout: float = 40) -> None:
    """Wait for sound, then for a second of silence."""
    deadline = time.monotonic() + timeout
    while not len(sounds(call.media.heard(), RATE)) or len(sounds(call.media.heard(1.0), RATE)):
        assert time.monotonic() < deadline, "the prompt should come and end"
        time.sleep(0.1)
