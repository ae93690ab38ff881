"""Work that waits, done for calls that do not: what came of it is told as an input of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from ringback.server.exchange import Exchange
from ringback.store.errors import StoreError

_T = TypeVar("_T")

log = structlog.get_logger(__name__)


class Errands:
    """Each runs by itself; none is lost sight of."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._tasks: set[asyncio.Task[None]] = set()

    def do(
        self, work: Coroutine[Any, Any, _T], then: Callable[[_T, float], None], otherwise: _T, problem: str
    ) -> None:
        """Do what waits, then tell the call; `otherwise` where it fails, which costs that call alone."""

        async def run() -> None:
            try:
                result = await work
            except StoreError as error:
                log.error(problem, reason=str(error))
                result = otherwise
            except Exception:
                log.exception(problem)
                result = otherwise

            def act(now: float) -> int:
                then(result, now)
                return 0

            try:
                self._exchange.act(act)
            except Exception:
                log.exception("a call met a fault of ours")

        self.run(run())

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what nobody is told of."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, patience_s: float) -> None:
        """Let what is under way come to its end, for so long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience_s)


def nothing(_result: object, _now: float) -> None:
    """For who need not be told."""
