"""What can go wrong with backups; each message is one sentence for a person and holds nothing private."""

from __future__ import annotations


class BackupError(Exception):
    """A backup cannot be made, read or restored."""


class AwayError(BackupError):
    """A folder of backups cannot be reached now."""


class NoRoomError(BackupError):
    """There is no room for a backup."""
