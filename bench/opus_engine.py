"""What Opus legs under SRTP cost the engine alone, without sockets: rooms of ten, of which three talk.

python bench/opus_engine.py [--legs 100,400] [--no-levels] [--seconds 6]

Peers tell their level with every packet (RFC 6464), as browsers do, unless --no-levels. The engine's own time
is measured, in CPU of this process; packets are made and protected outside of it. What comes on top in a
worker is the kernel's: see media_capacity.py for that.
"""

from __future__ import annotations

import argparse
import os
import struct
import time
from dataclasses import dataclass

import numpy as np

from ringback.media.batch import MTU, PacketBatch
from ringback.media.codec.opus import OpusEncoder
from ringback.media.engine import TICK_NS, Engine
from ringback.media.protocol import AudioFormat, JoinRoom, OpenLeg, SetMedia, SrtpKeys
from ringback.rtp.srtp import SrtpSession, key_length, protect_rows

ROOM, TALKERS = 10, 3
SUITE = "AEAD_AES_128_GCM"
OPUS = AudioFormat(codec="OPUS", payload_type=111)
EXTENSION, TALKING_LEVEL, QUIET_LEVEL = 1, 20, 65
SETTLE_TICKS = 100
FIRST_IP = 0x0A000000
PORT = 4000


@dataclass(frozen=True)
class Result:
    """Microseconds a tick."""

    mean: float
    p99: float


def speech(seconds: int = 4) -> tuple[list[bytes], list[bytes]]:
    """Packets of something like speech, and of a quiet room."""
    random = np.random.default_rng(1)
    t = np.arange(16000 * seconds) / 16000
    voiced = 0.2 * np.sin(2 * np.pi * (150 + 30 * np.sin(3 * t)) * t) * np.abs(np.sin(2 * t))
    talk = voiced + 0.05 * random.standard_normal(len(t)) * np.abs(np.sin(2 * t + 1))
    noise = 10 ** (-QUIET_LEVEL / 20) * random.standard_normal(len(t))
    result = []
    for signal in (talk, noise):
        encoder = OpusEncoder(complexity=3, bitrate=32000)
        frames = signal.astype(np.float32).reshape(-1, 320)
        result.append([encoder.encode(frame) for frame in frames])
    return result[0], result[1]


class Crowd:
    """The peers of an engine."""

    def __init__(self, engine: Engine, legs: int, levels: bool, now_ns: int) -> None:
        self._legs, self._levels = legs, levels
        self._talk, self._quiet = speech()
        self._sessions, sockets = [], []
        for leg in range(legs):
            address = ".".join(str((FIRST_IP + leg) >> shift & 255) for shift in (24, 16, 8, 0))
            ours, theirs = os.urandom(key_length(SUITE)), os.urandom(key_length(SUITE))
            engine.apply(OpenLeg(leg=leg, remote_ip=address, remote_port=PORT), now_ns)
            engine.apply(
                SetMedia(
                    leg=leg,
                    send=OPUS,
                    receive=[OPUS],
                    remote_ip=address,
                    remote_port=PORT,
                    remote_rtcp_port=0,
                    rtcp_mux=True,
                    srtp=SrtpKeys(suite=SUITE, local_key=ours, remote_key=theirs),
                    audio_level_extension=EXTENSION if levels else 0,
                ),
                now_ns,
            )
            engine.apply(JoinRoom(leg=leg, room=leg // ROOM), now_ns)
            self._sessions.append(SrtpSession(SUITE, theirs, inbound=False))
            sockets.append(2 * int(engine.legs.pair[engine.legs.slots[leg]]))
        self._sockets = np.array(sockets, np.int32)
        self._order = np.argsort(self._sockets, kind="stable")

    def speak(self, tick: int, now_ns: int) -> PacketBatch:
        """One packet of each."""
        data = np.zeros((self._legs, MTU), np.uint8)
        length = np.zeros(self._legs, np.int32)
        for leg in range(self._legs):
            talks = leg % ROOM < TALKERS
            packets = self._talk if talks else self._quiet
            first = 0x90 if self._levels else 0x80
            head = struct.pack("!BBHII", first, 111, tick & 0xFFFF, tick * 960 & 0xFFFFFFFF, leg + 1)
            if self._levels:
                told = TALKING_LEVEL if talks else QUIET_LEVEL
                head += struct.pack("!HHBBxx", 0xBEDE, 1, EXTENSION << 4, told)
            packet = head + packets[(tick + 7 * leg) % len(packets)]
            data[leg, : len(packet)] = np.frombuffer(packet, np.uint8)
            length[leg] = len(packet)
        protect_rows(self._sessions, data, range(self._legs), length)
        order = self._order
        return PacketBatch(
            np.ascontiguousarray(data[order]),
            length[order],
            self._sockets[order],
            (FIRST_IP + order).astype(np.uint32),
            np.full(self._legs, PORT, np.uint16),
            np.full(self._legs, now_ns, np.int64),
        )


def measure(legs: int, levels: bool, seconds: float) -> Result:
    """Run an engine for so long."""
    engine, now_ns = Engine(lambda number: (20000 + 2 * number, 20001 + 2 * number)), 1000 * TICK_NS
    crowd = Crowd(engine, legs, levels, now_ns)
    spent = []
    for tick in range(SETTLE_TICKS + round(seconds * 50)):
        batch = crowd.speak(tick, now_ns)
        now_ns += TICK_NS
        began = time.process_time_ns()
        engine.step(batch, now_ns)
        spent.append((time.process_time_ns() - began) / 1000)
        engine.events()
    settled = np.array(spent[SETTLE_TICKS:])
    return Result(float(settled.mean()), float(np.percentile(settled, 99)))


def main() -> None:
    """Print one line for each number of legs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--legs", default="100,400", help="numbers of legs")
    parser.add_argument("--no-levels", action="store_true", help="peers tell no level")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each measurement")
    options = parser.parse_args()
    for legs in (int(text) for text in options.legs.split(",")):
        result = measure(legs, not options.no_levels, options.seconds)
        print(
            f"{legs:5d} Opus legs  {result.mean:6.0f} µs a tick (p99 {result.p99:.0f})  "
            f"{result.mean * 50 / 1000 / legs:.2f} ms a leg a second, "
            f"{result.mean / TICK_NS * 1e5:.0f} % of a core",
            flush=True,
        )


if __name__ == "__main__":
    main()
