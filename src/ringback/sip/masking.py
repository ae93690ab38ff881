"""A SIP message with all that is private masked, byte for byte as long as it was (RFC 3261, RFC 8866).

Letters and digits become `x` unless they are known to be harmless: what is not understood is not shown. Of a
number its last two digits stay, so that two numbers can be told apart.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from ringback.sip.headers import canonical_name
from ringback.sip.message import REASONS

# Fields shown as they are, but for numbers of the message that are met in them again.
_PLAIN: Final = frozenset({
    "Accept", "Accept-Encoding", "Accept-Language", "Allow", "Allow-Events", "Call-ID",
    "Content-Disposition", "Content-Encoding", "Content-Type", "Date", "Event", "Join", "MIME-Version",
    "Privacy", "Proxy-Authenticate", "Proxy-Require", "Replaces", "Require", "SIP-ETag", "SIP-If-Match",
    "Server", "Subscription-State", "Supported", "Target-Dialog", "Unsupported", "User-Agent",
    "WWW-Authenticate",
})  # fmt: skip
# Fields that hold small numbers alone, and Via: addresses, which are shown.
_NUMERIC: Final = frozenset({
    "CSeq", "Content-Length", "Expires", "Flow-Timer", "Max-Forwards", "Min-Expires", "Min-SE", "RAck",
    "RSeq", "Retry-After", "Session-Expires", "Timestamp",
})  # fmt: skip
_CREDENTIALS: Final = frozenset({"Authorization", "Proxy-Authorization"})

_ATTRIBUTES: Final = frozenset({
    "candidate", "end-of-candidates", "extmap", "extmap-allow-mixed", "fingerprint", "fmtp", "group",
    "ice-lite", "ice-options", "ice-ufrag", "inactive", "maxptime", "mid", "ptime", "recvonly", "rtcp",
    "rtcp-fb", "rtcp-mux", "rtcp-rsize", "rtcp-xr", "rtpmap", "sendonly", "sendrecv", "setup",
    "silenceSupp", "tls-id",
})  # fmt: skip

_HIDDEN: Final = {code: "x" for code in range(256) if code >= 128 or chr(code).isalnum()}
_HIGH = re.compile(r"[\x80-\xff]")
_LONG_DIGITS = re.compile(r"[0-9]{3,}")
_FIELD = re.compile(r"[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*")
_HEADER = re.compile(r"([!#-'*+\-.0-9A-Z^-z|~]+)([ \t]*:)", re.DOTALL)
_REQUEST = re.compile(r"[A-Z]{1,16} +")
_STATUS = re.compile(r"(SIP/2\.0 +)([1-6][0-9]{2})(.*)", re.DOTALL)
_SCHEME = re.compile(r"\b(?:sips?|tel):", re.IGNORECASE)
_USER = re.compile(r"\b(?:sips?|tel):([^@<>\s\"]*)", re.IGNORECASE)
_HOST = re.compile(
    r"(?:\bsips?:|@)(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-]+)(?::[0-9]{1,5})?(?=[;?>,\s]|$)", re.IGNORECASE
)
_PARAMETER = re.compile(r";[ \t]*([A-Za-z0-9.\-]+)(?:[ \t]*=[ \t]*[^;,>?@\s\"]*)?(?=[;,>?\s]|$)")
_HARMLESS: Final = frozenset({
    "expires", "lr", "maddr", "ob", "q", "received", "reg-id", "rport", "tag", "transport", "ttl", "user",
})  # fmt: skip
_DIGEST_NAME = re.compile(r"(?:^[ \t]*|[\s,])(Digest(?=[ \t])|[A-Za-z]+(?=[ \t]*=))")
_DIGEST_USER = re.compile(r"username[ \t]*=[ \t]*\"?([^\",]*)", re.IGNORECASE)
_LAST_DIGITS = re.compile(r"([0-9]{2})[^0-9]*$")
# A quote that is never closed takes the rest; it must not be looked for again from each quote within.
_OPAQUE = re.compile(r"\"(?:[^\"\\]|\\.?)*+\"?|\?[^>\s]*", re.DOTALL)
_VIA_PARAMETER = re.compile(r"(?:branch|received|rport|ttl|maddr|alias)\b(?:=[^;,\s]*)?")
_NEXT_VIA = re.compile(r"SIP/2\.0/[A-Z]+ +[A-Za-z0-9.:\[\]\-]+")
_ORIGIN = re.compile(r"o=[^\s]*")
_CONNECTION = re.compile(r"c=IN IP[46] [0-9A-Fa-f:.]+(?:/[0-9]+){0,2}\s*")
_ATTRIBUTE = re.compile(r"a=([A-Za-z0-9\-]+)(?::|\s*$)")
_CRYPTO = re.compile(r"a=crypto:[0-9]+ [A-Z0-9_]+ (?:inline:)?")
_CAUSE = re.compile(r"\b(?:SIP|Q\.850)[ \t]*;[ \t]*cause[ \t]*=[ \t]*[0-9]{1,3}\b")
_SEPARATORS: Final = str.maketrans("", "", "-.() ")
# Numbers at least as long are masked also inside of longer runs of digits.
_DISTINCT: Final = 6
_MOST_NUMBERS: Final = 32


def mask(data: bytes) -> bytes:
    """The message with numbers, names, PINs, credentials, keys and bodies other than SDP masked.

    Takes any bytes; never raises. What is masked becomes `x`, one for one, so that lengths hold.
    """
    # One character a byte.
    text = data.decode("latin-1")
    end = re.search(r"\r?\n\r?\n", text)
    head, gap, body = (text, "", "") if end is None else (text[: end.start()], end[0], text[end.end() :])
    fields = _fields(head)
    numbers = _numbers(fields)
    masked = "".join(_masked_field(field, numbers, first=not at) for at, field in enumerate(fields))
    sdp = any(_is_sdp(field) for field in fields) and not any(_is_coded(field) for field in fields)
    body = _masked_sdp(body, numbers) if sdp else _hide(body)
    return (masked + gap + body).encode("latin-1", "replace")


def _hide(text: str) -> str:
    return text.translate(_HIDDEN)


def _fields(head: str) -> list[str]:
    """The start line and the header fields, folded ones whole, each with its line end."""
    fields: list[str] = []
    at = 0
    while at < len(head):
        match = _FIELD.match(head, at)
        stop = match.end() if match is not None else at
        while stop < len(head) and head[stop] in "\r\n":
            stop += 1
        fields.append(head[at:stop])
        at = stop
    return fields


def _name_of(field: str) -> str:
    match = _HEADER.match(field)
    return canonical_name(match[1]) if match is not None else ""


def _is_sdp(field: str) -> bool:
    value = field.partition(":")[2].partition(";")[0].strip().lower()
    return _name_of(field) == "Content-Type" and value == "application/sdp"


def _is_coded(field: str) -> bool:
    return _name_of(field) == "Content-Encoding"


def _numbers(fields: list[str]) -> list[str]:
    """The numbers of whom the message names, from three digits on: peers repeat them in tags and Call-IDs."""
    found: set[str] = set()
    for at, field in enumerate(fields):
        if at and _name_of(field) in _PLAIN | _NUMERIC:
            continue
        for match in _USER.finditer(field):
            found.update(_LONG_DIGITS.findall(match[1].translate(_SEPARATORS)))
        if _name_of(field) in _CREDENTIALS:
            found.update(*(_LONG_DIGITS.findall(user) for user in _DIGEST_USER.findall(field)))
    return sorted(found, key=len, reverse=True)[:_MOST_NUMBERS]


def _without(numbers: list[str], text: str) -> str:
    """Mask the numbers: short ones where they are whole runs of digits, long ones anywhere."""

    def masked(match: re.Match[str]) -> str:
        run = match[0]
        if run in numbers:
            return "x" * len(run)
        for number in numbers:
            if len(number) >= _DISTINCT:
                run = run.replace(number, "x" * len(number))
        return run

    return _LONG_DIGITS.sub(masked, text) if numbers else text


def _masked_field(field: str, numbers: list[str], *, first: bool) -> str:
    if first:
        return _masked_start(field, numbers)
    match = _HEADER.match(field)
    if match is None:
        return _hide(field)
    name, value = canonical_name(match[1]), field[match.end() :]
    # A name that nobody knows could be a number.
    label = _without(numbers, match[0])
    if name == "Via":
        return label + _masked_via(value, numbers)
    if name in _NUMERIC:
        return label + _without([number for number in numbers if len(number) >= _DISTINCT], _ascii(value))
    if name == "Reason":
        return label + _keep(value, _hide(value), [m.span() for m in _CAUSE.finditer(value)])
    if name in _PLAIN:
        return label + _without(numbers, _ascii(value))
    if name in _CREDENTIALS:
        return label + _keep(value, _hide(value), [m.span(1) for m in _DIGEST_NAME.finditer(value)])
    return label + _masked_addresses(value, numbers)


def _ascii(text: str) -> str:
    return text if text.isascii() else _HIGH.sub("x", text)


def _masked_start(field: str, numbers: list[str]) -> str:
    line = field.rstrip("\r\n")
    end = field[len(line) :]
    if status := _STATUS.fullmatch(line):
        usual = status[3].strip() == REASONS.get(int(status[2]))
        reason = status[3] if usual else _ascii(re.sub(r"[0-9]", "x", _without(numbers, status[3])))
        return status[1] + status[2] + reason + end
    if request := _REQUEST.match(line):
        uri = line[request.end() :].rstrip(" \t")
        if uri.endswith(" SIP/2.0"):
            uri = uri.removesuffix("SIP/2.0").rstrip(" ")
        rest = line[request.end() + len(uri) :]
        return request[0] + _masked_addresses(uri, numbers) + rest + end
    return _masked_addresses(line, numbers) + end


def _masked_via(value: str, numbers: list[str]) -> str:
    """Addresses stay; parameters other than branch, rport and received can hold anything."""
    head, semicolon, parameters = value.partition(";")
    kept = [match.span() for match in _VIA_PARAMETER.finditer(parameters)]
    # A second Via on the line comes after a comma.
    kept += [match.span() for match in _NEXT_VIA.finditer(parameters)]
    return _ascii(head) + semicolon + _without(numbers, _keep(parameters, _hide(parameters), kept))


def _keep(text: str, hidden: str, spans: list[tuple[int, int]]) -> str:
    """`hidden` with these parts as they are in `text`."""
    out = list(hidden)
    for start, end in spans:
        out[start:end] = _ascii(text[start:end])
    return "".join(out)


def _masked_addresses(value: str, numbers: list[str]) -> str:
    """SIP and tel addresses: scheme, host, harmless parameters and the last digits of a number stay."""
    # Of the head fields in a URI (Refer-To) and of what is quoted nothing is looked at.
    opaque = _OPAQUE.sub(lambda match: "\0" * len(match[0]), value)
    spans = [match.span() for match in _SCHEME.finditer(opaque)]
    spans += [match.span(1) for match in _last_digits(opaque)]
    hosts = [match for match in _HOST.finditer(opaque) if _is_host(match[1])]
    spans += [(match.start(1), match.end()) for match in hosts]
    kept = _keep(value, _hide(value), spans)
    out = list(kept)
    for match in _PARAMETER.finditer(opaque):
        if match[1].lower() in _HARMLESS:
            out[match.start() : match.end()] = _without(numbers, _ascii(match[0]))
    return "".join(out)


def _last_digits(text: str) -> list[re.Match[str]]:
    """Matches whose group 1 is the last two digits of the number of an address, the PIN left out."""
    found = []
    for match in _USER.finditer(text):
        user = match[1]
        # A tel URI has no @; of a SIP URI without one there is no user part.
        if text[match.end() : match.end() + 1] != "@" and text[match.start()] not in "tT":
            continue
        number = re.match(r"\*?[0-9+\-.() ]*", user)
        if number is None or not re.fullmatch(r"(?:[*#;].*)?", user[number.end() :], re.DOTALL):
            continue
        begin = match.start(1)
        last = _LAST_DIGITS.search(text, begin, begin + number.end())
        if last is not None:
            found.append(last)
    return found


def _is_host(text: str) -> bool:
    if text.startswith("["):
        return True
    if any(character.isalpha() for character in text):
        return True
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _masked_sdp(body: str, numbers: list[str]) -> str:
    return "".join(_masked_line(line, numbers) for line in body.splitlines(keepends=True))


def _masked_line(line: str, numbers: list[str]) -> str:
    match line[:2]:
        case "v=" | "t=" | "m=" | "b=" | "r=" | "z=":
            return _ascii(line)
        case "c=" if _CONNECTION.fullmatch(line):
            return line
        case "o=":
            user = _ORIGIN.match(line)
            end = user.end() if user is not None else 2
            return "o=" + _hide(line[2:end]) + _without(numbers, _ascii(line[end:]))
        case "a=":
            return _masked_attribute(line, numbers)
    return line[:2] + _hide(line[2:]) if line[1:2] == "=" else _hide(line)


def _masked_attribute(line: str, numbers: list[str]) -> str:
    if crypto := _CRYPTO.match(line):
        return crypto[0] + _hide(line[crypto.end() :])
    name = _ATTRIBUTE.match(line)
    if name is None:
        return "a=" + _hide(line[2:])
    if name[1] in _ATTRIBUTES:
        return _ascii(line)
    return _without(numbers, name[0]) + _hide(line[name.end() :])
