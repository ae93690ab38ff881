"""The columnar pass over captured frames: plain RTP becomes rows, other UDP is told apart by what must be
looked at and what need only be counted (RFC 3550, 5.1; RFC 7983)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture import plain_sift
from ringback.diagnosis.capture.records import Batch, Octets
from ringback.diagnosis.capture.rows import KEY_BYTES, ROW, SQUARES
from ringback.diagnosis.capture.tunnels import TUNNEL_PORTS
from ringback.native import at as pointer
from ringback.native import kernels

_SIP_PORTS: Final = (5060, 5061)
_OTHER_SERVICES: Final = (53, 67, 68, 69, 123, 137, 138, 161, 162, 500, 514, 520, 1900, 4500, 5353, 5355)
"""DNS, DHCP, TFTP, NTP, NetBIOS, SNMP, IKE, syslog, RIP, SSDP, IPsec, multicast DNS and LLMNR."""


def _ports() -> NDArray[np.uint8]:
    ports = np.zeros(65536, np.uint8)
    ports[[*_SIP_PORTS, *TUNNEL_PORTS]] = 1
    ports[list(_OTHER_SERVICES)] = 2
    return ports


PORTS: Final = _ports()
"""uint8[65536]: 1 for ports whose datagrams are all looked at, 2 for those whose are counted only."""


class Sifted(NamedTuple):
    """What a batch was sorted into.

    `way` uint8[n] is SORT, RTP, FLOW, COUNT or NOTHING for each frame (see rows.py). `rows` ROW[k] and `keys`
    uint8[k, 40] are those of the frames that are RTP; `flow_keys` uint8[m, 40] those of the frames that
    are FLOW or COUNT, with an SSRC of 0, and `flow_octets` uint16[m] how long their payloads are.
    """

    way: NDArray[np.uint8]
    rows: NDArray[np.void]
    keys: Octets
    flow_keys: Octets
    flow_octets: NDArray[np.uint16]


class Sifter:
    """Sorts frames, batch by batch, into the same memory."""

    def __init__(self) -> None:
        self._found = _room(0)

    def sift(self, batch: Batch) -> Sifted:
        """Sort the frames of a batch. The result is valid until the next one."""
        if kernels is None:
            return Sifted(*plain_sift.sift(batch, PORTS))
        n = len(batch.offset)
        if n > len(self._found.way):
            self._found = _room(n)
        counts = np.zeros(2, np.int64)
        kernels.rb_sift(
            pointer(batch.data),
            n,
            *map(pointer, (batch.offset, batch.captured, batch.original, batch.link, batch.at_ns)),
            *map(pointer, (PORTS, SQUARES, *self._found, counts)),
        )
        streams, flows = counts.tolist()
        way, rows, keys, flow_keys, flow_octets = self._found
        return Sifted(way[:n], rows[:streams], keys[:streams], flow_keys[:flows], flow_octets[:flows])


def _room(n: int) -> Sifted:
    keys, flow_keys = np.empty((n, KEY_BYTES), np.uint8), np.empty((n, KEY_BYTES), np.uint8)
    return Sifted(np.empty(n, np.uint8), np.empty(n, ROW), keys, flow_keys, np.empty(n, np.uint16))
