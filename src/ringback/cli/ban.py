"""`ringback ban`: sources of SIP that are shut out."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback.cli.output import print_table
from ringback.cli.verbs import Options, verb

app = typer.Typer(help="Sources of SIP that are shut out.", no_args_is_help=True, rich_markup_mode=None)

Source = Annotated[
    str, typer.Argument(help="An IP address; of an IPv6 one it is the whole /64.", show_default=False)
]


@verb(app, "list")
def list_all(options: Options) -> None:
    """List who is shut out now, why, and until when."""
    with options.server() as server:
        bans = server.bans()
    rows = [
        {
            **ban,
            "state": "banned" if ban["proven"] else "hushed",
            "until": ban["until"][:19].replace("T", " "),
        }
        for ban in bans
    ]
    columns = {"SOURCE": "source", "STATE": "state", "REASON": "reason", "UNTIL (UTC)": "until"}
    options.show(bans, lambda: print_table(rows, columns, "Nobody is banned."))


@verb(app, "add")
def add(
    options: Options,
    source: Source,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, max=525_600, help="For how long.")] = 60.0,
) -> None:
    """Shut a source out, its phones too."""
    with options.server() as server:
        made = server.ban(source, minutes)
    options.show(made, lambda: print(f"{made['source']} is banned."))


@verb(app, "remove")
def remove(options: Options, source: Source) -> None:
    """Let a source in again, and forgive what led to its ban."""
    with options.server() as server:
        server.lift(source)
    options.show({"lifted": source}, lambda: print(f"{source} is banned no more."))
