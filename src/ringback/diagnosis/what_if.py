"""What if: the recorded arrivals played by another buffer, in packets of another length, by another codec,
with FEC.

Only what was recorded is played: a change that would itself change the network (half as many packets in a
full queue) is not foreseen. Packets of another length get the fate of what was recorded at the moment they
would have been sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.stream import bursts, score
from ringback.diagnosis.stream.buffers import ADAPTIVE, FIXED_50, FIXED_200, Buffer, play
from ringback.diagnosis.stream.formats import EVENT, NOISE
from ringback.diagnosis.stream.measured import Measured, Mos, PayloadFormat, Series

Times = NDArray[np.float64]

OVERHEAD_BYTES: Final = 40
"""Of IPv4, UDP and RTP in each packet (RFC 791, RFC 768, RFC 3550)."""
MOST_FEC: Final = 8
IN_BAND: Final = "opus"
"""Whose first copy (RFC 6716, 2.1.7) is taken out of the same bit rate."""
CODECS: Final = {
    "pcmu": PayloadFormat("pcmu", 8_000),
    "pcma": PayloadFormat("pcma", 8_000),
    "g722": PayloadFormat("g722", 8_000),
    "g729": PayloadFormat("g729", 8_000),
    "opus": PayloadFormat("opus", 48_000, 2),
    "amr-wb": PayloadFormat("amr-wb", 16_000),
}
"""What can be put in place of the codec, by name in SDP."""
_KBIT_S: Final = {"pcmu": 64.0, "pcma": 64.0, "g722": 64.0, "g729": 8.0, "opus": 24.0, "amr-wb": 12.65}


AS_IT_WAS: Final = "as it was, with an adaptive buffer"


class WhatIfError(ValueError):
    """A change that cannot be read or played; the text says what would do."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be other than it was; None and 0 leave it.

    `fec` is for how many packets before it each one carries a copy: 1 is Opus' in-band FEC (RFC 6716,
    2.1.7), more is redundancy by RFC 2198.
    """

    buffer: Buffer | None = None
    ptime_ms: float | None = None
    codec: str | None = None
    fec: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What would have been heard. Counts are of packets of the new length.

    `lost` never came, not even as a copy; `discarded` came too late or too early for the buffer; `recovered`
    came only as a copy. `delay_ms` is what packets, buffer and codec add between mouth and ear, network not
    counted; `mos` is of listening, `conversational` lowers it for that delay and `network_ms`. `kbit_s` is
    one way on the wire, None where the codec's rate is not known.
    """

    change: Change
    expected: int
    lost: int
    discarded: int
    recovered: int
    delay_ms: float
    mos: Mos
    conversational: float | None
    kbit_s: float | None

    @property
    def failed_share(self) -> float:
        """Of the expected packets that were not played, 0 to 1."""
        return (self.lost + self.discarded) / self.expected if self.expected else 0.0


def standard_changes(measured: Measured) -> tuple[Change, ...]:
    """What people think of first: other buffers, packet lengths, codecs and FEC, one at a time."""
    changes = [
        Change(replace(FIXED_50, depth_ms=20, most_ms=20), name="fixed buffer of 20 ms"),
        Change(FIXED_50, name="fixed buffer of 50 ms"),
        Change(replace(FIXED_200, depth_ms=100, most_ms=100), name="fixed buffer of 100 ms"),
        Change(FIXED_200, name="fixed buffer of 200 ms"),
    ]
    changes += [
        Change(ptime_ms=length, name=f"packets of {length:g} ms")
        for length in (10.0, 20.0, 40.0)
        if abs(length - measured.ptime_ms) > 0.5
    ]
    changes += [Change(codec=name, name=name) for name in ("pcmu", "opus") if name != measured.codec.name]
    changes += [
        Change(fec=1, name="a copy in the next packet (FEC)"),
        Change(codec="opus", fec=1, name="opus with FEC"),
    ]
    return tuple(changes)


def read_change(text: str) -> Change:
    """A change as people write it: `buffer=80 ptime=40 codec=opus fec=1`; buffer=adaptive is the other kind.

    Raises WhatIfError.
    """
    change = Change(name=" ".join(text.split()))
    for word in text.replace(",", " ").split():
        key, _, value = word.partition("=")
        try:
            change = _with(change, key.lower(), value.lower())
        except ValueError:
            raise WhatIfError(
                f"{key} cannot be {value or 'nothing'}: buffer=0 to 1000 or adaptive, ptime=5 to 120 (ms), "
                f"fec=0 to {MOST_FEC}, codec={', '.join(CODECS)}"
            ) from None
    return change


def _with(change: Change, key: str, value: str) -> Change:
    if key == "codec":
        if value not in CODECS:
            raise ValueError
        return replace(change, codec=value)
    if key == "buffer" and value == "adaptive":
        return replace(change, buffer=ADAPTIVE)
    number = float(value.removesuffix("ms"))
    if key == "buffer" and 0 <= number <= 1000:
        return replace(change, buffer=Buffer(number, number, max(number, 100)))
    if key == "ptime" and 5 <= number <= 120:
        return replace(change, ptime_ms=number)
    if key == "fec" and number in range(MOST_FEC + 1):
        return replace(change, fec=int(number))
    raise ValueError


