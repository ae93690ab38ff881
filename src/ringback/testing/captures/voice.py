"""What one side of a call says, as the RTP packets that leave it: codecs, talk spurts, levels (RFC 3551)."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ringback.media.codec import g711

Floats = NDArray[np.float64]
Chance = np.random.Generator

GRID_S = 0.02
_POOL = 8192
_LOUDEST_DB, _STEP_DB, _BINS = 9.0, 1.5, 60
SILENT = 127
"""As a level in -dBov: nothing but the code of zero."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A payload format as it is offered and sent."""

    name: str
    payload_type: int
    clock_rate: int
    octets_per_ms: float
    rtpmap: str
    fmtp: str = ""
    timestamp_rate: int = 0
    """What its time stamps really count in, where that is not `clock_rate`: a fault."""


COMFORT_NOISE = 13
PCMU = Codec("pcmu", 0, 8000, 8, "PCMU/8000")
PCMA = Codec("pcma", 8, 8000, 8, "PCMA/8000")
G722 = Codec("g722", 9, 8000, 8, "G722/8000")
G729 = Codec("g729", 18, 8000, 1, "G729/8000", "annexb=no")
OPUS = Codec("opus", 111, 48000, 0, "opus/48000/2", "minptime=10;useinbandfec=1")
NOISE = Codec("cn", COMFORT_NOISE, 8000, 0, "CN/8000")
CODECS = {codec.name: codec for codec in (PCMU, PCMA, G722, G729, OPUS)}
TELEPHONE_EVENT = 101


@dataclass(frozen=True, slots=True)
class Voice:
    """The packets of one side in the order of sending, as arrays of n.

    `sent_s` counts from the call's zero. `sequence` is extended. `level_db` is what a G.711 packet holds, in
    dBov; `start` chooses its piece of the pool. `route` is an index into the side's routes, `dscp` what the
    sender marks.
    """

    sent_s: Floats
    sequence: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    payload_type: NDArray[np.uint8]
    marker: NDArray[np.bool_]
    ssrc: NDArray[np.uint32]
    size: NDArray[np.int64]
    level_db: NDArray[np.float32]
    start: NDArray[np.int64]
    route: NDArray[np.uint8]
    dscp: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.sent_s)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Voice:
        """Some of the packets."""
        return Voice(**{part.name: getattr(self, part.name)[rows] for part in fields(self)})

    def then(self, other: Voice) -> Voice:
        """This and what is said after it."""
        both = {p.name: np.concatenate((getattr(self, p.name), getattr(other, p.name))) for p in fields(self)}
        return Voice(**both)

    def renumbered(self, first: int | None = None) -> Voice:
        """With numbers that follow each other in the order of sending."""
        begin = int(self.sequence[0]) if first is None else first
        return replace(self, sequence=begin + np.arange(len(self)))


@dataclass(frozen=True, slots=True)
class Talker:
    """How one side's device sends: what, how regularly, and by which clock."""

    codec: Codec
    ptime_ms: int = 20
    dtx: bool = False
    level_db: float = -22.0
    noise_db: float = -64.0
    skew_ppm: float = 0.0
    device_jitter_s: float = 0.0002
    dscp: int = 46


