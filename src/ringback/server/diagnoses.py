"""Captures that came by the web: received into files, diagnosed one after the other by a process, deleted."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import structlog

from ringback.diagnosis.complaint import NotATimeError, complaint_from
from ringback.diagnosis.report.policy import content_security_policy, source
from ringback.governance.shown import fit_to_show
from ringback.web.diagnosing import (
    ENDED,
    Asked,
    BusyError,
    DiagnosisState,
    UnknownDiagnosisError,
    UnusableError,
)
from ringback.web.operations import OperationError

COMMAND: Final = (sys.executable, "-m", "ringback.server.diagnosing")
KEPT: Final = timedelta(hours=1)
MOST_GOING: Final = 4
"""Captures that are received, wait or are diagnosed at one time."""

MOST_KEPT: Final = 20
_PIECE_BYTES: Final = 1_000_000
_FILES: Final = {"json": "result.json", "html": "report.html"}
_HARMLESS_NAME: Final = re.compile(r"[^\w .+()-]")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Job:
    asked: Asked
    folder: Path
    state: DiagnosisState
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    work: asyncio.Task[None] | None = None
    process: asyncio.subprocess.Process | None = None

    @property
    def ended(self) -> bool:
        return self.state.stage in ENDED

    @property
    def capture(self) -> Path:
        """Under its own name, which reports show."""
        name = _HARMLESS_NAME.sub("_", fit_to_show(self.asked.name)).strip(" .")
        return self.folder / "capture" / (name or "capture")

    def become(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        waiting, self.changed = self.changed, asyncio.Event()
        waiting.set()


class Diagnoses:
    """Implements `web.diagnosing.Diagnosing` in a folder that nothing else uses."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._folder = folder
        self._jobs: dict[str, _Job] = {}
        self._turn = asyncio.Semaphore(1)
        self._deleting: set[asyncio.Future[None]] = set()

    @property
    def report_sources(self) -> tuple[str, str]:
        """The hashes of the report's style and script."""
        return source("page.css"), source("page.js")

    @property
    def report_policy(self) -> str:
        """The policy of a report by itself."""
        return content_security_policy()

    async def start(self) -> None:
        """Delete what a server that died left behind."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def stop(self) -> None:
        """Stop what goes on, and delete everything."""
        for diagnosis in list(self._jobs):
            await self.remove(diagnosis)
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def receive(self, asked: Asked, chunks: AsyncIterator[bytes]) -> DiagnosisState:
        """Write the capture to a file, and have it diagnosed when its turn comes."""
        job = self._admit(asked)
        try:
            await self._write(job, chunks)
        except BaseException:
            await self._delete(job)
            raise
        job.become(stage="waiting")
        job.work = asyncio.create_task(self._diagnose(job))
        return job.state

    def state(self, diagnosis: str) -> DiagnosisState:
        """How far it is."""
        return self._known(diagnosis).state

    async def follow(self, diagnosis: str) -> AsyncIterator[DiagnosisState]:
        """Each state from now on, until the last."""
        job = self._known(diagnosis)
        while True:
            changed = job.changed
            yield job.state
            if job.ended:
                return
            await changed.wait()

    def result(self, diagnosis: str, kind: Literal["json", "html"]) -> Path:
        """The file with the answer."""
        job = self._known(diagnosis)
        if job.state.stage == "failed":
            raise OperationError(f"the diagnosis failed: {job.state.problem}")
        if job.state.stage != "done":
            raise OperationError("the diagnosis is not done yet")
        return job.folder / _FILES[kind]

    async def remove(self, diagnosis: str) -> None:
        """Stop it, and delete all of it."""
        await self._delete(self._known(diagnosis))

    def _known(self, diagnosis: str) -> _Job:
        job = self._jobs.get(diagnosis)
        if job is None:
            raise UnknownDiagnosisError("there is no such diagnosis; they are deleted after an hour")
        return job

    def _admit(self, asked: Asked) -> _Job:
        """A place for one more, if there is one and the question can be answered."""
        _check(asked)
        going = [job for job in self._jobs.values() if not job.ended]
        if any(job.asked.owner == asked.owner for job in going):
            raise OperationError("a capture of yours is diagnosed already; wait for it, or remove it")
        if len(going) >= MOST_GOING:
            raise BusyError(f"{len(going)} captures wait already; try again in some minutes")
        ended = [job for job in self._jobs.values() if job.ended]
        for job in ended[: max(0, len(ended) - MOST_KEPT + 1)]:
            self._forget(job)
        name = secrets.token_urlsafe(16)
        state = DiagnosisState(name, "receiving", 0, 0, "", datetime.now(UTC) + KEPT)
        job = _Job(asked, self._folder / name, state)
        self._jobs[name] = job
        asyncio.get_running_loop().call_later(KEPT.total_seconds(), self._forget, job)
        return job

    async def _write(self, job: _Job, chunks: AsyncIterator[bytes]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        job.capture.parent.mkdir(mode=0o700, parents=True)
        with job.capture.open("wb") as file:
            gathered = bytearray()
            async for chunk in chunks:
                gathered += chunk
                if len(gathered) >= _PIECE_BYTES:
                    await asyncio.to_thread(file.write, gathered)
                    gathered = bytearray()
            await asyncio.to_thread(file.write, gathered)
            if not file.tell():
                raise UnusableError("the capture is empty: send its bytes as the body")

    async def _diagnose(self, job: _Job) -> None:
        async with self._turn:
            if job.ended:
                return
            try:
                ending = await self._run(job)
            finally:
                await asyncio.to_thread(shutil.rmtree, job.capture.parent, ignore_errors=True)
            if not job.ended:
                job.become(**ending)

    async def _run(self, job: _Job) -> dict[str, Any]:
        """Have a process do it; how it ended."""
        job.become(stage="reading")
        ending: dict[str, Any] = {}
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # Ctrl-C is meant for the server.
            start_new_session=True,
        )
        job.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        wanted = {
            "folder": str(job.folder),
            "capture": str(job.capture),
            "complaint": job.asked.complaint,
            "time_zone": job.asked.time_zone,
        }
        try:
            process.stdin.write(json.dumps(wanted).encode())
            process.stdin.close()
            async for line in process.stdout:
                told = json.loads(line)
                if "problem" in told:
                    ending = {"stage": "failed", "problem": told["problem"]}
                elif told["stage"] == "done":
                    ending = told
                elif not job.ended:
                    job.become(**told)
            await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            job.process = None
        if not ending and not job.ended:
            log.warning("a diagnosis ended before its end", returncode=process.returncode)
        return ending or {
            "stage": "failed",
            "problem": "the diagnosis ended before its end; take the command line",
        }

    def _forget(self, job: _Job) -> None:
        """Delete it, whenever there is time for it."""
        if job.state.id in self._jobs:
            task = asyncio.ensure_future(self._delete(job))
            # The loop itself holds tasks weakly.
            self._deleting.add(task)
            task.add_done_callback(self._deleting.discard)

    async def _delete(self, job: _Job) -> None:
        self._jobs.pop(job.state.id, None)
        if not job.ended:
            job.become(stage="cancelled")
        if job.process is not None:
            with suppress(ProcessLookupError):
                job.process.kill()
        if job.work is not None:
            await asyncio.wait([job.work])
        await asyncio.to_thread(shutil.rmtree, job.folder, ignore_errors=True)


def _check(asked: Asked) -> None:
    try:
        zone = ZoneInfo(asked.time_zone or "UTC")
    except (KeyError, OSError, ValueError):
        raise UnusableError("there is no such time zone; take UTC or a name like Europe/Berlin") from None
    if asked.complaint:
        try:
            complaint_from(asked.complaint, zone)
        except NotATimeError as error:
            raise UnusableError(str(error)) from None
