"""Holds the current directory and tells who wants to know when it is replaced."""

from __future__ import annotations

from collections.abc import Callable

from ringback.store.directory import Directory

Listener = Callable[[Directory], None]


class DirectoryHolder:
    """The one place where a change of the store becomes visible to the call path."""

    def __init__(self, directory: Directory) -> None:
        self.current = directory
        self._listeners: list[Listener] = []

    def replace(self, directory: Directory) -> None:
        """Make `directory` the current one and tell everybody."""
        self.current = directory
        for listener in tuple(self._listeners):
            listener(directory)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each new directory; the returned function ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)
