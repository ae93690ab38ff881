"""Many patterns of numbers at once: a tree of their characters, walked once for each number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

_V = TypeVar("_V")

_CLASSES: Final = {
    "X": frozenset("0123456789"),
    "Z": frozenset("123456789"),
    "N": frozenset("23456789"),
}
_TOKEN: Final = re.compile(r"\[([0-9-]+)\]|(.)")


class _Node(Generic[_V]):
    __slots__ = ("ends", "open", "plain", "sets")

    def __init__(self) -> None:
        self.plain: dict[str, _Node[_V]] = {}
        self.sets: dict[frozenset[str], _Node[_V]] = {}
        self.ends: list[_V] = []
        self.open: list[_V] = []

    def next(self, character: str | frozenset[str]) -> _Node[_V]:
        if isinstance(character, str):
            return self.plain.setdefault(character, _Node())
        return self.sets.setdefault(character, _Node())


class PatternIndex(Generic[_V]):
    """Values by patterns (`Pattern` of the plan); several may have the same one."""

    def __init__(self) -> None:
        self._root: _Node[_V] = _Node()

    def add(self, pattern: str, value: _V) -> None:
        """Find `value` for numbers that fit `pattern`."""
        node = self._root
        for character in _characters(pattern.removesuffix(".")):
            node = node.next(character)
        (node.open if pattern.endswith(".") else node.ends).append(value)

    def find(self, number: str) -> Iterator[tuple[int, _V]]:
        """Every value whose pattern fits, with how many characters the pattern says; the dot is none."""
        active = [self._root]
        for depth, character in enumerate(number):
            following: list[_Node[_V]] = []
            for node in active:
                for value in node.open:
                    yield depth, value
                plain = node.plain.get(character)
                if plain is not None:
                    following.append(plain)
                following += [each for characters, each in node.sets.items() if character in characters]
            if not following:
                return
            active = following
        for node in active:
            for value in (*node.open, *node.ends):
                yield len(number), value


def _characters(pattern: str) -> Iterator[str | frozenset[str]]:
    for found in _TOKEN.finditer(pattern):
        inside, character = found.groups()
        if inside is not None:
            yield frozenset(_inside(inside))
        else:
            yield _CLASSES.get(character, character)


def _inside(text: str) -> Iterator[str]:
    """The digits of a set: `2-57` is 2, 3, 4, 5 and 7."""
    for found in re.finditer(r"([0-9])-([0-9])|([0-9])", text):
        first, last, alone = found.groups()
        if alone is not None:
            yield alone
        else:
            yield from map(str, range(int(first), int(last) + 1))
