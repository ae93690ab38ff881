"""Real phones meet in a conference: what each of them hears."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from bench import sipp
from ringback.quality.silence import longest_gap_ms
from ringback.quality.tones import tone_levels
from tests.wire.baresip import Baresip
from tests.wire.server import RingbackServer

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBaresip = Callable[..., Baresip]
Measured = Callable[[str], None]

# Below 3.4 kHz, no harmonic or mixture of two near the third.
TONES_HZ = (440.0, 1090.0, 1870.0)
SPEAKING_S = 20


def check_who_is_heard(phones: list[Baresip], tones: tuple[float, ...], seconds: float) -> list[str]:
    """Every phone heard all others, equally loud, and not itself; the levels, for people."""
    lines = []
    for own, phone in enumerate(phones):
        heard = phone.heard(seconds, trim_s=0.5)
        assert len(heard) > (seconds - 1) * phone.rate, (
            f"{phone.name} heard {len(heard) / phone.rate:.1f} s only"
        )
        levels = tone_levels(heard, phone.rate, tones)
        others = np.delete(levels, own)
        text = ", ".join(f"{tone:.0f} Hz {level:.1f} dBFS" for tone, level in zip(tones, levels, strict=True))
        lines.append(f"{phone.name} ({phone.codec}) heard {text}")
        assert others.min() > -40, f"{phone.name} did not hear somebody: {text}"
        assert others.max() - others.min() <= 3, f"{phone.name} heard the others unequally: {text}"
        assert levels[own] <= others.min() - 30, f"{phone.name} heard itself: {text}"
        gap_ms = longest_gap_ms(heard, phone.rate)
        assert gap_ms <= 200, f"{phone.name} heard {gap_ms:.0f} ms of silence"
    return lines


@pytest.mark.long
def test_three_phones_with_three_codecs_hear_each_other(
    server: RingbackServer, make_baresip: MakeBaresip, measured: Measured
) -> None:
    meeting = server.add_meeting()
    codecs = ("pcmu", "g722", "opus")
    phones = [
        make_baresip(f"phone-{codec}", codec=codec, tone_hz=tone)
        for codec, tone in zip(codecs, TONES_HZ, strict=True)
    ]
    for phone in phones:
        phone.dial(server.uri(f"{meeting['number']}*{meeting['guest_pin']}"))
    people = server.wait_participants(meeting["number"], 3)
    assert sorted(person["codec"].upper() for person in people) == ["G722", "OPUS", "PCMU"]
    time.sleep(1 + SPEAKING_S)
    for phone in phones:
        phone.hang_up_and_wait()
    # Who hangs up last is alone for a moment: the phones left one after another within half a second.
    for line in check_who_is_heard(phones, TONES_HZ, SPEAKING_S - 2):
        measured(line)


def test_two_pcmu_phones_hear_each_other(server: RingbackServer, make_baresip: MakeBaresip) -> None:
    meeting = server.add_meeting()
    phones = [make_baresip(f"two-{tone:.0f}", tone_hz=tone) for tone in TONES_HZ[:2]]
    for phone in phones:
        phone.dial(server.uri(f"{meeting['number']}*{meeting['guest_pin']}"))
    server.wait_participants(meeting["number"], 2)
    time.sleep(6)
    for phone in phones:
        phone.hang_up_and_wait()
    check_who_is_heard(phones, TONES_HZ[:2], 4)


@pytest.mark.long
def test_l16_and_long_packets(make_server: Callable[..., RingbackServer], make_baresip: MakeBaresip) -> None:
    server = make_server(settings={"RINGBACK_MEDIA__CODECS": "OPUS,G722,PCMU,PCMA,L16"})
    meeting = server.add_meeting()
    phones = [
        make_baresip("linear", codec="l16", tone_hz=TONES_HZ[0]),
        make_baresip("long", codec="pcmu", ptime_ms=60, tone_hz=TONES_HZ[1]),
        make_baresip("opus-long", codec="opus", ptime_ms=40, tone_hz=TONES_HZ[2]),
    ]
    for phone in phones:
        phone.dial(server.uri(f"{meeting['number']}*{meeting['guest_pin']}"))
    people = server.wait_participants(meeting["number"], 3)
    assert sorted(person["codec"].upper() for person in people) == ["L16", "OPUS", "PCMU"]
    time.sleep(9)
    for phone in phones:
        phone.hang_up_and_wait()
    check_who_is_heard(phones, TONES_HZ, 7)


@pytest.mark.long
def test_voices_are_brought_to_one_loudness(
    make_server: Callable[..., RingbackServer], make_baresip: MakeBaresip, measured: Measured
) -> None:
    server = make_server(settings={"RINGBACK_CONFERENCE__LEVEL_CONTROL": "true"})
    meeting = server.add_meeting()
    listener = make_baresip("listener")
    make = {"soft": (TONES_HZ[0], -32.0), "loud": (TONES_HZ[1], -16.0)}
    speakers = [make_baresip(name, tone_hz=tone, level_dbfs=level) for name, (tone, level) in make.items()]
    for phone in (listener, *speakers):
        phone.dial(server.uri(f"{meeting['number']}*{meeting['guest_pin']}"))
    server.wait_participants(meeting["number"], 3)
    time.sleep(10)
    listener.hang_up_and_wait()
    soft, loud = tone_levels(listener.heard(4, trim_s=0.5), listener.rate, TONES_HZ[:2])
    measured(f"spoken at -32 and -16 dBFS, heard at {soft:.1f} and {loud:.1f} dBFS")
    assert abs(loud - soft) < 3


@pytest.mark.long
def test_the_noise_of_phones_is_suppressed(
    make_server: Callable[..., RingbackServer], make_baresip: MakeBaresip, measured: Measured
) -> None:
    server = make_server(settings={"RINGBACK_CONFERENCE__NOISE_SUPPRESSION": "true"})
    meeting = server.add_meeting()
    hiss = (0.01 * np.random.default_rng(1).standard_normal(8000 * 60)).astype(np.float32)
    # In a room of two nothing is gated: what is softer is softer by the suppression.
    phones = [make_baresip("listener"), make_baresip("noisy", speech=hiss)]
    for phone in phones:
        phone.dial(server.uri(f"{meeting['number']}*{meeting['guest_pin']}"))
    server.wait_participants(meeting["number"], 2)
    time.sleep(8)
    phones[0].hang_up_and_wait()
    heard = phones[0].heard(3, trim_s=0.5)
    level = 20 * np.log10(np.sqrt(np.mean(np.square(heard))) + 1e-9)
    measured(f"hiss of -40 dBFS is heard at {level:.1f} dBFS")
    assert -80 < level < -48


@pytest.mark.long
def test_a_phone_on_tls_with_srtp_meets_one_on_udp(server: RingbackServer, make_baresip: MakeBaresip) -> None:
    meeting = server.add_meeting()
    plain = make_baresip("plain", codec="g722", tone_hz=TONES_HZ[0], server=server.udp)
    secure = make_baresip("secure", tone_hz=TONES_HZ[1], server=server.tls, transport="tls", srtp=True)
    plain.dial(server.uri(f"{meeting['number']}*{meeting['guest_pin']}"))
    secure.dial(server.uri(f"{meeting['number']}*{meeting['guest_pin']}", "tls"))
    server.wait_participants(meeting["number"], 2)
    time.sleep(6)
    assert "RTP/SAVP" in secure.log()
    for phone in (plain, secure):
        phone.hang_up_and_wait()
    check_who_is_heard([plain, secure], TONES_HZ[:2], 4)


@pytest.mark.long
def test_a_phone_on_tcp_meets_one_on_udp(server: RingbackServer, make_baresip: MakeBaresip) -> None:
    meeting = server.add_meeting()
    address = f"{meeting['number']}*{meeting['guest_pin']}"
    udp = make_baresip("udp", codec="pcma", tone_hz=TONES_HZ[0])
    tcp = make_baresip("tcp", tone_hz=TONES_HZ[1], server=server.udp, transport="tcp")
    udp.dial(server.uri(address))
    tcp.dial(server.uri(address, "tcp"))
    server.wait_participants(meeting["number"], 2)
    time.sleep(6)
    for phone in (udp, tcp):
        phone.hang_up_and_wait()
    check_who_is_heard([udp, tcp], TONES_HZ[:2], 4)


def test_sipp_calls_in_and_out_fifty_times(server: RingbackServer) -> None:
    meeting = server.add_meeting()
    target = f"{meeting['number']}*{meeting['guest_pin']}"
    outcome = sipp.call(server.udp_port, target, rate=10, seconds=5, talk_ms=1000)
    assert (outcome.failed, outcome.calls) == (0, 50)
    server.wait_participants(meeting["number"], 0)


def test_people_come_and_go_and_the_rest_go_on(server: RingbackServer, make_baresip: MakeBaresip) -> None:
    meeting = server.add_meeting()
    address = server.uri(f"{meeting['number']}*{meeting['guest_pin']}")
    phones = [make_baresip(f"stay-{tone:.0f}", tone_hz=tone) for tone in TONES_HZ[:2]]
    guest = make_baresip("guest", codec="opus", tone_hz=TONES_HZ[2])
    for phone in (*phones, guest):
        phone.dial(address)
    server.wait_participants(meeting["number"], 3)
    guest.hang_up_and_wait()
    server.wait_participants(meeting["number"], 2)
    time.sleep(4)
    for phone in phones:
        phone.hang_up_and_wait()
    check_who_is_heard(phones, TONES_HZ[:2], 2.5)
    server.wait_participants(meeting["number"], 0)


def test_a_phone_on_hold_comes_back(server: RingbackServer, make_baresip: MakeBaresip) -> None:
    meeting = server.add_meeting()
    held, other = (make_baresip(f"hold-{tone:.0f}", tone_hz=tone) for tone in TONES_HZ[:2])
    for phone in (held, other):
        phone.dial(server.uri(f"{meeting['number']}*{meeting['guest_pin']}"))
    server.wait_participants(meeting["number"], 2)
    held.hold()
    time.sleep(2)
    held.resume()
    time.sleep(4)
    other.hang_up_and_wait()
    levels = tone_levels(other.heard(2.5, trim_s=0.5), other.rate, TONES_HZ[:2])
    assert levels[0] == pytest.approx(-12, abs=1)
    assert levels[1] < levels[0] - 30


@pytest.mark.long
def test_opus_phones_hear_music_up_to_12_khz(
    make_server: Callable[..., RingbackServer], make_baresip: MakeBaresip
) -> None:
    server = make_server(settings={"RINGBACK_MEDIA__FULL_BAND": "true"})
    meeting = server.add_meeting()
    tones = (5000.0, 12000.0)
    phones = [make_baresip(f"full-{tone:.0f}", codec="opus", tone_hz=tone) for tone in tones]
    for phone in phones:
        phone.dial(server.uri(f"{meeting['number']}*{meeting['guest_pin']}"))
    server.wait_participants(meeting["number"], 2)
    time.sleep(6)
    for phone in phones:
        phone.hang_up_and_wait()
    check_who_is_heard(phones, tones, 4)
