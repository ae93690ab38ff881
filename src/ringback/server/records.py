"""Keeps records of calls: first in the spool, then in the database, each exactly once.

The call path never waits. What is over is written to the spool within a moment, and into the database once a
second, all in one transaction. While the database is away the spool grows; what it holds goes in when the
database is back, also after a power cut. Calls that a power cut has ended are known from the lines of their
begin, and become records of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import structlog

from ringback.call.effects import Notice
from ringback.call.recorded import begun, record_of, records_of
from ringback.call.records import Call, CallLog
from ringback.server.record_spool import Entry, Spool, SpoolFullError
from ringback.store.call_record import CallRecord
from ringback.store.call_records import CallRecords, check
from ringback.store.errors import StoreError
from ringback.web.operations import Metric

GATHER_S: Final = 0.02
"""How long what is over waits for more before it is written: this much a power cut may forget."""
BEGUN_AFTER_S: Final = 0.5
"""A call that goes on for so long is noted before its end."""
STORE_EVERY_S: Final = 1.0
RETRY_S: Final = 2.0
MOST_IN_MEMORY: Final = 5_000
"""Records that wait for the database in memory; more are read from the spool again."""
MOST_LOOSE: Final = 20_000
"""Records that are kept in memory alone while the spool cannot be written."""
_BATCH: Final = 1_000
_SMALL_BYTES: Final = 64_000
"""A spool file is not begun anew before it is so long."""
_FORGET_EVERY_S: Final = 60.0
_FORGET_AT_ONCE: Final = 500
_FORGET_PAUSE_S: Final = 0.2

log = structlog.get_logger(__name__)


class RecordKeeper:
    """Takes calls that are over from the log; `start` and `stop` are called once each."""

    def __init__(
        self,
        calls: CallLog,
        spool: Spool,
        store: CallRecords,
        publish: Callable[[Notice], None],
        keep_days: int = 0,
    ) -> None:
        self._calls = calls
        self._spool = spool
        self._store = store
        self._publish = publish
        self._keep_days = keep_days
        self._wake = asyncio.Event()
        self._one_step = asyncio.Lock()
        """Held while a thread may be at the spool: cancelling a task does not end its thread."""
        self._tasks: list[asyncio.Task[None]] = []
        self._loose: list[CallRecord] = []
        """Neither in the spool nor in the database."""
        self._waiting: list[CallRecord] = []
        """In the spool, not in the database."""
        self._noted: dict[int, CallRecord] = {}
        """Calls that go on and have a line in the current file."""
        self._left: list[int] = []
        """Files of an earlier run, which may hold calls that were never seen to end."""
        self._store_at = 0.0
        self.stored = 0
        self.lost = 0
        self.away = False
        """Whether the database takes nothing just now."""
        self.unwritable = False
        """Whether the spool takes nothing just now."""

    async def start(self) -> None:
        """Look for what an earlier run left, and begin."""
        try:
            self._left = await asyncio.to_thread(self._spool.open)
        except OSError as error:
            self._spool_failed(error)
        await self._store.load()
        self._calls.on_news = self._wake.set
        self._wake.set()
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._forget())]

    async def stop(self) -> None:
        """Store what is left and end: after a step that is under way, which is not torn apart."""
        async with self._one_step:
            for task in self._tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._calls.overdue(time.monotonic(), 0.0)
        self._store_at = 0.0
        try:
            await self.step(time.monotonic())
        except Exception:
            log.exception("records could not be kept")
        await asyncio.to_thread(self._spool.close)

    async def _run(self) -> None:
        while True:
            idle = not (self._calls.live or self._loose or self._waiting or self._behind)
            try:
                async with asyncio.timeout(None if idle else BEGUN_AFTER_S):
                    await self._wake.wait()
                await asyncio.sleep(GATHER_S)
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.step(time.monotonic())
            except Exception:
                log.exception("records could not be kept")
                await asyncio.sleep(RETRY_S)

    @property
    def _behind(self) -> bool:
        """Whether there are files with records that the database may lack."""
        return bool(self._spool.earlier)

    async def step(self, now: float) -> None:
        """Write what is over to the spool; when it is time, and into the database."""
        async with self._one_step:
            await self._step(now)

    async def _step(self, now: float) -> None:
        self._calls.overdue(now)
        over = self._calls.take_over()
        if over:
            records = await asyncio.to_thread(self._made, over)
            self._loose += records
            for record in records:
                self._noted.pop(record.id, None)
        fresh = [
            begun(call)
            for call in self._calls.live.values()
            if call.id not in self._noted and call.legs and now - call.began >= BEGUN_AFTER_S
        ]
        await self._write(fresh)
        if now >= self._store_at and (self._loose or self._waiting or self._behind):
            await self._into_database(now)

    def _made(self, over: list[Call]) -> list[CallRecord]:
        """Their records; one that cannot be made costs no other."""
        try:
            records = records_of(over)
            check(records)
        except Exception:
            log.exception("a call's record met a fault of ours")
        else:
            return records
        made: list[CallRecord] = []
        for call in over:
            try:
                record = record_of(call)
                check([record])
            except Exception:
                self.lost += 1
            else:
                made.append(record)
            call.let_go()
        return made

    # The spool

    async def _write(self, fresh: list[CallRecord]) -> None:
        entries = [Entry(over=True, record=record) for record in self._loose]
        entries += [Entry(over=False, record=record) for record in fresh]
        if not entries:
            return
        try:
            await asyncio.to_thread(self._spool.append, entries)
        except (OSError, SpoolFullError) as error:
            self._spool_failed(error)
            return
        if self.unwritable:
            self.unwritable = False
            self._tell("records.spool_back")
        self._waiting += self._loose
        self._loose = []
        self._noted.update((record.id, record) for record in fresh)

    def _spool_failed(self, error: OSError | SpoolFullError) -> None:
        if not self.unwritable:
            self.unwritable = True
            full = isinstance(error, SpoolFullError)
            reason = "records.spool_mb is reached" if full else (error.strerror or "error")  # type: ignore[union-attr]
            self._tell("records.spool_failed", reason=reason)
        if len(self._loose) > MOST_LOOSE:
            # The newest are what people ask for first.
            dropped = len(self._loose) - MOST_LOOSE
            self.lost += dropped
            del self._loose[:dropped]
            self._tell("records.lost", records=dropped)

    # The database

    async def _into_database(self, now: float) -> None:
        self._store_at = now + STORE_EVERY_S
        try:
            await self._drain(self._waiting)
            await self._drain(self._loose)
            await self._catch_up()
        except StoreError as error:
            self._store_at = now + RETRY_S
            if not self.away:
                self.away = True
                self._tell("records.database_away", reason=str(error))
            if len(self._waiting) > MOST_IN_MEMORY:
                await self._leave_to_spool()
            return
        if self.away:
            self.away = False
            self._tell("records.database_back")
        if self._spool.size > _SMALL_BYTES or (self._spool.size and not self._calls.live):
            await self._begin_anew()

    async def _drain(self, records: list[CallRecord]) -> None:
        """Put them into the database, a batch after the other."""
        while batch := records[:_BATCH]:
            rows = await asyncio.to_thread(self._store.rows, batch)
            await self._store.add(rows)
            self.stored += len(batch)
            del records[: len(batch)]

    async def _leave_to_spool(self) -> None:
        """Too many wait in memory: they are in the spool, from where they come back."""
        if await self._new_file():
            self._waiting = []

    async def _begin_anew(self) -> None:
        """The database has everything: what the spool holds is wanted no more."""
        if await self._new_file():
            await self._remove(self._spool.earlier)

    async def _new_file(self) -> bool:
        """Begin a new file, with the calls that go on."""
        try:
            await asyncio.to_thread(self._spool.begin_anew)
        except OSError as error:
            self._spool_failed(error)
            return False
        return await self._note_again()

    async def _note_again(self) -> bool:
        """Have the calls that go on in the file that is written now: earlier ones are to go."""
        going_on = [Entry(over=False, record=r) for r in self._noted.values() if r.id in self._calls.live]
        try:
            await asyncio.to_thread(self._spool.append, going_on, bounded=False)
        except OSError as error:
            self._spool_failed(error)
            return False
        return True

    async def _catch_up(self) -> None:
        """Put what earlier files hold into the database; those of an earlier run tell which calls it left."""
        unfinished: dict[int, CallRecord] = {}
        for number in self._spool.earlier:
            over: list[CallRecord] = []
            for entry in await asyncio.to_thread(self._spool.entries, number):
                if entry.over:
                    over.append(entry.record)
                    unfinished.pop(entry.record.id, None)
                elif number in self._left:
                    unfinished[entry.record.id] = entry.record
            await self._drain(over)
        await self._drain(list(unfinished.values()))
        if unfinished:
            self._tell("records.interrupted", calls=len(unfinished))
        self._left = []
        if self._spool.earlier and await self._note_again():
            await self._remove(self._spool.earlier)

    async def _remove(self, numbers: list[int]) -> None:
        try:
            for number in numbers:
                await asyncio.to_thread(self._spool.remove, number)
        except OSError as error:
            self._spool_failed(error)

    # Old records

    async def _forget(self) -> None:
        """Delete what is too old, a little at a time, so that nobody has to wait for it."""
        while self._keep_days:
            before = datetime.now(UTC) - timedelta(days=self._keep_days)
            gone = 0
            with contextlib.suppress(StoreError):
                gone = await self._store.forget(before, _FORGET_AT_ONCE)
            await asyncio.sleep(_FORGET_PAUSE_S if gone == _FORGET_AT_ONCE else _FORGET_EVERY_S)

    # Telling

    def _tell(self, kind: str, **facts: object) -> None:
        self._publish(Notice(kind, facts))

    def metrics(self) -> Iterable[Metric]:
        """What was kept, what waits, and whether something is wrong."""
        waits = len(self._loose) + len(self._waiting)
        refused = self._calls.unrecorded
        kept: tuple[tuple[str, Literal["counter", "gauge"], str, int], ...] = (
            ("stored", "counter", "Call records given to the database since the start.", self.stored),
            ("lost", "counter", "Call records that could be kept nowhere.", self.lost),
            (
                "refused_unrecorded",
                "counter",
                "Refused calls without a record: too many of one source.",
                refused,
            ),
            ("waiting", "gauge", "Call records in memory that the database has not taken yet.", waits),
            ("spool_bytes", "gauge", "Octets of call records on the disk beside it.", self._spool.total),
            ("database_away", "gauge", "1 while the database takes no records.", int(self.away)),
            ("spool_unwritable", "gauge", "1 while the spool takes no records.", int(self.unwritable)),
        )
        for name, kind, description, value in kept:
            yield Metric(f"ringback_call_records_{name}", kind, description, (({}, float(value)),))
