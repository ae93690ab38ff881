"""How far the clocks of two capture points are apart: from packets that both saw, both ways (RFC 5905, 8).

The least time that a packet took from A to B is the way plus what B's clock is ahead; from B to A it is the
way less that. Half of their difference is the offset, if both ways are equally long; with one way only,
nothing but changes of the delay can be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SLICE_S: Final = 5.0
"""In each slice the quickest packet counts: it met no queue."""
FEWEST_SLICES: Final = 6
LARGEST_DRIFT_PPM: Final = 2_000.0


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The clock of `second` is `ahead_ns` ahead of that of `first` at `at_ns` (of the first), and gains
    `drift_ppm`.

    The truth lies within `uncertain_ns` of it, None where packets went one way only: then `ahead_ns`
    includes the least time on the way. `packets` took part.
    """

    first: str
    second: str
    at_ns: int
    ahead_ns: int
    drift_ppm: float
    uncertain_ns: int | None
    packets: int

    def words(self) -> str:
        """One sentence."""
        ahead = self.ahead_ns / 1e6
        if self.uncertain_ns is None:
            return (
                f"How far the clocks of {self.first} and {self.second} are apart cannot be told: all packets "
                f"that both saw went one way, or nobody knows which. Only changes of the delay are known."
            )
        said = (
            f"The clock of {self.second} is {abs(ahead):,.1f} ms {'ahead of' if ahead >= 0 else 'behind'} "
            f"that of {self.first}, give or take {self.uncertain_ns / 1e6:,.1f} ms (half of there and back)"
        )
        if abs(self.drift_ppm) >= 1:
            said += f"; it {'gains' if self.drift_ppm > 0 else 'loses'} {abs(self.drift_ppm):.0f} ppm"
        return said + "."

    def on_first(self, second_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Times of the second's clock as the first's would show them."""
        passed = (second_ns - self.ahead_ns - self.at_ns).astype(np.float64)
        return second_ns - self.ahead_ns - np.round(passed * self.drift_ppm / 1e6).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Packets that both points saw: when, by the clock of each; `forward` when they went from first to
    second, None where nobody knows.

    `packets` is how many they were, of which few are kept.
    """

    first_ns: NDArray[np.int64]
    second_ns: NDArray[np.int64]
    forward: bool | None
    packets: int

    @classmethod
    def of(cls, first_ns: NDArray[np.int64], second_ns: NDArray[np.int64], forward: bool | None) -> Crossing:
        """The quickest packet of each slice, which are all that clocks are set by."""
        kept = _quickest(first_ns, second_ns - first_ns, least=forward is not False)
        return cls(first_ns[kept], second_ns[kept], forward, len(first_ns))


def align(first: str, second: str, crossings: list[Crossing]) -> ClockOffset | None:
    """The offset of two points from all the packets that they share; None when there are none.

    A crossing of unknown direction counts as forward: then the answer is of one way only.
    """
    crossings = [crossing for crossing in crossings if len(crossing.first_ns)]
    if not crossings:
        return None
    origin = min(int(crossing.first_ns.min()) for crossing in crossings)
    ways = []
    for forward in (True, False):
        chosen = [c for c in crossings if (c.forward is not False) == forward]
        if chosen:
            ways.append(
                _envelope(
                    np.concatenate([c.first_ns for c in chosen]),
                    np.concatenate([c.second_ns - c.first_ns for c in chosen]),
                    origin,
                    least=forward,
                )
            )
    packets = sum(crossing.packets for crossing in crossings)
    drift = float(np.median([slope for _, slope in ways]))
    if abs(drift) > LARGEST_DRIFT_PPM:
        # Not a clock that runs wrong, but one that was set: no line describes it.
        drift = 0.0
    bases = [_base(way, drift) for way, _ in ways]
    ahead = round(float(np.mean(bases)))
    uncertain = round(abs(bases[0] - bases[1]) / 2) if len(bases) == 2 else None
    return ClockOffset(first, second, origin, ahead, drift, uncertain, packets)


def _quickest(first_ns: NDArray[np.int64], apart_ns: NDArray[np.int64], *, least: bool) -> NDArray[np.intp]:
    """Which packet of each slice of time took least, by what the clocks show."""
    slices = first_ns // round(SLICE_S * 1e9)
    order = np.lexsort((apart_ns if least else -apart_ns, slices))
    return order[np.flatnonzero(np.diff(slices[order], prepend=-1))]


def _envelope(
    first_ns: NDArray[np.int64], apart_ns: NDArray[np.int64], origin: int, *, least: bool
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64], bool], float]:
    """The quickest packet of each slice, and the slope of their line in ppm (Theil and Sen's, which bears
    outliers)."""
    quickest = _quickest(first_ns, apart_ns, least=least)
    at, apart = (first_ns[quickest] - origin).astype(np.float64), apart_ns[quickest].astype(np.float64)
    slope = 0.0
    if len(at) >= FEWEST_SLICES:
        some = np.linspace(0, len(at) - 1, min(len(at), 200)).astype(np.intp)
        earlier, later = np.triu_indices(len(some), 1)
        slope = float(
            np.median((apart[some[later]] - apart[some[earlier]]) / (at[some[later]] - at[some[earlier]]))
        )
    return (at, apart, least), slope * 1e6


def _base(way: tuple[NDArray[np.float64], NDArray[np.float64], bool], drift_ppm: float) -> float:
    """The quickest packet's time on the way at the origin, drift taken away, in ns."""
    at, apart, least = way
    level = apart - at * drift_ppm / 1e6
    return float(level.min() if least else level.max())
