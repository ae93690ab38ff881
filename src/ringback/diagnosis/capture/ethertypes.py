"""What follows an EtherType, to where an IP header begins (IEEE 802.1Q, RFC 1661, RFC 2516, RFC 3032)."""

from __future__ import annotations

from typing import Final

NO_IP: Final = -1
"""What `find_ip` says of a frame with something else in it: ARP, spanning tree, a PPP control packet."""
DAMAGED: Final = -2
"""What `find_ip` says of a frame that ends within its link header."""
UNKNOWN_LINK: Final = -3
"""What `find_ip` says of a link type that is not read."""
ENCRYPTED: Final = -4
"""What `find_ip` says of a frame of wireless LAN that cannot be read without its key."""

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_TAGS: Final = frozenset({0x8100, 0x88A8, 0x9100, 0x9200})
_MPLS: Final = frozenset({0x8847, 0x8848})
_PPPOE: Final = 0x8864
_PPP_IP: Final = frozenset({0x0021, 0x0057})
_SNAP: Final = b"\xaa\xaa\x03"
_LENGTH_FIELD_MAX: Final = 1500
_MOST_TAGS: Final = 16
"""Of VLAN, MPLS and PPPoE together; more is no network."""

_IP_VERSIONS: Final = frozenset({4, 6})


def after_ethertype(ethertype: int, data: bytes, at: int) -> int:
    """The same for what follows an EtherType: tags, labels and PPPoE are passed over."""
    for _ in range(_MOST_TAGS):
        if ethertype in (_IPV4, _IPV6):
            return at_ip(data, at)
        if ethertype in _TAGS:
            if len(data) < at + 4:
                return DAMAGED
            ethertype = data[at + 2] << 8 | data[at + 3]
            at += 4
        elif ethertype in _MPLS:
            if len(data) < at + 4:
                return DAMAGED
            # Below the last label nothing says what comes; IP shows itself by its version.
            if data[at + 2] & 1:
                return at_ip(data, at + 4)
            at += 4
        elif ethertype == _PPPOE:
            return after_ppp(data, at + 6)
        elif ethertype <= _LENGTH_FIELD_MAX and data[at : at + 3] == _SNAP and len(data) >= at + 8:
            ethertype = data[at + 6] << 8 | data[at + 7]
            at += 8
        else:
            return NO_IP
    return NO_IP


def ethernet(data: bytes, at: int = 0) -> int:
    """The same for a frame of Ethernet that begins at `at`."""
    if len(data) < at + 14:
        return DAMAGED
    return after_ethertype(data[at + 12] << 8 | data[at + 13], data, at + 14)


def at_ip(data: bytes, at: int) -> int:
    """The same where IP is all that may follow."""
    if len(data) <= at:
        return DAMAGED
    return at if data[at] >> 4 in _IP_VERSIONS else NO_IP


def after_ppp(data: bytes, at: int) -> int:
    """The same for what follows the address and control fields of PPP."""
    if len(data) < at + 2:
        return DAMAGED
    if data[at] & 1:
        # The protocol was compressed to an octet (RFC 1661, 6.5).
        return at_ip(data, at + 1) if data[at] in _PPP_IP else NO_IP
    return at_ip(data, at + 2) if data[at] << 8 | data[at + 1] in _PPP_IP else NO_IP
