"""`ringback token`: ways into the API."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ringback.cli.output import print_table
from ringback.cli.verbs import Options, verb

app = typer.Typer(help="Tokens for the API.", no_args_is_help=True, rich_markup_mode=None)


@verb(app, "add")
def add(
    options: Options,
    role: Annotated[
        Literal["admin", "helpdesk", "auditor", "user"],
        typer.Option("--role", help="What it may do.", show_default=False),
    ],
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "",
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, max=3650, help="Valid for so long; otherwise until revoked."),
    ] = None,
) -> None:
    """Make a token; it is shown this once."""
    with options.system(creates=True) as system:
        made = system.add_token(role, name, days)
    options.show(made, lambda: print(made["token"]))


@verb(app, "list")
def list_all(options: Options) -> None:
    """List all tokens, without what they are."""
    with options.system() as system:
        tokens = system.tokens()
    columns = {"ID": "id", "ROLE": "role", "NAME": "name", "MADE": "created_at", "UNTIL": "expires_at"}
    rows = [
        {**token, "created_at": _minute(token["created_at"]), "expires_at": _minute(token["expires_at"])}
        for token in tokens
    ]
    options.show(tokens, lambda: print_table(rows, columns, "There are no tokens."))


@verb(app, "revoke")
def revoke(
    options: Options,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.", show_default=False)],
) -> None:
    """Make a token useless from now on."""
    with options.system() as system:
        system.revoke_token(token_id)
    options.show({"revoked": token_id}, lambda: print(f"Token {token_id} is revoked."))


def _minute(moment: str | None) -> str:
    return moment[:16].replace("T", " ") if moment else ""
