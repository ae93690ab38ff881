"""Which refused calls become records: so many by source, for nobody is to fill the database with them."""

from __future__ import annotations

from typing import Final

from ringback.call.party import Party
from ringback.governance.throttle import TokenBuckets, source_key

STRANGERS_AT_ONCE: Final = 5
STRANGERS_EVERY_S: Final = 60.0
ALL_STRANGERS_AT_ONCE: Final = 50
ALL_STRANGERS_EVERY_S: Final = 10.0
"""For all sources together: what a datagram says of its source proves nothing."""
ACCOUNTS_AT_ONCE: Final = 60
ACCOUNTS_EVERY_S: Final = 10.0
TRUNKS_AT_ONCE: Final = 200
TRUNKS_EVERY_S: Final = 2.0


class Refusals:
    """Counts refused calls by who made them; sans-IO, and bounded in memory."""

    def __init__(self) -> None:
        self._accounts = _buckets(ACCOUNTS_AT_ONCE, ACCOUNTS_EVERY_S)
        self._trunks = _buckets(TRUNKS_AT_ONCE, TRUNKS_EVERY_S)
        self._strangers = _buckets(STRANGERS_AT_ONCE, STRANGERS_EVERY_S)
        self._all_strangers = _buckets(ALL_STRANGERS_AT_ONCE, ALL_STRANGERS_EVERY_S)

    def recorded(self, party: Party, host: str, now: float, *, stranger: bool) -> bool:
        """Whether a call of this party, refused now, becomes a record. Who is a `stranger` is known by the
        host that it signals from, all others by their account or trunk."""
        if not stranger and party.trunk is not None:
            return self._trunks.take(party.trunk, now)
        if not stranger and party.account is not None:
            return self._accounts.take(party.account, now)
        return self._strangers.take(source_key(host), now) and self._all_strangers.take("", now)


def _buckets(at_once: int, every_s: float) -> TokenBuckets[str]:
    return TokenBuckets(rate=1.0 / every_s, burst=at_once, capacity=4_096)
