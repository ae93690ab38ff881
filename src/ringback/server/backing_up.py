"""Writes or reads through one backup as a process of its own: calls go first.

`python -m ringback.server.backing_up` takes what is wanted, and the backup's data key, as one JSON object on
standard input, and tells on standard output, a JSON object a line, how far it is. The end of standard input
ends it, too.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ringback.backup.errors import BackupError
from ringback.backup.head import Head
from ringback.backup.making import WORK, Source, Written, write_backup
from ringback.backup.restoring import read_through
from ringback.governance.private import Private
from ringback.store.errors import StoreError

PAUSE_S: Final = 0.2
"""Between two words on how far it is."""
_VOICES_A_LINE: Final = 500


def main() -> None:
    """Do what the first line of standard input asks for."""
    os.nice(19)
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    try:
        if "verify" in asked:
            _read(asked)
            _tell(sound=True)
            return
        written = _written(asked)
    except (BackupError, StoreError) as error:
        _tell(problem=str(error))
        return
    for begin in range(0, len(written.voices), _VOICES_A_LINE):
        _tell(voices=written.voices[begin : begin + _VOICES_A_LINE])
    _tell(octets=written.octets)


def _end_with_the_server() -> None:
    while sys.stdin.read(1):
        pass
    os._exit(1)


def _read(asked: dict[str, Any]) -> None:
    work = Path(asked["data_dir"]) / WORK
    try:
        work.mkdir(mode=0o700, exist_ok=True)
        read_through(Path(asked["verify"]), _data_key(asked), _telling(), work)
    except OSError as error:
        raise BackupError(f"the backup cannot be read: {error.strerror}") from None
    finally:
        # Another may be made there.
        with contextlib.suppress(OSError):
            work.rmdir()


def _telling() -> Callable[[int, int], None]:
    last = 0.0

    def told(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PAUSE_S:
            last = time.monotonic()
            _tell(done=done, total=total)

    return told


def _data_key(asked: dict[str, Any]) -> Private[bytes]:
    return Private(base64.b64decode(asked["key"]))


def _written(asked: dict[str, Any]) -> Written:
    source = Source(
        data_dir=Path(asked["data_dir"]),
        database=Path(asked["database"]),
        voices=Path(asked["voices"]),
        tls=Path(asked["tls"]),
        version=asked["version"],
        settings=asked["settings"],
    )
    head = Head(asked["id"], asked["created_ms"])
    return write_backup(source, Path(asked["folder"]), head, _data_key(asked), _telling())


def _tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
