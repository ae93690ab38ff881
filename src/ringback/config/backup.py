"""Settings of backups."""

from __future__ import annotations

from pydantic import Field

from ringback.config.section import Section
from ringback.config.values import OptionalPath


class BackupSettings(Section):
    """Backups that a running server makes by itself; docs/backup.md says what is in them."""

    folder: OptionalPath = Field(
        default=None,
        description="Folder for backups, outside `data_dir`, best on another disk; empty: none are made.",
    )
    every_h: int = Field(
        default=24, ge=0, le=8_760, description="Hours from one backup to the next; 0: only when asked for."
    )
    keep: int = Field(
        default=7,
        ge=1,
        le=1_000,
        description="How many backups a folder keeps; older ones are deleted after each new one.",
    )
