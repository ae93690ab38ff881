"""Ranges of octets that a client asks for (RFC 9110 §14)."""

from __future__ import annotations

import re
from typing import Final

_ONE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class UnsatisfiableRangeError(ValueError):
    """There is nothing at that place."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First octet, and the one after the last; None for all. Several ranges at once are answered by all."""
    match = _ONE.fullmatch((header or "").strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), size if not last else min(size, int(last) + 1)
    if start >= end:
        raise UnsatisfiableRangeError
    return start, end
