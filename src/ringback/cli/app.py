"""The command line's verbs, put together."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

from ringback.cli.verbs import AsJson, Config, DataDir, Options

VERBS: Final = (
    *("serve", "status", "diagnose", "history", "undo", "version"),
    *("meeting", "extension", "person", "device", "login", "plan", "queue", "calls", "ban", "sip", "trunk"),
    *("route", "voicemail", "recording", "backup", "token", "admin", "certificate", "config"),
)
"""Each in the file of its name, where the help shows them in this order."""
_IN_FILE_OF_ANOTHER: Final = {"undo": "history"}


class _Commands(MutableMapping[str, Any]):
    """By name; the file of each is loaded when it is looked at."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = dict.fromkeys(VERBS)

    def __getitem__(self, name: str) -> Any:
        if self._loaded[name] is None:
            self._loaded[name] = _command(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


class _Verbs(TyperGroup):
    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        self.commands = _Commands()


def _command(name: str) -> Any:
    module = import_module(f"ringback.cli.{_IN_FILE_OF_ANOTHER.get(name, name)}")
    alone = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    if hasattr(module, "add_to"):
        module.add_to(alone)
    else:
        alone.add_typer(module.app, name=name)
    return get_group(alone).commands[name]


app = typer.Typer(
    cls=_Verbs,
    help="A self-hosted voice system: phones meet in calls and conferences.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def shared(
    context: typer.Context, data_dir: DataDir = None, config_file: Config = None, json: AsJson = False
) -> None:
    """A self-hosted voice system: phones meet in calls and conferences."""
    context.obj = Options(data_dir, config_file, json)
