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


class _Node(Generic[_V]):
    """A place in the tree. What comes below is worked out when a number first comes here: of thousands of
    patterns most are never looked at."""

    __slots__ = ("ends", "open", "plain", "sets", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[str, _V]] = []
        self.plain: dict[str, _Node[_V]] = {}
        self.sets: dict[frozenset[str], _Node[_V]] = {}
        self.ends: list[_V] = []
        self.open: list[_V] = []

    def work_out(self) -> None:
        """Sort what waits here by its first character."""
        waiting, self.waiting = self.waiting, []
        for pattern, value in waiting:
            if not pattern:
                self.ends.append(value)
            elif pattern == ".":
                self.open.append(value)
            else:
                child, rest = self._below(pattern)
                child.waiting.append((rest, value))

    def _below(self, pattern: str) -> tuple[_Node[_V], str]:
        first = pattern[0]
        if first == "[":
            inside, _, rest = pattern[1:].partition("]")
            return self._by_set(frozenset(_inside(inside))), rest
        characters = _CLASSES.get(first)
        if characters is not None:
            return self._by_set(characters), pattern[1:]
        child = self.plain.get(first)
        if child is None:
            child = self.plain[first] = _Node()
        return child, pattern[1:]

    def _by_set(self, characters: frozenset[str]) -> _Node[_V]:
        child = self.sets.get(characters)
        if child is None:
            child = self.sets[characters] = _Node()
        return child


class PatternIndex(Generic[_V]):
    """Values by patterns (`Pattern` of the plan); several may have the same one."""

    def __init__(self) -> None:
        self._root: _Node[_V] = _Node()

    def add(self, pattern: str, value: _V) -> None:
        """Find `value` for numbers that fit `pattern`."""
        self._root.waiting.append((pattern, value))

    def find(self, number: str) -> Iterator[tuple[int, _V]]:
        """Every value whose pattern fits, with how many characters the pattern says; the dot is none."""
        active = [self._root]
        for depth, character in enumerate(number):
            following: list[_Node[_V]] = []
            for node in active:
                if node.waiting:
                    node.work_out()
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
            if node.waiting:
                node.work_out()
            for value in (*node.open, *node.ends):
                yield len(number), value


def _inside(text: str) -> Iterator[str]:
    """The digits of a set: `2-57` is 2, 3, 4, 5 and 7."""
    for found in re.finditer(r"([0-9])-([0-9])|([0-9])", text):
        first, last, alone = found.groups()
        if alone is not None:
            yield alone
        else:
            yield from map(str, range(int(first), int(last) + 1))
