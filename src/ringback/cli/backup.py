"""`ringback backup`: sealed copies of everything that is kept."""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar
from urllib.parse import quote

import typer

from ringback.cli.errors import FAILED, CliError
from ringback.cli.output import print_facts, print_table
from ringback.cli.progress import shown_progress
from ringback.cli.running import RunningSystem, connect
from ringback.cli.system import Json
from ringback.cli.verbs import Options, verb
from ringback.config import Settings

if TYPE_CHECKING:
    from ringback.governance.vault import KeyEncryptionKey
    from ringback.server.backups import BackupKeeper

app = typer.Typer(
    help="Sealed copies of everything that is kept.", no_args_is_help=True, rich_markup_mode=None
)

WATCH_S: Final = 0.2

File = Annotated[Path, typer.Argument(help="The backup's file.", show_default=False)]
Keys = Annotated[
    Path | None,
    typer.Option("--keys", help="List of the voices' keys; usual is `voices.keys` beside the file."),
]
T = TypeVar("T")


@verb(app, "create")
def create(
    options: Options,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder for it; usual is `backup.folder`.", show_default=False)
    ] = None,
) -> None:
    """Make a backup, of a running or a stopped server. Calls go on."""
    folder = None if to is None else os.path.abspath(to.expanduser())
    settings = options.settings()
    running = connect(settings)
    if running is not None:
        with running:
            made = _watched(running, folder)
    else:
        made = _stopped(settings, lambda keeper: _made(keeper, folder))
    options.show(made, lambda: print(f"{made['file']}: {_megabytes(made['octets'])}."))


@verb(app, "list")
def list_all(options: Options) -> None:
    """List backups, and where something that was deleted waits to be deleted in them, too."""
    settings = options.settings()
    running = connect(settings)
    if running is not None:
        with running:
            state = running.ask("GET", "/backups")
    else:
        state = _stopped(settings, _state)
    options.show(state, lambda: _print(state))


@verb(app, "verify")
def verify(options: Options, file: File, keys: Keys = None) -> None:
    """Read a backup to its end and check all of it, the database too; exits with 1 if something is wrong."""
    from ringback.backup.errors import BackupError  # noqa: PLC0415 - not loaded for other verbs
    from ringback.backup.restoring import keys_beside, verify_backup  # noqa: PLC0415

    vault_key = _vault_key(options.settings())
    with shown_progress() as told:
        try:
            found = verify_backup(file, vault_key, keys_beside(file, keys), _telling(told, "reading"))
        except BackupError as error:
            raise CliError(f"{file}: {error}", FAILED) from None
    facts = {
        "sound": True,
        "id": found.id,
        "created_at": found.created_at.isoformat(),
        "version": found.version,
        "octets": found.octets,
        "voices": found.voices,
        "audible": found.audible,
    }
    shown = {
        "Backup": found.id,
        "Made": found.created_at.isoformat(timespec="seconds"),
        "By": f"Ringback {found.version}",
        "Size": _megabytes(found.octets),
        "Stored voices": found.voices,
        "  with a key": "there is no voices.keys beside it" if found.audible is None else found.audible,
        "State": "all of it is as it was written",
    }
    options.show(facts, lambda: print_facts(shown))


