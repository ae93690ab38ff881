"""What a person dialled, taken apart: a number, a service code, or a meeting number with its PIN."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from ringback.governance.private import Private
from ringback.sip.uri import SipUri, TelUri, Uri

MAX_DIALLED = 64
_VISUAL_SEPARATORS = str.maketrans("", "", "-.() ")


@dataclass(frozen=True, slots=True)
class DialString:
    """A dialled number, and the PIN that came with it as `NUMBER*PIN`.

    The PIN is split off here, before anything else sees the string, so that it reaches no log and no record.
    """

    number: str
    pin: Private[str] | None = None


def parse_dial_string(user: str | None) -> DialString | None:
    """Take the user part of a Request-URI apart; None when it cannot be a number that somebody dialled.

    `481516234*274113` is a meeting and its PIN, `481516234` a number, `*43` a service code (a leading star
    is part of the code). Visual separators (RFC 3966 §5.1.1) are dropped, percent escapes resolved.
    """
    if not user or len(user) > MAX_DIALLED:
        return None
    if user.isascii() and user.isdigit():
        return DialString(user)
    text = unquote(user.split(";", 1)[0]).translate(_VISUAL_SEPARATORS).rstrip("#")
    if not text.isascii() or not text.isprintable() or not text:
        return None
    number, star, pin = text.partition("*") if not text.startswith("*") else (text, "", "")
    if not star:
        return DialString(number)
    return DialString(number, Private(pin) if pin else None)


def number_in(uri: Uri) -> DialString | None:
    """What a Request-URI or Refer-To asks for, whatever host it names; None when that is no number."""
    if isinstance(uri, TelUri):
        return parse_dial_string(uri.digits)
    return parse_dial_string(uri.user) if isinstance(uri, SipUri) else None
