"""Bursts and gaps of what did not get through (RFC 3611, 4.7.2), and appendix A.2's counters beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

GMIN: Final = 16


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of packets lost or discarded among `total` expected: `start` and `length` int64[r], in order.

    Between two runs lies at least one packet that was played.
    """

    start: Numbers
    length: Numbers
    total: int

    @property
    def packets(self) -> int:
        """All in runs."""
        return int(self.length.sum())

    @property
    def mean(self) -> float:
        """Packets a run; 1 where there is none."""
        return float(self.length.mean()) if len(self.length) else 1.0


def merge(start: Numbers, length: Numbers, total: int) -> Runs:
    """Runs from pieces in any order that do not overlap; those that touch become one."""
    order = np.argsort(start, kind="stable")
    start, length = start[order], length[order]
    if not len(start):
        return Runs(start, length, total)
    begins = np.concatenate(([True], start[1:] > start[:-1] + length[:-1]))
    first = np.flatnonzero(begins)
    return Runs(start[first], np.add.reduceat(length, first), total)


class Bursts(NamedTuple):
    """Bursts and gaps: densities are shares of the packets inside; means are in packets, 0 for none."""

    bursts: int
    burst_density: float
    mean_burst: float
    gap_density: float
    mean_gap: float


def bursts(runs: Runs, gmin: int = GMIN) -> Bursts:
    """Bursts by the definition: from a failed packet to another, without a run of `gmin` that came through.

    At both ends of the session as many are thought to have got through. One packet that fails alone is no
    burst but part of the gap.
    """
    if not len(runs.start):
        return Bursts(0, 0.0, 0.0, 0.0, float(runs.total))
    ends = runs.start + runs.length
    begins = np.concatenate(([True], runs.start[1:] - ends[:-1] >= gmin))
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(runs.start)) - 1
    failed = np.add.reduceat(runs.length, first)
    real = failed > 1
    first, last, failed = first[real], last[real], failed[real]
    spans = ends[last] - runs.start[first]
    inside, inside_failed = int(spans.sum()), int(failed.sum())
    outside = runs.total - inside
    # What is left between bursts, before the first and after the last.
    gaps = np.append(runs.start[first], runs.total) - np.concatenate(([0], ends[last]))
    between = int(np.count_nonzero(gaps))
    return Bursts(
        bursts=len(first),
        burst_density=inside_failed / inside if inside else 0.0,
        mean_burst=inside / len(first) if len(first) else 0.0,
        gap_density=(runs.packets - inside_failed) / outside if outside else 0.0,
        mean_gap=outside / between if between else 0.0,
    )


class Appendix(NamedTuple):
    """The counters of RFC 3611, A.2, and the densities that it makes of them."""

    c11: int
    c13: int
    c14: int
    c22: int
    c23: int
    c33: int
    burst_density: float
    gap_density: float


def appendix(runs: Runs, gmin: int = GMIN) -> Appendix:
    """What A.2's sample code counts. It forgets what comes after the last loss, and calls an isolated loss a
    burst.
    """
    if not len(runs.start):
        return Appendix(0, 0, 0, 0, 0, 0, 0.0, 0.0)
    ends = runs.start + runs.length
    received = runs.start - np.concatenate(([0], ends[:-1]))
    far = received >= gmin
    # `lost` is 1 after a single loss that followed a gap, or was the first of all.
    single = (runs.length == 1) & (far | (np.arange(len(far)) == 0))
    after_single = np.concatenate(([False], single[:-1]))
    near = ~far & (received > 0)
    c11 = int(received[far].sum())
    c14 = int(np.count_nonzero(far & after_single))
    c13 = int(np.count_nonzero(far)) - c14
    c23 = int(np.count_nonzero(near))
    c22 = int((received[near] - 1).sum())
    c33 = int((runs.length - 1).sum() + np.count_nonzero(received == 0))
    c31, c32 = c13, c23
    p32 = c32 / (c31 + c32 + c33) if c31 + c32 + c33 else 0.0
    p23 = 1 - c22 / (c22 + c23) if c22 + c23 else 1.0
    return Appendix(
        c11,
        c13,
        c14,
        c22,
        c23,
        c33,
        burst_density=p23 / (p23 + p32) if p23 + p32 else 0.0,
        gap_density=c14 / (c11 + c14) if c11 + c14 else 0.0,
    )
