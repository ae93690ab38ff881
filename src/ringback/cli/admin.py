"""`ringback admin`: the people who run the system."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback.cli.verbs import Options, verb

app = typer.Typer(help="Administrators.", no_args_is_help=True, rich_markup_mode=None)


@verb(app, "link")
def link(
    options: Options,
    name: Annotated[str, typer.Option("--name", help="Which administrator.")] = "admin",
) -> None:
    """Make a one-time link with which an administrator chooses a password; works for 24 hours."""
    with options.system(creates=True) as system:
        made = system.setup_link(name)
    options.show(made, lambda: print(made["link"]))
