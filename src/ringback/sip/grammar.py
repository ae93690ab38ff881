"""The lexical pieces of all header fields: tokens, quoted strings, parameters, lists (RFC 3261 §25.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TypeVar

from ringback.sip.errors import SipSyntaxError

Params = Mapping[str, str | None]
_T = TypeVar("_T")

MAX_PARAMS = 100
"""More than any real value has; bounds the work one value can cause each time that it is read."""

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# A parameter name, and a value that is a quoted string or anything up to the next separator.
_PARAM = re.compile(
    r"[ \t]*;[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)(?:[ \t]*=[ \t]*(\"(?:[^\"\\]|\\.)*\"|[^;\"\s]*))?[ \t]*",
    re.DOTALL,
)
_USUAL_PARAMS = frozenset({"branch", "expires", "lr", "ob", "received", "rport", "tag", "transport"})
_LIST_STOPS = re.compile(r'[,"<>]')


class Readings(dict[str, _T]):
    """What texts were read as: a value is asked for several times on the way of its message.

    `readings[text]` reads a new text; what that raises is not remembered. Texts longer than `longest`
    characters are not either, and `most` are: a peer cannot fill the memory.
    """

    def __init__(self, read: Callable[[str], _T], *, longest: int, most: int) -> None:
        self._read = read
        self._longest = longest
        self._most = most

    def __missing__(self, text: str) -> _T:
        value = self._read(text)
        if len(text) <= self._longest:
            if len(self) >= self._most:
                self.clear()
            self[text] = value
        return value


def is_token(text: str) -> bool:
    """True when `text` is a token of RFC 3261 §25.1."""
    return TOKEN.fullmatch(text) is not None


def quote(text: str) -> str:
    """`text` as a quoted-string, with backslash and quote escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """The text of a quoted-string; anything else comes back as it is."""
    if len(text) >= 2 and text[0] == '"' and text[-1] == '"':
        text = text[1:-1]
        return _ESCAPED.sub(r"\1", text) if "\\" in text else text
    return text


def end_of_quoted(text: str, start: int) -> int:
    """Index after the quoted-string that opens at `start`; raises SipSyntaxError when it does not close."""
    match = _QUOTED.match(text, start)
    if match is None:
        raise SipSyntaxError("unbalanced quotes")
    return match.end()


def split_list(text: str) -> list[str]:
    """Split a header value at its top-level commas: not those in quotes, nor those between < and >.

    Never raises: an unclosed quote or bracket takes the rest of the text, and the parser of the value
    will find it.
    """
    if '"' not in text and "<" not in text:
        return [part.strip(" \t") for part in text.split(",")]
    parts: list[str] = []
    start = position = 0
    bracketed = False
    while (stop := _LIST_STOPS.search(text, position)) is not None:
        position = stop.end()
        character = stop.group()
        if character == '"' and not bracketed:
            quoted = _QUOTED.match(text, stop.start())
            if quoted is None:
                break
            position = quoted.end()
        elif character == "<":
            bracketed = True
        elif character == ">":
            bracketed = False
        elif character == "," and not bracketed:
            parts.append(text[start : stop.start()].strip(" \t"))
            start = position
    parts.append(text[start:].strip(" \t"))
    return parts


def parse_params(text: str, start: int = 0) -> dict[str, str | None]:
    """Read `;name=value;name` from `start` to the end; names in lower case, values as written (quotes kept).

    The first of two parameters with one name counts. Raises SipSyntaxError on anything else, and on more
    than MAX_PARAMS.
    """
    rest = text[start:]
    if not rest:
        return {}
    if rest[0] == ";" and " " not in rest and '"' not in rest and rest.isprintable():
        plain = _plain_params(rest[1:].split(";"))
        if plain is not None:
            return plain
    params: dict[str, str | None] = {}
    position, end = start, len(text)
    room = MAX_PARAMS
    while position < end:
        match = _PARAM.match(text, position)
        room -= 1
        if match is None or room < 0:
            raise SipSyntaxError("bad parameter" if match is None else "too many parameters")
        name, value = match.groups()
        params.setdefault(name.lower(), value)
        position = match.end()
    return params


def _plain_params(parts: list[str]) -> dict[str, str | None] | None:
    """Parameters without quotes and spaces, nearly all; None where one is not as it should be."""
    if len(parts) > MAX_PARAMS:
        return None
    params: dict[str, str | None] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if name not in _USUAL_PARAMS:
            if not is_token(name):
                return None
            name = name.lower()
        params.setdefault(name, value if equals else None)
    return params


def format_params(params: Params) -> str:
    """Parameters as they go on the wire, each with its leading semicolon."""
    if not params:
        return ""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params.items()])


@lru_cache(maxsize=1024)
def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def split_host_port(text: str) -> tuple[str, int | None]:
    """Read `host[:port]`; an IPv6 host keeps its brackets. Raises SipSyntaxError."""
    match = HOST.match(text)
    if match is None:
        raise SipSyntaxError("bad host")
    host = match.group()
    if host[0] == "[" and (len(host) > 64 or not _is_ipv6(host[1:-1])):
        raise SipSyntaxError("bad IPv6 address")
    rest = text[match.end() :]
    if not rest:
        return host, None
    rest = rest.strip(" \t")
    if not rest.startswith(":"):
        raise SipSyntaxError("bad host")
    return host, parse_number(rest[1:].strip(" \t"), 65535, "port")


def parse_number(text: str, largest: int, what: str) -> int:
    """A decimal number of RFC 3261 (leading zeros allowed) not above `largest`. Raises SipSyntaxError."""
    if not (0 < len(text) <= 32 and text.isascii() and text.isdigit()) or (number := int(text)) > largest:
        raise SipSyntaxError(f"bad {what}")
    return number
