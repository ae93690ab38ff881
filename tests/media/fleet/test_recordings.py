"""Recordings, monitors and whispers with several workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.media.protocol import (
    CommandFailed,
    JoinRoom,
    Monitor,
    OpenLeg,
    RecordingEnded,
    RecordingFailed,
    StartRecording,
    StopRecording,
    Whisper,
)

from .town import Town


def room(town: Town, number: int, *legs: int) -> int:
    """Legs in a room of their own; the worker that has it."""
    for leg in legs:
        town.apply(OpenLeg(leg=leg, group=number))
        town.apply(JoinRoom(leg=leg, room=number))
    (worker,) = town.where(legs[0])
    return worker


def sent(town: Town, kind: type) -> list[int]:
    """Workers that have such a command waiting."""
    return [
        number
        for number, process in town.processes.items()
        if any(isinstance(command, kind) for command in process.commands)
    ]


def test_a_recording_is_begun_and_ended_where_its_room_is(tmp_path: Path) -> None:
    town = Town()
    workers = {number: room(town, number, number) for number in (1, 2)}
    assert set(workers.values()) == {0, 1}
    for number, worker in workers.items():
        start = StartRecording(room=number, recording=number, folder=str(tmp_path / str(number)))
        town.fleet.command(start, town.now)
        assert sent(town, StartRecording) == [worker]
        town.processes[worker].commands.clear()
    town.fleet.command(StopRecording(recording=2), town.now)
    assert sent(town, StopRecording) == [workers[2]]


def test_of_a_room_that_is_not_there_nothing_is_recorded(tmp_path: Path) -> None:
    town = Town()
    town.apply(StartRecording(room=7, recording=1, folder=str(tmp_path)))
    assert [event.reason for event in town.of(RecordingFailed)] == ["no such room"]


def test_a_recording_ends_with_its_worker_and_keeps_its_room_there_before(tmp_path: Path) -> None:
    town = Town()
    worker = room(town, 1, 1)
    town.fleet.command(StartRecording(room=1, recording=5, folder=str(tmp_path)), town.now)
    town.processes[worker].commands.clear()
    assert not town.fleet.roster.legs[1].group.movable
    town.die(worker)
    town.settle()
    assert [(event.recording, event.reason) for event in town.of(RecordingEnded)] == [(5, "failed")]
    assert town.where(1) == [1 - worker]
    assert town.fleet.roster.legs[1].group.movable


@pytest.mark.parametrize("kind", [Monitor, Whisper])
def test_one_leg_listens_to_another_of_its_worker_only(kind: type[Monitor] | type[Whisper]) -> None:
    town = Town()
    worker = room(town, 1, 1, 3)
    room(town, 2, 2)
    town.fleet.command(kind(leg=1, target=3), town.now)
    assert sent(town, kind) == [worker]
    town.settle()
    town.apply(kind(leg=1, target=2))
    assert [event.reason for event in town.of(CommandFailed)] == ["the other leg is with another worker"]
