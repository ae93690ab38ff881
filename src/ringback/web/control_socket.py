"""The Unix socket in the data folder through which the command line speaks to the running server."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LONGEST_PATH: Final = 100
"""Linux takes 107 bytes for the path of a Unix socket."""


class AlreadyRunningError(Exception):
    """A server answers on the control socket of this data folder."""


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name for `path` that is short enough for a socket, valid inside the `with`."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def connect(path: Path, timeout_s: float | None = None) -> socket.socket:
    """A connection to the server of this folder; OSError if there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        with short_path(path) as name:
            connection.connect(name)
    except OSError:
        connection.close()
        raise
    return connection


def listen(path: Path) -> socket.socket:
    """A listening socket for the owner alone; replaces a stale one. Raises AlreadyRunningError."""
    try:
        connect(path, timeout_s=2).close()
    except (FileNotFoundError, ConnectionRefusedError):
        path.unlink(missing_ok=True)
    else:
        raise AlreadyRunningError(f"a server is running on {path.parent} already; ask it: ringback status")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # By the mask and not by chmod: there is no moment at which others could connect.
    mask = os.umask(0o177)
    try:
        with short_path(path) as name:
            listener.bind(name)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)
    listener.listen(64)
    return listener
