"""Who a caller is said to be, and whether others may know: identity and privacy (RFC 3323, RFC 3325).

What says who somebody is counts only from peers that are trusted to have checked it; from all others it is
taken out before anybody sees it.
"""

from __future__ import annotations

from typing import Final

from ringback.sip.errors import SipSyntaxError
from ringback.sip.headers import Headers, canonical_name
from ringback.sip.uri import NameAddr, SipUri, TelUri

# RFC 3325, RFC 8224, RFC 4474, RFC 7315, RFC 5503, RFC 8496, RFC 8606, RFC 5806, RFC 7044,
# RFC 5502, RFC 6050, and draft-ietf-sip-privacy-04.
_FIELDS: Final = frozenset(
    map(
        canonical_name,
        (
            "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "RPID-Privacy", "Identity",
            "Identity-Info", "Diversion", "History-Info", "P-Charging-Vector", "P-Charge-Info",
            "P-Charging-Function-Addresses", "P-Access-Network-Info", "P-Visited-Network-ID",
            "P-Associated-URI", "P-Called-Party-ID", "P-Served-User", "P-Asserted-Service",
            "P-Preferred-Service", "P-Profile-Key", "P-User-Database", "P-Private-Network-Indication",
            "P-OSPS", "Isup-Oli", "Caller-ID", "P-Hint", "X-Charging-Vector",
        ),
    )
)  # fmt: skip
_PREFIX: Final = canonical_name("P-DCS-")

_NOBODY: Final = SipUri("sip", "anonymous", host="anonymous.invalid")
ANONYMOUS: Final = NameAddr(_NOBODY, "Anonymous")
"""From of a caller who wants to stay unknown (RFC 3323 §4.1.1.3)."""

_HIDING: Final = frozenset({"header", "user", "id"})
_PRIVACY_KNOWN: Final = _HIDING | {"session", "history", "none", "critical"}


def tells_identity(headers: Headers) -> bool:
    """Whether there is anything that `strip_identity` would take out."""
    names = headers.fields.keys()
    # One text of them all: asked of every message.
    return not _FIELDS.isdisjoint(names) or _PREFIX in " ".join(names)


def strip_identity(headers: Headers) -> None:
    """Take out every field that says who somebody is, how it is charged, or where a call was before."""
    for name in headers.names():
        if name in _FIELDS or name.startswith(_PREFIX):
            headers.remove(name)


def asserted_identity(headers: Headers) -> NameAddr | None:
    """Who a trusted peer says the caller is (RFC 3325 §9.1), or Remote-Party-ID says so; None if nobody does.

    Of a SIP and a tel URI the SIP one; what cannot be read is passed over.
    """
    values = headers.get_all("P-Asserted-Identity") or [
        value
        for value in headers.get_all("Remote-Party-ID")
        if ";party=called" not in value.replace(" ", "").lower()
    ]
    found: NameAddr | None = None
    for value in values[:4]:
        try:
            address = NameAddr.parse(value)
        except SipSyntaxError:
            continue
        if isinstance(address.uri, SipUri) and address.uri.user:
            return address
        if found is None and isinstance(address.uri, TelUri):
            found = address
    return found


def is_anonymous(address: NameAddr) -> bool:
    """Whether this is the From of somebody who wants to stay unknown."""
    uri = address.uri
    return (
        isinstance(uri, SipUri) and uri.username.lower() == "anonymous" and uri.host.lower() == _NOBODY.host
    )


def user_of(address: NameAddr) -> str:
    """The user part or telephone number of an address; "" when it has neither."""
    if isinstance(address.uri, SipUri):
        return address.uri.username
    return address.uri.digits if isinstance(address.uri, TelUri) else ""


def _privacy(headers: Headers) -> frozenset[str]:
    if "Privacy" not in headers.fields and "Remote-Party-ID" not in headers.fields:
        return frozenset()
    words = ";".join(headers.get_all("Privacy")).replace(",", ";").lower().split(";")
    if ";privacy=full" in (headers.get("Remote-Party-ID") or "").replace(" ", "").lower():
        words.append("id")
    return frozenset(word.strip(" \t") for word in words) - {""}


def wants_privacy(headers: Headers) -> bool:
    """Whether the caller asks that the called do not learn who it is: `Privacy` id, header or user."""
    words = _privacy(headers)
    return bool(words & _HIDING) and "none" not in words


def privacy_unmet(headers: Headers) -> bool:
    """Whether privacy of a kind we do not know is a condition of the call: 500 then (RFC 3323 §5)."""
    words = _privacy(headers)
    return "critical" in words and not words <= _PRIVACY_KNOWN
