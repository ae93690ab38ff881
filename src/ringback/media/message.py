"""The base of everything that the control process and a media worker say to each other."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """One message; its name is its tag, what has its default value is not sent."""