@verb(app, "restore")
def restore(
    options: Options,
    file: File,
    keys: Keys = None,
    without_voices: Annotated[
        bool, typer.Option("--without-voices", help="There is no list of keys: no stored voice comes back.")
    ] = False,
    sealing_key: Annotated[
        Path | None,
        typer.Option(
            "--sealing-key", help="Copy of `security.key_file` (secret.key) to put there.", show_default=False
        ),
    ] = None,
) -> None:
    """Restore a backup into a new data folder, that of `--data-dir`; never into one that holds something."""
    from ringback.backup.errors import BackupError  # noqa: PLC0415
    from ringback.backup.restoring import keys_beside, restore_backup  # noqa: PLC0415

    if options.data_dir is None:
        raise CliError("say where to: --data-dir NEW-FOLDER")
    settings = options.settings()
    if connect(settings) is not None:
        raise CliError(f"a server is running on {settings.data_dir}: restore into a new folder")
    listed = None if without_voices else keys_beside(file, keys)
    if listed is None and not without_voices:
        raise CliError(
            f"there is no voices.keys beside {file}: name it with --keys, or restore --without-voices"
        )
    vault_key = _vault_key(settings)
    with shown_progress() as told:
        try:
            restored = restore_backup(
                file,
                settings.data_dir,
                vault_key,
                listed=listed,
                sealing_key=sealing_key,
                now=datetime.now(UTC),
                told=_telling(told, "restoring"),
            )
        except BackupError as error:
            raise CliError(str(error)) from None
    facts = {
        "folder": str(restored.folder),
        "created_at": restored.created_at.isoformat(),
        "voices": restored.voices.heard,
        "deleted": restored.voices.deleted,
        "next": _next(settings, has_settings=restored.settings, has_key=restored.has_sealing_key),
    }
    options.show(facts, lambda: _print_restored(facts))


@verb(app, "forget")
def forget(
    options: Options,
    backup: Annotated[
        str | None, typer.Argument(help="Its identifier, as `list` shows it.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", help="This folder is gone for good: nothing waits for it.", show_default=False
        ),
    ] = None,
) -> None:
    """Delete a backup, its key first; or say that a folder of backups will never be reached again."""
    if (backup is None) == (folder is None):
        raise CliError("name a backup, or a folder with --folder")
    settings = options.settings()
    running = connect(settings)
    lost = os.path.abspath(folder.expanduser()) if folder is not None else ""
    if running is not None:
        with running:
            if lost:
                running.ask("POST", "/backups/lost-folders", {"folder": lost})
            else:
                running.ask("DELETE", f"/backups/{quote(backup or '', safe='')}")
    else:
        _stopped(settings, lambda keeper: _forgotten(keeper, backup or "", lost))
    done = f"Nothing waits for {lost} any more." if lost else f"Backup {backup} is gone."
    options.show({"forgotten": lost or backup}, lambda: print(done))


@verb(app, "log")
def log(options: Options) -> None:
    """Show what was done with backups, the latest first."""
    with options.server() as server:
        deeds = server.ask("GET", "/backups/deeds")
    columns = {"AT": "at", "WHO": "who", "DID": "act", "WHAT": "what"}
    options.show(deeds, lambda: print_table(deeds, columns, "Nothing was done with backups."))


# A running server


def _watched(server: RunningSystem, folder: str | None) -> Json:
    begun: Json = server.ask("POST", "/backups", {"folder": folder})
    with shown_progress() as told:
        while True:
            state: Json = server.ask("GET", "/backups")
            making = state["making"]
            if making is None or making["id"] != begun["id"]:
                break
            if told is not None and making["total"]:
                told("writing", making["done"], making["total"])
            time.sleep(WATCH_S)
    for place in state["folders"]:
        for one in place["backups"]:
            if one["id"] == begun["id"]:
                return dict(one)
    raise CliError(state["problem"] or "the backup was not made; the server's log says more")


# A stopped one


def _stopped(settings: Settings, work: Callable[[BackupKeeper], Awaitable[T]]) -> T:
    from ringback.backup.errors import BackupError  # noqa: PLC0415
    from ringback.server.backups import BackupKeeper  # noqa: PLC0415
    from ringback.store.lock import DataDirLock  # noqa: PLC0415
    from ringback.store.store import open_store  # noqa: PLC0415
    from ringback.web.operations import OperationError  # noqa: PLC0415

    if not settings.data_dir.is_dir():
        raise CliError(f"there is nothing in {settings.data_dir} yet")

    async def run() -> T:
        store = await open_store(settings)
        try:
            return await work(BackupKeeper(settings, store, lambda _: None))
        finally:
            await store.close()

    try:
        with DataDirLock(settings.data_dir):
            return asyncio.run(run())
    except BlockingIOError:
        raise CliError(f"the server on {settings.data_dir} starts or stops; try again") from None
    except (BackupError, OperationError) as error:
        raise CliError(str(error)) from None


