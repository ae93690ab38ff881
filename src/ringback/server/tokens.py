"""Unguessable strings for tags, branches and Call-IDs, many of one system call."""

from __future__ import annotations

import os
from typing import Final

_CHARACTERS: Final = 24
_AT_ONCE: Final = 128


class Tokens:
    """Each call gives another string of 96 random bits in hexadecimal digits."""

    def __init__(self) -> None:
        self._ready: list[str] = []

    def __call__(self) -> str:
        """The next one."""
        if not self._ready:
            text = os.urandom(_AT_ONCE * _CHARACTERS // 2).hex()
            self._ready = [text[start : start + _CHARACTERS] for start in range(0, len(text), _CHARACTERS)]
        return self._ready.pop()
