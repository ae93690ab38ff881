"""SIP, SIPS and tel URIs, and the name-addr around them (RFC 3261 §19.1, §20.10; RFC 3966)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote as percent_encode
from urllib.parse import unquote as percent_decode

import msgspec
from msgspec.structs import replace

from ringback.sip.errors import SipSyntaxError
from ringback.sip.grammar import (
    Params,
    Readings,
    end_of_quoted,
    format_params,
    parse_params,
    quote,
    split_host_port,
    unquote,
)

_REMEMBERED_CHARACTERS = 512
_REMEMBERED = 4_096

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_BAD_USER = re.compile(r'[\x00-\x20\x7f<>"@]|%(?![0-9A-Fa-f]{2})')
# In host and parameters; a bracket there would end the address when it is written in a name-addr.
_BAD_PLACE = re.compile(r"[\x00-\x20\x7f<>]")
_BAD_OPAQUE = re.compile(r'[\x00-\x20\x7f<>"]')
_TEL = re.compile(r"\+?[0-9A-Fa-f*#().\-]+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_RESERVED = ";/?:@&=+$,"
# Parameters that make two URIs differ even when only one of them has it (RFC 3261 §19.1.4).
_TELLING = ("user", "ttl", "method", "maddr", "transport")


def escape_user(text: str) -> str:
    """Any text as the user part of a SIP URI: what the grammar does not allow there is escaped (§25.1)."""
    return percent_encode(text, safe="-_.!~*'()&=+$,;?/", errors="surrogateescape")


def _normal(text: str) -> str:
    """Decode the escapes that do not change the meaning: all but those of reserved characters."""
    if "%" not in text:
        return text

    def decode(match: re.Match[str]) -> str:
        character = chr(int(match.group(1), 16))
        plain = character.isascii() and character.isprintable() and character not in _RESERVED + '%<>" '
        return character if plain else match.group().upper()

    return _ESCAPE.sub(decode, text)


class SipUri(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A sip: or sips: URI.

    `user` and `password` are as written, escapes kept (None when absent); `username` is the decoded user,
    and `escape_user` the way back.
    `host` is as written, an IPv6 address in brackets. `params` has names in lower case; `headers` is the
    text after the question mark. `==` compares by RFC 3261 §19.1.4.
    """

    scheme: str = "sip"
    user: str | None = None
    password: str | None = None
    host: str = ""
    port: int | None = None
    params: Params = msgspec.field(default_factory=dict)
    headers: str = ""

    @property
    def username(self) -> str:
        """The user part with its escapes decoded once; empty when there is none."""
        user = self.user or ""
        return percent_decode(user, errors="surrogateescape") if "%" in user else user

    @property
    def address(self) -> str:
        """The host without the brackets of IPv6, as sockets want it."""
        return self.host.strip("[]")

    @property
    def transport(self) -> str | None:
        """The transport parameter in lower case, or None."""
        value = self.params.get("transport")
        return value.lower() if value else None

    def with_params(self, **params: str | None) -> SipUri:
        """A copy with these parameters added or replaced (None: a parameter without value)."""
        return replace(self, params={**self.params, **params})

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Read a sip: or sips: URI; raises SipSyntaxError for anything else."""
        uri = parse_uri(text)
        if not isinstance(uri, SipUri):
            raise SipSyntaxError("not a SIP URI")
        return uri

    def __str__(self) -> str:
        place = self.host if self.port is None else f"{self.host}:{self.port}"
        if self.user is None:
            text = f"{self.scheme}:{place}"
        elif self.password is None:
            text = f"{self.scheme}:{self.user}@{place}"
        else:
            text = f"{self.scheme}:{self.user}:{self.password}@{place}"
        if self.params:
            text += format_params(self.params)
        return f"{text}?{self.headers}" if self.headers else text

    def _key(self) -> tuple[str, str | None, str | None, str, int | None]:
        user = None if self.user is None else _normal(self.user)
        password = None if self.password is None else _normal(self.password)
        return (self.scheme, user, password, self.host.lower(), self.port)

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SipUri):
            return NotImplemented
        if self is other:
            return True
        return (
            self._key() == other._key()
            and _same_params(self.params, other.params)
            and _header_set(self.headers) == _header_set(other.headers)
        )


def _same_params(one: Params, two: Params) -> bool:
    """RFC 3261 §19.1.4: what both have must agree; some may not be missing on one side only."""
    if any((name in one) != (name in two) for name in _TELLING):
        return False
    return all(
        _normal(value or "").lower() == _normal(two[name] or "").lower()
        for name, value in one.items()
        if name in two
    )


def _header_set(headers: str) -> frozenset[tuple[str, str]]:
    if not headers:
        return frozenset()
    pairs = (part.partition("=") for part in headers.split("&"))
    return frozenset((_normal(name).lower(), _normal(value)) for name, _, value in pairs)


@dataclass(frozen=True, slots=True)
class TelUri:
    """A tel: URI (RFC 3966); `number` is as written, visual separators included."""

    number: str
    params: Params = field(default_factory=dict, compare=False)

    scheme = "tel"

    @property
    def digits(self) -> str:
        """The number without visual separators."""
        return self.number.translate(_NO_SEPARATORS)

    def __str__(self) -> str:
        return f"tel:{self.number}{format_params(self.params)}"


_NO_SEPARATORS = str.maketrans("", "", "-.()")


class OtherUri(msgspec.Struct, frozen=True, gc=False):
    """A URI of a scheme that means nothing to us: legal in To, From and Contact, 416 as a Request-URI."""

    scheme: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"


Uri = SipUri | TelUri | OtherUri


def parse_uri(text: str) -> Uri:
    """Read any URI (no whitespace around it); raises SipSyntaxError."""
    return _uris[text]


def _parse_uri(text: str) -> Uri:
    match = _SCHEME.match(text)
    if match is None:
        raise SipSyntaxError("bad URI scheme")
    scheme, rest = match.group(1).lower(), text[match.end() :]
    if scheme in ("sip", "sips"):
        return _parse_sip(scheme, rest)
    if scheme == "tel":
        number, semicolon, params = rest.partition(";")
        if _TEL.fullmatch(number) is None or _BAD_PLACE.search(params):
            raise SipSyntaxError("bad telephone number")
        return TelUri(number, parse_params(semicolon + params))
    if not rest or _BAD_OPAQUE.search(rest):
        raise SipSyntaxError("bad URI")
    return OtherUri(match.group(1), rest)


def _parse_sip(scheme: str, rest: str) -> SipUri:
    user: str | None = None
    password: str | None = None
    userinfo, at, remainder = rest.rpartition("@")
    if at:
        # The user part may hold ; ? and / itself, so it is cut off before anything else is looked for.
        user, colon, secret = userinfo.partition(":")
        if not user or _BAD_USER.search(userinfo):
            raise SipSyntaxError("bad user part in URI")
        password = secret if colon else None
    else:
        remainder = rest
    place, _, headers = remainder.partition("?")
    hostport, semicolon, param_text = place.partition(";")
    if _BAD_PLACE.search(remainder) or '"' in headers:
        raise SipSyntaxError("bad URI")
    host, port = split_host_port(hostport)
    params = parse_params(";" + param_text) if semicolon else {}
    return SipUri(scheme, user, password, host, port, params, headers)


_uris = Readings(_parse_uri, longest=_REMEMBERED_CHARACTERS, most=_REMEMBERED)


class NameAddr(msgspec.Struct, frozen=True, gc=False):
    """A URI with display name and parameters, as in From, To, Contact, Route and Record-Route.

    `display` is unquoted text. `params` are those of the header field, names in lower case and values as
    written; in a field without angle brackets everything after a semicolon is the field's (RFC 3261 §20).
    """

    uri: Uri
    display: str = ""
    params: Params = msgspec.field(default_factory=dict)

    @property
    def tag(self) -> str | None:
        """The tag parameter, or None."""
        return self.params.get("tag")

    def with_tag(self, tag: str) -> NameAddr:
        """A copy with this tag."""
        return NameAddr(self.uri, self.display, {**self.params, "tag": tag})

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Read a name-addr or addr-spec with parameters; raises SipSyntaxError."""
        return name_addrs[text]

    def __str__(self) -> str:
        text = f"{quote(self.display)} <{self.uri}>" if self.display else f"<{self.uri}>"
        return text + format_params(self.params) if self.params else text


