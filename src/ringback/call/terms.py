"""What a call of ours has beside its target: who we are to the other side, what is told, the way there."""

from __future__ import annotations

from typing import Final

import msgspec

from ringback.sip.authentication import ClientAuthentication
from ringback.sip.headers import Headers
from ringback.sip.uri import NameAddr


class Terms(msgspec.Struct, frozen=True):
    """`credentials` answer challenges, `headers` go into the INVITE, `codecs` are the only ones offered
    (empty: all of ours), `max_forwards` is less for calls that come from elsewhere (RFC 3261 §16.6), and
    `route_set` is what the INVITE passes on its way (§8.1.2)."""

    credentials: ClientAuthentication | None = None
    headers: Headers | None = None
    codecs: tuple[str, ...] = ()
    max_forwards: int = 70
    route_set: tuple[NameAddr, ...] = ()


PLAIN: Final = Terms()
