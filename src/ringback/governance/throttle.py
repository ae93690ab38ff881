"""Limits for those who guess or flood: by source address, and by what is guessed at."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Generic, TypeVar

CAPACITY: Final = 65_536
"""How many keys a limit remembers; the one not met for longest is forgotten first."""

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


@lru_cache(maxsize=4_096)
def source_key(address: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 one, which one host owns whole.

    Text that is no address is its own key.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Network((parsed, 64), strict=False))
    return str(parsed)


def unmapped(address: str) -> str:
    """An address as it is, or the IPv4 address that an IPv6 one stands for (RFC 4291 §2.5.5.2): sockets for
    both families give them so."""
    return address.removeprefix("::ffff:") if "." in address else address


class SourceList:
    """Networks whose members are free of limits (`security.allow_sources`)."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """`networks` are CIDRs or addresses; ValueError on any other text."""
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(text, strict=False) for text in networks
        ]
        # Asked several times a call.
        self._known = lru_cache(maxsize=4_096)(self._is_member)

    def __contains__(self, address: object) -> bool:
        return bool(self._networks) and isinstance(address, str) and self._known(address)

    def _is_member(self, address: str) -> bool:
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)


class _Recent(Generic[_K, _V]):
    """A dictionary of bounded size that forgets the key not asked for longest."""

    def __init__(self, capacity: int, make: Callable[[], _V]) -> None:
        self._entries: OrderedDict[_K, _V] = OrderedDict()
        self._capacity = capacity
        self._make = make

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: _K) -> _V | None:
        return self._entries.get(key)

    def items(self) -> Iterable[tuple[_K, _V]]:
        return self._entries.items()

    def touch(self, key: _K) -> _V:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._make()
            if len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        else:
            self._entries.move_to_end(key)
        return entry

    def forget(self, key: _K) -> None:
        self._entries.pop(key, None)


@dataclass(slots=True)
class _Level:
    """A quantity that drains away: its value at a time in seconds."""

    value: float = 0.0
    at: float = 0.0

    def drained(self, now: float, per_second: float) -> float:
        return max(0.0, self.value - max(0.0, now - self.at) * per_second)


class TokenBuckets(Generic[_K]):
    """A token bucket a key: `burst` at once, `rate` a second in the long run."""

    def __init__(self, *, rate: float, burst: float, capacity: int = CAPACITY) -> None:
        self._rate = rate
        self._burst = burst
        self._used: _Recent[_K, _Level] = _Recent(capacity, _Level)

    def __len__(self) -> int:
        return len(self._used)

    def take(self, key: _K, now: float, tokens: float = 1.0) -> bool:
        """Take tokens if there are as many; what is refused costs nothing."""
        used = self._used.touch(key)
        level = used.drained(now, self._rate)
        taken = level + tokens <= self._burst
        used.value, used.at = (level + tokens if taken else level), now
        return taken

    def wait_s(self, key: _K, now: float, tokens: float = 1.0) -> float:
        """Seconds until so many tokens can be taken; 0 when they are there, inf when they never are."""
        used = self._used.get(key)
        missing = (used.drained(now, self._rate) if used else 0.0) + tokens - self._burst
        if missing <= 0.0:
            return 0.0
        return missing / self._rate if tokens <= self._burst and self._rate > 0.0 else float("inf")


@dataclass(slots=True)
class _Record:
    """What one key did: failures that drain away, bans it had lately, and until when it is banned."""

    failures: _Level = field(default_factory=_Level)
    bans: int = 0
    until: float = 0.0


class FailureLedger(Generic[_K]):
    """Bans a key that fails too often, each time for longer.

    `free` failures may come at once, one more every `forgive_s`: a phone with an old password that tries
    every minute never takes the others behind its NAT with it, and who guesses gets nowhere. A success
    wipes nothing out, or one known password would buy guesses at another. After `longest_ban_s` without a
    ban the next one is short again.
    """

    def __init__(
        self,
        *,
        free: int = 10,
        forgive_s: float = 30.0,
        first_ban_s: float = 60.0,
        longest_ban_s: float = 3_600.0,
        capacity: int = CAPACITY,
    ) -> None:
        self._free = free
        self._forgive_rate = 1.0 / forgive_s
        self._first_ban_s = first_ban_s
        self._longest_ban_s = longest_ban_s
        self._records: _Recent[_K, _Record] = _Recent(capacity, _Record)

    def __len__(self) -> int:
        return len(self._records)

    def failed(self, key: _K, now: float, weight: float = 1.0) -> float:
        """Note a failure; seconds of the ban it brings, 0 when it brings none."""
        record = self._records.touch(key)
        if now < record.until:
            return record.until - now
        if record.bans and now - record.until > self._longest_ban_s:
            record.bans = 0
        level = record.failures.drained(now, self._forgive_rate) + weight
        record.failures.value, record.failures.at = level, now
        if level <= self._free:
            return 0.0
        ban_s = min(self._longest_ban_s, self._first_ban_s * 2.0 ** min(record.bans, 32))
        record.bans += 1
        record.until = now + ban_s
        # Half the credit is back when the ban ends: the next ban needs fewer failures, not only one.
        record.failures.value, record.failures.at = self._free / 2.0, record.until
        return ban_s

    def ban(self, key: _K, until: float) -> None:
        """Ban a key until then, whatever it did."""
        self._records.touch(key).until = until

    def lift(self, key: _K) -> None:
        """End a ban and forgive what led to it."""
        record = self._records.get(key)
        if record is not None:
            record.failures, record.bans, record.until = _Level(), 0, 0.0

    def banned(self, now: float) -> dict[_K, float]:
        """The keys that are banned now, and until when."""
        return {key: record.until for key, record in self._records.items() if record.until > now}

    def banned_for(self, key: _K, now: float) -> float:
        """Seconds that a key stays banned; 0 when it is not."""
        record = self._records.get(key)
        return max(0.0, record.until - now) if record else 0.0


class SourceGuard:
    """Rate and failures by source address, with those of the list exempt; addresses are texts."""

    def __init__(
        self,
        allow: SourceList,
        buckets: TokenBuckets[str] | None = None,
        ledger: FailureLedger[str] | None = None,
    ) -> None:
        """`buckets` limits how often a source may try at all (no limit when None)."""
        self._allow = allow
        self._buckets = buckets
        self._ledger = FailureLedger() if ledger is None else ledger

    def admits(self, address: str, now: float) -> bool:
        """Whether a source may try now; takes a token of its."""
        if address in self._allow:
            return True
        key = source_key(address)
        if self._ledger.banned_for(key, now) > 0.0:
            return False
        return self._buckets is None or self._buckets.take(key, now)

    def banned_for(self, address: str, now: float) -> float:
        """Seconds that a source stays banned; 0 when it is not."""
        return 0.0 if address in self._allow else self._ledger.banned_for(source_key(address), now)

    def failed(self, address: str, now: float) -> float:
        """Note a wrong PIN or password; seconds of the ban it brings, 0 when it brings none."""
        return 0.0 if address in self._allow else self._ledger.failed(source_key(address), now)


class GuessDelay(Generic[_K]):
    """Slows guesses at one thing (a meeting's PIN) down from wherever they come, and never refuses.

    The delay is for right and wrong answers alike, so that it tells nothing. It grows by `step_s` with each
    wrong guess after the first `free` ones, up to `longest_s`, and a wrong guess is forgotten every
    `forgive_s`.
    """

    def __init__(
        self,
        *,
        free: int = 6,
        step_s: float = 0.5,
        longest_s: float = 5.0,
        forgive_s: float = 20.0,
        capacity: int = CAPACITY,
    ) -> None:
        self._free = free
        self._step_s = step_s
        self._longest_s = longest_s
        self._forgive_rate = 1.0 / forgive_s
        # What is above the highest delay only prolongs it, for as long as it took to get to it.
        self._most = 2.0 * (free + longest_s / step_s)
        self._wrong: _Recent[_K, _Level] = _Recent(capacity, _Level)

    def __len__(self) -> int:
        return len(self._wrong)

    def wrong(self, key: _K, now: float) -> None:
        """Note a wrong guess."""
        level = self._wrong.touch(key)
        level.value, level.at = min(self._most, level.drained(now, self._forgive_rate) + 1.0), now

    def delay_s(self, key: _K, now: float) -> float:
        """Seconds to wait before the answer to a guess is given."""
        level = self._wrong.get(key)
        over = (level.drained(now, self._forgive_rate) if level else 0.0) - self._free
        return min(self._longest_s, max(0.0, over) * self._step_s)


class GuessPause(Generic[_K]):
    """Lets nobody guess at one thing (the code of a login) for a while after wrong guesses.

    A pause follows each guess after the first `free` ones, twice as long as the one before, up to
    `longest_s`. A right guess ends that. A guess is noted before it is looked at, so that many at once are no
    way around it.
    """

    def __init__(
        self, *, free: int = 5, first_s: float = 2.0, longest_s: float = 600.0, capacity: int = CAPACITY
    ) -> None:
        self._free = free
        self._first_s = first_s
        self._longest_s = longest_s
        self._guesses: _Recent[_K, _Level] = _Recent(capacity, _Level)

    def wait_s(self, key: _K, now: float) -> float:
        """Seconds until the next guess is taken."""
        level = self._guesses.get(key)
        if level is None or level.value < self._free:
            return 0.0
        pause = min(self._longest_s, self._first_s * math.exp2(min(level.value - self._free, 20.0)))
        return max(0.0, level.at + pause - now)

    def guess(self, key: _K, now: float) -> None:
        """Note a guess."""
        level = self._guesses.touch(key)
        level.value, level.at = level.value + 1.0, now

    def right(self, key: _K) -> None:
        """The guess was right."""
        self._guesses.forget(key)
