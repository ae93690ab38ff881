"""Bad lines between hosts of a test's network, and what really came over them, counted by tshark.

The impairments are those of wire.py beside the checkout, a program that forwards frames between two
interfaces: loss, bursts, delay, jitter, reordering, duplicates. Rates are limited by the kernel (tc-tbf).
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import itertools
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.wire.namespaces import Host, Interface, Network

PROGRAM = Path(
    os.environ.get("RINGBACK_WIRE", Path(__file__).resolve().parents[3] / "shared" / "tools" / "wire.py")
)
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17
START_S = 20
BLOCK_S = 0.5
Impairment = dict[str, object]
"""As in wire.py: {"loss": percent}, {"ge": [enter, leave, loss]}, {"delay": ms, "jitter": ms}, …"""


def skip_without_wire() -> None:
    """Skip the test where the faulty wire is not beside the checkout."""
    if not PROGRAM.is_file():
        pytest.skip(f"the faulty wire is not at {PROGRAM}")
    if shutil.which("dumpcap") is None:
        pytest.fail("tshark is missing: scripts/setup test installs it")


def without_offload(interface: Interface) -> None:
    """Let the sender finish its checksums: what an AF_PACKET socket injects is not finished by anybody."""
    value = array.array("B", struct.pack("II", ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP16x", interface.name.encode(), value.buffer_info()[0])
    with interface.host.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)


def limit_rate(interface: Interface, kbit: int, *, queue_ms: int = 400) -> None:
    """Let no more than this leave by an interface; what would wait longer than `queue_ms` is dropped."""
    words = f"qdisc add dev {interface.name} root tbf rate {kbit}kbit burst 1600 latency {queue_ms}ms"
    interface.host.run("tc", *words.split())


class BadLine:
    """A cable between two hosts with a faulty wire in it; it works from its making until `cut`."""

    def __init__(
        self,
        network: Network,
        name: str,
        one: Host,
        other: Host,
        *,
        there: Impairment,
        back: Impairment,
        one_name: str = "eth0",
        other_name: str = "",
        seed: int = 1,
    ) -> None:
        """`there` is from `one` to `other`. `name` is of small letters and digits."""
        wire = network.host(f"wire{name}")
        self.one, near = network.cable(one, wire, one_name, other_name="eth0")
        self.other, far = network.cable(other, wire, other_name or name, other_name="eth1")
        for end in (self.one, self.other):
            without_offload(end)
        plan = json.dumps({"ab": [there], "ba": [back]})
        words = [sys.executable, PROGRAM, near.name, far.name, str(time.time()), str(seed), plan]
        self._process = wire.popen(words, stdin=subprocess.DEVNULL)

    def cut(self) -> None:
        """Nothing passes any more, what was under way neither; the ends' links stay up."""
        self._process.terminate()
        self._process.wait(START_S)


@dataclass
class Stream:
    """One RTP stream as it was on the wire: every packet's sequence number, in order of arrival."""

    source: tuple[str, int]
    destination: tuple[str, int]
    ssrc: int
    sequences: list[int] = field(default_factory=list)
    """Counting on where 16 bits wrap."""
    times: list[float] = field(default_factory=list)
    """Seconds since 1970."""
    octets: int = 0
    """Of all packets: UDP payloads without RTP's fixed header."""
    tshark_lost: int = 0
    """As `-z rtp,streams` says."""
    tshark_packets: int = 0

    def without(self, first: int) -> Stream:
        """The same without the packets that came first, with the sums of tshark that this makes."""
        rest = replace(self, sequences=self.sequences[first:], times=self.times[first:])
        rest.tshark_packets -= first
        # It counts what was sent from the packet on that came first.
        expected = self.tshark_packets + self.tshark_lost - (self.sequences[first] - self.sequences[0])
        rest.tshark_lost = expected - rest.tshark_packets
        return rest

    @property
    def unique(self) -> int:
        """Packets, each once."""
        return len(set(self.sequences))

    @property
    def expected(self) -> int:
        """Sent, as the numbers say (RFC 3550 A.3)."""
        return max(self.sequences) - min(self.sequences) + 1

    @property
    def reordered(self) -> int:
        """New packets that came after one with a higher number (RFC 4737 3.3)."""
        count, highest, seen = 0, self.sequences[0], set[int]()
        for number in self.sequences:
            count += number not in seen and number < highest
            seen.add(number)
            highest = max(highest, number)
        return count

    def longest_pause_ms(self, began: float) -> float:
        """The longest time without a packet, from a time on (seconds since 1970)."""
        times = [at for at in self.times if at >= began]
        return 1000 * max((b - a for a, b in itertools.pairwise(times)), default=0.0)

    def beyond(self, most: int, seconds: float) -> int:
        """How many more than that came within so short a time, at worst."""
        ends = (bisect_right(self.times, at + seconds) for at in self.times)
        return max((end - first - most for first, end in enumerate(ends)), default=0)

    @property
    def longest_loss(self) -> int:
        """The most packets in a row that never came."""
        there = sorted(set(self.sequences))
        return max((b - a - 1 for a, b in itertools.pairwise(there)), default=0)


