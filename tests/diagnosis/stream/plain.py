"""The numbers of a stream in the plainest words there are: what the columns say must agree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


def definition(flags: str, gmin: int) -> dict[str, float]:
    """Bursts and gaps by RFC 3611, 4.7.2, slot by slot: L failed, R got through; means in packets."""
    failed = [i for i, flag in enumerate(flags) if flag == "L"]
    groups: list[list[int]] = []
    for at in failed:
        if groups and at - groups[-1][-1] - 1 < gmin:
            groups[-1].append(at)
        else:
            groups.append([at])
    inside = [False] * len(flags)
    burst_groups = [group for group in groups if len(group) > 1]
    for group in burst_groups:
        for at in range(group[0], group[-1] + 1):
            inside[at] = True
    runs = [(burst, len(list(members))) for burst, members in groupby(inside)]
    # Two bursts never touch: at least gmin that got through lie between them.
    bursts = [length for burst, length in runs if burst]
    gaps = [length for burst, length in runs if not burst]
    lost_outside = sum(flag == "L" and not burst for flag, burst in zip(flags, inside, strict=True))
    return {
        "bursts": len(bursts),
        "burst_density": sum(map(len, burst_groups)) / sum(bursts) if bursts else 0.0,
        "mean_burst": sum(bursts) / len(bursts) if bursts else 0.0,
        "gap_density": lost_outside / sum(gaps) if gaps else 0.0,
        "mean_gap": sum(gaps) / len(gaps) if gaps else 0.0,
    }


def appendix(flags: str, gmin: int) -> list[int]:
    """The counters of RFC 3611, A.2: c11, c13, c14, c22, c23, c33."""
    c11 = c13 = c14 = c22 = c23 = c33 = pkt = lost = 0
    for flag in flags:
        if flag == "R":
            pkt += 1
            continue
        if pkt >= gmin:
            if lost == 1:
                c14 += 1
            else:
                c13 += 1
            lost = 1
            c11 += pkt
        else:
            lost += 1
            if pkt == 0:
                c33 += 1
            else:
                c23 += 1
                c22 += pkt - 1
        pkt = 0
    return [c11, c13, c14, c22, c23, c33]


def counts(numbers: Sequence[int]) -> dict[str, int]:
    """What came of one count whose numbers do not wrap."""
    highest, seen, reordered = -1, set[int](), 0
    for number in numbers:
        reordered += number < highest and number not in seen
        highest = max(highest, number)
        seen.add(number)
    expected = max(numbers) - min(numbers) + 1
    return {
        "expected": expected,
        "received": len(numbers),
        "unique": len(seen),
        "lost": expected - len(seen),
        "duplicates": len(numbers) - len(seen),
        "reordered": reordered,
    }


def adaptive(transit: Sequence[float], depth: float, most: float, window: int) -> list[int]:
    """Late packets (1) of an adaptive buffer that never has to begin anew."""
    result = []
    point = transit[0] + depth
    for i, x in enumerate(transit):
        result.append(int(i > 0 and x > point))
        recent = transit[max(0, i - window + 1) : i + 1]
        low = min(recent)
        point = min(max(*recent, low + depth), low + most)
    return result


def fixed(transit: Sequence[float], depth: float) -> list[int]:
    """Late packets (1) of a fixed buffer that never has to begin anew."""
    return [int(x > transit[0] + depth) for x in transit]
