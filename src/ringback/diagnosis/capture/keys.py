"""Numbers for keys that come in batches: a hash table whose keys are rows of octets."""

from __future__ import annotations

import secrets
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.records import Octets
from ringback.diagnosis.capture.rows import KEY_BYTES
from ringback.native import at as pointer
from ringback.native import kernels

_FIRST_ROOM: Final = 1 << 10


class KeyTable:
    """Each different key gets the next number from 0 on, in the order in which they come."""

    def __init__(self) -> None:
        # Whoever makes a capture must not be able to choose keys that collide.
        self._seed = secrets.randbits(64)
        self._clear()

    def _clear(self) -> None:
        self._known = np.empty((_FIRST_ROOM, KEY_BYTES), np.uint8)
        self._count = np.zeros(1, np.int64)
        self._slots = np.full(4 * _FIRST_ROOM, -1, np.int32)
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return int(self._count[0])

    @property
    def keys(self) -> Octets:
        """The keys by their numbers: uint8[len, 40]."""
        return self._known[: len(self)]

    def number(self, keys: Octets) -> NDArray[np.int32]:
        """The number of each of the keys uint8[n, 40]: int32[n]."""
        numbers = np.empty(len(keys), np.int32)
        if kernels is None:
            self._number_plainly(keys, numbers)
            return numbers
        done = 0
        while done < len(keys):
            done += kernels.rb_number(
                pointer(keys[done:]),
                len(keys) - done,
                self._seed,
                pointer(self._slots),
                len(self._slots) - 1,
                pointer(self._known),
                len(self._known),
                pointer(self._count),
                pointer(numbers[done:]),
            )
            if done < len(keys):
                self._grow()
        return numbers

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Forget the keys that are not `kept` bool[len]; those behind them get lower numbers."""
        keys = self.keys[kept]
        self._clear()
        self.number(keys)

    def _grow(self) -> None:
        keys = self.keys.copy()
        self._known = np.empty((2 * len(self._known), KEY_BYTES), np.uint8)
        self._slots = np.full(4 * len(self._known), -1, np.int32)
        self._count[0] = 0
        self.number(keys)

    def _number_plainly(self, keys: Octets, numbers: NDArray[np.int32]) -> None:
        whole = np.ascontiguousarray(keys).view(f"V{KEY_BYTES}")[:, 0]
        _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
        of = np.empty(len(first), np.int32)
        for place in np.argsort(first):
            key = keys[first[place]].tobytes()
            number = self._numbers.setdefault(key, len(self._numbers))
            of[place] = number
            if number == len(self):
                if number == len(self._known):
                    self._known = np.concatenate((self._known, np.empty_like(self._known)))
                self._known[number] = keys[first[place]]
                self._count[0] += 1
        numbers[:] = of[inverse]
