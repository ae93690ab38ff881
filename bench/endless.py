"""Four hours of the engine's own time, as fast as the machine goes: does its memory grow?

`python -m bench endless`. No sockets and no signalling: a hundred legs of PCMU and G.722 in rooms of ten, one
packet in a hundred lost, timestamps and sequence numbers that wrap, and every minute of that time ten legs
that hang up and ten that come.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ringback.media.batch import MTU, PacketBatch
from ringback.media.codec import g711
from ringback.media.columns import Bytes, Longs
from ringback.media.engine import TICK_NS, Engine
from ringback.media.protocol import AudioFormat, CloseLeg, Codec, JoinRoom, OpenLeg, SetMedia

HOURS = 4
LEGS, ROOM, TALKERS = 100, 10, 3
CHURN = 10
LOST = 0.01
HOST = 0x7F000001
SECOND_TICKS, MINUTE_TICKS = 50, 3000
LOOK_MINUTES = 30
PAYLOAD_TYPES: dict[Codec, int] = {"PCMU": 0, "G722": 9}


class Crowd:
    """Legs of an engine and what they send, as columns: `number` is each leg's identifier."""

    def __init__(self) -> None:
        self.engine = Engine(lambda pair: (20000 + 2 * pair, 20001 + 2 * pair))
        self.random = np.random.default_rng(1)
        self.number: Longs = np.zeros(0, np.int64)
        self.began: Longs = np.zeros(0, np.int64)
        self._next = 0
        codes = (0.08 * self.random.standard_normal((LEGS, 160))).astype(np.float32)
        self._loud: Bytes = g711.encode(codes, "PCMU")

    def open(self, count: int, tick: int) -> None:
        """So many more legs, each into the room that has place."""
        engine = self.engine
        for _ in range(count):
            leg, port = self._next, 30000 + self._next % 20000
            codec: Codec = "G722" if leg % 10 == 9 else "PCMU"
            form = AudioFormat(codec=codec, payload_type=PAYLOAD_TYPES[codec])
            engine.apply(OpenLeg(leg=leg, remote_ip="127.0.0.1", remote_port=port), tick * TICK_NS)
            engine.apply(
                SetMedia(
                    leg=leg,
                    send=form,
                    receive=[form],
                    remote_ip="127.0.0.1",
                    remote_port=port,
                    remote_rtcp_port=port + 1,
                ),
                tick * TICK_NS,
            )
            engine.apply(JoinRoom(leg=leg, room=leg % (LEGS // ROOM)), tick * TICK_NS)
            self._next += 1
        self.number = np.concatenate((self.number, np.arange(self._next - count, self._next)))
        self.began = np.concatenate((self.began, np.full(count, tick)))
        engine.events()

    def close(self, count: int, tick: int) -> None:
        """The eldest hang up."""
        for leg in self.number[:count].tolist():
            self.engine.apply(CloseLeg(leg=leg), tick * TICK_NS)
        self.number, self.began = self.number[count:], self.began[count:]
        self.engine.events()

    def step(self, tick: int) -> None:
        """One tick: everybody's packet but the lost ones, and what comes of them."""
        there = self.random.random(len(self.number)) >= LOST
        number, age = self.number[there], tick - self.began[there]
        engine, count = self.engine, int(there.sum())
        slots = np.array([engine.legs.slots[leg] for leg in number.tolist()], np.int64)
        data = np.zeros((count, MTU), np.uint8)
        data[:, 0] = 0x80
        data[:, 1] = np.where(number % 10 == 9, 9, 0)
        # Sequence numbers and timestamps wrap within the first minutes.
        data[:, 2:4] = _big_endian(65000 + age, ">u2")
        data[:, 4:8] = _big_endian(0xFFFFF000 + 160 * age, ">u4")
        data[:, 8:12] = _big_endian(number + 1, ">u4")
        data[:, 12:172] = np.where((number % ROOM < TALKERS)[:, None], self._loud[number % LEGS], 0x7E)
        batch = PacketBatch(
            data,
            np.full(count, 172, np.int32),
            (2 * engine.legs.pair[slots]).astype(np.int32),
            np.full(count, HOST, np.uint32),
            (30000 + number % 20000).astype(np.uint16),
            np.full(count, tick * TICK_NS - 5_000_000, np.int64),
        )
        engine.step(batch, tick * TICK_NS)
        engine.events()
        if tick % SECOND_TICKS == 0:
            engine.statistics(tick * TICK_NS)


def measure() -> Iterator[str]:
    """Memory every half hour of the engine's time, and what it grew from the first hour on."""
    crowd = Crowd()
    crowd.open(LEGS, 0)
    held: list[tuple[float, float]] = []
    for minute in range(HOURS * 60):
        first = 1 + minute * MINUTE_TICKS
        for tick in range(first, first + MINUTE_TICKS):
            crowd.step(tick)
        crowd.close(CHURN, first + MINUTE_TICKS)
        crowd.open(CHURN, first + MINUTE_TICKS)
        if (minute + 1) % LOOK_MINUTES == 0:
            held.append(((minute + 1) / 60, _resident_mb()))
            yield f"after {held[-1][0]:.1f} h: {held[-1][1]:.1f} MB resident"
    hours, megabytes = np.array([row for row in held if row[0] >= 1]).T
    slope, _ = np.polyfit(hours, megabytes, 1)
    yield (
        f"{LEGS} legs, {CHURN} of them new each minute, {HOURS} h: {slope:+.2f} MB an hour from the first on "
        "(aim: no growth)"
    )


def _big_endian(values: Longs, form: str) -> Bytes:
    octets: Bytes = (values & (0xFFFF if form == ">u2" else 0xFFFFFFFF)).astype(form).view(np.uint8)
    return octets.reshape(len(values), -1)


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")
