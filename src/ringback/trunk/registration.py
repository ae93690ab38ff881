"""A trunk that registers with its other side, so that calls find us there (RFC 3261 §10.2)."""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec.structs import replace

from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow
from ringback.sip.message import Headers, NameAddr, Response, SipUri
from ringback.sip.uri import escape_user
from ringback.store.directory import Trunk
from ringback.trunk.watch import Surroundings, Wanted, Watch

_LONGEST_EXPIRES_S: Final = 86_400
_EARLIEST: Final = 0.75
_SPREAD: Final = 0.15
"""A registration is refreshed after 75 to 90 % of its time, spread so that trunks do not do so at once."""


class TrunkRegistration(Watch):
    """Registers, refreshes, and takes the registration back at the end."""

    method: ClassVar[str] = "REGISTER"

    def __init__(self, trunk: Trunk, surroundings: Surroundings, now: float) -> None:
        super().__init__(trunk, surroundings, now)
        self._expires_s = trunk.expires_s
        self._registered = False

    def fields(self, flow: Flow) -> Headers:
        """Contact and Expires."""
        return Headers(("Contact", str(NameAddr(self._contact(flow)))), ("Expires", str(self._expires_s)))

    def end(self, now: float) -> list[Wanted]:
        """Take the registration back, where there is one."""
        super().end(now)
        if not self._registered:
            return []
        self._registered = False
        self._expires_s = 0
        # A better address may have been asked just now.
        self._at = self._order.index(self._works) if self._works in self._order else 0
        return self._ask(now)

    def _judge(self, response: Response, now: float) -> list[Wanted]:
        if response.status < 300:
            return self._confirmed(response, now)
        least = _seconds(response, "Min-Expires") or 0
        if response.status == 423 and self._expires_s < least <= _LONGEST_EXPIRES_S:
            # §10.2.8: once more with what is asked for, which is more than was offered.
            self._expires_s = least
            return self._ask(now)
        self._registered = False
        return self._trouble(response, now)

    def _confirmed(self, response: Response, now: float) -> list[Wanted]:
        if self._expires_s == 0:
            return []
        self._registered = True
        granted = max(self._granted(response), 2)
        return self._succeeded(granted * (_EARLIEST + _SPREAD * self._around.chance()), now)

    def _granted(self, response: Response) -> int:
        """For how long: as said of our contact, else the shortest of all, for some write contacts anew; else
        as said of the whole, or as we asked (§10.2.4)."""
        ours = self._contact(self._order[self._at])
        try:
            said = [
                (contact.uri == ours, _number(contact.params.get("expires"))) for contact in response.contacts
            ]
        except SipSyntaxError:
            said = []
        of_ours = [seconds for is_ours, seconds in said if is_ours and seconds is not None]
        of_all = [seconds for _, seconds in said if seconds is not None]
        whole = _seconds(response, "Expires")
        granted = min(of_ours or of_all, default=self._expires_s if whole is None else whole)
        return min(granted, _LONGEST_EXPIRES_S)

    def _contact(self, flow: Flow) -> SipUri:
        return replace(self._around.contact_for(flow), user=escape_user(self.trunk.username))


def _seconds(response: Response, name: str) -> int | None:
    return _number(response.headers.get(name))


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
