"""Small disks that a test fills: mounted for it in a server's data folder (root)."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.wire.server import RingbackServer

ROOM_MB = 96


@contextlib.contextmanager
def own_disk(
    server: RingbackServer, part: str = "", *, small: bool = True, room_mb: int = ROOM_MB
) -> Iterator[None]:
    """With `small` its data, or that part of it, is on a disk of its own, which can be filled."""
    if not small:
        yield
        return
    folder = server.data / part
    folder.mkdir(mode=0o700, parents=True)
    size = f"size={room_mb}m,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "ringback-test", folder], check=True)
    try:
        yield
    finally:
        server.kill_all()
        subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def disk_full(folder: Path) -> Iterator[None]:
    """Not an octet is free on the disk of that folder."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    assert os.statvfs(folder).f_bavail == 0
    try:
        yield
    finally:
        filler.unlink()
