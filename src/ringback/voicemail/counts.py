"""How voicemail fares: what became of calls that came to leave a message or to listen, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Left = Literal["kept", "delayed", "empty", "dropped", "full", "failed"]
"""What became of a message: `delayed` waits for the database, `empty` was too short or nothing at all,
`dropped` was taken back by who spoke it, `full` could not be left, `failed` could not be recorded."""
Login = Literal["opened", "wrong", "refused", "away"]
"""What came of asking for one's messages: `wrong` PIN, `refused` after too many of them, `away`: not
readable."""
Heard = Literal["phone", "page", "mail"]
"""How a message was heard, or sent to be heard."""


@dataclass(slots=True)
class Counts:
    """Since the start; no mailbox and no number."""

    left: Counter[Left] = field(default_factory=Counter)
    heard: Counter[Heard] = field(default_factory=Counter)
    logins: Counter[Login] = field(default_factory=Counter)