@dataclass
class Recorded:
    """What a capture holds."""

    streams: list[Stream] = field(default_factory=list)
    acknowledged: dict[str, float] = field(default_factory=dict)
    """When the first ACK of a caller came, by the user in From (seconds since 1970)."""
    repeated_reports: Counter[tuple[str, int]] = field(default_factory=Counter)
    """RTCP packets that came again, by where they came from."""


class Traffic:
    """What somebody else does on a slow line: a burst of datagrams every so often, to a port of nobody."""

    BURST, OCTETS, EVERY_S = 4, 1200, 0.8
    DISCARD = 9

    def __init__(self, host: Host, to: str) -> None:
        with host.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._to = (to, self.DISCARD)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(self.EVERY_S):
            for _ in range(self.BURST):
                # That nobody is there is told to the next one.
                with contextlib.suppress(OSError):
                    self._socket.sendto(bytes(self.OCTETS), self._to)

    def stop(self) -> None:
        """No more of it."""
        self._over.set()
        self._thread.join()
        self._socket.close()


class Capture:
    """All UDP that passes an interface (or what `kinds` chooses), written down until `stop`."""

    def __init__(self, interface: Interface, path: Path, *, kinds: str = "udp") -> None:
        self.path = path
        words = ["dumpcap", "-q", "-i", interface.name, "-f", kinds, "-B", "32", "-w", path]
        self._said = path.with_suffix(".log")
        with self._said.open("wb") as log:
            self._process = interface.host.popen(words, stdin=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + START_S
        while "File: " not in self._said.read_text():
            waiting = self._process.poll() is None and time.monotonic() < deadline
            assert waiting, self._said.read_text()
            time.sleep(0.02)

    def stop(self) -> Recorded:
        """End it: what it holds, by tshark."""
        self.end()
        return read(self.path)

    def end(self) -> None:
        """End it: the file is whole."""
        # The kernel hands packets over in blocks, and the last one only when it is full or old.
        time.sleep(BLOCK_S)
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_S)
        said = self._said.read_text()
        assert re.search(r"received/dropped[^:]*: \d+/0 ", said), f"the capture is not whole: {said}"


def _tshark(path: Path, *words: str) -> str:
    command = ["tshark", "-n", "-r", str(path), "--enable-heuristic", "rtp_udp", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def _rows(path: Path, display_filter: str, fields: str) -> Iterator[list[str]]:
    words = [word for name in fields.split() for word in ("-e", name)]
    for line in _tshark(path, "-Y", display_filter, "-T", "fields", *words).splitlines():
        yield line.split("\t")


def read(path: Path) -> Recorded:
    """A capture: its RTP packet by packet, with tshark's own sums beside it."""
    recorded = Recorded()
    streams: dict[tuple[str, ...], Stream] = {}
    names = "frame.time_epoch ip.src udp.srcport ip.dst udp.dstport rtp.ssrc rtp.seq udp.length"
    for at, *ends, ssrc, number, length in _rows(path, "rtp", names):
        if not ssrc:
            # tshark calls some keepalives RTP, too.
            continue
        key = (*ends, str(int(ssrc, 0)))
        if key not in streams:
            source, destination = (ends[0], int(ends[1])), (ends[2], int(ends[3]))
            streams[key] = Stream(source, destination, int(ssrc, 0))
        stream = streams[key]
        before = stream.sequences[-1] if stream.sequences else int(number)
        step = (int(number) - before + 0x8000) % 0x10000 - 0x8000
        stream.sequences.append(before + step)
        stream.times.append(float(at))
        stream.octets += int(length) - 8 - 12
    for key, packets, lost in _sums(_tshark(path, "-q", "-z", "rtp,streams")):
        if key in streams:
            streams[key].tshark_packets, streams[key].tshark_lost = packets, lost
    recorded.streams = list(streams.values())
    for at, name in _rows(path, "sip.Method == ACK", "frame.time_epoch sip.from.user"):
        recorded.acknowledged.setdefault(name, float(at))
    reports = Counter(tuple(row) for row in _rows(path, "rtcp || srtcp", "ip.src udp.srcport udp.payload"))
    for (address, port, _), count in reports.items():
        recorded.repeated_reports[address, int(port)] += count - 1
    return recorded


def _sums(table: str) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Rows of `-z rtp,streams`: (source, destination, SSRC), packets, lost."""
    row = re.compile(
        r"\s*[\d.]+\s+[\d.]+\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)\s+0x([0-9A-F]+)\s+.*?\s(\d+)\s+(-?\d+) \("
    )
    for line in table.splitlines():
        if found := row.match(line):
            *ends, ssrc, packets, lost = found.groups()
            yield (*ends, str(int(ssrc, 16))), int(packets), int(lost)
