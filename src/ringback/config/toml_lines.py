"""Finds the line on which each key of a TOML 1.0 document is written, so that an error can point to it."""

from __future__ import annotations

import re

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*(?:([A-Za-z0-9_-]+)|"((?:\\.|[^"\\\n])*)"|'([^'\n]*)')[ \t]*""")
_VALUE_PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}\n]"
    r"|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)

Path = tuple[str, ...]


class KeyLines:
    """Where tables and keys of a valid TOML document start; keys in an inline table share its line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[Path, int] = {}
        self._scan()

    def line(self, path: Path) -> int:
        """The 1-based line of `path`, or of the nearest thing that holds it; 1 when nothing does."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1

    def _scan(self) -> None:
        table: Path = ()
        at = self._skip_space(0)
        while at < len(self._text):
            start = at
            if self._text[at] == "[":
                table, at = self._key(self._skip(at, "["))
                at = self._skip(at, "]")
                self._note(table, start)
            else:
                key, at = self._key(at)
                self._note(table + key, start)
                at = self._after_value(at + 1)
            at = self._skip_space(at)

    def _note(self, path: Path, at: int) -> None:
        line = self._text.count("\n", 0, at) + 1
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    def _skip_space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _skip(self, at: int, character: str) -> int:
        while self._text[at : at + 1] == character:
            at += 1
        return at

    def _key(self, at: int) -> tuple[Path, int]:
        parts: list[str] = []
        while found := _KEY_PART.match(self._text, at):
            parts.append(next(group for group in found.groups() if group is not None))
            at = found.end()
            if self._text[at : at + 1] != ".":
                break
            at += 1
        return tuple(parts), at

    def _after_value(self, at: int) -> int:
        depth = 0
        while found := _VALUE_PIECE.match(self._text, at):
            piece = found.group()
            at = found.end()
            if piece in "[{":
                depth += 1
            elif piece in "]}":
                depth -= 1
            elif piece == "\n" and depth <= 0:
                break
        return at
