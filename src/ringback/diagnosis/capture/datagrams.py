"""What a UDP payload is, by its first octets and lengths: SIP, RTP, RTCP, STUN, DTLS and more (RFC 7983)."""

from __future__ import annotations

import re
from typing import Final, Literal

from ringback.diagnosis.capture.handshakes import is_dtls
from ringback.diagnosis.capture.stun import is_channel_data, stun_kind

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
    if first < 4 and (found := stun_kind(payload, cut=cut)):
        return found
    if is_dtls(payload):
        return "dtls"
    if first == 0x10 and payload[4:8] == _ZRTP:
        return "zrtp"
    if first in _LINE_ENDS and not payload.strip(_LINE_ENDS):
        return "keepalive"
    if is_sip(payload):
        return "sip"
    if is_channel_data(payload, cut=cut):
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
