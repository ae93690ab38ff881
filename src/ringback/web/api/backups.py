"""/api/v1/backups: which there are, having one made, deleting them, and what waits in them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

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


class BackupFolderView(View):
    """A folder of backups."""

    folder: str
    problem: str = Field(description="Why it is away; empty: it can be reached.")
    waiting: int = Field(description="Deleted voices that are still in its backups until it can be reached.")
    backups: list[BackupView]


class BackupProgressView(View):
    """A backup that is being made."""

    id: str
    folder: str
    done: int = Field(description="Octets.")
    total: int = Field(description="Octets; 0 while that is not known.")


class BackupsView(View):
    """How it is with backups."""

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
    return BackupsView.model_validate(await _backups(context).state())


@router.post("", status_code=202)
async def make_backup(body: NewBackup, context: Context, who: Writer) -> BackupProgressView:
    """Begin a backup; how far it is shows in the list."""
    if body.folder is not None and who is not LOCAL_ADMINISTRATOR:
        raise ProblemError(403, "only on the machine itself a folder can be named")
    return BackupProgressView.model_validate(await _backups(context).begin(body.folder, who.name))


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
