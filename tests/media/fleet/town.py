"""Several real engines behind a fleet, with no process and no socket: what would travel between processes
waits in queues until the test lets it through."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from ringback.media.batch import MTU, OutgoingBatch, PacketBatch
from ringback.media.engine import TICK_NS, Engine
from ringback.media.fleet.fleet import Fleet
from ringback.media.protocol import (
    Command,
    Event,
    LegOpened,
    LegStatistics,
    PairClosed,
    Statistics,
)
from ringback.quality.leg_history import LegHistory
from ringback.webrtc.dtls import DtlsContext
from tests.media.world import World

PORTS_EACH = 400


class Process:
    """One worker: an engine, the pairs that it has open, and what is on its way to and from it."""

    def __init__(self, town: Town, number: int) -> None:
        self._town = town
        self.number = number
        self.engine = Engine(
            self._open_pair,
            random_bits=town.random.getrandbits,
            load_dtls=DtlsContext,
            take_pair=self._take_pair,
            close_pair=self._close_pair,
        )
        self.ports: dict[int, int] = {}
        self.handed: set[int] = set()
        self.commands: deque[Command | list[int]] = deque()
        self.events: deque[Event | int] = deque()

    def _open_pair(self, pair: int) -> tuple[int, int] | None:
        first = 20000 + PORTS_EACH * self.number
        free = (p for p in range(first, first + PORTS_EACH, 2) if p not in self._town.bound)
        port = next(free, None)
        if port is None:
            return None
        self.ports[pair] = port
        self._town.bound.add(port)
        self.events.append(port)
        return port, port + 1

    def _take_pair(self, pair: int, rtp_port: int, rtcp_port: int, drop: bool) -> bool:
        if rtp_port not in self.handed:
            return False
        assert rtcp_port == rtp_port + 1
        self.handed.discard(rtp_port)
        assert all(rtp_port not in other.ports.values() for other in self._town.processes.values())
        self.ports[pair] = rtp_port
        if drop:
            self._town.waiting.pop(rtp_port, None)
        return True

    def _close_pair(self, pair: int) -> None:
        del self.ports[pair]

    def step(self, packets: list[tuple[int, int, int, int, bytes]], now_ns: int) -> list[OutgoingBatch]:
        """One tick with (arrival, port, ip, source port, datagram) of its ports."""
        numbers = {port: pair for pair, port in self.ports.items()}
        data = np.zeros((len(packets), MTU), np.uint8)
        length = np.zeros(len(packets), np.int32)
        for i, row in enumerate(packets):
            body = row[4][:MTU]
            data[i, : len(body)] = np.frombuffer(body, np.uint8)
            length[i] = len(row[4])
        sockets = [2 * numbers[row[1] & ~1] + (row[1] & 1) for row in packets]
        batch = PacketBatch(
            data,
            length,
            np.array(sockets, np.int32),
            np.array([row[2] for row in packets], np.uint32),
            np.array([row[3] for row in packets], np.uint16),
            np.array([row[0] for row in packets], np.int64),
        )
        outgoing = self.engine.step(batch, now_ns)
        self.events += self.engine.events()
        return outgoing


class Town(World):
    """A world with so many workers: `peer.to_pair` counts the ports of all of them together."""

    def __init__(self, size: int = 2, seed: int = 1, first: tuple[Command, ...] = ()) -> None:
        super().__init__(seed)
        self.bound: set[int] = set()
        self.waiting: dict[int, list[tuple[int, int, int, int, bytes]]] = {}
        self.lost_legs: list[int] = []
        self.history = LegHistory()
        self.processes: dict[int, Process] = {}
        self.first = first
        self.fleet = Fleet(self, size, self.now)
        self.size = size
        for worker in range(size):
            self.start(worker)

    @property
    def now(self) -> float:
        return self.now_ns / 1e9

    def apply(self, command: Command) -> None:
        self.fleet.command(command, self.now)
        self.settle()

    # What the fleet asks for

    def send(self, worker: int, command: Command) -> None:
        self.processes[worker].commands.append(command)

    def give(self, worker: int, ports: list[int]) -> None:
        assert set(ports) <= self.bound
        self.processes[worker].commands.append(list(ports))

    def drop(self, port: int) -> None:
        assert all(port not in process.ports.values() for process in self.processes.values()), port
        self.bound.discard(port)
        self.waiting.pop(port, None)

    def tell(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, LegStatistics):
            self.history.take(event, self.now)

    def lost(self, legs: list[int]) -> None:
        self.lost_legs += legs

    # What happens

    def start(self, worker: int) -> None:
        process = self.processes[worker] = Process(self, worker)
        for command in self.first:
            process.engine.apply(command, self.now_ns)
        self.fleet.roster.started(worker)

    def die(self, worker: int) -> None:
        """The process is gone; what it said is still heard."""
        process = self.processes[worker]
        while process.events:
            self.let_event(worker)
        del self.processes[worker]
        self.fleet.roster.died(worker, self.now)

    def let_command(self, worker: int) -> None:
        """Let the next command reach a worker."""
        process = self.processes[worker]
        command = process.commands.popleft()
        if isinstance(command, list):
            process.handed |= {port for port in command if port not in process.ports.values()}
        else:
            process.engine.apply(command, self.now_ns)
            process.events += process.engine.events()

    def let_event(self, worker: int) -> None:
        """Let the next event of a worker reach the fleet."""
        event = self.processes[worker].events.popleft()
        if isinstance(event, int):
            self.fleet.roster.pair_opened(worker, event)
            return
        told = self.fleet.event(worker, event, self.now)
        if told is not None:
            assert not isinstance(told, PairClosed)
            self.tell(told)

    def settle(self) -> None:
        """Let everything through."""
        while any(process.commands or process.events for process in self.processes.values()):
            for worker in list(self.processes):
                while self.processes[worker].commands:
                    self.let_command(worker)
                while self.processes[worker].events:
                    self.let_event(worker)

    def say_statistics(self, worker: int, busy: float = 0.1) -> None:
        """A worker's report of the second."""
        engine = self.processes[worker].engine
        self.processes[worker].events += [
            engine.statistics(self.now_ns),
            Statistics(
                busy_fraction=busy,
                late_ticks=0,
                sockets=0,
                heard=engine.protection.heard(engine.received),
            ),
        ]

    def where(self, leg: int) -> list[int]:
        """The workers that have a leg."""
        return [number for number, process in self.processes.items() if leg in process.engine.legs.slots]

    def opened(self, leg: int) -> LegOpened:
        return next(event for event in self.of(LegOpened) if event.leg == leg)

    def tick(self) -> None:
        self.now_ns += TICK_NS
        self._speak()
        batch = self._arrived()
        for i in range(len(batch)):
            port = 20000 + int(batch.socket[i])
            row = (
                int(batch.arrival_ns[i]),
                port,
                int(batch.ip[i]),
                int(batch.port[i]),
                batch.data[i, : batch.length[i]].tobytes(),
            )
            if port & ~1 in self.bound:
                self.waiting.setdefault(port & ~1, []).append(row)
        self.outgoing = []
        for process in self.processes.values():
            rows: list[Any] = []
            for port in process.ports.values():
                rows += self.waiting.pop(port, ())
            for outgoing in process.step(sorted(rows, key=lambda row: row[0]), self.now_ns):
                outgoing.socket = np.array(
                    [process.ports[s >> 1] - 20000 + (s & 1) for s in outgoing.socket.tolist()], np.int32
                )
                self._deliver(outgoing)
        self.settle()

    def totals(self, leg: int) -> Any:
        (worker,) = self.where(leg)
        engine = self.processes[worker].engine
        return engine.totals(np.array([engine.legs.slots[leg]]), self.now_ns)[leg]
