"""The worker's clock: a tick every 20 ms on absolute deadlines, commands in between, and what to do when
late."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial

import msgspec

from ringback.media.addresses import Addresses
from ringback.media.batch import empty_batch
from ringback.media.engine import TICK_NS, Engine
from ringback.media.noise import NoiseSuppression
from ringback.media.playing import SoundError, SoundShelf
from ringback.media.protocol import Command, CommandFailed, Event, PairClosed, Ready, Shutdown, Statistics
from ringback.media.worker.control import ControlChannel, ControlLostError
from ringback.media.worker.dtls_loader import DtlsLoader
from ringback.media.worker.mmsg import Inbox, Outbox
from ringback.media.worker.recorder import RecorderLink
from ringback.media.worker.rest import Rest
from ringback.media.worker.sockets import UdpPorts

MAX_CATCH_UP = 2
"""Ticks made up for at once when late; those beyond are skipped and counted."""
OVERDUE_NS = 40_000_000
"""Begun so much late, a tick is told of by itself: jitter buffers of peers at their floor run dry."""
MAX_BATCHES = 4
"""Times the inbox is filled and emptied in one tick at most."""
OUTBOX_ROWS = 16384
AHEAD_NS = 4_000_000
"""So long before a tick most of its datagrams are taken already: what is sent at the tick leaves earlier by
the time that takes."""
AHEAD_LEGS = 256
"""Legs from which on that is a time worth mentioning."""
AHEAD_NEEDS_NS = 8_000_000
"""Nothing is taken ahead where less is left of the last tick: reading all sockets once more costs time."""
SIDE_ROWS = 1024
"""Datagrams beside the legs' RTP that go out at once: handshakes, ICE, RTCP."""
MAX_FAULTS = 25
"""Ticks that fail one after another (half a second) before the worker gives up."""
SECOND_NS = 1_000_000_000
LATE_COMMANDS_NS = 2_000_000
"""Time for commands when there is none: a flood of them must not stop the clock."""
GATHER_NS = 2_000_000
"""After commands the next ones are let gather for so long: with many calls they come one by one, and each
would be a wake-up of its own, which puts off the control process as well where both share a core."""
COLLECT_NS = 30 * SECOND_NS
COLLECT_NEEDS_NS = 12_000_000
"""Collecting garbage waits for a tick that leaves this much time."""
IDLE_EVERY_TICKS = 50


