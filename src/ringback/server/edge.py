"""The edge's memory of manners: what a source's messages and the answers to them say about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ringback.governance.sources import Offence, SipSources
from ringback.sip.effects import Effect, Transmit
from ringback.sip.flow import Flow
from ringback.sip.identity import user_of
from ringback.sip.message import Message, Request
from ringback.sip.parse import Malformed

# Names that the scanners of everyday noise give themselves. Who means it changes the name: this spares work
# and protects nothing by itself.
_SCANNERS: Final = re.compile(
    r"friendly-scanner|friendly-request|sipvicious|sundayddr|sip-?scan|sipcli|pplsip|siparmyknife|iwar\b|vaxasip"
    r"|smap \d|sip-?crack",
    re.IGNORECASE,
)
# Answers to what no phone of ours sends often.
_REFUSALS: Final = frozenset({b"400", b"404", b"405", b"413", b"415", b"416", b"420", b"481", b"501", b"505"})


class Edge:
    """Looks at what comes in before the endpoint does, and at what the endpoint answers; sans-IO."""

    def __init__(self, sources: SipSources) -> None:
        self._sources = sources

    def admits(self, message: Message | Malformed, flow: Flow, now: float) -> bool:
        """False for the message of a scanner, which is not answered."""
        if not isinstance(message, Request) or self._sources.knows(flow.remote, now):
            return True
        agent = message.headers.get("User-Agent") or ""
        if not (_SCANNERS.search(agent) or _SCANNERS.fullmatch(message.from_.display)):
            return True
        self._sources.offended(flow.remote, Offence.SCANNER, now, connected=flow.reliable)
        return False

    def answered(
        self, message: Message | Malformed, flow: Flow, effects: Iterable[Effect], now: float
    ) -> None:
        """Note what the endpoint itself answered to a message."""
        for effect in effects:
            if isinstance(effect, Transmit) and effect.data.startswith(b"SIP/2.0 "):
                self._note(message, flow, effect.data[8:11], now)
                return

    def _note(self, message: Message | Malformed, flow: Flow, status: bytes, now: float) -> None:
        if status in _REFUSALS:
            self._sources.offended(flow.remote, Offence.REFUSED, now, connected=flow.reliable)
        elif status == b"401" and isinstance(message, Request):
            name = user_of(message.from_)
            self._sources.challenged(flow.remote, name, now, connected=flow.reliable)
