"""What a call has beside its target: who we are to the other side, what is told, which codecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringback.sip.challenged import Account
from ringback.sip.headers import Headers


@dataclass(frozen=True, slots=True)
class Terms:
    """`account` answers challenges, `headers` go into the INVITE, `codecs` are the only ones offered (empty:
    all of ours), `max_forwards` is less for calls that come from elsewhere (RFC 3261 §16.6)."""

    account: Account | None = None
    headers: Headers | None = None
    codecs: tuple[str, ...] = ()
    max_forwards: int = 70


PLAIN: Final = Terms()
