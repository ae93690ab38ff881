"""What is in the files of a recording, and what happens to calls when the disk is full, slow or gone."""

from __future__ import annotations

import os
import resource
import signal
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from ringback.governance import wav
from ringback.governance.private import Private
from ringback.governance.vault import VaultReader, label
from ringback.media.protocol import (
    CloseLeg,
    Codec,
    CommandFailed,
    JoinRoom,
    LeaveRoom,
    PlayToRoom,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    SetVoice,
    StartRecording,
    StopRecording,
)
from ringback.media.recorded import CONSUMED
from ringback.media.recording import MAX_DROPPED_TICKS
from ringback.media.worker.recorder import RecorderLink
from ringback.media.worker.writer import Writer
from tests.media.world import Peer, World, tone_level

LEVEL = -13.98
KEY = bytes(range(32))
VOICE = "0123456789abcdef"


class Direct:
    """The real writer without a process between."""

    def __init__(self) -> None:
        self._told: list[tuple[int, int, int, int]] = []
        self.writer = Writer(lambda *reply: self._told.append(reply))

    def start(self) -> None:
        pass

    def put(self, parts: Sequence[bytes | memoryview]) -> bool:
        self.writer.take(memoryview(b"".join(parts)))
        return True

    def replies(self) -> list[tuple[int, int, int, int]] | None:
        told, self._told = self._told, []
        return [reply for reply in told if reply[0] != CONSUMED]

    def abandon(self) -> None:
        raise AssertionError("nothing is slow here")


