"""A capture point's files, read once from beginning to end and sorted into what diagnosis works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture import netmon, pcap, pcapng
from ringback.diagnosis.capture.captured import Capture, FileProblem
from ringback.diagnosis.capture.datagram_counts import DatagramCounts
from ringback.diagnosis.capture.link_guess import LinkGuess
from ringback.diagnosis.capture.records import Batch, Problems, Window
from ringback.diagnosis.capture.rows import COUNT, FLOW, RTP, SORT
from ringback.diagnosis.capture.sift import Sifter
from ringback.diagnosis.capture.sorting import MediaDatagram, Sorter
from ringback.diagnosis.capture.streams import MEMORY_BYTES, StreamGatherer
from ringback.diagnosis.capture.unwrapped import rows_of

Progress = Callable[[int, int], None]
"""Told how many octets of all the files have been read, and of how many."""

_UNKNOWN: Final = "this is no capture: neither pcap, pcapng nor Network Monitor"


def read_capture(
    paths: Sequence[Path],
    *,
    point: str = "",
    progress: Progress | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> Capture:
    """Everything in the files of one capture point, named `point`, in the order in which they begin.

    Beyond `memory_bytes` of RTP, packets lie in a temporary file until the capture is let go. Damage never
    raises: it is told in `Capture.problems`. Raises OSError where a file cannot be opened, or the temporary
    file not be written.
    """
    reading = _Reading(progress, sum(path.stat().st_size for path in paths), memory_bytes)
    ordered = sorted(paths, key=_began) if len(paths) > 1 else paths
    for path in ordered:
        reading.read(path)
    return reading.finish(point, tuple(path.name for path in ordered))


def open_records(window: Window, problems: Problems) -> Iterator[Batch]:
    """The batches of a file, whatever its format; none, and a problem, where it is none that is known."""
    magic = window.data[:4].tobytes()
    form = pcap.MAGIC.get(magic)
    if form is not None:
        return pcap.PcapReader(window, problems, form).records()
    if magic == pcapng.MAGIC:
        return pcapng.PcapngReader(window, problems).records()
    if magic == netmon.MAGIC:
        return netmon.records(window, problems)
    if pcapng.has_byte_order(window.data):
        problems.add(0, "the first octets are damaged; the file is read as pcapng")
        return pcapng.PcapngReader(window, problems).records()
    form = pcap.guess_form(window.data, ended=window.ended)
    if form is not None:
        problems.add(0, "the first octets are damaged; the file is read as pcap")
        return pcap.PcapReader(window, problems, form).records()
    problems.add(0, _UNKNOWN if len(window.data) else "the file is empty")
    return iter(())


def _began(path: Path) -> tuple[int, str]:
    """When the first packet of a file came, and its name; files without packets come last."""
    with Window(path) as window:
        batch = next(open_records(window, Problems(path.name)), None)
        return (int(batch.at_ns[0]) if batch is not None else 1 << 63), path.name


class _Reading:
    """What is gathered from the files."""

    def __init__(self, progress: Progress | None, octets: int, memory_bytes: int) -> None:
        self._progress = progress
        self._octets = octets
        self._done = 0
        self._packets = 0
        self._began_ns: int | None = None
        self._ended_ns = 0
        self._snap_length = 0
        self._streams = StreamGatherer(memory_bytes)
        self._datagrams = DatagramCounts()
        self._sifter = Sifter()
        self._sorter = Sorter()
        self._problems: list[FileProblem] = []

    def read(self, path: Path) -> None:
        """Take a file."""
        problems = Problems(path.name)
        with Window(path) as window:
            links = LinkGuess(problems)
            for batch in open_records(window, problems):
                self._take(links.settle(batch))
                if self._progress is not None:
                    self._progress(min(self._done + window.done, self._octets), self._octets)
            if window.fault:
                end = window.start + len(window.data)
                problems.add(end, f"reading ended here: {window.fault}")
            self._done += window.octets
        self._problems.extend(problems.all())
        if self._progress is not None:
            self._progress(min(self._done, self._octets), self._octets)

    def _take(self, batch: Batch) -> None:
        self._packets += len(batch.offset)
        first, last = int(batch.at_ns.min()), int(batch.at_ns.max())
        self._began_ns = first if self._began_ns is None else min(first, self._began_ns)
        self._ended_ns = max(last, self._ended_ns)
        cut = batch.captured[batch.captured < batch.original]
        if len(cut):
            limit = int(cut.min())
            self._snap_length = min(limit, self._snap_length or limit)
        sifted = self._sifter.sift(batch)
        way, rows, keys = sifted.way, sifted.rows, sifted.keys
        look = way == SORT
        flows = np.flatnonzero((way == FLOW) | (way == COUNT))
        look[flows] = self._datagrams.add(
            sifted.flow_keys, way[flows] == FLOW, sifted.flow_octets, batch.at_ns[flows]
        )
        places, media = self._sort(batch, np.flatnonzero(look))
        if media:
            more_rows, more_keys, good = rows_of(media)
            frames = np.concatenate((np.flatnonzero(way == RTP), np.array(places)[good]))
            order = np.argsort(frames, kind="stable")
            rows = np.concatenate((rows, more_rows[good]))[order]
            keys = np.concatenate((keys, more_keys[good]))[order]
        self._streams.add(rows, keys)

    def _sort(self, batch: Batch, frames: NDArray[np.intp]) -> tuple[list[int], list[MediaDatagram]]:
        """Have frames of a batch looked at one by one: what came out of them as RTP, and in which frame."""
        places: list[int] = []
        media: list[MediaDatagram] = []
        columns = (frames, *(column[frames] for column in batch[1:6]))
        view, sorter = batch.data.data, self._sorter
        for place, at, octets, original, at_ns, link in zip(*(c.tolist() for c in columns), strict=True):
            sorter.frame(at_ns, link, bytes(view[at : at + octets]), original, batch.frame + place)
            for found in sorter.reassembled():
                places.append(place)
                media.append(found)
        return places, media

    def finish(self, point: str, files: tuple[str, ...]) -> Capture:
        """All that was read."""
        found, sorted_ = self._streams.finish(), self._sorter.finish()
        name = files[0] if len(files) == 1 else ""
        problems = self._problems + [
            FileProblem(name, -1, words, packets) for words, packets in sorted_.problems
        ]
        if found.forgotten_packets:
            words = "packets that look like RTP by themselves, but not together, were not kept: too many"
            problems.append(FileProblem(name, -1, words, found.forgotten_packets))
        if self._datagrams.uncounted:
            words = "packets of UDP that is no RTP are not counted by address: too many"
            problems.append(FileProblem(name, -1, words, self._datagrams.uncounted))
        return Capture(
            point=point,
            files=files,
            packets=self._packets,
            octets=self._octets,
            began_ns=self._began_ns or 0,
            ended_ns=self._ended_ns,
            streams=found.streams,
            uncertain=found.uncertain,
            signalling=sorted_.signalling,
            control=sorted_.control,
            other=self._datagrams.merged(sorted_.other),
            notices=sorted_.notices,
            fragmentation=sorted_.fragmentation,
            problems=tuple(problems),
            snap_length=self._snap_length,
        )