def play_again(
    measured: Measured, series: Series, changes: Sequence[Change], *, network_ms: float = 0.0
) -> Iterator[Outcome]:
    """What each change would have made of a stream, in their order; `network_ms` is the way itself, if it is
    known.

    Raises WhatIfError for a stream without a clock or of fewer than two timed packets.
    """
    recorded = _recorded(measured, series)
    for change in changes:
        yield _outcome(measured, recorded, change, network_ms)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """Slots of audio: when each was sent, and how long it took (NaN where it was lost), in ms."""

    sent_ms: Times
    transit_ms: Times
    ptime_ms: float
    payload_bytes: int


def _recorded(measured: Measured, series: Series) -> _Recorded:
    audio = [number for number, known in measured.formats.items() if known.name not in {EVENT, NOISE}]
    chosen = series.lost | np.isin(series.payload_type, audio)
    transit = np.where(series.lost, np.nan, series.transit_ms)[chosen]
    known = np.isfinite(transit)
    if measured.ptime_ms <= 0 or known.sum() < 2:
        raise WhatIfError("the stream has no clock, or too few packets to play them again")
    slots = np.arange(len(transit))
    arrived = series.arrived_ns[chosen]
    sent = (arrived[known] - arrived[known][0]) / 1e6 - transit[known]
    sizes = series.payload_bytes[chosen][known]
    return _Recorded(np.interp(slots, slots[known], sent), transit, measured.ptime_ms, int(np.median(sizes)))


def _outcome(measured: Measured, recorded: _Recorded, change: Change, network_ms: float) -> Outcome:
    codec = CODECS[change.codec] if change.codec is not None else measured.codec
    ptime_ms = change.ptime_ms or recorded.ptime_ms
    sent, transit = _in_packets_of(recorded, ptime_ms)
    best, recovered = _with_copies(transit, ptime_ms, change.fec)
    came = np.flatnonzero(np.isfinite(best))
    order = came[np.argsort(sent[came] + best[came], kind="stable")]
    arrived = sent[order] + best[order]
    played = play(best[order], arrived, np.zeros(len(order), np.bool_), change.buffer or ADAPTIVE)
    failed = np.ones(len(best), np.bool_)
    failed[order] = played.discarded
    runs = bursts.merge(np.flatnonzero(failed), np.ones(int(failed.sum()), np.int64), len(failed))
    size = _payload_bytes(change.codec, recorded, ptime_ms)
    copies = change.fec - 1 if codec.name == IN_BAND and change.fec else change.fec
    costs = score.costs(codec, size)
    (mos,) = score.scores(
        costs,
        np.array([float(len(failed))]),
        np.array([float(runs.packets)]),
        np.array([runs.mean]),
    )
    delays = (ptime_ms, played.depth_ms)
    return Outcome(
        change=change,
        expected=len(best),
        lost=len(best) - len(came),
        discarded=int(played.discarded.sum()),
        recovered=int(recovered[order[~played.discarded]].sum()),
        delay_ms=sum(delays) + costs.look_ahead_ms,
        mos=mos,
        conversational=None if mos.r is None else score.conversational(costs, mos.r, (*delays, network_ms)),
        kbit_s=_kbit_s(size * (1 + copies), ptime_ms),
    )


def _in_packets_of(recorded: _Recorded, ptime_ms: float) -> tuple[Times, Times]:
    """When packets of this length would have been sent, and how long each would have taken.

    A packet goes when its last sound is spoken, and gets the fate of the recorded one that was sent then.
    """
    old = recorded.ptime_ms
    if abs(ptime_ms - old) < 0.01:
        return recorded.sent_ms, recorded.transit_ms
    count = max(int(len(recorded.sent_ms) * old / ptime_ms), 1)
    ends = (np.arange(count) + 1) * ptime_ms / old
    # By a hair less: what ends with a recorded packet went with it, not with the next.
    at = np.minimum(np.ceil(ends - 1e-9).astype(np.intp) - 1, len(recorded.sent_ms) - 1)
    within = (ends - 1 - at) * old
    return recorded.sent_ms[at] + np.minimum(within, 0.0), recorded.transit_ms[at]


def _with_copies(transit: Times, ptime_ms: float, copies: int) -> tuple[Times, NDArray[np.bool_]]:
    """When the first copy of each packet came, as transit, and which came as a copy alone."""
    best = transit.copy()
    for behind in range(1, min(copies, len(transit) - 1) + 1):
        # The copy is sent later by so many packets.
        best[:-behind] = np.fmin(best[:-behind], transit[behind:] + behind * ptime_ms)
    return best, np.isnan(transit) & np.isfinite(best)


def _payload_bytes(codec: str | None, recorded: _Recorded, ptime_ms: float) -> int:
    if codec is None:
        return round(recorded.payload_bytes * ptime_ms / recorded.ptime_ms)
    return round(_KBIT_S[codec] * ptime_ms / 8)


def _kbit_s(payload_bytes: int, ptime_ms: float) -> float | None:
    if payload_bytes <= 0:
        return None
    return (payload_bytes + OVERHEAD_BYTES) * 8 / ptime_ms
