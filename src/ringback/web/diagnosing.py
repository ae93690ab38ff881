"""What the web needs from the running system to have captures diagnosed: implemented by the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from ringback.web.operations import OperationError

Stage = Literal["receiving", "waiting", "reading", "judging", "done", "failed", "cancelled"]
"""`waiting` for the one before; `done`, `failed` and `cancelled` are the end."""

ENDED: frozenset[Stage] = frozenset({"done", "failed", "cancelled"})


class UnknownDiagnosisError(OperationError):
    """There is no such diagnosis, or not any more."""

    status = 404


class BusyError(OperationError):
    """Too many captures wait already."""

    status = 503


class UnusableError(OperationError):
    """What was asked for cannot be done with this."""

    status = 422


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to know: `owner` is who asks, `name` that of the capture as they know it.

    `complaint` and `time_zone` are as on the command line, empty for none.
    """

    owner: str
    name: str
    complaint: str = ""
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class DiagnosisState:
    """How far a diagnosis is: `done` of `total` octets or packets; `problem` says why it failed."""

    id: str
    stage: Stage
    done: int
    total: int
    problem: str
    expires_at: datetime


class Diagnosing(Protocol):
    """Captures that are diagnosed, each in a process of its own at low priority, one after the other.

    Everything of a diagnosis is deleted after an hour, and when the server ends.
    """

    @property
    def limit_bytes(self) -> int:
        """The largest capture that is taken."""

    @property
    def report_sources(self) -> tuple[str, str]:
        """What a policy allows the report's style and script by, wherever it is shown (CSP 3, hashes)."""

    @property
    def report_policy(self) -> str:
        """The policy of a report by itself."""

    async def receive(self, asked: Asked, chunks: AsyncIterator[bytes]) -> DiagnosisState:
        """Take a capture and begin; raises BusyError, UnusableError, OperationError for who has one going."""

    def state(self, diagnosis: str) -> DiagnosisState:
        """How far it is; raises UnknownDiagnosisError."""

    def follow(self, diagnosis: str) -> AsyncIterator[DiagnosisState]:
        """Each change from now on, the state as it is first, until its end; raises UnknownDiagnosisError."""

    def result(self, diagnosis: str, kind: Literal["json", "html"]) -> Path:
        """The file with the answer; raises UnknownDiagnosisError, or OperationError before the end."""

    async def remove(self, diagnosis: str) -> None:
        """Stop it, and delete all of it; raises UnknownDiagnosisError."""