def _parse_name_addr(text: str) -> NameAddr:
    start = end_of_quoted(text, 0) if text.startswith('"') else 0
    opening = text.find("<", start)
    if opening < 0:
        if start:
            raise SipSyntaxError("display name without an address in angle brackets")
        return _parse_addr_spec(text)
    closing = text.find(">", opening)
    if closing < 0:
        raise SipSyntaxError("address without closing bracket")
    # The addresses of one person differ in what follows.
    uri, display = _addresses[text[: closing + 1]]
    return NameAddr(uri, display, parse_params(text, closing + 1))


def _parse_address(text: str) -> tuple[Uri, str]:
    """The address in angle brackets and the display name before it."""
    start = end_of_quoted(text, 0) if text.startswith('"') else 0
    opening = text.find("<", start)
    if start:
        display = unquote(text[:start])
        if text[start:opening].strip(" \t"):
            raise SipSyntaxError("text between display name and address")
    else:
        display = text[:opening].strip(" \t")
        if '"' in display or ";" in display:
            raise SipSyntaxError("bad display name")
    # RFC 4475 §3.1.2.14: whitespace inside the brackets is wrong, but harmless to step over.
    return parse_uri(text[opening + 1 : -1].strip(" \t")), display


_addresses = Readings(_parse_address, longest=_REMEMBERED_CHARACTERS, most=_REMEMBERED)


def _parse_addr_spec(text: str) -> NameAddr:
    """Without brackets the URI has no parameters of its own and may hold neither comma nor question mark."""
    # A semicolon before the @ belongs to the user part.
    semicolon = text.find(";", text.find("@") + 1)
    address, params = (text, "") if semicolon < 0 else (text[:semicolon].rstrip(" \t"), text[semicolon:])
    if "?" in address or "," in address or " " in address:
        raise SipSyntaxError("address needs angle brackets")
    return NameAddr(parse_uri(address), "", parse_params(params))


name_addrs = Readings(_parse_name_addr, longest=_REMEMBERED_CHARACTERS, most=_REMEMBERED)
"""Values of From, To and the like as `NameAddr.parse` reads them."""
