"""A trunk that does not register: OPTIONS tell whether its other side is there (RFC 3261 §11)."""

from __future__ import annotations

from typing import ClassVar, Final

from ringback.sip.flow import Flow
from ringback.sip.message import Headers, NameAddr, Response
from ringback.trunk.watch import Wanted, Watch

EVERY_S: Final = 30.0
_SPREAD: Final = 0.2
_DEAD: Final = frozenset({408, 502, 503, 504})


class TrunkKeepalive(Watch):
    """Asks every half a minute. Whatever is answered, who answers is there, but for 408, 502, 503 and 504."""

    method: ClassVar[str] = "OPTIONS"

    def fields(self, flow: Flow) -> Headers:
        """Where answers to us go, and what is understood."""
        contact = NameAddr(self._around.contact_for(flow))
        return Headers(("Contact", str(contact)), ("Accept", "application/sdp"))

    def answered(self, response: Response, now: float) -> list[Wanted]:
        """A challenge is an answer too: there is nothing to prove."""
        if response.status < 200 or self._request is None:
            return []
        self._patience = None
        return self._judge(response, now)

    def _judge(self, response: Response, now: float) -> list[Wanted]:
        if response.status in _DEAD:
            return self._trouble(response, now)
        return self._succeeded(EVERY_S * (1 - _SPREAD * self._around.chance()), now)
