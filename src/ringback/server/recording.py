"""Recording by policy joined with the rest: rows before files, the ledger, retention, what a crash left."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol

import structlog

from ringback.call.effects import Notice
from ringback.call.leg import Leg
from ringback.call.switchboard import Switchboard
from ringback.conference.entry import Entry
from ringback.config import Settings
from ringback.media.protocol import RecordingEnded
from ringback.recording.archive import Beginning, Begun, ConsentLine, Speaker
from ringback.recording.desk import Kind, RecordingDesk
from ringback.recording.talk import TEXTS
from ringback.server.prompts import PromptLibrary
from ringback.store.errors import ConflictError, DatabaseUnusableError, StoreError
from ringback.store.plan.voice import RecordingPolicy
from ringback.store.recordings import StoredConsent, StoredTrack
from ringback.store.store import Store

EVERY_S: Final = 600.0
"""How often what has been kept long enough is deleted."""
AGAIN_S: Final = 2.0
MOST_LINES: Final = 20_000
"""Lines of the ledger that wait while the database is away."""
CLOSING_S: Final = 2.0
_WRITER_ENDS_S: Final = 1.0
_SPEAKS_S: Final = 5.0
"""How long a start waits until the notices that count are spoken."""

Job = Callable[[], Awaitable[None]]
Then = Callable[[Begun | str, float], None]
log = structlog.get_logger(__name__)


class Acts(Protocol):
    """What is asked of the exchange."""

    def act(self, operation: Callable[[float], int]) -> int:
        """Do something to the calls, and carry out what follows."""


class RecordingKeeper:
    """Implements `recording.archive.Archive` on the store; jobs run one after the other."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        switchboard: Switchboard,
        acts: Acts,
        prompts: PromptLibrary,
        publish: Callable[[Notice], None],
    ) -> None:
        self._store = store
        self._key_file = settings.vault_key_file
        self._acts = acts
        self._prompts = prompts
        self._publish = publish
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._waiting: list[Job] = []
        self._lines: list[StoredConsent] = []
        self._open: set[str] = set()
        self._marking: dict[str, asyncio.Future[None]] = {}
        """Being noted, or noted, as to be deleted."""
        self._tasks: list[asyncio.Task[None]] = []
        self.desk = RecordingDesk(
            switchboard,
            self,
            lambda: store.directory,
            kind_of,
            emergency_numbers=settings.routing.emergency,
            tone_every_s=settings.recording.tone_every_s,
        )
        switchboard.overhearing = self.desk

    async def start(self) -> None:
        """Settle what the last process left, delete what is due, and begin."""
        for voice in await asyncio.to_thread(self._store.voices.vault.withdrawn):
            await self._withdraw(voice)
        settled = await self._store.recordings.settle()
        if settled:
            log.warning("recordings were cut by the last end of the server", recordings=settled)
        await self._expire()
        if self._store.voices.vault.key.rotating:
            self._jobs.put_nowait(self._rotate)
        self.follow()
        policies = self._store.directory.plan.all(RecordingPolicy).values()
        notices = [policy.notice for policy in policies if policy.approved_by]
        if notices:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SPEAKS_S):
                    await self._prompts.speak([*notices, *TEXTS])
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._upkeep())]

    def follow(self) -> None:
        """The directory may have changed: have its notices spoken."""
        policies = self._store.directory.plan.all(RecordingPolicy).values()
        self._prompts.speak_later([*(policy.notice for policy in policies), *TEXTS])

    async def speak(self, notice: str) -> bool:
        """Have a notice spoken, and what is said beside it; whether it is there."""
        return await self._prompts.speak([notice, *TEXTS])

    async def stop(self) -> None:
        """Wait a little for recordings to be closed, and do what is to be done."""
        deadline = time.monotonic() + CLOSING_S
        while (self._open or not self._jobs.empty()) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        # One that has begun is not torn.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(deadline - time.monotonic(), 0.0)):
                await self._jobs.join()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for job in self._waiting:
            self._jobs.put_nowait(job)
        while not self._jobs.empty():
            await self._do(self._jobs.get_nowait())
        await self._save_lines()
        # What could not be deleted now is at the next start.
        await asyncio.gather(*self._marking.values(), return_exceptions=True)

    # Archive

    def sounds(self, text: str) -> list[str] | None:
        """The words, where they have been spoken."""
        return [f"words:{text}"] if self._prompts.speaks(text) else None

    def consent(self, line: ConsentLine) -> None:
        """Write a line of the ledger soon; it waits while the database is away."""
        if len(self._lines) >= MOST_LINES:
            log.error("the ledger of consent cannot be written, and too many lines wait")
            return
        self._lines.append(
            StoredConsent(
                line.call,
                line.speaker.leg,
                _extension(line.speaker),
                line.speaker.trunk,
                datetime.now(UTC),
                line.policy,
                line.mode,
                line.notice,
                line.state,
                line.how,
            )
        )
        self._jobs.put_nowait(self._save_lines)

    def begin(self, beginning: Beginning, then: Then) -> None:
        """Make its rows; what was consented to is on the disk before."""
        self._jobs.put_nowait(partial(self._begin, beginning, then))

    def speaks(self, voice: str, speaker: Speaker) -> None:
        """Give somebody a track."""
        self._jobs.put_nowait(partial(self._until_done, partial(self._add_track, voice, speaker)))

    def finish(self, voice: str, ended: RecordingEnded | None, *, keep: bool) -> None:
        """Let it count, or leave nothing of it."""
        if not keep and ended is not None:
            self.forbid(voice)
        self._jobs.put_nowait(partial(self._until_done, partial(self._finish, voice, ended, keep)))

    def forbid(self, voice: str) -> None:
        """Note on the disk, at once, that it is to be deleted: the database may be away, this process end."""
        if voice not in self._marking:
            self._marking[voice] = asyncio.ensure_future(self._mark(voice))

    def withdraw(self, voice: str) -> None:
        """Delete it, unless a legal hold keeps it."""
        self.forbid(voice)
        self._jobs.put_nowait(partial(self._until_done, partial(self._withdraw, voice)))

    async def _mark(self, voice: str) -> None:
        try:
            await asyncio.to_thread(self._store.voices.vault.withdraw, voice)
        except OSError as error:
            log.error("it cannot be noted that a recording is to be deleted", reason=error.strerror)

    async def _unmark(self, voice: str) -> None:
        """It is deleted, or under legal hold."""
        marking = self._marking.pop(voice, None)
        if marking is not None:
            await marking
        await asyncio.to_thread(self._store.voices.vault.settle, voice)

    async def _withdraw(self, voice: str) -> None:
        try:
            await self._store.voices.delete(voice, "consent", "withdrawn")
        except DatabaseUnusableError:
            raise
        except StoreError as error:
            log.warning("what somebody withdrew from cannot be deleted", voice=voice, reason=str(error))
        await self._unmark(voice)

    async def _begin(self, beginning: Beginning, then: Then) -> None:
        result: Begun | str
        try:
            await self._save_lines()
            if self._lines:
                raise RuntimeError("the ledger of consent cannot be written")
            new = await self._store.recordings.begin(
                call_id=beginning.call,
                policy=beginning.policy,
                mode=beginning.mode,
                direction=beginning.direction,
                players=beginning.players,
                keep_days=beginning.keep_days,
                tracks=[_track(speaker) for speaker in beginning.speakers],
            )
            self._open.add(new.id)
            folder = str(self._store.voices.vault.folder / new.id)
            result = Begun(new.id, folder, new.data_key)
        except Exception as error:
            log.error("a recording could not begin", error=type(error).__name__)
            result = "the database is away"

        def go_on(now: float) -> int:
            # Whoever has moved since is to be known before.
            self.desk.settle(now)
            then(result, now)
            self.desk.settle(now)
            return 0

        self._acts.act(go_on)

    async def _add_track(self, voice: str, speaker: Speaker) -> None:
        await self._store.recordings.add_track(voice, _track(speaker))

    async def _finish(self, voice: str, ended: RecordingEnded | None, keep: bool) -> None:
        if ended is not None and ended.frames is None:
            # The writer may still be closing the files of an engine that is gone.
            await asyncio.sleep(_WRITER_ENDS_S)
        reason = ended.reason if ended is not None else "failed"
        kept = await self._store.recordings.finish(voice, reason, keep=keep)
        self._open.discard(voice)
        if not keep:
            await self._unmark(voice)
        if not kept:
            self._publish(Notice("recording.discarded", {"voice": voice}))

    # Work

    async def _run(self) -> None:
        while True:
            await self._do(await self._jobs.get())
            self._jobs.task_done()

    async def _do(self, job: Job) -> None:
        try:
            await job()
        except Exception:
            # What was being recorded is settled at the next start.
            log.exception("a recording could not be brought into the store")

    async def _until_done(self, job: Job) -> None:
        """Do it, or try again in a while: the database may be away for a minute."""
        try:
            await job()
        except Exception as error:
            log.error("a recording waits for the database", error=type(error).__name__)
            self._waiting.append(job)

    async def _save_lines(self) -> None:
        lines = self._lines[:]
        try:
            await self._store.recordings.note_consents(lines)
        except Exception as error:
            log.error("the ledger of consent cannot be written now", error=type(error).__name__)
            return
        del self._lines[: len(lines)]

    async def _upkeep(self) -> None:
        due = time.monotonic() + EVERY_S
        while True:
            await asyncio.sleep(AGAIN_S)
            waiting, self._waiting = self._waiting, []
            for job in waiting:
                self._jobs.put_nowait(partial(self._until_done, job))
            if self._lines:
                self._jobs.put_nowait(self._save_lines)
            if time.monotonic() >= due:
                due = time.monotonic() + EVERY_S
                self._jobs.put_nowait(self._expire)
                if self._store.voices.vault.key.rotating:
                    self._jobs.put_nowait(self._rotate)

    async def _rotate(self) -> None:
        try:
            done = await self._store.voices.rotate(self._key_file)
        except ConflictError as error:
            log.warning("the change of the vault key waits", reason=str(error))
            return
        log.info("the change of the vault key is done, which was interrupted", voices=done)

    async def _expire(self) -> None:
        gone = await self._store.voices.expire(datetime.now(UTC), "recording")
        if gone:
            log.info("recordings were kept long enough", deleted=len(gone))


def kind_of(leg: Leg) -> Kind | None:
    """Whoever is in a meeting came by its entrance; everybody else with company is in a call."""
    return "meeting" if isinstance(leg.application, Entry) else "call"


def _extension(speaker: Speaker) -> str | None:
    # A visit's account is no extension's.
    known = speaker.extension
    return known if known is not None and known.isdecimal() and len(known) <= 6 else None


def _track(speaker: Speaker) -> StoredTrack:
    return StoredTrack(f"leg-{speaker.leg}", _extension(speaker), speaker.trunk, speaker.number)
