"""SIP over UDP: datagrams in and out of one socket (RFC 3261 §18)."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable
from typing import Final

from ringback.governance.sources import Offence, SipSources
from ringback.governance.throttle import TokenBuckets, source_key
from ringback.net.bind import LocalAddresses, address_of, bind_socket
from ringback.sip.flow import Address, Flow
from ringback.sip.keepalive import stun_answer
from ringback.sip.message import Message
from ringback.sip.parse import Malformed, parse_message
from ringback.sip.tap import Hear

# Datagrams taken per wake-up: enough for speed, few enough that a flood leaves the loop to others.
_BATCH: Final = 64
_LARGEST: Final = 65_535
_SHORTEST_MESSAGE: Final = 16
_MOST_FLOWS: Final = 4_096
# A request or status line and a first header field; what comes else needs no closer look.
_BEGINS: Final = re.compile(rb"[\r\n]*[A-Za-z0-9!%*_+`'~.-]+[ /][^\r\n]*\r\n")
# STUN answers a second to one source: a NAT with a thousand phones needs some forty.
_STUN_RATE: Final = 50.0
_STUN_BURST: Final = 200.0


# Nearly all that comes begins with one of these.
_USUAL: Final = (b"SIP/2.0 ", b"INVITE ", b"ACK ", b"BYE ", b"REGISTER ", b"OPTIONS ")


def _begins(data: bytes) -> bool:
    return (data.startswith(_USUAL) and b"\r\n" in data) or _BEGINS.match(data) is not None


class UdpTransport:
    """One bound socket, drained by the event loop; asyncio's own datagram callbacks cost much more each."""

    def __init__(
        self,
        deliver: Callable[[Message | Malformed, Flow], None],
        hear: Hear,
        sources: SipSources,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deliver = deliver
        self._hear = hear
        self._sources = sources
        self._clock = clock
        self._socket: socket.socket | None = None
        self._local: LocalAddresses | None = None
        self._buffer = bytearray(_LARGEST)
        self._view = memoryview(self._buffer)
        # One for all messages of a source.
        self._flows: dict[Address, Flow] = {}
        self._answers: TokenBuckets[str] = TokenBuckets(rate=_STUN_RATE, burst=_STUN_BURST)
        self.received = 0
        self.ignored = 0
        self.unsent = 0

    def open(self, host: str, port: int) -> Address:
        """Bind (the next free port if this one is taken) and begin to read; returns the address."""
        sock = bind_socket(host, port, socket.SOCK_DGRAM)
        self._socket = sock
        bound = address_of(sock.getsockname())
        self._local = LocalAddresses([bound])
        asyncio.get_running_loop().add_reader(sock.fileno(), self._drain)
        return bound

    def send(self, remote: Address, data: bytes) -> bool:
        """Send one datagram; False when it could not go out now. SIP's retransmissions make up for that."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto(data, remote)
        except (OSError, OverflowError, ValueError):
            self.unsent += 1
            return False
        return True

    def close(self) -> None:
        """Stop reading and close the socket."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _drain(self) -> None:
        for _ in range(_BATCH):
            if self._socket is None:
                return
            try:
                length, name = self._socket.recvfrom_into(self._buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # An ICMP error of an earlier datagram.
                continue
            self.received += 1
            self._take(bytes(self._view[:length]), address_of(name))

    def _keep_alive(self, data: bytes, remote: Address) -> None:
        """Answer a STUN Binding request, so that the phone learns when its address has changed."""
        self.ignored += 1
        answer = stun_answer(data, remote)
        if answer is not None and self._answers.take(source_key(remote[0]), time.monotonic()):
            self.send(remote, answer)

    def _take(self, data: bytes, remote: Address) -> None:
        # Keep-alives of phones are often line ends or zeros, which want no answer.
        if len(data) < _SHORTEST_MESSAGE or remote[1] == 0 or self._local is None:
            self.ignored += 1
            return
        began = self._clock()
        if not self._sources.admits(remote, began, connected=False):
            return
        if data[0] == 0:
            self._keep_alive(data, remote)
        elif not _begins(data) or not self._is_delivered(data, remote):
            self.ignored += 1
            self._sources.offended(remote, Offence.NOISE, began, connected=False)
        if not self._sources.knows(remote, began):
            now = self._clock()
            self._sources.spent(remote, now - began, now)

    def _is_delivered(self, data: bytes, remote: Address) -> bool:
        """Pass a message on; False for what cannot be answered."""
        assert self._local is not None
        message = parse_message(data)
        local = self._local.towards(remote[0])
        flow = self._flows.get(remote)
        if flow is None or flow.local != local:
            if len(self._flows) >= _MOST_FLOWS:
                self._flows.clear()
            flow = self._flows[remote] = Flow("udp", local, remote)
        self._hear(data, flow, message)
        if isinstance(message, Malformed) and not message.answerable:
            return False
        self._deliver(message, flow)
        return True
