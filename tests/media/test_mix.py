"""The columns' arithmetic agrees with plain loops, one voice and one listener at a time."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.batch import OUTGOING_BYTES
from ringback.media.codec import g711
from ringback.media.feeds import Feeds
from ringback.media.hearing import Hearing
from ringback.media.legs import Legs
from ringback.media.mix import LIMIT, fade_in, fade_out, limit, sum_by_room
from ringback.media.protocol import AudioFormat, Codec, SetMedia
from ringback.media.resample import DOWN2_TAIL, UP2_TAIL, down2, up2
from ringback.media.room_sounds import RoomSounds
from ringback.media.rooms import Rooms
from ringback.media.sending import Sending
from ringback.media.statistics import Meters
from ringback.media.voice_rows import Voices


@pytest.mark.parametrize("largest", [1, 3, 40])
def test_sums_by_room_agree_with_a_loop(largest: int) -> None:
    random = np.random.default_rng(1)
    rooms = np.sort(np.repeat(np.arange(0, 20, 2), random.integers(1, largest + 1, 10)))
    voices = random.standard_normal((len(rooms), 160)).astype(np.float32)
    expected = np.zeros((24, 160), np.float32)
    for room, voice in zip(rooms, voices, strict=True):
        expected[room] += voice
    assert np.allclose(sum_by_room(voices, rooms, 24), expected, atol=1e-4)


def test_the_limit_is_smooth_and_never_passes_full_scale() -> None:
    samples = np.linspace(-8, 8, 4001, dtype=np.float32)[None, :]
    limited = limit(samples.copy())[0]
    quiet = np.abs(samples[0]) <= LIMIT
    assert np.array_equal(limited[quiet], samples[0][quiet])
    assert np.abs(limited).max() <= 1
    assert (np.diff(limited) >= 0).all()
    assert np.abs(np.diff(limited)).max() <= np.diff(samples[0]).max() * 1.01
    assert np.array_equal(limit(np.zeros((0, 160), np.float32)), np.zeros((0, 160), np.float32))


def test_fades_begin_and_end_where_they_should() -> None:
    assert fade_in(160, 40)[0] < 0.05
    assert (fade_in(160, 40)[40:] == 1).all()
    assert fade_out(160)[[0, -1]].tolist() == [1, 0]


class _Reference:
    """What a listener must hear, mixed the long way: each voice brought to the listener's rate by itself."""

    def __init__(self) -> None:
        self.tails: dict[tuple[int, str], np.ndarray] = {}

    def at(self, leg: int, voice: np.ndarray, wide: bool) -> np.ndarray:
        if wide == (len(voice) == 320):
            return voice
        kind, size = ("up", UP2_TAIL) if wide else ("down", DOWN2_TAIL)
        tail = self.tails.get((leg, kind), np.zeros((1, size), np.float32))
        out, self.tails[leg, kind] = (up2 if wide else down2)(voice[None, :], tail)
        return out[0]


def test_mix_minus_self_over_both_rates_agrees_with_mixing_one_by_one() -> None:
    random = np.random.default_rng(2)
    codecs: list[Codec] = ["PCMU", "PCMU", "PCMA", "G722", "G722", "PCMU", "G722"]
    legs, rooms = Legs(16, lambda bits: 5), Rooms(4)
    sending = Sending(legs, np.zeros((16, OUTGOING_BYTES), np.uint8))
    sounds, feeds = RoomSounds(legs, rooms, []), Feeds(legs)
    hearing = Hearing(legs, rooms, sending, Meters(legs.capacity), sounds, feeds, lambda leg: None)
    for i, codec in enumerate(codecs):
        slot = legs.open(i, i)
        form = AudioFormat(codec=codec, payload_type=i)
        media = SetMedia(
            leg=i, send=form, receive=[form], remote_ip="10.0.0.1", remote_port=4000, remote_rtcp_port=0
        )
        legs.set_media(slot, media, 1)
        legs.room[slot] = rooms.enter(1)
    encoded: dict[int, list[np.ndarray]] = {}

    class _Catch:
        """In place of a G.722 encoder: keeps what it is given."""

        def __init__(self, leg: int) -> None:
            self.leg = leg

        def encode(self, samples: np.ndarray) -> bytes:
            encoded.setdefault(self.leg, []).append(samples.copy())
            return bytes(160)

    reference = _Reference()
    talkers = {0, 2, 3, 4}
    for leg in (3, 4, 6):
        hearing.encoders[leg] = _Catch(leg)
    rooms.encoders[0, 2, 0] = _Catch(-1)
    for tick in range(5):
        voices = {
            leg: (0.1 * random.standard_normal(320 if codecs[leg] == "G722" else 160)).astype(np.float32)
            for leg in talkers
        }
        narrow = [leg for leg in sorted(talkers) if codecs[leg] != "G722"]
        wide = [leg for leg in sorted(talkers) if codecs[leg] == "G722"]
        sending.begin()
        hearing.step(
            Voices(np.array(narrow), np.stack([voices[leg] for leg in narrow]), np.ones(2, np.bool_)),
            Voices(np.array(wide), np.stack([voices[leg] for leg in wide]), np.ones(2, np.bool_)),
            tick,
        )
        as_wide = {leg: reference.at(leg, voices[leg], True) for leg in talkers}
        as_narrow = {leg: reference.at(leg, voices[leg], False) for leg in talkers}
        for leg, codec in enumerate(codecs):
            others = [other for other in talkers if other != leg]
            if codec == "G722":
                expected = np.sum([as_wide[other] for other in others], axis=0)
                given = encoded[leg if leg in talkers else -1][-1]
                assert np.allclose(given, expected, atol=2e-5)
            else:
                expected = np.sum([as_narrow[other] for other in others], axis=0)
                row = sending.rows[sending.position[leg], 12:172]
                heard = g711.decode(row, codec)
                # G.711's own steps are up to 3 % of a sample.
                assert np.abs(heard - expected).max() <= 0.04 * np.abs(expected).max() + 2e-3