class Worker:
    """Runs one engine on one thread until Shutdown or the end of the control socket."""

    def __init__(
        self,
        control: ControlChannel[Command, Event],
        ports: UdpPorts,
        full_band: bool = False,
        own_music: str = "",
    ) -> None:
        # First of all: the memory that making the music takes for a moment is then used for the rest.
        shelf = _prepared(own_music)
        self._control = control
        self._ports = ports
        addresses = Addresses()
        self._inbox = Inbox(addresses=addresses)
        self._outbox = Outbox(OUTBOX_ROWS, addresses)
        self._side = Outbox(SIDE_ROWS, addresses)
        self._recorder = RecorderLink()
        self._engine = Engine(
            ports.open_pair,
            outgoing=self._outbox.data,
            wall_offset_ns=time.time_ns() - time.monotonic_ns(),
            load_dtls=DtlsLoader(),
            shelf=shelf,
            recorder=self._recorder,
            take_pair=ports.take_pair,
            close_pair=ports.close_pair,
            full_band=full_band,
            open_pair_ipv6=ports.open_pair_ipv6,
            addresses=addresses,
        )
        self._occupied: list[int] = []
        self._rtp: list[tuple[int, int]] = []
        self.taps = self._engine.taps
        self.shelf = shelf
        self._running = True
        self._commands: deque[Command] = deque()
        self._busy_ns = 0
        self._rest = Rest()
        self._late_ticks = 0
        self._overdue_ticks = 0
        self._faults = 0
        self._second_ns = 0
        self._obeyed_ns = 0
        self._ended_ns = 0
        self._idle_tick = -IDLE_EVERY_TICKS
        self._collected_ns = 0

    def run(self) -> None:
        """Keep the clock; returns when there is nothing more to do."""
        with contextlib.suppress(ControlLostError):
            ready = Ready(
                pid=os.getpid(),
                codecs=Engine.codecs(),
                noise_suppression=NoiseSuppression.available(),
            )
            self._control.send([ready])
            start = time.monotonic_ns()
            self._second_ns = self._collected_ns = start
            deadline = start + TICK_NS
            while self._running:
                self._take_ahead(deadline)
                self._wait(deadline)
                deadline = self._ticks(deadline)
        self._recorder.close()

    def _ticks(self, deadline: int) -> int:
        """Run the tick that is due, and up to MAX_CATCH_UP that are overdue; returns the next deadline."""
        began = time.monotonic_ns()
        behind = (began - deadline) // TICK_NS
        # What belongs to ticks that were due before the last one ended has arrived, and is read once for all.
        # After a stall between ticks it may be on its way: who sends to us may have been stopped as well.
        read_once = behind > 0 and self._ended_ns > deadline + behind * TICK_NS
        if behind > 0:
            self._late_ticks += behind
            self._overdue_ticks += began - deadline > OVERDUE_NS
        if behind > MAX_CATCH_UP:
            missed = behind - MAX_CATCH_UP
            self._engine.skip(missed)
            deadline += missed * TICK_NS
            behind = MAX_CATCH_UP
        ended = began
        # None where it was told to end before the tick was due.
        read = False
        for _ in range(behind + 1):
            read = self._tick(drain=not (read and read_once))
            deadline += TICK_NS
            began, ended = ended, time.monotonic_ns()
            self._worked(ended - began)
            if due := self._rest.due:
                time.sleep(due / SECOND_NS)
                self._rested(ended)
                ended = time.monotonic_ns()
        self._ended_ns = ended
        if ended - self._second_ns >= SECOND_NS:
            self._report(ended)
        if ended - self._collected_ns >= COLLECT_NS and deadline - ended >= COLLECT_NEEDS_NS:
            # Young objects only in most rounds: what lives long has been frozen or is few.
            gc.collect(1)
            self._collected_ns = ended
        return deadline

    def _take_ahead(self, deadline: int) -> None:
        """Take what has arrived a while before the tick, where that is much."""
        if len(self._engine.legs.slots) < AHEAD_LEGS or deadline - time.monotonic_ns() < AHEAD_NEEDS_NS:
            return
        self._wait(deadline - AHEAD_NS)
        began = time.monotonic_ns()
        self._survives(partial(self._drain, ahead=True))
        self._worked(time.monotonic_ns() - began)

    def _tick(self, drain: bool) -> bool:
        """Whether it went well."""
        survived = self._survives(partial(self._advance, drain))
        if survived:
            self._faults = 0
        else:
            self._engine.skip(1)
        self._send_events()
        return survived

    def _survives(self, work: Callable[[], None]) -> bool:
        """Whether it went well. A fault of ours costs everybody a frame; one that stays ends the worker, and
        another is started."""
        try:
            work()
        except Exception:
            self._faults += 1
            if self._faults == 1:
                traceback.print_exc(file=sys.stderr)
            if self._faults >= MAX_FAULTS:
                raise
            return False
        return True

    def _advance(self, drain: bool) -> None:
        if drain:
            self._drain()
        for outgoing in self._engine.step(_NO_PACKETS, time.monotonic_ns()):
            # Nearly all lies in the outbox already; the rest must not be written over it.
            own = outgoing.data.base is self._outbox.data or outgoing.data is self._outbox.data
            (self._outbox if own else self._side).send(outgoing, self._ports.descriptors)

    def _drain(self, ahead: bool = False) -> None:
        """Give the engine all that has arrived; `ahead` of the tick by AHEAD_NS."""
        now = time.monotonic_ns()
        offset = time.time_ns() - now
        for sockets in (self._rtp_sockets(), self._ports.rtcp()):
            waiting = sockets
            for _ in range(MAX_BATCHES):
                if not waiting:
                    break
                # Anew each time: what was read before may have taught whose a source is.
                usual = self._engine.usual(now, ahead)
                batch, position = self._inbox.receive(waiting, 0, offset, now, usual)
                self._engine.receive(batch, now, ahead)
                # What floods one socket must not pile up in front of the calls that share it.
                waiting = [*waiting[position:], *self._inbox.full]

    def _rtp_sockets(self) -> list[tuple[int, int]]:
        """RTP sockets to look at: those with legs at every tick, the others once a second."""
        sources = self._engine.sources
        # Not every tick reads: those that are made up for may do without.
        if self._engine.tick - self._idle_tick >= IDLE_EVERY_TICKS:
            self._idle_tick = self._engine.tick
            return self._ports.rtp(sources.pairs)
        if sources.occupied is not self._occupied:
            self._occupied = sources.occupied
            self._rtp = self._ports.rtp(self._occupied)
        return self._rtp

    def _wait(self, deadline: int) -> None:
        """Sleep until the deadline, carrying out commands as they come."""
        descriptor = self._control.fileno()
        while self._running:
            now = time.monotonic_ns()
            left = deadline - now
            if left <= 0:
                # Even without a moment's rest commands are heard.
                if self._commands or select.select([descriptor], [], [], 0)[0]:
                    self._obey(now + LATE_COMMANDS_NS)
                return
            if self._commands:
                self._obey(deadline)
                continue
            gathering = self._obeyed_ns + GATHER_NS - now
            if gathering > 0:
                time.sleep(min(gathering, left) / SECOND_NS)
                self._rested(now)
                continue
            writing = [descriptor] if self._control.unsent else []
            readable, writable, _ = select.select([descriptor], writing, [], left / SECOND_NS)
            self._rested(now)
            if writable:
                self._control.flush()
            if readable:
                self._obey(deadline)

    def _obey(self, until: int) -> None:
        """Carry out commands; those for which the time does not suffice wait until after the tick."""
        began = now = time.monotonic_ns()
        self._read_commands()
        while self._commands and now < until:
            command = self._commands.popleft()
            if isinstance(command, Shutdown):
                self._running = False
            else:
                self._engine.apply(command, now)
            now = time.monotonic_ns()
        self._send_events()
        self._worked(now - began)
        self._obeyed_ns = now

    def _worked(self, ns: int) -> None:
        self._busy_ns += ns
        self._rest.worked(ns)

    def _rested(self, since_ns: int) -> None:
        self._rest.rested(time.monotonic_ns() - since_ns)

    def _read_commands(self) -> None:
        for command in self._control.receive():
            if isinstance(command, msgspec.ValidationError):
                self._control.send(
                    [CommandFailed(command="?", leg=None, reason="not a command of this protocol")]
                )
            else:
                self._commands.append(command)

    def _send_events(self) -> None:
        events = self._engine.events()
        if events or self._control.unsent:
            self._control.send(events)

    def _report(self, now: int) -> None:
        elapsed = now - self._second_ns
        self._control.send(
            [
                self._engine.statistics(now),
                Statistics(
                    busy_fraction=round(min(self._busy_ns / elapsed, 1.0), 4),
                    late_ticks=self._late_ticks,
                    overdue_ticks=self._overdue_ticks,
                    sockets=2 * self._engine.sources.pair_count,
                    heard=self._engine.protection.heard(self._engine.received),
                ),
            ]
        )
        self._ports.flush()
        self._give_back(now)
        self._second_ns = now
        self._busy_ns = 0

    def _give_back(self, now: int) -> None:
        """Close pairs of other workers' ports that are not used any more."""
        sources = self._engine.sources
        for pair in self._ports.to_give_back(sources.legs_on, now):
            port = sources.give_up(pair)
            if port is not None:
                self._control.send([PairClosed(rtp_port=port)])


_NO_PACKETS = empty_batch()


def _prepared(own_music: str) -> SoundShelf:
    """A shelf with what costs more time than a tick has; music that cannot be read is the built-in."""
    try:
        shelf = SoundShelf(own_music)
        shelf.prepare()
    except SoundError:
        shelf = SoundShelf()
        shelf.prepare()
    return shelf
