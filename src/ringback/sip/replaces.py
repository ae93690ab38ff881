"""The call that a new one takes the place of: the Replaces header field (RFC 3891)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from msgspec.structs import replace

from ringback.sip.dialog import DialogKey
from ringback.sip.errors import SipSyntaxError
from ringback.sip.grammar import is_token, parse_params
from ringback.sip.uri import SipUri, Uri

if TYPE_CHECKING:
    from ringback.sip.session import InviteSession

_LONGEST = 512


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog as the receiver knows it: `to_tag` is the receiver's own tag, `from_tag` the peer's (§6.1)."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Replaces:
        """Read a Replaces value; raises SipSyntaxError."""
        call_id, _, rest = text.partition(";")
        call_id = call_id.strip(" \t")
        if not call_id or len(text) > _LONGEST or any(character.isspace() for character in call_id):
            raise SipSyntaxError("bad Replaces")
        params = parse_params(";" + rest)
        to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
        if not (to_tag and from_tag and is_token(to_tag) and is_token(from_tag)):
            raise SipSyntaxError("Replaces without its two tags")
        return cls(call_id, to_tag, from_tag, "early-only" in params)

    @classmethod
    def of(cls, session: InviteSession) -> Replaces:
        """What to say to the peer of this call so that a new one replaces it."""
        return cls(session.call_id, session.remote_tag or "", session.local_tag)

    @property
    def key(self) -> DialogKey:
        """The dialog in the receiver's table."""
        return (self.call_id, self.to_tag, self.from_tag)

    def in_uri(self, uri: SipUri) -> SipUri:
        """`uri` so that a call to it carries this field: for Refer-To (§3, RFC 3261 §19.1.1)."""
        return replace(uri, headers="Replaces=" + quote(str(self), safe=""))

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


def replaces_of_uri(uri: Uri) -> Replaces | None:
    """The Replaces that a Refer-To URI asks for, None without one; raises SipSyntaxError."""
    fields = uri.headers.split("&") if isinstance(uri, SipUri) and uri.headers else []
    values = [value for name, _, value in (field.partition("=") for field in fields) if _is_name(name)]
    if len(values) > 1:
        raise SipSyntaxError("more than one Replaces")
    return Replaces.parse(unquote(values[0])) if values else None


def _is_name(name: str) -> bool:
    return unquote(name).lower() == "replaces"
