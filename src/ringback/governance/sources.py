"""The sources of SIP: who has proved an account, who sends too much, who is shut out, and for how long.

Two things are kept apart, because the source of a datagram is only what the datagram says. *Banned* is who
did wrong in a way that proves its source: over a connection, or with a nonce that was given to it. *Hushed*
is who seems to do wrong by datagrams that anybody may have sent in its name: it gets an answer a second.
Neither holds for an address from which an account was proved.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Final, Literal, TypeVar

from ringback.governance.throttle import CAPACITY, FailureLedger, SourceList, TokenBuckets, source_key

Address = tuple[str, int]
"""IP address and port."""
Reason = Literal["passwords", "accounts", "requests", "noise", "scanner", "operator"]
Dropped = Literal["banned", "hushed", "rate", "overload"]

_K = TypeVar("_K")
_V = TypeVar("_V")

TRUST_S: Final = 7_500.0
"""How long a proved account vouches for its address: a little longer than registrations last."""
STRANGERS_SHARE: Final = 0.5
"""Of the control process's time, how much the datagrams of strangers may take."""
KNOWN_TIMES: Final = 10.0
"""How many times a stranger's rate those may send who have proved an account."""

_STRANGERS: Final = 16_384
_BURST_S: Final = 4.0
_BURST_OF_TIME_S: Final = 0.5
_LONGEST_S: Final = 0.02
_NEW_NAME_WEIGHT: Final = 3.0
_MOST_BY_HAND: Final = 10_000


class Offence(Enum):
    """What counts against a source: its weight, of which about a hundred bring a ban, and the reason."""

    CHALLENGED = (1.0, "accounts")
    REFUSED = (1.1, "requests")
    NOISE = (1.0, "noise")
    SCANNER = (1_000.0, "scanner")

    def __init__(self, weight: float, reason: Reason) -> None:
        self.weight = weight
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Ban:
    """A source that is shut out: an address or the /64 of an IPv6 one, until then on the clock of `now`.

    `proven` is False for one that is only hushed.
    """

    source: str
    reason: Reason
    until: float
    proven: bool


