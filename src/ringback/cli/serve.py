"""`ringback serve`: the system itself."""

from __future__ import annotations

import gc
import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

import typer

from ringback.cli.errors import CliError
from ringback.cli.running import connect
from ringback.cli.verbs import Options, verb
from ringback.config import Settings
from ringback.server.preflight import UnusableSettingError, check_settings
from ringback.store.lock import DataDirLock

LOCK_PATIENCE_S: Final = 5.0


def add_to(app: typer.Typer) -> None:
    """Make it a verb of the application."""
    verb(app, "serve")(serve)


def serve(options: Options) -> None:
    """Run the system until it is told to stop (Ctrl+C or SIGTERM)."""
    settings = options.settings()
    try:
        check_settings(settings)
    except UnusableSettingError as error:
        raise CliError(str(error)) from None
    # The whole system is loaded here: no other verb needs it.
    from ringback.config.log import configure_logging  # noqa: PLC0415

    # Nothing that a start loads is garbage: `run` begins to look for some once it is ready.
    gc.disable()
    from ringback.server.run import run  # noqa: PLC0415

    configure_logging(settings.log)
    with _lock(settings):
        raise typer.Exit(run(settings, command=_command(sys.argv, os.environ)))


def _command(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """How a person starts this again: what was typed, or `make run` when make typed it."""
    if environ.get("MAKELEVEL"):
        arguments = shlex.join(words[2:])
        return "make run" + (f" ARGS={shlex.quote(arguments)}" if arguments else "")
    program = "ringback" if shutil.which("ringback") else words[0]
    return shlex.join([program, *words[1:]])


def _lock(settings: Settings) -> DataDirLock:
    # Another command may be changing the store just now; a server never lets go.
    patience = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            return DataDirLock(settings.data_dir)
        except BlockingIOError:
            running = connect(settings)
            if running is not None or time.monotonic() > patience:
                problem = f"a server is running on {settings.data_dir} already; ask it: ringback status"
                raise CliError(problem) from None
            time.sleep(0.05)
