"""The lock on the data folder: one process at a time changes what is in it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ringback.store.errors import DatabaseUnusableError

LOCK_NAME = "lock"


class DataDirLock:
    """Holds the folder until it is released or the process is gone, whatever ends it."""

    def __init__(self, data_dir: Path) -> None:
        """Take the lock; BlockingIOError if another process has it, DatabaseUnusableError if nobody can."""
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseUnusableError(f"{data_dir} cannot be used: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)

    def __enter__(self) -> DataDirLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
