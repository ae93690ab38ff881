"""Work beside the calls that goes on from the server's start to its stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


class Lasting:
    """One task, begun once and ended once; `stop` without a start is nothing."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin it."""
        self._task = asyncio.create_task(work)

    async def stop(self) -> None:
        """Cancel it and wait until it has ended; raises what it ended with by itself."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
