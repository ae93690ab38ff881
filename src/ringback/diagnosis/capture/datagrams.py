"""What a UDP payload is, by its first octets and lengths: SIP, RTP, RTCP, STUN, DTLS and more (RFC 7983)."""

from __future__ import annotations

import re
from typing import Final, Literal

Kind = Literal[
    "sip", "rtp", "rtcp", "srtcp", "stun", "turn", "dtls", "t38", "dns", "zrtp", "keepalive", "unknown"
]

_SIP_START: Final = re.compile(
    # A status line, a request line of whatever method, and one whose end is missing or says no version.
    rb"SIP/[0-9]\.[0-9] |[!-~]+ [^\r\n]+ SIP/[0-9]\.[0-9][ \t]*\r?\n"
    rb"|(?:ACK|BYE|CANCEL|INFO|INVITE|MESSAGE|NOTIFY|OPTIONS|PRACK|PUBLISH|REFER|REGISTER|SUBSCRIBE|UPDATE) "
    rb"+(?:sips?|tel):"
)
_LINE_ENDS: Final = b"\r\n"
_PRINTABLE: Final = range(0x21, 0x7F)

_RTP_HEADER: Final = 12
_RTCP_TYPES: Final = range(192, 224)
_CERTAIN_RTCP: Final = range(200, 208)
_SRTCP_TAILS: Final = (14, 8, 4)
"""Where SRTCP's E flag stands from the end: before a tag of 10 or 4 octets, or last (RFC 3711, 3.4; RFC 7714,
9.1)."""

_STUN_HEADER: Final = 20
STUN_COOKIE: Final = b"\x21\x12\xa4\x42"
BINDING: Final = 0x001
_TURN_METHODS: Final = frozenset({3, 4, 6, 7, 8, 9, 10, 11, 12})
CHANNELS: Final = range(0x4000, 0x5000)

_DTLS_RECORD: Final = 13
_DTLS_TYPES: Final = range(20, 26)
_ZRTP: Final = b"ZRTP"
_DNS_PORTS: Final = frozenset({53, 5353, 5355})
_SHORTEST_UDPTL: Final = 6


def kind_of(payload: bytes, sport: int, dport: int, *, cut: bool = False) -> Kind:
    """What a datagram's payload is; the ports count only for DNS, which has no other mark.

    `cut`: the capture did not keep all of it, so that lengths may point beyond its end.
    """
    if not payload:
        return "unknown"
    first = payload[0]
    if first >> 6 == 2:
        return _real_time(payload, cut)
    if first < 4 and (found := stun_kind(payload, cut)):
        return found
    if first in _DTLS_TYPES and _is_dtls(payload):
        return "dtls"
    if first == 0x10 and payload[4:8] == _ZRTP:
        return "zrtp"
    if first in _LINE_ENDS and not payload.strip(_LINE_ENDS):
        return "keepalive"
    if is_sip(payload):
        return "sip"
    if len(payload) >= 4 and payload[0] << 8 | payload[1] in CHANNELS and _fits_channel(payload, cut):
        return "turn"
    if (sport in _DNS_PORTS or dport in _DNS_PORTS) and _is_dns(payload):
        return "dns"
    return "t38" if not cut and _is_udptl(payload) else "unknown"


def is_sip(payload: bytes) -> bool:
    """Whether it begins as a SIP message does, empty lines left out (RFC 3261, 7.1, 7.2, 7.5)."""
    if payload[0] in _LINE_ENDS:
        payload = payload.lstrip(_LINE_ENDS)
    return bool(payload) and payload[0] in _PRINTABLE and _SIP_START.match(payload) is not None


def _real_time(payload: bytes, cut: bool) -> Kind:
    """RTP or RTCP of version 2, told apart by the second octet (RFC 5761, 4), or neither."""
    if len(payload) >= 8 and payload[1] in _RTCP_TYPES:
        exact, first_length = _walk_compound(payload)
        if exact or (cut and payload[1] in _CERTAIN_RTCP):
            return "rtcp"
        if payload[1] in _CERTAIN_RTCP:
            return "srtcp" if first_length and _has_srtcp_tail(payload, first_length) else "rtcp"
    if len(payload) >= _RTP_HEADER + 4 * (payload[0] & 0x0F) or (cut and len(payload) >= _RTP_HEADER):
        return "rtp"
    return "unknown"