class SipSources:
    """Decides, before a message is read, whether it is worth reading; sans-IO, and bounded in memory.

    `allow` is free of everything. `rate` is how many messages a second strangers may send by source, and
    `on_ban` is told of every ban that begins.
    """

    def __init__(
        self,
        allow: SourceList,
        *,
        rate: float = 100.0,
        on_ban: Callable[[Ban, float], None] = lambda _ban, _now: None,
    ) -> None:
        self._allow = allow
        self._on_ban = on_ban
        self._known: OrderedDict[Address, float] = OrderedDict()
        self._homes: OrderedDict[str, float] = OrderedDict()
        known_rate = KNOWN_TIMES * rate
        self._strangers: TokenBuckets[str] = TokenBuckets(
            rate=rate, burst=_BURST_S * rate, capacity=_STRANGERS
        )
        self._at_home: TokenBuckets[str] = TokenBuckets(rate=known_rate, burst=_BURST_S * known_rate)
        self._proved: TokenBuckets[Address] = TokenBuckets(rate=known_rate, burst=_BURST_S * known_rate)
        self._answers: TokenBuckets[str] = TokenBuckets(rate=1.0, burst=2.0, capacity=_STRANGERS)
        self._passwords: FailureLedger[str] = FailureLedger()
        self._offences: FailureLedger[str] = FailureLedger(free=100, forgive_s=5.0, capacity=_STRANGERS)
        self._hushed: FailureLedger[str] = FailureLedger(
            free=100, forgive_s=5.0, longest_ban_s=600.0, capacity=_STRANGERS
        )
        self._by_hand: dict[str, float] = {}
        self._reasons: OrderedDict[str, Reason] = OrderedDict()
        self._names: OrderedDict[str, int] = OrderedDict()
        self._time: TokenBuckets[None] = TokenBuckets(rate=STRANGERS_SHARE, burst=_BURST_OF_TIME_S)
        self.dropped: Counter[Dropped] = Counter()
        self.begun: Counter[Reason] = Counter()

    # Before a message is read

    def admits(self, address: Address, now: float, *, connected: bool) -> bool:
        """Whether a message may be read; `connected` when its source is proven by a connection."""
        if address[0] in self._allow:
            return True
        why = self._turned_away(address, now, connected)
        if why is not None:
            self.dropped[why] += 1
        return why is None

    def shuts_out(self, host: str, now: float) -> bool:
        """Whether a new connection of this host is refused."""
        return host not in self._allow and self._is_banned(source_key(host), now)

    def knows(self, address: Address, now: float) -> bool:
        """Whether an account was proved from this address lately, or the address is free of limits."""
        return self._known.get(address, 0.0) > now or address[0] in self._allow

    def spent(self, address: Address, seconds: float, now: float) -> None:
        """Note what a datagram took to be dealt with."""
        if not self.knows(address, now):
            self._time.take(None, now, min(seconds, _LONGEST_S))

    def _turned_away(self, address: Address, now: float, connected: bool) -> Dropped | None:
        key = source_key(address[0])
        if self._by_hand and self._by_hand.get(key, 0.0) > now:
            return "banned"
        if self._known.get(address, 0.0) > now:
            return None if self._proved.take(address, now) else "rate"
        if self._is_banned(key, now):
            return "banned"
        if not connected and self._hushed.banned_for(key, now) > 0.0:
            return None if self._answers.take(key, now) else "hushed"
        buckets = self._at_home if self._is_home(key, now) else self._strangers
        if not buckets.take(key, now):
            return "rate"
        # What is noted afterwards has to fit in: so much is left free for it.
        return "overload" if not connected and self._time.wait_s(None, now, _LONGEST_S) > 0.0 else None

    def _is_banned(self, key: str, now: float) -> bool:
        return (
            self._by_hand.get(key, 0.0) > now
            or self._passwords.banned_for(key, now) > 0.0
            or self._offences.banned_for(key, now) > 0.0
        )

    def _is_home(self, key: str, now: float) -> bool:
        return self._homes.get(key, 0.0) > now

    # What is learnt of it

    def proved(self, address: Address, now: float) -> None:
        """An account was proved from this address: the address is known, and its source somebody's home."""
        _remember(self._known, address, now + TRUST_S)
        self.at_home(address[0], now)

    def at_home(self, host: str, now: float) -> None:
        """Some phone of this source has an account: that others there are challenged first means nothing."""
        _remember(self._homes, source_key(host), now + TRUST_S)

    def banned_for(self, host: str, now: float) -> float:
        """Seconds for which passwords of this source are not looked at; 0 when they are."""
        return 0.0 if host in self._allow else self._passwords.banned_for(source_key(host), now)

    def wrong_password(self, address: Address, now: float) -> None:
        """A wrong password came with a nonce that was given to this source: proof of both."""
        if address[0] in self._allow:
            return
        self._known.pop(address, None)
        key = source_key(address[0])
        banned = self._passwords.banned_for(key, now) > 0.0
        seconds = self._passwords.failed(key, now)
        if seconds and not banned:
            self._announce(Ban(key, "passwords", now + seconds, proven=True), now)

    def challenged(self, address: Address, name: str, now: float, *, connected: bool) -> None:
        """A request without an account was answered by a challenge; it named this account.

        Whether there is such an account makes no difference: when a ban comes must not tell it.
        """
        key = source_key(address[0])
        if self._is_home(key, now):
            # Every phone is challenged first.
            return
        names = self._names.get(key, 0)
        bit = 1 << (hash(name) & 63)
        _remember(self._names, key, names | bit, _STRANGERS)
        weight = Offence.CHALLENGED.weight if names & bit else _NEW_NAME_WEIGHT
        self._offended(address, Offence.CHALLENGED, weight, now, connected)

    def offended(self, address: Address, offence: Offence, now: float, *, connected: bool) -> None:
        """Note an offence; datagrams count only against those of whom no account is known."""
        self._offended(address, offence, offence.weight, now, connected)

    def _offended(
        self, address: Address, offence: Offence, weight: float, now: float, connected: bool
    ) -> None:
        key = source_key(address[0])
        if self.knows(address, now) or (self._is_home(key, now) and not connected):
            return
        ledger = self._offences if connected else self._hushed
        if ledger.banned_for(key, now) > 0.0:
            return
        seconds = ledger.failed(key, now, weight)
        if seconds:
            self._names.pop(key, None)
            self._announce(Ban(key, offence.reason, now + seconds, proven=connected), now)

    def _announce(self, ban: Ban, now: float) -> None:
        self.begun[ban.reason] += 1
        _remember(self._reasons, ban.source, ban.reason)
        self._on_ban(ban, now)

    # Operators

    def bans(self, now: float) -> list[Ban]:
        """Who is shut out now, those first who are longest."""
        found: dict[str, Ban] = {}
        for ledger, proven in ((self._hushed, False), (self._offences, True), (self._passwords, True)):
            for key, until in ledger.banned(now).items():
                found[key] = Ban(key, self._reasons.get(key, "requests"), until, proven)
        for key, until in self._by_hand.items():
            if until > now:
                found[key] = Ban(key, "operator", until, proven=True)
        return sorted(found.values(), key=lambda ban: (-ban.until, ban.source))

    def ban(self, source: str, until: float, now: float) -> Ban:
        """Ban an address by hand, accounts or not; ValueError for what is no address, or one of `allow`."""
        host = str(ip_address(source))
        if host in self._allow:
            raise ValueError(f"{host} is one of security.allow_sources or sip.trusted_peers")
        self._by_hand = {key: end for key, end in self._by_hand.items() if end > now}
        if len(self._by_hand) >= _MOST_BY_HAND:
            raise ValueError(f"there are {_MOST_BY_HAND} bans already; use the firewall")
        ban = Ban(source_key(host), "operator", until, proven=True)
        self._by_hand[ban.source] = until
        self._announce(ban, now)
        return ban

    def lift(self, source: str, now: float) -> bool:
        """End the ban of an address, or of a source as `bans` names it; False when there was none."""
        key = source_key(source)
        was_banned = any(ban.source == key for ban in self.bans(now))
        self._by_hand.pop(key, None)
        for ledger in (self._hushed, self._offences, self._passwords):
            ledger.lift(key)
        return was_banned


def _remember(memory: OrderedDict[_K, _V], key: _K, value: _V, capacity: int = CAPACITY) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > capacity:
        memory.popitem(last=False)
