"""What event notification says in header fields: Event and Subscription-State (RFC 6665 §8.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringback.sip.errors import SipSyntaxError
from ringback.sip.grammar import is_token, parse_params

MAX_DURATION_S: Final = 86_400
"""No subscription is believed to last longer than a day."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event package, and the `id` that tells two subscriptions of one dialog apart."""

    package: str
    id: str | None = None

    @classmethod
    def parse(cls, text: str) -> Event:
        """Read an Event value; raises SipSyntaxError. Package names are compared as written (§8.2.1)."""
        package, _, rest = text.partition(";")
        package = package.strip(" \t")
        if not is_token(package):
            raise SipSyntaxError("bad Event")
        return cls(package, parse_params(";" + rest if rest else "").get("id"))

    def __str__(self) -> str:
        return self.package if self.id is None else f"{self.package};id={self.id}"


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """What a NOTIFY says of its subscription: `active`, `pending` or `terminated`, with why and how long."""

    state: str
    reason: str | None = None
    expires_s: int | None = None

    @classmethod
    def parse(cls, text: str) -> SubscriptionState:
        """Read a Subscription-State value; raises SipSyntaxError."""
        state, _, rest = text.partition(";")
        state = state.strip(" \t").lower()
        if not is_token(state):
            raise SipSyntaxError("bad Subscription-State")
        params = parse_params(";" + rest if rest else "")
        return cls(state, params.get("reason"), seconds(params.get("expires")))

    @property
    def terminated(self) -> bool:
        """Whether no NOTIFY follows."""
        return self.state == "terminated"

    def __str__(self) -> str:
        reason = "" if self.reason is None else f";reason={self.reason}"
        expires = "" if self.expires_s is None else f";expires={self.expires_s}"
        return f"{self.state}{reason}{expires}"


def seconds(text: str | None) -> int | None:
    """A number of seconds as Expires has it, cut at a day; None when absent or no number (§8.2)."""
    text = (text or "").strip(" \t")
    if not (0 < len(text) <= 32 and text.isascii() and text.isdigit()):
        return None
    return min(int(text), MAX_DURATION_S)