def conversation(rng: Chance, seconds: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Who talks when, on a grid of 20 ms: turns of some seconds with pauses and some double talk (P.59)."""
    count = round(seconds / GRID_S) + 2
    turns = np.zeros((2, count), np.bool_)
    at, who = 0, int(rng.integers(2))
    while at < count:
        length = int(rng.gamma(2.0, 1.3) / GRID_S) + 15
        begin = max(0, at - int(rng.integers(0, 15)))
        turns[who, begin : at + length] = True
        # Within a turn people breathe.
        for breath in range(at + 60, at + length - 20, 90):
            turns[who, breath : breath + int(rng.integers(8, 25))] = False
        at += length + int(rng.exponential(0.35) / GRID_S)
        who = 1 - who if rng.random() < 0.8 else who
    return turns[0], turns[1]


def speak(
    rng: Chance,
    talker: Talker,
    talks: NDArray[np.bool_],
    begin_s: float,
    end_s: float,
    *,
    ssrc: int | None = None,
    sequence: int | None = None,
    timestamp: int | None = None,
) -> Voice:
    """One side's packets between two times; numbers go on where they are given."""
    codec, step = talker.codec, talker.ptime_ms / 1000
    count = max(1, int((end_s - begin_s) / step))
    tick = np.arange(count)
    due = begin_s + tick * step * (1 - talker.skew_ppm * 1e-6)
    active = talks[np.minimum((due / GRID_S).astype(np.intp), len(talks) - 1)]
    sent = due + rng.gamma(1.5, talker.device_jitter_s / 1.5, count)
    np.maximum.accumulate(sent, out=sent)
    level = np.where(active, _syllables(rng, count, step) + talker.level_db, talker.noise_db)
    level += rng.normal(0, 0.7, count)
    size = _sizes(rng, talker, active)
    first_ts = int(rng.integers(1 << 32)) if timestamp is None else timestamp
    rate = codec.timestamp_rate or codec.clock_rate
    payload_type = np.full(count, codec.payload_type, np.uint8)
    keep = np.ones(count, np.bool_)
    marker = np.zeros(count, np.bool_)
    if talker.dtx:
        keep, marker = _suppress(talker, active, size, payload_type)
    marker[0] = True
    kept = int(keep.sum())
    first = int(rng.integers(1 << 15)) if sequence is None else sequence
    return Voice(
        sent_s=sent[keep],
        sequence=first + np.arange(kept),
        timestamp=(first_ts + np.round(tick * step * rate).astype(np.int64))[keep],
        payload_type=payload_type[keep],
        marker=marker[keep],
        ssrc=np.full(kept, int(rng.integers(1, 1 << 32)) if ssrc is None else ssrc, np.uint32),
        size=size[keep],
        level_db=level.astype(np.float32)[keep],
        start=rng.integers(0, _POOL - 512, kept),
        route=np.zeros(kept, np.uint8),
        dscp=np.full(kept, talker.dscp, np.uint8),
    )


def _syllables(rng: Chance, count: int, step: float) -> Floats:
    """How levels go up and down in speech, some four times a second, in dB."""
    time = np.arange(count) * step
    phase = rng.uniform(0, 6.28, 3)
    waves = np.sin(6.28 * 3.7 * time + phase[0]) + np.sin(6.28 * 0.9 * time + phase[1])
    return np.asarray(2.5 * waves - 1.0 + rng.normal(0, 0.8, count))


def _sizes(rng: Chance, talker: Talker, active: NDArray[np.bool_]) -> NDArray[np.int64]:
    if talker.codec.octets_per_ms:
        return np.full(len(active), round(talker.codec.octets_per_ms * talker.ptime_ms), np.int64)
    speech = rng.choice(np.array([52, 58, 61, 66, 72, 79]), len(active)) * talker.ptime_ms // 20
    return np.where(active, speech, speech // 2)


def _suppress(
    talker: Talker,
    active: NDArray[np.bool_],
    size: NDArray[np.int64],
    payload_type: NDArray[np.uint8],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Leave out silence but for a description of its noise now and then (RFC 3389, G.729 B, RFC 6716)."""
    hang = round(200 / talker.ptime_ms)
    speech = np.convolve(active, np.ones(hang + 1), "full")[: len(active)] > 0
    since = np.arange(len(active)) - np.maximum.accumulate(np.where(speech, np.arange(len(active)), -1))
    noise = ~speech & (since % round(400 / talker.ptime_ms) == 1)
    marker = np.zeros(len(active), np.bool_)
    marker[1:] = speech[1:] & ~speech[:-1]
    if talker.codec.name == "opus":
        size[noise] = 3
    elif talker.codec.name == "g729":
        size[noise] = 2
    else:
        size[noise], payload_type[noise] = 1, COMFORT_NOISE
    return speech | noise, marker


@functools.cache
def _pool(law: g711.Law) -> NDArray[np.uint8]:
    """Coded noise at 60 levels from +9 (clipped) to -78 dBov and, last, of nothing: uint8[60 * 8192]."""
    rng = np.random.default_rng(711)
    noise = rng.normal(0, 1, _POOL)
    noise = np.convolve(noise, [0.6, 0.9, 0.6], "same")
    noise = np.clip(noise / noise.std(), -2.7, 2.7)
    levels = 10 ** ((_LOUDEST_DB - _STEP_DB * np.arange(_BINS)) / 20)
    levels[-1] = 0
    return g711.encode(np.outer(levels, noise / noise.std()).astype(np.float32), law).reshape(-1)


@functools.cache
def _coded(name: str) -> NDArray[np.uint8]:
    """What looks like a codec's output: octets at random, always the same."""
    return np.random.default_rng(len(name)).integers(0, 256, _POOL, dtype=np.uint8)


_LAWS: dict[int, g711.Law] = {0: "PCMU", 8: "PCMA"}
_OPUS_TOC = {10: 0x40, 20: 0x48, 40: 0x50}


def press_keys(rng: Chance, voice: Voice, count: int) -> Voice:
    """Some keys, sent instead of the sound of their time (RFC 4733): 160 ms each and three ends."""
    changed = {name: getattr(voice, name).copy() for name in ("timestamp", "payload_type", "size", "start")}
    marker = voice.marker.copy()
    for first in rng.integers(20, max(21, len(voice) - 40), count).tolist():
        rows = np.arange(first, min(first + 10, len(voice)))
        if (changed["payload_type"][rows] == TELEPHONE_EVENT).any():
            continue
        passed = voice.timestamp[rows] - voice.timestamp[first]
        is_end = np.arange(len(rows)) >= 7
        passed = np.minimum(passed, passed[min(7, len(rows) - 1)])
        changed["timestamp"][rows] = voice.timestamp[first]
        changed["payload_type"][rows], changed["size"][rows] = TELEPHONE_EVENT, 4
        changed["start"][rows] = int(rng.integers(12)) << 24 | np.where(is_end, 0x8A, 0x0A) << 16 | passed
        marker[rows] = rows == first
    return replace(voice, marker=marker, **changed)


def payloads(voice: Voice, codecs: dict[int, Codec]) -> NDArray[np.uint8]:
    """The payloads uint8[n, m] of packets of one size and payload type."""
    size, payload_type = int(voice.size[0]), int(voice.payload_type[0])
    law = _LAWS.get(payload_type)
    if law is not None:
        bins = np.round((_LOUDEST_DB - voice.level_db) / _STEP_DB).astype(np.int64)
        start = np.clip(bins, 0, _BINS - 1) * _POOL + voice.start
        return np.asarray(np.lib.stride_tricks.sliding_window_view(_pool(law), size)[start])
    if payload_type == COMFORT_NOISE:
        return np.full((len(voice), size), 64, np.uint8)
    if payload_type == TELEPHONE_EVENT:
        return voice.start.astype(">u4").view(np.uint8).reshape(len(voice), 4)
    codec = codecs.get(payload_type)
    name = codec.name if codec else "unknown"
    made: NDArray[np.uint8] = np.lib.stride_tricks.sliding_window_view(_coded(name), size)[voice.start]
    if name == "opus":
        made[:, 0] = _OPUS_TOC[20]
    return made
