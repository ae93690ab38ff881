"""A progress bar on standard error for what takes longer than a moment; nothing where nobody watches."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

MOMENT_S: Final = 0.5
"""So long nothing is shown."""

_WORDS: Final = {
    "reading": "Reading",
    "judging": "Looking for causes",
    "writing": "Writing the backup",
    "restoring": "Restoring",
}


@contextlib.contextmanager
def shown_progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """Something to tell: what is done, how much of it, and of how much. None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _Bar()
    try:
        yield bar.tell
    finally:
        bar.stop()


class _Bar:
    def __init__(self) -> None:
        self._began = time.monotonic()
        self._progress: Any = None
        self._tasks: dict[str, Any] = {}

    def tell(self, what: str, done: int, total: int) -> None:
        if self._progress is None:
            if time.monotonic() - self._began < MOMENT_S:
                return
            self._start()
        if what not in self._tasks:
            for task in self._tasks.values():
                self._progress.update(task, visible=False)
            self._tasks[what] = self._progress.add_task(_WORDS.get(what, what), total=total)
        self._progress.update(self._tasks[what], completed=done, total=total)

    def _start(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - not loaded for what is quick
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._progress.start()

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
