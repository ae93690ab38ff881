"""Which worker has which legs, and which is to have them; sans-IO.

A leg is had by one worker at most. It is let go by that one, or orphaned by its death, before it is given to
another, together with the sockets that its peer knows; those the control process holds all the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Final, Protocol

from ringback.media.fleet.groups import Group
from ringback.media.fleet.journal import LegRecord
from ringback.media.fleet.placement import GroupLoad, Placement
from ringback.media.protocol import (
    CloseLeg,
    Command,
    Event,
    LegsReleased,
    LegTotals,
    RecordingEnded,
    ReleasedLeg,
    ReleaseLegs,
)

HOMELESS_S: Final = 5.0
"""For so long legs wait for a worker when none runs."""


class Workers(Protocol):
    """What is asked of who has the processes; a command to a worker that just died is lost."""

    def send(self, worker: int, command: Command) -> None:
        """Give a command to a worker."""

    def give(self, worker: int, ports: list[int]) -> None:
        """Hand the socket pairs with these RTP ports over to a worker, before any later command."""

    def drop(self, port: int) -> None:
        """No worker uses the socket pair with this RTP port any more."""

    def tell(self, event: Event) -> None:
        """Something happened that no worker will say."""

    def lost(self, legs: list[int]) -> None:
        """No worker will go on with these legs."""


class Roster:
    """Legs, their groups, and the workers, which are numbered from 0. With one worker all legs are one
    group."""

    def __init__(self, workers: Workers, size: int, now: float) -> None:
        self.takeovers = 0
        """Legs that went on with another worker after theirs had died."""
        self.moves = 0
        """Groups that went to another worker because theirs was full, or to meet others."""
        self.legs: dict[int, LegRecord] = {}
        self.on: list[dict[int, LegRecord]] = [{} for _ in range(size)]
        """The legs that each worker has."""
        self.up: set[int] = set()
        """The workers that run."""
        self.placement = Placement(size)
        self._workers = workers
        self._down_since: float | None = now
        self._rooms: dict[int, Group] = {}
        self._group_ids = count(1)
        self._everybody = Group(0, None) if size == 1 else None
        self._holders: dict[int, int] = {}
        self._users: dict[int, int] = {}

    def waits(self, now: float) -> bool:
        """Whether no worker runs, but not for so long that nothing is worth waiting for."""
        return self._down_since is not None and now - self._down_since < HOMELESS_S

    # Groups

    def group_of_room(self, room: int) -> Group | None:
        """The group that a room belongs to."""
        return self._everybody or self._rooms.get(room)

    def group_for(self, hint: int) -> Group:
        """The group for a new leg that is going to join this room, 0 if that is still open."""
        group = self.group_of_room(hint)
        if group is None:
            group = Group(next(self._group_ids), self.placement.choose(self.up))
            if hint:
                self._enter(group, hint)
        return group

    def joins(self, record: LegRecord, room: int) -> None:
        """A leg joins a room: its group and the room's become one."""
        group = self.group_of_room(room)
        if group is None:
            self._enter(record.group, room)
        elif group is not record.group:
            self._merge(group, record.group)

    def _enter(self, group: Group, room: int) -> None:
        self._rooms[room] = group
        group.rooms.add(room)

    def _merge(self, one: Group, other: Group) -> None:
        """The smaller group goes to where the larger is, unless it cannot go now."""
        large, small = (one, other) if _stays(one) >= _stays(other) else (other, one)
        away = large.home != small.home
        if large.home is None:
            large.home = small.home
        for room in small.rooms:
            self._rooms[room] = large
        large.absorb(small)
        if away:
            self.moves += 1
            self._gather(large)

    # Legs

    def add(self, record: LegRecord) -> None:
        """A leg is to be opened by the worker that is its group's home, now or when one runs."""
        self.legs[record.leg] = record.group.legs[record.leg] = record
        if record.group.home is None:
            record.group.moving.add(record.leg)
        else:
            self._put(record, record.group.home)

    def opened(self, record: LegRecord, ports: tuple[int, int]) -> None:
        """A leg has its ports."""
        record.rtp_port, record.rtcp_port = ports
        self._users[ports[0]] = self._users.get(ports[0], 0) + 1

    def reweigh(self, record: LegRecord, weight: int) -> None:
        """A leg is worth something else than this, as it was before."""
        if record.at is not None:
            self.placement.add(record.at, record.weight - weight)

    def remove(self, record: LegRecord) -> None:
        """A leg is over."""
        self._take(record)
        group, port = record.group, record.rtp_port
        del self.legs[record.leg], group.legs[record.leg]
        group.moving.discard(record.leg)
        if not group.legs:
            for room in group.rooms:
                del self._rooms[room]
            group.clear()
        if port:
            self._users[port] -= 1
            if not self._users[port]:
                del self._users[port]
                self._drop_unused(port)
        self._arrived(group)

    def lose(self, records: Iterable[LegRecord]) -> None:
        """Nobody is to go on with these legs."""
        lost = list(records)
        for record in lost:
            if record.at is not None and not record.leaving:
                self._workers.send(record.at, CloseLeg(leg=record.leg))
            self.remove(record)
        if lost:
            self._workers.lost([record.leg for record in lost])

    # Workers

    def started(self, worker: int) -> None:
        """A worker runs and has nothing yet."""
        self.up.add(worker)
        self._down_since = None
        if self._everybody is not None:
            self._everybody.home = worker
        for record in self.legs.values():
            if record.group.home is None:
                record.group.home = worker
        self._bring(self.legs.values())

    def died(self, worker: int, now: float) -> None:
        """A worker is gone: others go on with its legs, now or when one runs again."""
        self.up.discard(worker)
        if not self.up:
            self._down_since = now
        orphans = list(self.on[worker].values())
        for record in orphans:
            self._take(record)
            for ended in record.ending:
                self._workers.tell(ended)
            record.orphaned()
            record.group.moving.add(record.leg)
        if orphans:
            # Whoever adds up what is counted of legs has to know that it begins anew.
            gone = {record.leg: ReleasedLeg(totals=LegTotals()) for record in orphans}
            self._workers.tell(LegsReleased(legs=gone, ports=[]))
        self.placement.forget(worker)
        groups = {record.group.id: record.group for record in orphans}
        self._recordings_end(groups.values())
        deadly = [group for group in groups.values() if group.struck(now)]
        self.lose(record for group in deadly for record in list(group.legs.values()))
        self._rehome(worker)
        for port in [port for port, holder in self._holders.items() if holder == worker]:
            del self._holders[port]
            self._drop_unused(port)
        self._bring(orphans)

    def _recordings_end(self, groups: Iterable[Group]) -> None:
        """Their worker died: what was written can be read, and is not gone on with."""
        for group in groups:
            for recording in group.recordings:
                ended = RecordingEnded(
                    recording=recording, reason="failed", frames=None, dropped_frames=0, legs=[]
                )
                self._workers.tell(ended)
            group.recordings.clear()

    def _rehome(self, worker: int) -> None:
        """Find another worker for each group that had its home with this one."""
        groups = {
            record.group.id: record.group for record in self.legs.values() if record.group.home == worker
        }
        if self._everybody is not None:
            self._everybody.home = None
        for group in sorted(groups.values(), key=lambda group: -group.weight):
            group.home = self.placement.choose(self.up)
            if group.home is not None:
                # What it is going to have counts for the next choice.
                self.placement.add(group.home, group.weight)
        for group in groups.values():
            if group.home is not None:
                self.placement.add(group.home, -group.weight)

    def expire(self, now: float) -> None:
        """Give up the legs for which no worker has come in time."""
        if self._down_since is not None and not self.waits(now):
            self.lose(self.legs.values())

    # Socket pairs

    def pair_opened(self, worker: int, port: int) -> None:
        """A worker opened a socket pair with this RTP port, and its sockets are held in case it dies."""
        self._holders[port] = worker

    def pair_closed(self, worker: int, port: int) -> None:
        """A worker has no use for the pair with this RTP port any more."""
        if self._holders.get(port) == worker:
            del self._holders[port]
        self._drop_unused(port)

    def _drop_unused(self, port: int) -> None:
        if port not in self._holders and port not in self._users:
            self._workers.drop(port)

    # Moves

    def relieve(self, now: float) -> None:
        """Move a group away from a worker that is full."""
        full = self.placement.full(self.up, now)
        if full is None:
            return
        groups = {record.group.id: record.group for record in self.on[full].values()}
        loads = [GroupLoad(g.id, g.weight, g.movable, g.moved_at) for g in groups.values()]
        chosen = self.placement.move(full, loads, self.up, now)
        if chosen is not None:
            group = groups[chosen[0]]
            group.home, group.moved_at = chosen[1], now
            self.moves += 1
            self._gather(group)

    def _gather(self, group: Group) -> None:
        """Have those legs of a group let go that another worker than its home has."""
        away: dict[int, list[int]] = {}
        for record in group.legs.values():
            if record.at is not None and record.at != group.home and not record.leaving:
                record.leaving = True
                group.moving.add(record.leg)
                away.setdefault(record.at, []).append(record.leg)
        for worker, legs in away.items():
            self._workers.send(worker, ReleaseLegs(legs=legs))
        self._bring(group.legs.values())

    def released(self, worker: int, event: LegsReleased) -> None:
        """A worker let legs go: they go on with the one that is to have them now."""
        for port in event.ports:
            self.pair_closed(worker, port)
        arrived = []
        for leg, state in event.legs.items():
            record = self.legs.get(leg)
            if record is not None and record.at == worker and record.leaving:
                self._take(record)
                record.released(state)
                arrived.append(record)
        self._bring(arrived)

    def _bring(self, records: Iterable[LegRecord]) -> None:
        """Let the legs that no worker has go on with those that are to have them."""
        bound: dict[int, list[LegRecord]] = {}
        for record in records:
            if record.at is None and record.group.home is not None and record.leg in self.legs:
                bound.setdefault(record.group.home, []).append(record)
        for worker, legs in bound.items():
            ports = list(dict.fromkeys(record.rtp_port for record in legs if record.rtp_port))
            if ports:
                self._workers.give(worker, ports)
                self._holders.update(dict.fromkeys(ports, worker))
            for record in legs:
                self._put(record, worker)
                self.takeovers += record.rtp_port > 0 and record.sent is None
                for command in record.resume(record.group.id):
                    self._workers.send(worker, command)
                record.group.moving.discard(record.leg)
        for group in {record.group.id: record.group for legs in bound.values() for record in legs}.values():
            self._arrived(group)

    def _arrived(self, group: Group) -> None:
        if not group.moving and group.later and group.home is not None:
            later, group.later = group.later, []
            for command in later:
                self._workers.send(group.home, command)

    def _put(self, record: LegRecord, worker: int) -> None:
        record.at = worker
        self.on[worker][record.leg] = record
        self.placement.add(worker, record.weight)

    def _take(self, record: LegRecord) -> None:
        if record.at is not None:
            del self.on[record.at][record.leg]
            self.placement.add(record.at, -record.weight)


def _stays(group: Group) -> tuple[bool, int]:
    """What decides which of two groups stays where it is."""
    return not group.movable and group.home is not None, group.weight
