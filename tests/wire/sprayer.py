"""A stranger on the network: datagrams to every media port of a server, hundreds a second to each."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence

ROUND_S = 0.01
LOOK_S = 0.1
AHEAD = 4
"""Ports after the last open one are sprayed too: the spray is there before a new port opens."""


class Sprayer:
    """Sends from ports of its own while in its `with` block; keeps all that comes back to them."""

    def __init__(
        self,
        open_ports: Callable[[], list[int]],
        datagrams: Sequence[bytes],
        *,
        port_rate: int,
        sources: int = 4,
    ) -> None:
        """`open_ports` tells the ports on loopback; each gets `port_rate` of `datagrams` a second."""
        self._open_ports = open_ports
        self._datagrams = itertools.cycle(datagrams)
        self._port_rate = port_rate
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(sources)]
        self._next_socket = itertools.cycle(self._sockets)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._began = self._ended = 0.0
        self.sent: dict[int, int] = {}
        """How many datagrams each port got."""
        self.answers: list[bytes] = []

    def __enter__(self) -> Sprayer:
        for one in self._sockets:
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        # What was still on its way.
        time.sleep(0.1)
        self._read()
        self._ended = time.monotonic()
        for one in self._sockets:
            one.close()

    @property
    def seconds(self) -> float:
        """How long it has sprayed, and kept answers."""
        return (self._ended or time.monotonic()) - self._began

    def rates(self, ports: Sequence[int]) -> list[float]:
        """Datagrams a second that these ports got."""
        return [self.sent.get(port, 0) / self.seconds for port in ports]

    def has_hit_all(self, times: int = 100) -> bool:
        """Whether every port that is open now has got so many."""
        ports = self._open_ports()
        return bool(ports) and all(self.sent.get(port, 0) >= times for port in ports)

    def _run(self) -> None:
        targets: list[int] = []
        look_at, rounds = 0.0, 0
        while not self._stop.is_set():
            now = time.monotonic()
            if now >= look_at:
                found = self._open_ports()
                targets = [*found, *range(found[-1] + 1, found[-1] + 1 + AHEAD)] if found else []
                look_at = now + LOOK_S
            # By the clock: a busy machine changes nothing, but a long delay is not made up for.
            due = int((now - self._began) * self._port_rate)
            for _ in range(min(due - rounds, self._port_rate // 10)):
                for port in targets:
                    self._send(port)
            rounds = due
            self._read()
            self._stop.wait(ROUND_S)

    def _send(self, port: int) -> None:
        # A port that is not open yet says so.
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            next(self._next_socket).sendto(next(self._datagrams), ("127.0.0.1", port))
            self.sent[port] = self.sent.get(port, 0) + 1

    def _read(self) -> None:
        while readable := select.select(self._sockets, [], [], 0)[0]:
            for one in readable:
                with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                    self.answers.append(one.recv(2048))
