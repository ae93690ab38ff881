"""What a PCMU leg costs the engine alone, without sockets: rooms of ten, of which three talk.

`python -m bench.leg_cost [--legs 2200] [--seconds 10] [--profile]`. CPU of this process for the engine's
ticks only; packets are made outside of them, with arrivals that jitter by some milliseconds as they do on a
busy machine. What comes on top in a worker is the kernel's: see media_capacity.py for that.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import time

# As in a worker; before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from ringback.media.batch import MTU, PacketBatch
from ringback.media.codec import g711
from ringback.media.engine import TICK_NS, Engine
from ringback.media.protocol import AudioFormat, JoinRoom, OpenLeg, SetMedia

ROOM, TALKERS = 10, 3
HOST = 0x7F000001
PCMU = AudioFormat(codec="PCMU", payload_type=0)
SETTLE_TICKS = 150
SPREAD_NS = 4_000_000


def crowd(legs: int) -> Engine:
    """An engine with so many legs in rooms of ten, as a caller without telephone-events opens them."""
    engine = Engine(lambda pair: (20000 + 2 * pair, 20001 + 2 * pair))
    for leg in range(legs):
        port = 30000 + leg
        engine.apply(OpenLeg(leg=leg, remote_ip="127.0.0.1", remote_port=port), 0)
        media = SetMedia(
            leg=leg,
            send=PCMU,
            receive=[PCMU],
            remote_ip="127.0.0.1",
            remote_port=port,
            remote_rtcp_port=0,
        )
        engine.apply(media, 0)
        engine.apply(JoinRoom(leg=leg, room=leg // ROOM), 0)
    return engine


def measure(legs: int, seconds: float, profile: cProfile.Profile | None = None) -> float:
    """CPU microseconds of a tick, median."""
    engine, random = crowd(legs), np.random.default_rng(1)
    number = np.arange(legs)
    talks = number % ROOM < TALKERS
    speech = g711.encode((0.1 * random.standard_normal((64, 160))).astype(np.float32), "PCMU")
    data = np.zeros((legs, MTU), np.uint8)
    data[:, 0] = 0x80
    data[:, 8:12] = (number + 1).astype(">u4").view(np.uint8).reshape(-1, 4)
    pairs = engine.legs.pair[[engine.legs.slots[leg] for leg in range(legs)]]
    spent: list[int] = []
    for tick in range(1, SETTLE_TICKS + int(seconds * 50)):
        data[:, 2:4] = np.array([tick & 0xFFFF], ">u2").view(np.uint8)
        data[:, 4:8] = np.array([160 * tick & 0xFFFFFFFF], ">u4").view(np.uint8)
        data[:, 12:172] = np.where(talks[:, None], speech[random.integers(0, 64, legs)], 0x7E)
        now = tick * TICK_NS
        batch = PacketBatch(
            data,
            np.full(legs, 172, np.int32),
            (2 * pairs).astype(np.int32),
            np.full(legs, HOST, np.uint32),
            (30000 + number).astype(np.uint16),
            now - 10_000_000 + random.integers(0, SPREAD_NS, legs),
        )
        counted = tick >= SETTLE_TICKS
        if profile is not None and counted:
            profile.enable()
        began = time.process_time_ns()
        engine.step(batch, now)
        engine.events()
        if tick % 50 == 0:
            engine.statistics(now)
        if counted:
            spent.append(time.process_time_ns() - began)
        if profile is not None:
            profile.disable()
    return float(np.median(spent)) / 1e3


def main() -> None:
    """Measure by the command line's numbers and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--legs", type=int, default=2200)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--profile", action="store_true", help="where the time goes, by function")
    asked = parser.parse_args()
    profile = cProfile.Profile() if asked.profile else None
    tick_us = measure(asked.legs, asked.seconds, profile)
    print(f"{asked.legs} legs: {tick_us:.0f} us a tick, {tick_us * 50 / asked.legs:.1f} us a leg a second")
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    main()
