"""IPv6 addresses as numbers of 32 bits: columns, tables and comparisons are those of IPv4, at the same cost.

An IPv4 address is its own number. Those of IPv6 addresses lie in 224.0.0.0/4, the multicast addresses of
IPv4: no packet comes from one (RFC 1112 7.2), and media to one is refused. A number means the same address as
long as anything of a leg has it; those of strangers are forgotten in time, and given out again last of all.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from ringback.media.columns import Bytes, Words

FIRST_IPV6: Final = 0xE000_0000
"""From here on numbers are of IPv6 addresses."""
MOST: Final = 32_768
"""Addresses that nobody uses are remembered until so many others came, and then so many again."""
OCTETS: Final = 16
_LAST: Final = 0xEFFF_FFFF
_MAPPED: Final = bytes(10) + b"\xff\xff"
_NONE: Final = bytes(OCTETS)


class Addresses:
    """The numbers of IPv6 addresses in one worker; `in_use` tells those that must not be forgotten."""

    def __init__(self, in_use: Callable[[], Iterable[int]] = tuple, most: int = MOST) -> None:
        self.in_use = in_use
        self._most = self._limit = most
        self._recent: dict[bytes, int] = {}
        self._former: dict[bytes, int] = {}
        self._octets: dict[int, bytes] = {}
        self._next = FIRST_IPV6

    def __len__(self) -> int:
        """How many IPv6 addresses have numbers; 0 where IPv6 was never used."""
        return len(self._octets)

    def of_text(self, address: str) -> int:
        """The number of an address as text, IPv4-mapped ones as IPv4; ValueError if it is none."""
        return self.of_packed(ipaddress.ip_address(address).packed)

    def of_packed(self, address: bytes) -> int:
        """The number of an address in network order, 4 or 16 octets."""
        if len(address) != OCTETS:
            return int.from_bytes(address, "big")
        return self._recent.get(address) or self._remember(address)

    def packed(self, number: int) -> bytes:
        """The address of a number in network order: 4 or 16 octets."""
        if number < FIRST_IPV6:
            return number.to_bytes(4, "big")
        return self._octets.get(number, _NONE)

    def numbers(self, rows: Bytes) -> Words:
        """The numbers of addresses uint8[n, 16], as sockets gave them: uint32[n]."""
        if len(self._recent) > self._limit:
            self._forget()
        octets, get = rows.tobytes(), self._recent.get
        keys = [octets[at : at + OCTETS] for at in range(0, len(octets), OCTETS)]
        return np.array([get(key) or self._remember(key) for key in keys], np.uint32)

    def octets(self, numbers: Words) -> Bytes:
        """The addresses of numbers of IPv6: uint8[n, 16], `::` of one that is forgotten."""
        get = self._octets.get
        joined = b"".join([get(number, _NONE) for number in numbers.tolist()])
        return np.frombuffer(joined, np.uint8).reshape(-1, OCTETS)

    def _remember(self, address: bytes) -> int:
        if address.startswith(_MAPPED):
            return int.from_bytes(address[len(_MAPPED) :], "big")
        if address == _NONE:
            return 0
        number = self._former.pop(address, None)
        if number is None:
            number = self._free()
            self._octets[number] = address
        self._recent[address] = number
        return number

    def _free(self) -> int:
        while True:
            number = self._next
            self._next = number + 1 if number < _LAST else FIRST_IPV6
            if number not in self._octets:
                return number

    def _forget(self) -> None:
        """Forget what was not met since the last time, unless it is in use."""
        used = set(self.in_use())
        kept = {}
        for address, number in self._former.items():
            if number in used:
                kept[address] = number
            else:
                del self._octets[number]
        self._former, self._recent = self._recent, kept
        self._limit = self._most + len(kept)
