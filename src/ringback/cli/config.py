"""`ringback config`: what is set, whether it is right, and what can be set."""

from __future__ import annotations

from typing import Any

import typer

from ringback.cli.verbs import Options, verb
from ringback.config.page import settings_page
from ringback.config.toml_text import toml_text

app = typer.Typer(help="Settings.", no_args_is_help=True, rich_markup_mode=None)


@verb(app, "show")
def show(options: Options) -> None:
    """Print the settings in force, defaults included."""
    values: dict[str, Any] = options.settings().model_dump(mode="json")
    options.show(values, lambda: print(toml_text(values), end=""))


@verb(app, "check")
def check(options: Options) -> None:
    """Say whether the settings can be used; problems are named with their line."""
    options.settings()
    options.show({"ok": True}, lambda: print("The settings are right."))


@verb(app, "docs")
def docs(options: Options) -> None:
    """Print the documentation of every setting (Markdown)."""
    page = settings_page()
    options.show({"markdown": page}, lambda: print(page, end=""))
