"""Which link layer frames have whose file names one that is not known: the one by which they hold IP."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.internet import read_ip
from ringback.diagnosis.capture.links import UNKNOWN_LINK, find_ip
from ringback.diagnosis.capture.records import Batch, Problems

_CANDIDATES: Final = {
    1: "Ethernet",
    101: "IP",
    113: "Linux cooked",
    276: "Linux cooked 2",
    0: "loopback",
    9: "PPP",
}
_LOOKED_AT: Final = 50


class LinkGuess:
    """Settles the link types of one file."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._settled: dict[int, int] = {}

    def settle(self, batch: Batch) -> Batch:
        """The batch with link types that are read, where its frames fit one."""
        changed = {}
        for link in np.unique(batch.link).tolist():
            if link not in self._settled:
                self._settled[link] = self._guess(batch, link) if find_ip(link, b"") == UNKNOWN_LINK else link
            if self._settled[link] != link:
                changed[link] = self._settled[link]
        if not changed:
            return batch
        links = batch.link.copy()
        for link, other in changed.items():
            links[batch.link == link] = other
        return batch._replace(link=links)

    def _guess(self, batch: Batch, link: int) -> int:
        frames = np.flatnonzero(batch.link == link)[:_LOOKED_AT]
        fits = {candidate: _fitting(batch, frames, candidate) for candidate in _CANDIDATES}
        best = max(fits, key=lambda candidate: fits[candidate])
        if 2 * fits[best] <= len(frames):
            return link
        words = f"link type {link} is not known; the frames are read as {_CANDIDATES[best]}"
        self._problems.add(-1, words)
        return best


def _fitting(batch: Batch, frames: NDArray[np.intp], link: int) -> int:
    """How many of the frames hold an IP packet that fits if they are of a link type."""
    fitting = 0
    for frame in frames.tolist():
        at = int(batch.offset[frame])
        data = batch.data[at : at + int(batch.captured[frame])].tobytes()
        start = find_ip(link, data)
        packet = read_ip(data, start) if start >= 0 else None
        fitting += packet is not None and start + packet.wire_bytes <= int(batch.original[frame])
    return fitting
