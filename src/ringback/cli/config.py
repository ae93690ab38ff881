"""`ringback config`: what is set, whether it is right, and what can be set."""

from __future__ import annotations

from typing import Any

import typer

from ringback.cli.verbs import Options, verb
from ringback.config.page import settings_page

app = typer.Typer(help="Settings.", no_args_is_help=True, rich_markup_mode=None)


@verb(app, "show")
def show(options: Options) -> None:
    """Print the settings in force, defaults included."""
    values: dict[str, Any] = options.settings().model_dump(mode="json")
    options.show(values, lambda: _print_toml(values))


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


def _print_toml(values: dict[str, Any]) -> None:
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    _print_keys(plain)
    for section, keys in values.items():
        if isinstance(keys, dict):
            print(f"\n[{section}]")
            _print_keys(keys)


def _print_keys(keys: dict[str, Any]) -> None:
    for key, value in keys.items():
        print(f"# {key} is not set" if value is None else f"{key} = {_toml(value)}")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        pairs = (f"{key} = {_toml(each)}" for key, each in value.items() if each is not None)
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)
