"""Header fields as an ordered multimap, and the Via and CSeq values (RFC 3261 §7.3, §20)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from ringback.sip.errors import SipSyntaxError
from ringback.sip.grammar import (
    Params,
    Readings,
    format_params,
    is_token,
    parse_number,
    parse_params,
    split_host_port,
    split_list,
)

MAGIC_COOKIE = "z9hG4bK"

_COMPACT = {
    "i": "Call-ID", "m": "Contact", "e": "Content-Encoding", "l": "Content-Length", "c": "Content-Type",
    "f": "From", "s": "Subject", "k": "Supported", "t": "To", "v": "Via", "u": "Allow-Events", "o": "Event",
    "r": "Refer-To", "b": "Referred-By", "x": "Session-Expires", "a": "Accept-Contact", "j": "Reject-Contact",
    "d": "Request-Disposition", "y": "Identity",
}  # fmt: skip

# Fields whose value is a list that means the same when split at its commas; with how it is written again.
_ONE_A_LINE = frozenset({"Via", "Route", "Record-Route", "Contact", "Path", "Service-Route"})
_JOINED = frozenset({
    "Accept", "Accept-Encoding", "Accept-Language", "Allow", "Allow-Events", "Content-Encoding",
    "Content-Language", "In-Reply-To", "Proxy-Require", "Require", "Supported", "Unsupported",
})  # fmt: skip
_LISTS = _ONE_A_LINE | _JOINED | {
    "Alert-Info", "Call-Info", "Diversion", "Error-Info", "History-Info", "P-Asserted-Identity", "Reason",
    "Warning",
}  # fmt: skip

_OTHERS = (
    "Authorization", "Call-ID", "Content-Disposition", "Content-Length", "Content-Type", "CSeq", "Date",
    "Event", "Expires", "From", "Max-Forwards", "MIME-Version", "Min-Expires", "Min-SE", "Organization",
    "Proxy-Authenticate", "Proxy-Authorization", "RAck", "RSeq", "Refer-To", "Referred-By", "Replaces",
    "Reply-To", "Retry-After", "SIP-ETag", "SIP-If-Match", "Server", "Session-Expires", "Subject",
    "Subscription-State", "Timestamp", "To", "User-Agent", "WWW-Authenticate", "Authentication-Info",
    "Privacy", "P-Preferred-Identity", "P-Access-Network-Info", "Session-ID", "Target-Dialog", "Join",
    "Flow-Timer", "Remote-Party-ID", "Answer-Mode", "Priv-Answer-Mode",
)  # fmt: skip

# Every spelling met without computing: as written in the RFCs, in lower case, and compact.
_KNOWN: dict[str, str] = {}
for _name in (*_LISTS, *_OTHERS):
    _KNOWN[_name] = _KNOWN[_name.lower()] = _name
for _short, _name in _COMPACT.items():
    _KNOWN[_short] = _KNOWN[_short.upper()] = _name


def canonical_name(name: str) -> str:
    """The one spelling of a header name used as key: compact names expanded, `Word-Word` when not known."""
    known = _KNOWN.get(name)
    if known is not None:
        return known
    lowered = name.lower()
    return _KNOWN.get(lowered) or "-".join(part.capitalize() for part in lowered.split("-"))


class Headers:
    """Header fields by name, without regard to case or compact form (RFC 3261 §7.3.1).

    Values of one name keep their order; list fields (Via, Route, Contact, Allow, ...) hold one value an
    element. Names keep the order in which each first came. `fields` has the values by name, for who reads
    many: it is not to be changed.
    """

    __slots__ = ("fields",)

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self.fields: dict[str, list[str]] = {}
        for name, value in pairs:
            self.add(name, value)

    @classmethod
    def of(cls, fields: dict[str, list[str]]) -> Headers:
        """Fields by names spelt as in the RFCs, one value an element; ValueError on a line break inside.
        The dictionary is taken over."""
        fresh = cls()
        fresh.fields = fields
        for values in fields.values():
            for value in values:
                if "\r" in value or "\n" in value:
                    raise ValueError(_LINE_BREAK)
        return fresh

    def get(self, name: str) -> str | None:
        """The first value, or None."""
        values = self.fields.get(name)
        if values is None and (known := _KNOWN.get(name) or canonical_name(name)) != name:
            values = self.fields.get(known)
        return values[0] if values else None

    def get_all(self, name: str) -> list[str]:
        """All values, the elements of list fields apart; a copy."""
        values = self.fields.get(_KNOWN.get(name) or canonical_name(name))
        return list(values) if values else []

    def count(self, name: str) -> int:
        """How many values there are."""
        return len(self.fields.get(_KNOWN.get(name) or canonical_name(name), ()))

    def add(self, name: str, value: str) -> None:
        """Append a value; that of a list field is split at its commas. ValueError on a line break inside."""
        if "\r" in value or "\n" in value:
            raise ValueError(_LINE_BREAK)
        known = _KNOWN.get(name) or canonical_name(name)
        if known not in self.fields and "," not in value:
            self.fields[known] = [value]
        else:
            self._append(known, value)

    def _append(self, name: str, value: str) -> None:
        added = split_list(value) if "," in value and name in _LISTS else [value]
        self.fields.setdefault(name, []).extend(added)

    def extend(self, name: str, values: Iterable[str]) -> None:
        """Append elements of a list field, none of which holds a comma or a line break."""
        self.fields.setdefault(_KNOWN.get(name) or canonical_name(name), []).extend(values)

    def add_lines(self, lines: list[str]) -> bool:
        """Append header lines as `add_line` does; False at the first that is none."""
        fields = self.fields
        for line in lines:
            name, colon, value = line.partition(":")
            known = _KNOWN.get(name)
            if colon and known is not None and known not in fields and "," not in value:
                fields[known] = [value.strip(" \t")]
            elif not self.add_line(line):
                return False
        return True

    def add_line(self, line: str) -> bool:
        """Append a header line as it came, unfolded and without line ends; False when it is none."""
        name, colon, value = line.partition(":")
        known = _KNOWN.get(name)
        if known is None:
            name = name.rstrip(" \t")
            if not is_token(name):
                return False
            known = canonical_name(name)
        if not colon:
            return False
        value = value.strip(" \t")
        if known not in self.fields and "," not in value:
            self.fields[known] = [value]
        else:
            self._append(known, value)
        return True

    def set(self, name: str, value: str) -> None:
        """Replace all values of the name by one."""
        name = _KNOWN.get(name) or canonical_name(name)
        self.fields.pop(name, None)
        self.add(name, value)

    def replace_first(self, name: str, value: str) -> None:
        """Replace the first value in its place; KeyError when there is none."""
        _refuse_line_break(value)
        self.fields[_KNOWN.get(name) or canonical_name(name)][0] = value

    def prepend(self, name: str, value: str) -> None:
        """Put one value before those of the same name, as a new Via wants."""
        _refuse_line_break(value)
        self.fields.setdefault(canonical_name(name), []).insert(0, value)

    def remove(self, name: str) -> None:
        """Drop all values of the name; nothing happens when there are none."""
        self.fields.pop(canonical_name(name), None)

    def copy_from(self, other: Headers, *names: str) -> None:
        """Append the values that `other` has for these names."""
        for name in names:
            known = _KNOWN.get(name) or canonical_name(name)
            values = other.fields.get(known)
            if values:
                self.fields.setdefault(known, []).extend(values)

    def some(self, names: tuple[str, ...]) -> Headers:
        """An independent copy of the fields of these names, spelt as in the RFCs, in this order."""
        fresh = Headers()
        fields = self.fields
        fresh.fields = {name: fields[name].copy() for name in names if name in fields}
        return fresh

    def copy(self) -> Headers:
        """An independent copy."""
        fresh = Headers()
        fresh.fields = {name: list(values) for name, values in self.fields.items()}
        return fresh

    def names(self) -> tuple[str, ...]:
        """The names there are values of, in the one spelling of each."""
        return tuple(self.fields)

    def items(self) -> Iterator[tuple[str, str]]:
        """Pairs of name and value, grouped by name."""
        for name, values in self.fields.items():
            for value in values:
                yield name, value

    def lines(self) -> list[str]:
        """Header lines as they go on the wire, without the last line ends, one element a name;
        Content-Length left out."""
        return [
            f"{name}: {values[0]}" if len(values) == 1 else _line_of_several(name, values)
            for name, values in self.fields.items()
            if values and name != "Content-Length"
        ]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __len__(self) -> int:
        return sum(map(len, self.fields.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.fields == other.fields

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        # Values hold numbers and names of people: a log shows which fields there are, no more.
        return f"Headers({', '.join(self.fields)})"


def _line_of_several(name: str, values: list[str]) -> str:
    if name in _JOINED:
        return f"{name}: {', '.join(values)}"
    return "\r\n".join([f"{name}: {value}" for value in values])


_LINE_BREAK = "a header value may not hold a line break"


def _refuse_line_break(value: str) -> None:
    if "\r" in value or "\n" in value:
        raise ValueError(_LINE_BREAK)


# Runs are bounded, because a message's topmost Via is read again and again on its way.
_VIA = re.compile(
    r"SIP[ \t]{0,32}/[ \t]{0,32}2\.0[ \t]{0,32}/[ \t]{0,32}([A-Za-z0-9\-.!%*_+`'~]{1,64})[ \t]{1,32}"
    r"(\[[0-9A-Fa-f:.]{2,64}\]|[A-Za-z0-9._\-]{1,255})"
    r"(?:[ \t]{0,32}:[ \t]{0,32}([0-9]{1,5}))?[ \t]{0,32}",
    re.IGNORECASE,
)


class Via(msgspec.Struct, frozen=True, gc=False):
    """One Via value: `transport` in upper case, `host` as written, `params` as in `NameAddr`."""

    transport: str
    host: str
    port: int | None = None
    params: Params = msgspec.field(default_factory=dict)

    @property
    def branch(self) -> str | None:
        """The branch parameter."""
        return self.params.get("branch")

    @property
    def sent_by(self) -> str:
        """host:port in lower case with the default port filled in, for comparison (RFC 3261 §17.2.3)."""
        return f"{self.host.lower()}:{self.port or (5061 if self.transport == 'TLS' else 5060)}"

    def with_params(self, **params: str | None) -> Via:
        """A copy with these parameters added or replaced."""
        return Via(self.transport, self.host, self.port, {**self.params, **params})

    @classmethod
    def parse(cls, text: str) -> Via:
        """Read one Via value; raises SipSyntaxError."""
        return vias[text]

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{format_params(self.params)}"


def is_via(text: str) -> bool:
    """True when `text` is a Via value that can be read."""
    try:
        Via.parse(text)
    except SipSyntaxError:
        return False
    return True


def _parse_via(text: str) -> Via:
    # A peer's Vias differ in what follows its address.
    sender = text.partition(";")[0]
    transport, host, port = _senders[sender]
    return Via(transport, host, port, parse_params(text, len(sender)))


def _parse_sender(text: str) -> tuple[str, str, int | None]:
    match = _VIA.fullmatch(text)
    if match is None:
        raise SipSyntaxError("bad Via")
    transport, host, port = match.groups()
    if host[0] == "[":
        split_host_port(host)
    return transport.upper(), host, None if port is None else parse_number(port, 65535, "port")


_senders = Readings(_parse_sender, longest=128, most=4_096)
vias = Readings(_parse_via, longest=255, most=512)
"""Via values as `Via.parse` reads them."""


class CSeq(msgspec.Struct, frozen=True, gc=False):
    """A CSeq value: a number below 2**31 and the method (RFC 3261 §8.1.1.5)."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Read a CSeq value; raises SipSyntaxError."""
        return cseqs[text]

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def _parse_cseq(text: str) -> CSeq:
    digits, _, method = text.replace("\t", " ").partition(" ")
    method = method.strip(" ")
    if len(digits) > 32 or not (digits.isascii() and digits.isdigit()) or not is_token(method):
        raise SipSyntaxError("bad CSeq")
    number = int(digits)
    if number >= 2**31:
        raise SipSyntaxError("CSeq number too large")
    return CSeq(number, method)


cseqs = Readings(_parse_cseq, longest=63, most=512)
"""CSeq values as `CSeq.parse` reads them."""
