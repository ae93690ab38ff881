"""What all verbs share: `--data-dir`, `--config` and `--json`, before or after the verb."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, get_type_hints

import typer

from ringback.cli.output import print_json
from ringback.cli.running import RunningSystem, require
from ringback.cli.system import System, open_system
from ringback.config import Settings, load_settings

P = ParamSpec("P")

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Folder with everything that is kept.")
]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings in TOML.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class Options:
    """The shared options as given."""

    data_dir: Path | None = None
    config: Path | None = None
    json: bool = False

    def settings(self) -> Settings:
        """The settings these options lead to; raises SettingsError."""
        return load_settings(self.config, data_dir=self.data_dir)

    def system(self, *, creates: bool = False) -> contextlib.AbstractContextManager[System]:
        """The running server, or the store while none runs."""
        return open_system(self.settings(), creates=creates)

    def server(self) -> RunningSystem:
        """The running server; raises CliError if there is none."""
        return require(self.settings())

    def show(self, value: Any, for_people: Callable[[], None]) -> None:
        """Print the value as JSON, or what is made for people."""
        if self.json:
            print_json(value)
        else:
            for_people()


def verb(
    group: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Options, P], None]], Callable[Concatenate[Options, P], None]]:
    """Make a function a verb of the group: it takes the Options, then what the command line holds."""

    def decorate(
        function: Callable[Concatenate[Options, P], None],
    ) -> Callable[Concatenate[Options, P], None]:
        own = list(inspect.signature(function).parameters.values())[1:]
        hints = get_type_hints(function, include_extras=True)

        def command(
            context: typer.Context, *, data_dir: DataDir, config: Config, json: AsJson, **rest: Any
        ) -> None:
            given: Options = context.obj or Options()
            options = Options(
                data_dir if data_dir is not None else given.data_dir,
                config if config is not None else given.config,
                json or given.json,
            )
            function(options, **rest)  # type: ignore[call-arg]

        kind = inspect.Parameter.KEYWORD_ONLY
        shared: dict[str, tuple[Any, Any]] = {
            "data_dir": (DataDir, None),
            "config": (Config, None),
            "json": (AsJson, False),
        }
        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(
                    "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
                ),
                *(p.replace(annotation=hints[p.name], kind=kind) for p in own),
                *(
                    inspect.Parameter(name, kind, annotation=hint, default=default)
                    for name, (hint, default) in shared.items()
                ),
            ]
        )
        command.__annotations__ = {
            "context": typer.Context,
            **{p.name: hints[p.name] for p in own},
            **{name: hint for name, (hint, _) in shared.items()},
        }
        group.command(name, help=inspect.getdoc(function))(command)
        return function

    return decorate