def read(path: Path) -> tuple[int, np.ndarray]:
    """Rate and samples of a file."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        assert len(samples) == file.getnframes()
        return file.getframerate(), samples


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_track_a_leg_and_the_mix_all_of_one_clock(tmp_path: Path, rate: int) -> None:
    world = World(recorder=Direct())
    codecs: list[Codec] = ["PCMU", "G722", "OPUS", "PCMA"]
    tones = dict(enumerate((440.0, 1000.0, 1700.0, 2300.0), 1))
    for leg, codec in enumerate(codecs, 1):
        world.add(Peer(leg, codec, tones[leg]), room=None if leg == 3 else 1)
    world.apply(SetVoice(leg=4, recorded=False))
    world.run(1)
    folder = tmp_path / "recordings" / "7"
    world.apply(StartRecording(room=1, recording=7, folder=str(folder), rate=rate))
    world.run(2)
    assert world.of(RecordingStarted)
    world.apply(JoinRoom(leg=3, room=1))
    world.run(2)
    world.apply(LeaveRoom(leg=2))
    world.apply(SetVoice(leg=1, muted=True))
    world.run(1)
    world.apply(StopRecording(recording=7))
    world.run(0.1)
    ended = world.of(RecordingEnded)[0]
    assert ended == RecordingEnded(
        recording=7, reason="stopped", frames=250, dropped_frames=0, legs=[1, 2, 3]
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "leg-1.wav",
        "leg-2.wav",
        "leg-3.wav",
        "mix.wav",
    ]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    tracks = {}
    for name in ("leg-1", "leg-2", "leg-3", "mix"):
        found, tracks[name] = read(folder / f"{name}.wav")
        assert found == rate
        assert len(tracks[name]) == 5 * rate

    def level(name: str, second: float, frequency: float) -> float:
        return tone_level(tracks[name][int(second * rate) : int((second + 0.8) * rate)], frequency, rate)

    present = {1: (0.1, 1.1, 2.1, 3.1), 2: (0.1, 1.1, 2.1, 3.1), 3: (2.1, 3.1, 4.1), 4: ()}
    for second in (0.1, 1.1, 2.1, 3.1, 4.1):
        for leg, frequency in tones.items():
            here = second in present[leg]
            for name in tracks:
                heard = level(name, second, frequency)
                if here and name in ("mix", f"leg-{leg}"):
                    assert heard == pytest.approx(LEVEL, abs=1.5), (name, second, frequency)
                else:
                    assert heard < -45, (name, second, frequency)
    together = tracks["leg-1"] + tracks["leg-2"] + tracks["leg-3"]
    assert np.abs(together - tracks["mix"]).max() < 3 / 32768


def test_announcements_are_in_the_mix_and_everything_is_limited(tmp_path: Path) -> None:
    world = World(recorder=Direct())
    for leg in range(1, 5):
        world.add(Peer(leg, "PCMU", 440.0, amplitude=0.6))
    world.run(1)
    world.apply(StartRecording(room=1, recording=1, folder=str(tmp_path / "a")))
    world.apply(PlayToRoom(room=1, sounds=["tone:chime"]))
    world.run(1)
    for leg in range(1, 5):
        world.apply(CloseLeg(leg=leg))
    world.run(0.1)
    ended = world.of(RecordingEnded)[0]
    assert (ended.reason, ended.frames) == ("room_ended", 50)
    _, mix = read(tmp_path / "a" / "mix.wav")
    together = sum(read(tmp_path / "a" / f"leg-{leg}.wav")[1] for leg in range(1, 5))
    assert 0.7 < np.abs(mix).max() <= 1
    assert np.abs(together).max() > 1
    quiet = np.abs(together) < 0.3
    assert np.abs(mix - together)[quiet].max() > 0.02


def test_what_cannot_be_recorded_is_said(tmp_path: Path) -> None:
    world = World(recorder=Direct())
    world.add(Peer(1))

    def failure(recording: int, folder: Path | str, room: int = 1) -> str:
        world.apply(StartRecording(room=room, recording=recording, folder=str(folder)))
        world.run(0.1)
        failed = [event for event in world.of(RecordingFailed) if event.recording == recording]
        return failed[-1].reason if failed else ""

    (tmp_path / "file").write_text("")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mix.wav").write_text("precious")
    assert failure(1, tmp_path / "a", room=9) == "no such room"
    assert failure(2, "a") == "the folder is to be named in full"
    assert failure(3, tmp_path / "file" / "a") == "the folder is no folder"
    assert failure(4, tmp_path / "b") == "a file of that name is there already"
    assert (tmp_path / "b" / "mix.wav").read_text() == "precious"
    assert not failure(5, tmp_path / "c")
    assert failure(5, tmp_path / "d") == "this recording is running already"
    assert failure(6, tmp_path / "d") == "this room is recorded already"
    world.apply(StopRecording(recording=77))
    assert world.of(CommandFailed)[-1].reason == "no such recording"
    without = World()
    without.add(Peer(1))
    without.apply(StartRecording(room=1, recording=1, folder=str(tmp_path / "e")))
    assert without.of(RecordingFailed)[0].reason == "this worker cannot record"


def test_the_head_of_a_file_small_and_beyond_4_gib() -> None:
    assert len(wav.header(16000, 0)) == wav.HEADER_BYTES
    small = wav.header(16000, 640)
    assert small[:4] == b"RIFF"
    assert int.from_bytes(small[4:8], "little") == wav.HEADER_BYTES - 8 + 640
    assert int.from_bytes(small[-4:], "little") == 640
    large = wav.header(16000, 5 << 30)
    assert (large[:4], large[12:16]) == (b"RF64", b"ds64")
    assert large[4:8] == large[-4:] == b"\xff" * 4
    assert int.from_bytes(large[20:28], "little") == wav.HEADER_BYTES - 8 + (5 << 30)
    assert int.from_bytes(large[28:36], "little") == 5 << 30
    assert int.from_bytes(large[36:44], "little") == 5 << 29


def test_a_sealed_recording_is_the_same_and_its_files_do_not_tell_who_speaks_when(tmp_path: Path) -> None:
    world = World(recorder=Direct())
    world.add(Peer(1, "PCMU", 440.0))
    world.add(Peer(2, "G722", 1000.0))
    world.run(1)
    world.apply(StartRecording(room=1, recording=1, folder=str(tmp_path / "a"), voice=VOICE, key=KEY))
    world.run(1)
    world.apply(SetVoice(leg=1, muted=True))
    world.run(2)
    world.apply(StopRecording(recording=1))
    world.run(0.1)
    assert world.of(RecordingEnded)[0].frames == 150
    names = ("leg-1", "leg-2", "mix")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [f"{name}.rbv" for name in names]
    tracks = {name: opened(tmp_path / "a" / f"{name}.rbv") for name in names}
    assert {len(samples) for samples in tracks.values()} == {3 * 16_000}
    assert len({path.stat().st_size for path in (tmp_path / "a").iterdir()}) == 1
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a").iterdir()} == {0o600}
    assert tone_level(tracks["leg-1"][2000:14000], 440.0, 16000) == pytest.approx(LEVEL, abs=1.5)
    assert np.abs(tracks["leg-1"][20000:]).max() == 0
    assert np.abs(tracks["leg-1"] + tracks["leg-2"] - tracks["mix"]).max() < 3 / 32768
    assert "key" not in repr(StartRecording(room=1, recording=1, folder="/a", voice=VOICE, key=KEY))


def test_of_one_leg_alone_the_mix_is_enough(tmp_path: Path) -> None:
    world = World(recorder=Direct())
    world.add(Peer(1, "PCMU", 440.0))
    world.run(1)
    start = StartRecording(
        room=1, recording=1, folder=str(tmp_path / "a"), voice=VOICE, key=KEY, tracks=False
    )
    world.apply(start)
    world.run(1)
    world.apply(StopRecording(recording=1))
    world.run(0.1)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mix.rbv"]
    assert tone_level(opened(tmp_path / "a" / "mix.rbv")[2000:], 440.0, 16000) == pytest.approx(
        LEVEL, abs=1.5
    )
    world.apply(StartRecording(room=1, recording=2, folder=str(tmp_path / "b"), voice=VOICE, key=b"short"))
    assert world.of(RecordingFailed)[0].reason == "key or name of the voice have another length"


# With the writer's process


@pytest.fixture
def links() -> Iterator[Callable[..., RecorderLink]]:
    made: list[RecorderLink] = []

    def make(**settings: int) -> RecorderLink:
        made.append(RecorderLink(**settings))
        return made[-1]

    yield make
    for link in made:
        link.abandon()


def record(link: RecorderLink, folder: Path, key: bytes = b"") -> World:
    """Two who talk, recorded, until the first second is in the files."""
    world = World(recorder=link)
    world.add(Peer(1, "PCMU", 440.0))
    world.add(Peer(2, "PCMU", 1000.0))
    world.run(1)
    world.apply(StartRecording(room=1, recording=1, folder=str(folder), voice=VOICE, key=key))
    until(world, lambda: bool(world.of(RecordingStarted)))
    world.run(1.5)
    track = folder / ("leg-1.rbv" if key else "leg-1.wav")
    until(world, lambda: track.stat().st_size > 16_384 + wav.HEADER_BYTES)
    return world


def opened(path: Path, *, cut: bool = False) -> np.ndarray:
    """Samples of a sealed file."""
    with VaultReader(path, label(VOICE, path.stem), Private(KEY), cut=cut) as reader:
        return np.frombuffer(reader.read(0, reader.size), "<i2").astype(np.float32) / 32768


def until(world: World, happened: Callable[[], bool]) -> None:
    """Let time pass in the world, slowly enough for the writer, until something has happened."""
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        world.tick()
        time.sleep(0.002)


def ended(world: World) -> RecordingEnded:
    until(world, lambda: bool(world.of(RecordingEnded)))
    event: RecordingEnded = world.of(RecordingEnded)[0]
    return event


def undisturbed(world: World) -> bool:
    return abs(world.peers[1].level(1000.0) - LEVEL) < 1 and abs(world.peers[2].level(440.0) - LEVEL) < 1


def test_recording_over_the_process(tmp_path: Path, links: Callable[..., RecorderLink]) -> None:
    world = record(links(), tmp_path / "a")
    world.apply(StopRecording(recording=1))
    event = ended(world)
    assert (event.reason, event.dropped_frames) == ("stopped", 0)
    for name, heard in (("leg-1", (440.0,)), ("leg-2", (1000.0,)), ("mix", (440.0, 1000.0))):
        rate, samples = read(tmp_path / "a" / f"{name}.wav")
        assert len(samples) == event.frames * 320  # type: ignore[operator]
        for frequency in (440.0, 1000.0):
            level = tone_level(samples[8000:16000], frequency, rate)
            assert level == pytest.approx(LEVEL, abs=1.5) if frequency in heard else level < -50


def test_a_full_disk_ends_the_recording_and_leaves_files_of_one_length(
    tmp_path: Path, links: Callable[..., RecorderLink]
) -> None:
    link = links()
    world = record(link, tmp_path / "a")
    assert link.pid is not None
    size = (tmp_path / "a" / "leg-1.wav").stat().st_size
    resource.prlimit(link.pid, resource.RLIMIT_FSIZE, (size + 5000, size + 5000))
    event = ended(world)
    assert event.reason == "disk_full"
    assert undisturbed(world)
    lengths = {len(read(path)[1]) for path in (tmp_path / "a").iterdir()}
    assert lengths == {event.frames * 320}  # type: ignore[operator]
    assert event.frames >= 50  # type: ignore[operator]


def test_a_disk_that_hangs_delays_nobody(tmp_path: Path, links: Callable[..., RecorderLink]) -> None:
    link = links(memory_bytes=1 << 18)
    world = record(link, tmp_path / "a")
    stuck = link.pid
    assert stuck is not None
    os.kill(stuck, signal.SIGSTOP)
    for _ in range(MAX_DROPPED_TICKS + 500):
        world.tick()
    event = ended(world)
    assert (event.reason, event.dropped_frames, event.frames) == ("disk_slow", MAX_DROPPED_TICKS, None)
    assert undisturbed(world)
    # What had been written can be read, and another recording has a writer that works.
    assert len(read(tmp_path / "a" / "mix.wav")[1]) >= 16000
    again = record(link, tmp_path / "b")
    assert link.pid != stuck
    again.apply(StopRecording(recording=1))
    assert ended(again).reason == "stopped"


def test_a_disk_that_hangs_for_a_while_costs_nothing(
    tmp_path: Path, links: Callable[..., RecorderLink]
) -> None:
    link = links()
    world = record(link, tmp_path / "a")
    assert link.pid is not None
    os.kill(link.pid, signal.SIGSTOP)
    world.run(20)
    os.kill(link.pid, signal.SIGCONT)
    world.apply(StopRecording(recording=1))
    event = ended(world)
    assert (event.reason, event.dropped_frames) == ("stopped", 0)
    assert event.frames >= 1050  # type: ignore[operator]
    rate, samples = read(tmp_path / "a" / "leg-1.wav")
    assert tone_level(samples[5 * rate : 6 * rate], 440.0, rate) == pytest.approx(LEVEL, abs=1.5)


def test_a_writer_that_is_killed_leaves_files_that_can_be_read(
    tmp_path: Path, links: Callable[..., RecorderLink]
) -> None:
    link = links()
    world = record(link, tmp_path / "a")
    assert link.pid is not None
    os.kill(link.pid, signal.SIGKILL)
    event = ended(world)
    assert (event.reason, event.frames) == ("failed", None)
    assert undisturbed(world)
    for path in (tmp_path / "a").iterdir():
        assert len(read(path)[1]) >= 16000


def test_an_engine_that_is_gone_leaves_everything_in_the_files(
    tmp_path: Path, links: Callable[..., RecorderLink]
) -> None:
    link = links()
    world = record(link, tmp_path / "a")
    begun = world.engine.tick
    world.run(0.5)
    link.close()
    end = time.monotonic() + 60
    while len(read(tmp_path / "a" / "mix.wav")[1]) < (world.engine.tick - begun) * 320 + 24000:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_full_disk_and_a_killed_writer_leave_sealed_files_that_can_be_read(
    tmp_path: Path, links: Callable[..., RecorderLink]
) -> None:
    link = links()
    world = record(link, tmp_path / "a", KEY)
    assert link.pid is not None
    started = [Path(f"/proc/{link.pid}/{what}").read_bytes() for what in ("cmdline", "environ")]
    assert not any(form in text for text in started for form in (KEY, KEY.hex().encode()))
    limit = (tmp_path / "a" / "leg-1.rbv").stat().st_size + 5000
    resource.prlimit(link.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    assert ended(world).reason == "disk_full"
    assert undisturbed(world)
    for path in (tmp_path / "a").iterdir():
        assert path.stat().st_size <= limit
        assert len(opened(path, cut=True)) >= 8192
    assert tone_level(opened(tmp_path / "a" / "leg-2.rbv", cut=True), 1000.0, 16000) == pytest.approx(
        LEVEL, abs=1.5
    )
    resource.prlimit(link.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = record(link, tmp_path / "b", KEY)
    os.kill(link.pid, signal.SIGKILL)
    assert ended(again).reason == "failed"
    for path in (tmp_path / "b").iterdir():
        assert len(opened(path, cut=True)) >= 8192
