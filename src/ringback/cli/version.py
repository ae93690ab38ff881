"""`ringback version`: which version this is."""

from __future__ import annotations

import typer

from ringback import __version__
from ringback.cli.verbs import Options, verb


def add_to(app: typer.Typer) -> None:
    """Make it a verb of the application."""
    verb(app, "version")(version)


def version(options: Options) -> None:
    """Print the version."""
    options.show({"version": __version__}, lambda: print(f"ringback {__version__}"))
