"""The worker process itself: real sockets, its control socket, garbage, and its end."""

from __future__ import annotations

import random
import select
import socket
import struct
import subprocess
import sys
import time
import wave
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ringback.media.protocol import (
    CloseLeg,
    Codec,
    CommandFailed,
    Digit,
    Event,
    JoinRoom,
    LegClosed,
    LegOpened,
    LegStatistics,
    OpenLeg,
    Play,
    PlayEnded,
    Ready,
    RecordingStarted,
    SendDigits,
    SetMedia,
    SetVoice,
    Shutdown,
    SourceLearnt,
    StartRecording,
    Statistics,
)
from ringback.media.worker.loop import AHEAD_LEGS
from tests.quality.measures import read

from .test_calls import secure
from .world import EVENT_TYPE, Peer, tone_level

# Its phones keep time in this very process.
pytestmark = pytest.mark.calm

LEVEL = -13.98
_LENGTH = struct.Struct(">I")


class Worker:
    """A media worker and our end of its control socket."""

    def __init__(self, ports: str) -> None:
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
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        self._received = b""
        self.events: list[Event] = []
        self.ready: Ready = self.wait(Ready)

    def send(self, command: Any) -> None:
        frame = msgspec.msgpack.encode(command)
        self.control.sendall(_LENGTH.pack(len(frame)) + frame)

    def poll(self, timeout: float = 0.0) -> bool:
        """Read what has come; False when the worker is gone."""
        if not select.select([self.control], [], [], timeout)[0]:
            return True
        data = self.control.recv(1 << 20)
        self._received += data
        while len(self._received) >= 4:
            (size,) = _LENGTH.unpack_from(self._received)
            if len(self._received) < 4 + size:
                break
            self.events.append(msgspec.msgpack.decode(self._received[4 : 4 + size], type=Event))  # type: ignore[arg-type]
            self._received = self._received[4 + size :]
        return bool(data)

    def wait(self, kind: type, count: int = 1, seconds: float = 8.0) -> Any:
        """The count-th event of a kind."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.of(kind)
            if len(found) >= count:
                return found[count - 1]
            self.poll(0.05)
        raise AssertionError(f"no {kind.__name__} number {count}: {self.events[-5:]}")

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def end(self) -> None:
        self.control.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Phone(Peer):
    """A peer with a real socket."""

    def __init__(self, leg: int, codec: Codec = "PCMU", frequency: float = 440.0) -> None:
        super().__init__(leg, codec, frequency)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.to = ("127.0.0.1", 0)

    def call(self, worker: Worker, room: int | None = 1, **media: Any) -> None:
        """Open a leg in the worker for this phone."""
        count = len(worker.of(LegOpened)) + 1
        worker.send(OpenLeg(leg=self.leg))
        opened = worker.wait(LegOpened, count)
        self.to = ("127.0.0.1", opened.rtp_port)
        settings: dict[str, Any] = {
            "leg": self.leg,
            "send": self.format(),
            "receive": [self.format()],
            "telephone_event": EVENT_TYPE,
            "remote_ip": "127.0.0.1",
            "remote_port": self.port,
            "remote_rtcp_port": self.port + 1,
        }
        worker.send(SetMedia(**(settings | media)))
        if room is not None:
            worker.send(JoinRoom(leg=self.leg, room=room))

    def drain(self) -> None:
        while True:
            try:
                datagram = self.socket.recv(2048)
            except BlockingIOError:
                return
            if not 192 <= datagram[1] <= 223:
                self.hear(datagram)


def talk(worker: Worker, phones: list[Phone], seconds: float) -> float:
    """Let phones speak and hear for a while in real time; their longest pause in the last second, in s."""
    spoken = deque([begin := time.monotonic()], maxlen=52)
    for frame in range(round(seconds * 50)):
        for phone in phones:
            phone.socket.sendto(phone.speak(), phone.to)
        spoken.append(time.monotonic())
        while (left := begin + 0.02 * (frame + 1) - time.monotonic()) > 0:
            worker.poll(min(left, 0.005))
            for phone in phones:
                phone.drain()
    spoken.append(time.monotonic())
    return float(np.diff(spoken).max())


def talk_evenly(worker: Worker, phones: list[Phone], seconds: float) -> None:
    """`talk`, and on until these phones kept time for a second themselves: at most 5 s more.

    A frame that a phone sends late is concealed and played after, so that its tone goes on in another phase;
    over a whole second such a tone cancels itself in part, though it was there throughout. In that second
    each of them hears somebody all the time.
    """
    talk(worker, phones, seconds - 1)
    pauses = []
    for _ in range(6):
        before = [len(phone.heard) for phone in phones]
        pauses.append(talk(worker, phones, 1))
        if pauses[-1] < 0.025:
            assert all(len(phone.heard) - had >= 45 for phone, had in zip(phones, before, strict=True))
            return
    pytest.fail(f"the phones of this test did not keep time; longest pauses of each second, in s: {pauses}")


@pytest.fixture
def worker() -> Iterator[Worker]:
    started = Worker("34000-34999")
    yield started
    started.end()


@pytest.mark.parametrize(
    "codecs", [("PCMU", "PCMU", "PCMU"), ("PCMA", "G722", "OPUS"), ("PCMU", "OPUS", "OPUS")], ids="-".join
)
def test_three_phones_hear_the_other_two(worker: Worker, codecs: tuple[Codec, ...]) -> None:
    phones = [Phone(i, codec, 440.0 * i) for i, codec in enumerate(codecs, 1)]
    for phone in phones:
        phone.call(worker)
    talk_evenly(worker, phones, 3)
    for phone in phones:
        for other in phones:
            level = phone.level(other.frequency)
            if other is phone:
                assert level < -40
            else:
                assert level == pytest.approx(LEVEL, abs=1.5)
    assert len(worker.of(SourceLearnt)) == 3
    statistics = worker.wait(Statistics, 3)
    assert statistics.sockets == 6
    told = worker.wait(LegStatistics, 3)
    measured = read(told)
    assert measured.legs == [1, 2, 3]
    # A second may be long on a machine that has much to do.
    assert all(count >= 40 * told.seconds for count in measured["received"])


def test_who_talks_among_many_legs_is_heard(worker: Worker) -> None:
    """With so many legs datagrams are taken ahead of the tick, and once more at it."""
    for leg in range(100, 100 + AHEAD_LEGS):
        worker.send(OpenLeg(leg=leg))
    worker.wait(LegOpened, AHEAD_LEGS)
    one, two = Phone(1, "PCMU", 440.0), Phone(2, "OPUS", 1000.0)
    for phone in (one, two):
        phone.call(worker)
    # Commands are obeyed in order: what is spoken before a leg has its media is for nobody, and not counted.
    worker.send(OpenLeg(leg=3))
    worker.wait(LegOpened, AHEAD_LEGS + 3)
    talk(worker, [one, two], 3)
    assert one.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert two.level(440.0) == pytest.approx(LEVEL, abs=1.5)
    # What was spoken last waits for the next tick.
    time.sleep(0.1)
    for count, phone in enumerate((one, two), 1):
        worker.send(CloseLeg(leg=phone.leg))
        totals = worker.wait(LegClosed, count).totals
        assert (totals.received_packets, totals.lost_packets, totals.duplicate_packets) == (150, 0, 0)


def test_srtp_and_keys_over_real_sockets(worker: Worker) -> None:
    one, two = Phone(1, "PCMU", 440.0), Phone(2, "PCMU", 1000.0)
    one.call(worker, srtp=secure(one, "AES_CM_128_HMAC_SHA1_80", 3))
    two.call(worker)
    talk_evenly(worker, [one, two], 1.5)
    assert one.level(1000.0, 0.8) == pytest.approx(LEVEL, abs=1.5)
    assert two.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1.5)
    worker.send(SendDigits(leg=2, digits="42"))
    start = two.timestamp
    for duration, end in [(160, 0), (320, 0), (480, 0), (480, 128), (480, 128)]:
        two.timestamp = start
        two.socket.sendto(two.packet(struct.pack("!BBH", 7, end, duration), EVENT_TYPE), two.to)
    digit = worker.wait(Digit)
    assert (digit.leg, digit.digit, digit.duration_ms) == (2, "7", 60)
    talk(worker, [one, two], 0.8)
    ends = [packet[12] for packet in two.heard_events if packet[13] & 0x80]
    assert ends == [4, 4, 4, 2, 2, 2]


def test_play_ends_with_a_digit_or_by_itself_and_echo_speaks_back(worker: Worker) -> None:
    phone = Phone(1, "PCMU", 440.0)
    phone.call(worker, room=None)
    worker.send(Play(leg=1, play=1, sounds=["tone:entry"]))
    talk(worker, [phone], 1.0)
    assert worker.wait(PlayEnded).reason == "finished"
    assert np.abs(np.concatenate(phone.heard)).max() > 0.03
    worker.send(Play(leg=1, play=2, sounds=["music"], stop_on_digit=True))
    talk(worker, [phone], 0.2)
    phone.socket.sendto(phone.packet(struct.pack("!BBH", 3, 0x80, 800), EVENT_TYPE), phone.to)
    assert worker.wait(PlayEnded, 2).reason == "digit"
    worker.send(SetVoice(leg=1, echo=True))
    talk_evenly(worker, [phone], 1.5)
    assert phone.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1.5)


def test_a_phone_behind_nat_and_a_third_party(worker: Worker) -> None:
    one, two, stranger = Phone(1, "PCMU", 440.0), Phone(2, "PCMU", 1000.0), Phone(9, "PCMU", 2000.0)
    one.call(worker, remote_port=one.port ^ 1 if one.port > 1024 else 9)
    two.call(worker)
    talk(worker, [one, two], 1.0)
    learnt = {event.leg: event.differs for event in worker.of(SourceLearnt)}
    assert learnt == {1: True, 2: False}
    stranger.to = one.to
    talk(worker, [one, two, stranger], 1.5)
    assert two.level(2000.0, 0.8) < -50
    assert one.level(1000.0, 0.8) == pytest.approx(LEVEL, abs=1.5)
    assert not stranger.packets


def test_hold_stops_what_is_sent(worker: Worker) -> None:
    one, two = Phone(1, "PCMU", 440.0), Phone(2, "PCMU", 1000.0)
    one.call(worker)
    two.call(worker)
    talk(worker, [one, two], 0.5)
    media = {"remote_ip": "127.0.0.1", "remote_port": one.port, "remote_rtcp_port": one.port + 1}
    formats = {"send": one.format(), "receive": [one.format()]}
    worker.send(SetMedia(leg=1, direction="inactive", **media, **formats))  # type: ignore[arg-type]
    talk(worker, [one, two], 0.3)
    count = len(one.packets)
    talk(worker, [one, two], 1.0)
    assert len(one.packets) == count
    assert two.level(440.0, 0.6) < -60


def test_garbage_on_every_port_changes_nothing(worker: Worker) -> None:
    one, two = Phone(1, "PCMU", 440.0), Phone(2, "PCMU", 1000.0)
    one.call(worker)
    two.call(worker)
    talk(worker, [one, two], 0.5)
    chaos = random.Random(1)
    thrower = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ports = [port for event in worker.of(LegOpened) for port in (event.rtp_port, event.rtcp_port)]
    for i in range(1000):
        size = chaos.choice([0, 1, 11, 12, 13, 172, 1500, 9000])
        body = chaos.randbytes(size)
        if i % 2 and size:
            body = bytes([0x80, chaos.choice([0, 8, 200, 201, 207])]) + body[2:]
        source = thrower if i % 3 else one.socket
        source.sendto(body, ("127.0.0.1", ports[i % len(ports)]))
    talk(worker, [one, two], 2.0)
    assert one.level(1000.0, 0.8) == pytest.approx(LEVEL, abs=1.5)
    assert two.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1.5)


def test_bad_commands_are_answered_and_a_leg_closes_with_totals(worker: Worker) -> None:
    worker.send(CloseLeg(leg=5))
    failed = worker.wait(CommandFailed)
    assert (failed.command, failed.leg) == ("CloseLeg", 5)
    for frame in (b"", b"\xc1", msgspec.msgpack.encode({"type": "Nonsense"}), msgspec.msgpack.encode([1, 2])):
        worker.control.sendall(_LENGTH.pack(len(frame)) + frame)
    assert worker.wait(CommandFailed, 5).command == "?"
    phone = Phone(1)
    phone.call(worker)
    talk(worker, [phone], 0.5)
    worker.send(CloseLeg(leg=1))
    closed = worker.wait(LegClosed)
    assert closed.totals.received_packets == pytest.approx(25, abs=2)
    assert closed.totals.sent_packets == pytest.approx(25, abs=3)


def test_commands_are_obeyed_between_ticks(worker: Worker) -> None:
    times = []
    for leg in range(1, 30):
        begin = time.monotonic()
        worker.send(OpenLeg(leg=leg))
        worker.wait(LegOpened, leg)
        times.append(time.monotonic() - begin)
    assert sorted(times)[len(times) // 2] < 0.01


def test_a_taken_port_is_skipped() -> None:
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("127.0.0.1", 33001))
    started = Worker("33000-33010")
    started.send(OpenLeg(leg=1))
    assert started.wait(LegOpened).rtp_port == 33002
    started.end()
    taken.close()


def test_the_worker_ends_with_its_control_socket_or_when_told(worker: Worker) -> None:
    worker.send(Shutdown())
    assert worker.process.wait(3) == 0
    other = Worker("33100-33110")
    other.send(OpenLeg(leg=1))
    other.wait(LegOpened)
    other.control.shutdown(socket.SHUT_RDWR)
    assert other.process.wait(3) == 0
    assert not Path(f"/proc/{other.process.pid}").exists()
    other.control.close()


def test_a_recording_outlives_the_worker(worker: Worker, tmp_path: Path) -> None:
    phones = [Phone(1, "PCMU", 440.0), Phone(2, "OPUS", 1000.0)]
    for phone in phones:
        phone.call(worker)
    worker.send(StartRecording(room=1, recording=1, folder=str(tmp_path / "a")))
    worker.wait(RecordingStarted)
    talk(worker, phones, 1.5)
    worker.process.kill()
    worker.process.wait(10)
    files = [tmp_path / "a" / name for name in ("leg-1.wav", "leg-2.wav", "mix.wav")]
    end = time.monotonic() + 30
    # The writer brings what it has into the files, and ends.
    while min(frames(path) for path in files) < 16000:
        assert time.monotonic() < end
        time.sleep(0.02)
    for path, tones in zip(files, ((440.0,), (1000.0,), (440.0, 1000.0)), strict=True):
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        assert file.getframerate() == 16000
        for tone in (440.0, 1000.0):
            # Before and after they talked there may be silence.
            windows = [samples[at : at + 4800] for at in range(0, len(samples) - 4800, 1600)]
            heard = max(tone_level(window, tone, 16000) for window in windows)
            assert (abs(heard - LEVEL) < 2) if tone in tones else heard < -30


def frames(path: Path) -> int:
    """Samples that a file's head promises."""
    with wave.open(str(path)) as file:
        return file.getnframes()
