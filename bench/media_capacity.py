"""How many PCMU legs one media worker carries on one core, without any SIP: legs are opened over its
control socket.

python -m bench.media_capacity [--legs 500,1000] [--room 10] [--rig ../shared/tools/loadgen]

The generator is the neutral rig's lg.c, compiled here. The worker runs on core 0, the generator on core 1.
A point is clean when every leg gets 99.5 % of its packets, jitter p99 is at most 20 ms and latency p99 at
most 150 ms.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.rig import RIG
from ringback.media.measured import COUNTS, ROW, VALUES
from ringback.media.protocol import (
    AudioFormat,
    Event,
    JoinRoom,
    LegOpened,
    LegStatistics,
    OpenLeg,
    Ready,
    SetMedia,
    Statistics,
)

PCMU = AudioFormat(codec="PCMU", payload_type=0)
LOCAL_PORT = 40000
_LENGTH = struct.Struct(">I")


class Media:
    """A worker process and its control socket."""

    def __init__(self, ports: str, core: int, profile: str | None) -> None:
        self.control, theirs = socket.socketpair()
        command = [
            sys.executable,
            "-m",
            "ringback.media.worker",
            "--fd",
            str(theirs.fileno()),
            "--ports",
            ports,
        ]
        if core >= 0:
            command = ["taskset", "-c", str(core), *command]
        if profile:
            command += ["--profile", profile]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        self._received = bytearray()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
        self.statistics: Statistics | None = None
        self.measured: LegStatistics | None = None
        self.wait_for(Ready)

    def send(self, command: Any) -> None:
        """Send a command."""
        frame = self._encoder.encode(command)
        self.control.sendall(_LENGTH.pack(len(frame)) + frame)

    def events(self, timeout: float) -> list[Event]:
        """Events that come within so many seconds."""
        if not select.select([self.control], [], [], timeout)[0]:
            return []
        data = self.control.recv(1 << 20)
        if not data:
            raise SystemExit("the worker ended")
        self._received += data
        result = []
        while len(self._received) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._received)
            if len(self._received) < _LENGTH.size + size:
                break
            result.append(self._decoder.decode(self._received[_LENGTH.size : _LENGTH.size + size]))
            del self._received[: _LENGTH.size + size]
        for event in result:
            if isinstance(event, Statistics):
                self.statistics = event
            elif isinstance(event, LegStatistics):
                self.measured = event
        return result

    def wait_for(self, kind: type) -> Any:
        """The next event of a kind."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for event in self.events(0.1):
                if isinstance(event, kind):
                    return event
        raise SystemExit(f"no {kind.__name__} came")

    def open_leg(
        self, leg: int, room: int, port: int, form: AudioFormat = PCMU, rtcp_port: int | None = None
    ) -> int:
        """Open a leg for a peer at that port and put it into a room; returns the worker's port.

        RTCP goes to the next port unless another is given, 0 for nowhere.
        """
        self.send(OpenLeg(leg=leg, remote_ip="127.0.0.1", remote_port=port))
        opened: LegOpened = self.wait_for(LegOpened)
        self.send(
            SetMedia(
                leg=leg,
                send=form,
                receive=[form],
                remote_ip="127.0.0.1",
                remote_port=port,
                remote_rtcp_port=port + 1 if rtcp_port is None else rtcp_port,
            )
        )
        self.send(JoinRoom(leg=leg, room=room))
        return opened.rtp_port


