"""What kinds of values are called where people see them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TITLES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "answering": ("Call handling", "Call handling"),
        "role": ("Role", "Roles"),
        "hours": ("Opening hours", "Opening hours"),
        "group": ("Group", "Groups"),
        "queue": ("Queue", "Queues"),
        "announcement": ("Announcement", "Announcements"),
        "menu": ("Menu", "Menus"),
        "route": ("Route", "Routes"),
        "blocked": ("Blocked numbers", "Blocked numbers"),
        "location": ("Location", "Locations"),
        "emergency-test": ("Emergency test", "Emergency tests"),
        "mailbox": ("Mailbox", "Mailboxes"),
        "recording-policy": ("Recording policy", "Recording policies"),
        "firmware": ("Wanted firmware", "Wanted firmware"),
    }
)
"""Of one and of several. A test looks whether every kind has them."""
