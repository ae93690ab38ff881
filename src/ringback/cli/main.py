"""The command `ringback`: runs a verb, and turns whatever goes wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ringback import __version__
from ringback.cli.errors import FAILED, OK, CliError
from ringback.cli.output import print_json

if TYPE_CHECKING:
    from typer.exceptions import TyperException


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    if list(arguments) == ["--version"]:
        print(f"ringback {__version__}")
        return OK
    # Loaded after the line above: the version is there at once.
    from typer.exceptions import Abort, TyperException  # noqa: PLC0415

    from ringback.cli.app import app  # noqa: PLC0415
    from ringback.config import SettingsError  # noqa: PLC0415
    from ringback.store.errors import StoreError  # noqa: PLC0415

    as_json = "--json" in arguments
    try:
        result = app(list(arguments), prog_name="ringback", standalone_mode=False)
    except CliError as error:
        return _fail(str(error), error.exit_code, as_json)
    except (SettingsError, StoreError) as error:
        return _fail(str(error), FAILED, as_json)
    except TyperException as error:
        return _fail(_usage(error), error.exit_code, as_json)
    except (Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader has seen enough; nothing may be written to it at the exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return result if isinstance(result, int) else OK


def _usage(error: TyperException) -> str:
    message = error.format_message().replace("Value error, ", "")
    if message.startswith("Usage:"):
        return message
    message = " ".join(message.split())
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    return f"{message.rstrip('.')}; see: {context.command_path} --help"


def _fail(message: str, exit_code: int, as_json: bool) -> int:
    if as_json:
        print_json({"error": message})
    elif message.startswith("Usage:"):
        print(message, file=sys.stderr)
    else:
        for line in message.splitlines():
            print(f"ringback: {line}", file=sys.stderr)
    return exit_code
