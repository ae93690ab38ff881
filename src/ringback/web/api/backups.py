"""/api/v1/backups: which there are, having one made and read through, deleting them, what waits in them."""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from ringback.config import Settings
from ringback.governance.roles import LOCAL_ADMINISTRATOR, Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.backing_up import BackingUp
from ringback.web.context import Context, Needs, WebContext
from ringback.web.problems import ProblemError
from ringback.web.shapes import Body, View

router = APIRouter(prefix=f"{API}/backups", tags=["backups"], responses=PROBLEMS)

Reader = Annotated[Identity, Depends(Needs(Permission.BACKUPS_READ))]
Writer = Annotated[Identity, Depends(Needs(Permission.BACKUPS_WRITE))]


class BackupView(View):
    """A backup."""

    id: str = Field(examples=["8f14e45fceea167a"])
    file: str
    created_at: datetime | None
    octets: int
    problem: str = Field(description="Why it could not be restored; empty: it can be.")
    verified_at: datetime | None = Field(None, description="When the server last read all of it.")
    damage: str = Field("", description="What was wrong with it then; empty: nothing.")


class BackupFolderView(View):
    """A folder of backups."""

    folder: str
    problem: str = Field(description="Why it is away; empty: it can be reached.")
    waiting: int = Field(description="Deleted voices that are still in its backups until it can be reached.")
    backups: list[BackupView]


class BackupProgressView(View):
    """A backup that is being made, or read through."""

    id: str
    folder: str
    act: Literal["making", "verifying"]
    done: int = Field(description="Octets.")
    total: int = Field(description="Octets; 0 while that is not known.")


class BackupsView(View):
    """How it is with backups."""

    restore: str = Field(
        "",
        description="The command that restores the newest; its words in capitals are to be replaced.",
        examples=["ringback backup restore /mnt/backup/ringback-20261124T0900.rbb --data-dir NEW-FOLDER"],
    )
    folder: str | None = Field(description="`backup.folder`.")
    every_h: int
    keep: int
    making: BackupProgressView | None
    last_at: datetime | None
    next_at: datetime | None = Field(description="When the next is made without being asked for.")
    failed_at: datetime | None
    problem: str = Field(description="Why the latest could not be made; empty: it was.")
    folders: list[BackupFolderView]


class NewBackup(Body):
    """A backup to be made."""

    folder: str | None = Field(
        None, max_length=1000, description="Where; on the machine itself only. Empty: `backup.folder`."
    )
    verify: bool = Field(False, description="Read it through once it is made.")


class LostFolder(Body):
    """A folder of backups that will not be reached again."""

    folder: str = Field(max_length=1000)


class BackupDeedView(View):
    """Something that was done with backups."""

    at: datetime
    who: str
    act: str = Field(examples=["made"])
    what: str


def _backups(context: WebContext) -> BackingUp:
    if context.backups is None:
        raise ProblemError(503, "no backups are made here")
    return context.backups


@router.get("")
async def list_backups(context: Context, _: Reader) -> BackupsView:
    """All backups in folders that can be reached, and how it is with the latest."""
    shown = BackupsView.model_validate(await _backups(context).state())
    return shown.model_copy(update={"restore": _restore_command(shown, context.settings)})


def _restore_command(state: BackupsView, settings: Settings) -> str:
    sound = [one for place in state.folders for one in place.backups if not (one.problem or one.damage)]
    newest = max(sound, key=lambda one: one.created_at.timestamp() if one.created_at else 0.0, default=None)
    if newest is None:
        return ""
    words = ["ringback", "backup", "restore", newest.file, "--data-dir", "NEW-FOLDER"]
    words += ["--sealing-key", "COPY-OF-" + settings.key_file.name]
    vault_key = settings.security.vault_key_file
    named = f"RINGBACK_SECURITY__VAULT_KEY_FILE={shlex.quote(str(vault_key))} " if vault_key else ""
    return named + shlex.join(words)


@router.post("", status_code=202)
async def make_backup(body: NewBackup, context: Context, who: Writer) -> BackupProgressView:
    """Begin a backup; how far it is shows in the list."""
    if body.folder is not None and who is not LOCAL_ADMINISTRATOR:
        raise ProblemError(403, "only on the machine itself a folder can be named")
    return BackupProgressView.model_validate(
        await _backups(context).begin(body.folder, who.name, verify=body.verify)
    )


@router.post("/{backup}/verify", status_code=202)
async def verify_backup(backup: str, context: Context, who: Writer) -> BackupProgressView:
    """Begin to read a backup to its end and to check its database; the list shows how far it is."""
    return BackupProgressView.model_validate(await _backups(context).verify(backup, who.name))


@router.get("/deeds")
async def list_deeds(context: Context, _: Reader) -> list[BackupDeedView]:
    """What was done with backups, the latest first."""
    return [BackupDeedView.model_validate(deed) for deed in await _backups(context).deeds()]


@router.post("/lost-folders", status_code=204, response_class=Response)
async def give_up_folder(body: LostFolder, context: Context, who: Writer) -> None:
    """Say that a folder is gone for good: nothing waits for it any more."""
    await _backups(context).give_up(body.folder, who.name)


@router.delete("/{backup}", status_code=204, response_class=Response)
async def delete_backup(backup: str, context: Context, who: Writer) -> None:
    """Delete a backup, its key first."""
    await _backups(context).forget(backup, who.name)
