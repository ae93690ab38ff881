"""What is known of one RTP stream, in the units that people read: the results of `stream.measure`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Nanoseconds, StreamKey

INTERVAL_S = 10
"""The length of an interval, counted from the stream's first packet."""


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """What a payload type means: from SDP, from RFC 3551's table, or guessed from the packets.

    `clock_rate` is RTP's in Hz (8000 for G.722), 0 where nothing tells it. `name` is in SDP's spelling,
    lower case: pcmu, pcma, g722, g729, opus, telephone-event, cn, g723, gsm, ilbc, amr, amr-wb, evs,
    speex, l16, …
    """

    name: str
    clock_rate: int
    channels: int = 1
    ptime_ms: float = 0.0
    source: Literal["sdp", "static", "guessed", "unknown"] = "unknown"
    parameters: str = ""
    """The fmtp of it."""


@dataclass(frozen=True, slots=True)
class Late:
    """Packets that a buffer would have got too late to play, by buffer; duplicates are not counted."""

    fixed_50: int
    fixed_200: int
    adaptive: int


@dataclass(frozen=True, slots=True)
class Jitter:
    """Interarrival jitter in ms: the mean and largest of J over the stream."""

    mean: float
    max: float


@dataclass(frozen=True, slots=True)
class Bursts:
    """Bursts and gaps of lost and discarded packets by the definition of RFC 3611, 4.7.2 (Gmin 16).

    Densities are shares (0 to 1) of expected packets; durations are means in ms. `longest_lost` is the
    longest run of packets lost in a row, `runs` how many runs there were of each length. The `appendix`
    values are those of the counters of appendix A.2, which differ (see docs/diagnosis.md).
    """

    count: int
    burst_density: float
    burst_ms: float
    gap_density: float
    gap_ms: float
    longest_lost: int
    runs: Mapping[int, int]
    appendix_burst_density: float
    appendix_gap_density: float


@dataclass(frozen=True, slots=True)
class Mos:
    """A mean opinion score by the E-model, with its scale, never to be compared with one of another.

    `grounding` says where Ie and Bpl come from; a score is None where nobody published or even guessed
    a value, and `why_not` says so. `r` is the transmission rating on the scale's own range.
    """

    scale: Literal["narrowband", "wideband", "fullband"]
    value: float | None
    r: float | None
    ie: float | None
    bpl: float | None
    grounding: Literal["published", "provisional", "none"]
    source: str
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """Ten seconds of a stream (the last one shorter); counts as in `Measured`, levels in dBov."""

    began_ns: Nanoseconds
    seconds: float
    expected: int
    unique: int
    lost: int
    duplicates: int
    reordered: int
    late: Late
    jitter_ms: Jitter
    max_delta_ms: float
    longest_lost: int
    mos: Mos
    level_dbov: float | None
    silent_share: float | None
    clipped_share: float | None


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of one stream in which the payload type, SSRC count or clock stayed the same."""

    began_ns: Nanoseconds
    ended_ns: Nanoseconds
    payload_type: int
    first_sequence: int
    reason: Literal["start", "payload-type", "restart", "timestamp-jump", "pause"]


@dataclass(frozen=True, slots=True)
class Sound:
    """What was spoken, where the codec is open (G.711): levels in dBov, shares of packets or samples."""

    level_dbov: float
    """Mean of the packets that are not silent, by power; -127 when all are."""
    peak_packet_dbov: float
    silent_share: float
    """Share of packets below -50 dBov."""
    clipped_share: float
    digital_silence_share: float
    """Share of packets of nothing but the codec's zero."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One stream: counts over extended sequence numbers, times in ms, everything over its whole length.

    `expected` = last - first + 1; `unique` are distinct numbers seen; `lost` = expected - unique, never
    negative and free of duplicates; `received` counts all packets. `jitter_ms` and `max_delta_ms`
    follow RFC 3550 over every packet in its clock; the `wireshark_` values leave out what Wireshark
    leaves out (marker, comfort noise and what follows it, wrong time stamps). A restart of the count
    begins a new count; it is not loss. `skew_ppm` is how much faster the sender's clock runs than the
    capture's (None under 30 s or without a clock).
    """

    key: StreamKey
    began_ns: Nanoseconds
    ended_ns: Nanoseconds
    payload_types: Mapping[int, int]
    """How many packets of each."""
    formats: Mapping[int, PayloadFormat]
    codec: PayloadFormat
    """Of most of its audio packets."""
    expected: int
    received: int
    unique: int
    lost: int
    duplicates: int
    reordered: int
    late: Late
    discarded: Late
    """Late ones and those too far ahead for the buffer."""
    jitter_ms: Jitter
    wireshark_jitter_ms: Jitter
    max_delta_ms: float
    mean_delta_ms: float
    wireshark_max_delta_ms: float
    bursts: Bursts
    mos: Mos
    dscp: Mapping[int, int]
    ttl: Mapping[int, int]
    ptime_ms: float
    """The usual step of time stamps; 0 without a clock."""
    skew_ppm: float | None
    silence_suppressed: bool
    """Comfort noise or discontinuous transmission was seen."""
    event_packets: int
    """Of telephone-event, whose end packets repeat on purpose."""
    sound: Sound | None
    phases: tuple[Phase, ...]
    intervals: tuple[Interval, ...]
    kernel_duplicates: int = 0
    """Duplicates with the same IPv4 identification within a millisecond: the capture saw one packet twice."""
    strays: int = 0
    """Packets whose number lies far from all others, once: of no count, and neither unique nor duplicates."""


@dataclass(frozen=True, slots=True)
class Series:
    """The stream as curves, for plots and causes: a row a packet slot in sequence order, length `expected`.

    `arrived_ns` is 0 where a packet is lost. `transit_ms` is arrival minus time stamp, its smallest
    value 0, NaN where lost or without a clock: queues show here as ramps, route changes as steps.
    """

    arrived_ns: NDArray[np.int64]
    lost: NDArray[np.bool_]
    transit_ms: NDArray[np.float64]
    payload_type: NDArray[np.uint8]
    payload_bytes: NDArray[np.uint16]
    level_dbov: NDArray[np.float32]