def _walk_compound(payload: bytes) -> tuple[bool, int]:
    """Whether packets of RTCP fill it to the end, and the first one's length, 0 when it is longer."""
    at = first = 0
    while at < len(payload):
        if len(payload) < at + 4 or payload[at] >> 6 != 2 or payload[at + 1] not in _RTCP_TYPES:
            return False, first
        end = at + 4 + 4 * (payload[at + 2] << 8 | payload[at + 3])
        if end > len(payload):
            return False, first
        first = first or end
        at = end
    return True, first


def _has_srtcp_tail(payload: bytes, first_length: int) -> bool:
    """Whether the octet with SRTCP's E flag is where it stands, with an index that a session may reach."""
    for tail in _SRTCP_TAILS:
        at = len(payload) - tail
        if at >= first_length and payload[at] == 0x80:
            return True
    return False


def stun_kind(payload: bytes, cut: bool = False) -> Literal["stun", "turn"] | None:
    """Whether it is STUN (RFC 8489, 5; RFC 3489 had no cookie) or a method of TURN (RFC 8656, 17)."""
    if len(payload) < _STUN_HEADER or payload[0] >> 6 or payload[3] & 3:
        return None
    length = payload[2] << 8 | payload[3]
    method = stun_method(payload)
    if payload[4:8] == STUN_COOKIE:
        if not cut and length + _STUN_HEADER > len(payload):
            return None
    elif method != BINDING or length + _STUN_HEADER != len(payload):
        return None
    return "turn" if method in _TURN_METHODS else "stun"


def stun_method(payload: bytes) -> int:
    """The method in a STUN message's type, without its class (RFC 8489, 5)."""
    kind = payload[0] << 8 | payload[1]
    return kind & 0x000F | (kind & 0x00E0) >> 1 | (kind & 0x3E00) >> 2


def _fits_channel(payload: bytes, cut: bool) -> bool:
    """Whether TURN's length of channel data is that of the datagram, padding apart (RFC 8656, 12.4)."""
    length = payload[2] << 8 | payload[3]
    return cut or length + 4 <= len(payload) <= (length + 3 & ~3) + 4


def _is_dtls(payload: bytes) -> bool:
    """Whether version and length are those of a record (RFC 6347, 4.1; 1.3 says 1.2 in its records)."""
    return (
        len(payload) >= _DTLS_RECORD
        and payload[1] == 0xFE
        and payload[2] in (0xFF, 0xFD, 0xFC)
        and payload[11] << 8 | payload[12] <= 0x4800
    )


def _is_dns(payload: bytes) -> bool:
    """A header whose opcode, questions and answers are within reason (RFC 1035, 4.1.1)."""
    if len(payload) < 12 or payload[2] >> 3 & 0x0F > 6:
        return False
    counts = [payload[at] << 8 | payload[at + 1] for at in range(4, 12, 2)]
    return 0 < sum(counts) <= 512


def _is_udptl(payload: bytes) -> bool:
    """Whether the lengths within it are those of UDPTL to the octet (T.38, 9.1).

    A sequence number, the primary packet, then older ones again or parity. Lengths of 128 and more take two
    octets.
    """
    if len(payload) < _SHORTEST_UDPTL:
        return False
    at = _after_field(payload, 2)
    # The first packet of a fax is an indicator or data, never empty.
    if at <= 3 or at + 2 > len(payload):
        return False
    if payload[at] == 0x00:
        count, at = payload[at + 1], at + 2
        if count > 15:
            return False
    elif payload[at] == 0x80:
        # The span of the parity is a length and a number, then how many parity fields come.
        if at + 4 > len(payload) or payload[at + 1] != 1:
            return False
        count, at = payload[at + 3], at + 4
    else:
        return False
    for _ in range(count):
        at = _after_field(payload, at)
        if at < 0:
            return False
    return at == len(payload)


def _after_field(payload: bytes, at: int) -> int:
    """Where an open type that begins at `at` ends; -1 beyond the payload or for one that no fax has."""
    if at >= len(payload):
        return -1
    length = payload[at]
    at += 1
    if length & 0xC0 == 0x80:
        if at >= len(payload):
            return -1
        length = (length & 0x3F) << 8 | payload[at]
        at += 1
    elif length >= 0x80:
        return -1
    return at + length if at + length <= len(payload) else -1
