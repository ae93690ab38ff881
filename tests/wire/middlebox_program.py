"""A box between two networks that does what bad ones do, as a program that gets INSIDE OUTSIDE PLAN.

It forwards Ethernet frames between two interfaces of its namespace. PLAN is JSON, with any of
"dscp": {"46": 0}     other DSCPs, both ways;
"alg": 10             added to the port of m=audio in SIP that goes out, and nothing done for it;
"nat": {"inside": …, "outside": …, "timeout_s": …}
                      another address and other UDP ports for what goes out; a mapping is forgotten when
                      nothing went out by it for so long, whatever comes in (RFC 4787, REQ-6).
Ends on SIGTERM. UDP checksums of what it changes are 0, which IPv4 allows.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

SOL_PACKET, PACKET_ADD_MEMBERSHIP, PROMISCUOUS, OUTGOING = 263, 1, 1, 4
ETHERNET, IPV4, UDP = 14, b"\x08\x00", 17
FIRST_PORT = 40_001


def header_checksum(head: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(head) // 2}H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


class Frame:
    """One frame of IPv4 with UDP whole in it, taken apart as far as needed."""

    def __init__(self, data: bytes) -> None:
        size = (data[ETHERNET] & 15) * 4
        end = ETHERNET + int.from_bytes(data[ETHERNET + 2 : ETHERNET + 4], "big")
        self.link = data[:ETHERNET]
        self.head = bytearray(data[ETHERNET : ETHERNET + size])
        self.body = bytearray(data[ETHERNET + size : end])

    @property
    def has_ports(self) -> bool:
        """Whether it is UDP and no later fragment."""
        return self.head[9] == UDP and not int.from_bytes(self.head[6:8], "big") & 0x1FFF

    def port(self, at: int) -> int:
        """The source's port at 0, the destination's at 2."""
        return int.from_bytes(self.body[at : at + 2], "big")

    def set_port(self, at: int, port: int) -> None:
        """Another port."""
        self.body[at : at + 2] = port.to_bytes(2, "big")

    def finished(self) -> bytes:
        """The frame with the right header again."""
        if self.has_ports:
            self.body[6:8] = b"\0\0"
        self.head[10:12] = b"\0\0"
        self.head[10:12] = header_checksum(bytes(self.head)).to_bytes(2, "big")
        return self.link + bytes(self.head) + bytes(self.body)


class Nat:
    """Mappings of UDP that are the same for every destination, and forgotten without what goes out."""

    def __init__(self, inside: str, outside: str, timeout_s: float) -> None:
        self._inside, self._outside = socket.inet_aton(inside), socket.inet_aton(outside)
        self._timeout_s = timeout_s
        self._mapped: dict[int, tuple[int, float]] = {}
        self._next = FIRST_PORT

    def out(self, frame: Frame, now: float) -> bool:
        """Change what goes out; whether it goes."""
        if frame.head[12:16] != self._inside or not frame.has_ports:
            return False
        port, last = self._mapped.get(frame.port(0), (0, -1e9))
        if now - last > self._timeout_s:
            port, self._next = self._next, self._next + 1
        self._mapped[frame.port(0)] = port, now
        frame.head[12:16] = self._outside
        frame.set_port(0, port)
        return True

    def back(self, frame: Frame, now: float) -> bool:
        """Change what comes in; whether it passes."""
        if frame.head[16:20] != self._outside or not frame.has_ports:
            return False
        for inner, (port, last) in self._mapped.items():
            if port == frame.port(2) and now - last <= self._timeout_s:
                frame.head[16:20] = self._inside
                frame.set_port(2, inner)
                return True
        return False


class Box:
    """All that a plan says, for a frame at a time."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._dscp = {int(before): after for before, after in plan.get("dscp", {}).items()}
        self._alg: int = plan.get("alg", 0)
        self._nat = Nat(**plan["nat"]) if "nat" in plan else None

    def passed(self, data: bytes, now: float, *, out: bool) -> bytes | None:
        """The frame as it goes on, or None."""
        if data[12:14] != IPV4:
            return data
        frame = Frame(data)
        code = frame.head[1] >> 2
        if code in self._dscp:
            frame.head[1] = self._dscp[code] << 2
        if self._alg and out and frame.has_ports:
            frame.body[8:] = re.sub(rb"m=audio (\d+)", self._other_port, bytes(frame.body[8:]))
        if self._nat and not (self._nat.out if out else self._nat.back)(frame, now):
            return None
        return frame.finished()

    def _other_port(self, found: re.Match[bytes]) -> bytes:
        changed = b"m=audio %d" % (int(found[1]) + self._alg)
        # A box that changed lengths, too, would have to know more of SIP than such boxes do.
        return changed if len(changed) == len(found[0]) else found[0]


def opened(name: str) -> socket.socket:
    """All frames of an interface."""
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    one.bind((name, 0))
    member = struct.pack("iHH8s", socket.if_nametoindex(name), PROMISCUOUS, 0, b"")
    one.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, member)
    one.setblocking(False)
    return one


def main() -> None:
    """Forward until the end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sides = [opened(name) for name in sys.argv[1:3]]
    box = Box(json.loads(sys.argv[3]))
    while True:
        for one in select.select(sides, [], [])[0]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, address = one.recvfrom(65535)
                    if address[2] == OUTGOING:
                        continue
                    passed = box.passed(data, time.monotonic(), out=one is sides[0])
                    if passed is not None:
                        with contextlib.suppress(OSError):
                            sides[one is sides[0]].send(passed)


if __name__ == "__main__":
    main()
