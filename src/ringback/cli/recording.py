"""`ringback recording`: what was recorded by policy, asked of the running server."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from ringback.cli.errors import FAILED, CliError
from ringback.cli.output import print_facts, print_table
from ringback.cli.system import Json
from ringback.cli.verbs import Options, verb

app = typer.Typer(help="What was recorded by policy.", no_args_is_help=True, rich_markup_mode=None)

Recording = Annotated[str, typer.Argument(help="Its identifier, as `list` shows it.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is written down.", show_default=False)]


@verb(app, "list")
def list_all(
    options: Options,
    extension: Annotated[str | None, typer.Option("--extension", help="Only those with its voice.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, the newest first.")] = 100,
) -> None:
    """List recordings, the newest first."""
    with options.server() as server:
        asked = {"limit": limit, "extension": extension}
        found = server.ask("POST", "/recordings/search", asked)["items"]
    rows = [{**one, "voices": _voices(one), "state": _state(one)} for one in found]
    columns = {
        "RECORDING": "id",
        "STARTED": "started_at",
        "SECONDS": "seconds",
        "VOICES": "voices",
        "POLICY": "policy",
        "STATE": "state",
    }
    options.show(found, lambda: print_table(rows, columns, "There are no recordings."))


@verb(app, "show")
def show(options: Options, recording: Recording) -> None:
    """Show one: whose voices, who consented to what, and who played it."""
    with options.server() as server:
        found = server.ask("GET", _path(recording))
    options.show(found, lambda: _print(found))


@verb(app, "play")
def play(
    options: Options,
    recording: Recording,
    reason: Reason,
    out: Annotated[Path, typer.Option("--out", help="File to write it to as WAV; - is standard output.")],
    track: Annotated[str, typer.Option("--track", help="mix, or one voice as `show` names it.")] = "mix",
) -> None:
    """Get a recording as WAV, for the roles that its policy names. What it is written to is not sealed."""
    with options.server() as server:
        pieces = server.audio(f"{_path(recording)}/audio?{urlencode({'track': track})}", reason)
        written = _write(pieces, out)
    if str(out) != "-":
        options.show({"bytes": written, "file": str(out)}, lambda: print(f"{written} bytes in {out}."))


@verb(app, "hold")
def hold(options: Options, recording: Recording, reason: Reason) -> None:
    """Put one under legal hold: neither retention nor anybody deletes it."""
    with options.server() as server:
        held = server.ask("POST", f"{_path(recording)}/hold", {"reason": reason})
    options.show(held, lambda: print(f"Recording {recording} is held until it is released."))


@verb(app, "release")
def release(options: Options, recording: Recording, reason: Reason) -> None:
    """End a legal hold."""
    with options.server() as server:
        freed = server.ask("POST", f"{_path(recording)}/release", {"reason": reason})
    until = freed["keep_until"] or "somebody deletes it"
    options.show(freed, lambda: print(f"Recording {recording} is kept until {until}."))


@verb(app, "delete")
def delete(options: Options, recording: Recording, reason: Reason) -> None:
    """Delete one for good, its key first."""
    with options.server() as server:
        answer = server.ask("DELETE", _path(recording), reason=reason)
    waiting = answer["still_in_backups"] if answer else []
    done = f"Recording {recording} is gone."
    for folder in waiting:
        done += f"\nIt is still in backups in {folder} until that folder can be reached."
    options.show({"deleted": recording, "still_in_backups": waiting}, lambda: print(done))


@verb(app, "verify")
def verify(options: Options, recording: Recording) -> None:
    """Check that every file is as it was written; exits with 1 if one is not."""
    with options.server() as server:
        verdict = server.ask("POST", f"{_path(recording)}/verify")
    columns = {"TRACK": "part", "SECONDS": "seconds", "PROBLEM": "problem"}
    options.show(verdict, lambda: print_table(verdict["parts"], columns, "It has no files."))
    if not verdict["sound"]:
        raise typer.Exit(FAILED)


@verb(app, "approve")
def approve(
    options: Options,
    policy: Annotated[str, typer.Argument(help="The policy's name.", show_default=False)],
) -> None:
    """Approve a policy that somebody else wrote: only then anything is recorded by it."""
    with options.server() as server:
        value = server.ask("POST", f"/recordings/policies/{quote(policy, safe='')}/approve")
    options.show(value, lambda: print(f"Policy {policy} is in force."))


@verb(app, "rotate-key")
def rotate_key(options: Options) -> None:
    """Make a new vault key, by which all stored voices are sealed from then on; files are not touched."""
    with options.server() as server:
        done = server.ask("POST", "/recordings/rotate-key")
    options.show(done, lambda: print(f"{done['voices']} stored voices are sealed by a new key."))


@verb(app, "give-up-key")
def give_up_key(options: Options) -> None:
    """Start again though the vault key is lost: what it sealed is kept, and nobody hears it any more."""
    # Only this verb needs the store.
    from ringback.store.lock import DataDirLock  # noqa: PLC0415
    from ringback.store.vault_key import give_up_vault_key  # noqa: PLC0415

    settings = options.settings()
    if not settings.data_dir.is_dir():
        raise CliError(f"there is nothing in {settings.data_dir} yet")
    try:
        with DataDirLock(settings.data_dir):
            missed = asyncio.run(give_up_vault_key(settings))
    except BlockingIOError:
        raise CliError(f"a server is running on {settings.data_dir}: it has its key") from None
    options.show({"voices": missed}, lambda: print(f"{missed} stored voices cannot be heard any more."))


def _path(recording: str) -> str:
    return f"/recordings/{quote(recording, safe='')}"


def _write(pieces: Iterator[bytes], out: Path) -> int:
    first = next(pieces, b"")
    written = len(first)
    try:
        if str(out) == "-":
            descriptor = os.dup(sys.stdout.fileno())
        else:
            descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(first)
            for piece in pieces:
                written += file.write(piece)
    except OSError as error:
        raise CliError(f"{out} cannot be written: {error.strerror}") from None
    return written


def _voices(recording: Json) -> str:
    return ", ".join(_who(track) for track in recording["tracks"])


def _who(track: Json) -> str:
    return str(track["extension"] or track["number"] or track["trunk"] or track["part"])


def _state(recording: Json) -> str:
    return "held" if recording["held"] else "cut" if recording["cut"] else ""


def _print(recording: Json) -> None:
    print_facts(
        {
            "Recording": recording["id"],
            "Started": recording["started_at"],
            "Seconds": recording["seconds"],
            "Ended": recording["end_reason"],
            "Policy": f"{recording['policy']} ({recording['mode']})",
            "May be played by": ", ".join(recording["players"]) or "nobody",
            "Kept until": recording["keep_until"],
            "Legal hold": recording["held"],
        }
    )
    print()
    rows = [{**track, "who": _who(track)} for track in recording["tracks"]]
    print_table(rows, {"TRACK": "part", "WHO": "who"}, "Nobody has a track.")
    print()
    columns = {"AT": "at", "TRACK": "part", "STATE": "state", "HOW": "how"}
    print_table(recording["consents"], columns, "Nobody was asked.")
    print()
    columns = {"AT": "at", "WHO": "who", "DID": "act", "REASON": "reason"}
    print_table(recording["deeds"], columns, "Nothing was done with it.")
