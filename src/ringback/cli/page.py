"""The documentation of the command line as Markdown, made from the verbs themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from ringback.cli.app import app

_SHARED = frozenset({"data_dir", "config", "json", "help"})
_INTRODUCTION = """\
# Command line

Every verb takes `--data-dir DIR` (or `RINGBACK_DATA_DIR`), `--config FILE` and `--json`, before or after
the verb. Verbs that change what is kept work on a running and on a stopped server alike; verbs about calls
in progress need a running one.

Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 the server cannot be reached. With `--json` an error is
`{"error": "..."}` on standard output; without, one line on standard error.

This page is printed by `python -m ringback.cli.page`.
"""


def command_line_page() -> str:
    """The page, ending with a newline."""
    root = typer.main.get_command(app)
    return _INTRODUCTION + "".join(_entries(root, "ringback"))


def _entries(command: object, path: str) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for name, below in sorted(command.commands.items()):
            yield from _entries(below, f"{path} {name}")
    elif isinstance(command, TyperCommand):
        arguments = [p for p in command.params if isinstance(p, TyperArgument)]
        options = [p for p in command.params if isinstance(p, TyperOption) and p.name not in _SHARED]
        usage = " ".join([path, *(_argument(argument) for argument in arguments)])
        yield f"\n## `{usage}`\n\n{command.help}\n"
        described = [(_argument(a), getattr(a, "help", None)) for a in arguments]
        described += [(_option(option), option.help) for option in options]
        if described:
            yield "\n"
        for name, text in described:
            yield f"- `{name}`: {text}\n" if text else f"- `{name}`\n"


def _argument(argument: TyperArgument) -> str:
    name = (argument.metavar or argument.name or "").upper().strip("[]")
    return name if argument.required else f"[{name}]"


def _option(option: TyperOption) -> str:
    choices = get_args(option.type_descriptor.annotation)
    named = bool(choices) and all(isinstance(choice, str) for choice in choices)
    meta = "|".join(choices) if named else option.metavar or (option.name or "").upper()
    value = "" if option.is_flag else f" {meta}"
    return " / ".join([*option.opts, *option.secondary_opts]) + value


if __name__ == "__main__":
    print(command_line_page(), end="")