async def _made(keeper: BackupKeeper, folder: str | None) -> Json:
    from ringback.governance.roles import LOCAL_ADMINISTRATOR  # noqa: PLC0415
    from ringback.web.api.backups import BackupView  # noqa: PLC0415

    with shown_progress() as told:
        work = asyncio.ensure_future(keeper.make(folder, LOCAL_ADMINISTRATOR.name))
        while not work.done():
            await asyncio.wait([work], timeout=WATCH_S)
            making = keeper.progress()
            if told is not None and making is not None and making.total:
                told("writing", making.done, making.total)
        return BackupView.model_validate(work.result()).model_dump(mode="json")


async def _state(keeper: BackupKeeper) -> Json:
    from ringback.web.api.backups import BackupsView  # noqa: PLC0415

    await keeper.folders.catch_up()
    return BackupsView.model_validate(await keeper.state()).model_dump(mode="json")


async def _forgotten(keeper: BackupKeeper, backup: str, lost: str) -> None:
    from ringback.governance.roles import LOCAL_ADMINISTRATOR  # noqa: PLC0415

    if lost:
        await keeper.give_up(lost, LOCAL_ADMINISTRATOR.name)
    else:
        await keeper.forget(backup, LOCAL_ADMINISTRATOR.name)


# Without any


def _vault_key(settings: Settings) -> KeyEncryptionKey:
    from ringback.governance.sealing import SealingError  # noqa: PLC0415
    from ringback.governance.vault import read_vault_key  # noqa: PLC0415

    try:
        return read_vault_key(settings.vault_key_file)
    except SealingError as error:
        raise CliError(
            f"a backup cannot be read without the vault key (security.vault_key_file): {error}"
        ) from None


def _telling(told: Callable[[str, int, int], None] | None, what: str) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if told is not None:
            told(what, done, total)

    return tell


# For people


def _next(settings: Settings, *, has_settings: bool, has_key: bool) -> list[str]:
    folder = settings.data_dir
    steps = []
    if not has_key and not settings.key_file.exists():
        steps.append(f"put your copy of the file of security.key_file there: {settings.key_file}, mode 0600")
    if has_settings:
        steps.append(
            f"look at {folder / 'settings.toml'}, the settings of that time: addresses, ports and paths "
            "may be others here, and a system that is only tried out needs another backup.folder"
        )
    command = ["ringback", "serve", "--data-dir", str(folder)]
    command += ["--config", str(folder / "settings.toml")] if has_settings else []
    steps.append(f"start it: {shlex.join(command)}")
    steps.append(
        "revoke tokens (ringback token list) and delete again what was deleted since the backup; stored "
        "voices are deleted already"
    )
    return steps


def _print_restored(facts: Json) -> None:
    print_facts(
        {
            "Restored to": facts["folder"],
            "As it was": facts["created_at"],
            "Stored voices": facts["voices"],
            "  deleted since": facts["deleted"],
        }
    )
    print("\nNow:")
    for number, step in enumerate(facts["next"], 1):
        print(f"{number}. {step}")


def _print(state: Json) -> None:
    rows: list[dict[str, Any]] = [
        {
            **one,
            "size": _megabytes(one["octets"]),
            "folder": place["folder"],
            "state": one["problem"] or "whole",
        }
        for place in state["folders"]
        for one in place["backups"]
    ]
    columns = {"BACKUP": "id", "MADE": "created_at", "SIZE": "size", "FOLDER": "folder", "STATE": "state"}
    nothing = "There are no backups; make one: ringback backup create"
    print_table(rows, columns, nothing if state["folder"] else f"{nothing} --to FOLDER")
    if state["making"]:
        print(f"\nOne is being made in {state['making']['folder']}.")
    if state["problem"]:
        print(f"\nThe latest could not be made: {state['problem']}")
    for place in state["folders"]:
        if place["problem"]:
            print(f"\nAway: {place['problem']}")
        if place["waiting"]:
            print(
                f"\n{place['waiting']} deleted voices are still in backups in {place['folder']} until it can "
                "be reached."
            )


def _megabytes(octets: int) -> str:
    return f"{octets / 1e6:.1f} MB"
