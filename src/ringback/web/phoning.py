"""What the web needs from the running system for phones in pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ringback.governance.private import Private


@dataclass(frozen=True, slots=True)
class NewPhone:
    """Credentials for SIP that one page has for itself."""

    username: str
    password: Private[str]
    realm: str
    expires_in_s: float


class Phoning(Protocol):
    """Phones in pages. None of the methods waits."""

    def open(self, session: str, extension: str) -> NewPhone:
        """Credentials for a page of that session, with which it is a phone of that extension."""
