"""How a verb fails: exit codes, and one line that says what to do."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3


class CliError(Exception):
    """Ends the command with a message for a person and an exit code; `status` is what the API answered."""

    def __init__(self, message: str, exit_code: int = FAILED, status: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.status = status