class Generator:
    """The rig's load generator."""

    def __init__(self, rig: Path, worker_pid: int, cores: tuple[int, int], folder: Path) -> None:
        binary = folder / "lg"
        subprocess.run(["gcc", "-O2", "-march=native", "-o", binary, rig / "lg.c", "-lm"], check=True)
        command = [str(binary), "-p", str(worker_pid), "-c", str(max(cores[0], 0)), "-L", "24", "-C", "2"]
        if cores[1] >= 0:
            command = ["taskset", "-c", str(cores[1]), *command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._map = folder / "map"
        self._answer(10)

    def add(self, rows: list[str]) -> None:
        """Let these legs begin to send."""
        self._map.write_text("".join(rows))
        self._tell(f"MAP {self._map}", 20)

    def measure(self, seconds: float, media: Media | None = None) -> dict[str, Any]:
        """What the generator sees in so many seconds."""
        self._write(f"MEAS {seconds:g}")
        return self._answer(seconds + 20, media)

    def close(self) -> None:
        """End the generator."""
        self._write("QUIT")
        self.process.wait(10)

    def _write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _tell(self, line: str, timeout: float) -> dict[str, Any]:
        self._write(line)
        return self._answer(timeout)

    def _answer(self, timeout: float, media: Media | None = None) -> dict[str, Any]:
        assert self.process.stdout is not None
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                return dict(json.loads(self.process.stdout.readline()))
            if media is not None:
                media.events(0)
        raise SystemExit("the generator does not answer")


def clean(result: dict[str, Any]) -> bool:
    """The rig's rule."""
    return bool(
        result["full"] == result["n"]
        and result["jit_p99"] <= 20
        and result["lat_p99"] <= 150
        and result["silent"] == 0
    )


def row(count: int, result: dict[str, Any]) -> str:
    """One point as a line of text."""
    return (
        f"{count:5d} legs  {'clean' if clean(result) else 'NOT clean':9s} "
        f"cpu {result['srv_cpu'] * 100:5.1f} %  {result['srv_cpu'] * 1000 / count:.3f} ms/leg/s  "
        f"latency p50 {result['lat_p50']:.1f} p99 {result['lat_p99']:.1f} ms  "
        f"buffer {result.get('buffer_ms')} ms  "
        f"jitter p99 {result['jit_p99']:.2f} ms  delivered {result['delivered']:.5f}  "
        f"late ticks {result['late_ticks_worker']}  sockets {result['sockets_worker']}  "
        f"generator cpu {result['lg_cpu'] * 100:.0f} %, late by {result['late_max']:.0f} ms at most"
    )


def main() -> None:
    """Step through the numbers of legs, and print one line each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--legs", default="500,1000", help="numbers of legs, rising")
    parser.add_argument("--room", type=int, default=10, help="legs a room")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement")
    parser.add_argument("--rig", type=Path, default=RIG)
    parser.add_argument("--cores", default="0,1", help="cores of worker and generator, -1 for any")
    parser.add_argument(
        "--wave", type=int, default=128, help="legs that are set up before their media begins"
    )
    parser.add_argument("--own-ports", action="store_true", help="a generator port for each leg")
    parser.add_argument("--ports", default="20000-29999", help="the worker's port range")
    parser.add_argument("--profile", default=None, help="write a cProfile of the worker here")
    parser.add_argument("--json", action="store_true", help="print the generator's rows as they are")
    options = parser.parse_args()
    if not (options.rig / "lg.c").exists():
        raise SystemExit(f"no generator at {options.rig}: give --rig or RINGBACK_LOADGEN")
    cores = tuple(int(core) for core in options.cores.split(","))
    media = Media(options.ports, cores[0], options.profile)
    with tempfile.TemporaryDirectory() as folder:
        generator = Generator(options.rig, media.process.pid, (cores[0], cores[1]), Path(folder))
        count = 0
        for target in (int(n) for n in options.legs.split(",")):
            while count < target:
                rows = []
                for leg in range(count, min(count + options.wave, target)):
                    port = LOCAL_PORT + 2 * (leg if options.own_ports else leg % 64)
                    server_port = media.open_leg(leg, leg // options.room, port)
                    rows.append(
                        f"{leg} {leg // options.room} {leg % options.room} 127.0.0.1 {server_port} {port}\n"
                    )
                count += len(rows)
                generator.add(rows)
                time.sleep(0.25)
            settle = time.monotonic() + 3
            while time.monotonic() < settle:
                media.events(0.1)
            result = generator.measure(options.seconds, media)
            statistics = media.statistics
            result["busy"] = statistics.busy_fraction if statistics else None
            result["late_ticks_worker"] = statistics.late_ticks if statistics else None
            result["sockets_worker"] = statistics.sockets if statistics else None
            if media.measured is not None and media.measured.legs:
                rows = list(ROW.iter_unpack(media.measured.rows))
                buffers = [row[len(COUNTS) + VALUES.index("buffer_ms")] for row in rows]
                result["buffer_ms"] = round(sum(buffers) / len(buffers), 1)
            if options.json:
                print(json.dumps(result), flush=True)
            else:
                print(row(count, result), flush=True)
        generator.close()
    media.control.close()
    media.process.wait(10)


if __name__ == "__main__":
    main()
