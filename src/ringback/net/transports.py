"""The SIP transports of a server behind one face: UDP, TCP and TLS (RFC 3261 §18)."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from ringback.net.certificate import CertificatePaths
from ringback.net.limits import Limits
from ringback.net.streams import Streams
from ringback.net.tls import client_context, server_context
from ringback.net.udp import UdpTransport
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message import Message
from ringback.sip.parse import Malformed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TransportCounts:
    """What happened on the transports since they were opened.

    `ignored` datagrams were keep-alives or no SIP; `refused` connections were one too many, `displaced` ones
    gave way to newcomers, `expired` ones were too slow or silent; `unsent` messages had nowhere to go.
    """

    datagrams: int
    ignored: int
    connections: int
    refused: int
    displaced: int
    expired: int
    unsent: int
    failures: int


class SipTransports:
    """Messages of all transports come to `on_message`; `send` answers on the flow they came by.

    Both callbacks run inside the event loop and must not block; what they raise is logged and costs that
    message only. Of malformed messages only those come that can be answered; one that ends a stream is
    delivered before its end, so that the answer goes out.
    """

    def __init__(
        self,
        on_message: Callable[[Message | Malformed, Flow], None],
        on_connection_lost: Callable[[Flow], None] = lambda _flow: None,
        limits: Limits | None = None,
        *,
        tls_client: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tls_client` verifies the servers we connect to; by default against the system's authorities."""
        self.on_message = on_message
        self.on_connection_lost = on_connection_lost
        self.addresses: dict[Transport, Address] = {}
        self._udp = UdpTransport(self._deliver)
        self._streams = Streams(limits or Limits(), self._deliver, self._lost, clock)
        self._tls_client = tls_client
        self._tls_server: ssl.SSLContext | None = None
        self._unsent = 0
        self._failures = 0

    async def open(
        self,
        bind: str,
        *,
        udp_port: int | None = None,
        tcp_port: int | None = None,
        tls_port: int | None = None,
        certificate: CertificatePaths | None = None,
    ) -> dict[Transport, Address]:
        """Listen on an address, on the ports that are given; TLS needs a certificate (else ValueError).

        A taken port is replaced by the next free one: `addresses`, also returned, tells. OSError when an
        address is not ours or a certificate cannot be read; nothing stays open then.
        """
        if tls_port is not None and certificate is None:
            raise ValueError("TLS needs a certificate")
        try:
            if udp_port is not None:
                self.addresses["udp"] = self._udp.open(bind, udp_port)
            if tcp_port is not None:
                self.addresses["tcp"] = await self._streams.listen("tcp", bind, tcp_port)
            if tls_port is not None and certificate is not None:
                self._tls_server = server_context(certificate.certificate, certificate.key)
                address = await self._streams.listen("tls", bind, tls_port, self._tls_server)
                self.addresses["tls"] = address
        except OSError:
            await self.close()
            raise
        self._streams.client_context = self._tls_client or client_context()
        return self.addresses

    def send(self, flow: Flow, data: bytes) -> bool:
        """Send on a flow without ever blocking; False when that is not possible (any more).

        A stream flow with id 0 gets a connection to its remote: one that exists, or a new one that the data
        waits for; if that fails `on_connection_lost` is called with this flow.
        """
        if flow.transport == "udp":
            sent = self._udp.send(flow.remote, data)
        else:
            sent = flow.transport in ("tcp", "tls") and self._streams.send(flow, data)
        self._unsent += not sent
        return sent

    def trust(self, flow: Flow) -> bool:
        """Keep a stream open though silent: its peer is registered or in a call. False when it is gone.

        Others are closed after `Limits.idle_s`; TCP keep-alives find dead peers in either case.
        """
        return flow.transport == "udp" or self._streams.trust(flow)

    def expect(self, remote: Address, name: str) -> None:
        """The certificate of a TLS server at this address has to name `name` from now on: it was found by it
        (RFC 5922 §4). Others have to name their address."""
        self._streams.names[remote] = name

    def close_flow(self, flow: Flow) -> None:
        """Close a stream's connection after what was written to it is sent; nothing happens on UDP."""
        if flow.transport != "udp":
            self._streams.close_flow(flow)

    def reload_certificate(self, certificate: CertificatePaths) -> None:
        """Use another certificate for connections from now on; OSError (SSLError) leaves the old one."""
        if self._tls_server is not None:
            # Tried on a fresh context first: a pair that does not match would spoil the one in use.
            server_context(certificate.certificate, certificate.key)
            self._tls_server.load_cert_chain(certificate.certificate, certificate.key)

    def counts(self) -> TransportCounts:
        """What happened so far."""
        udp, streams = self._udp, self._streams
        return TransportCounts(
            datagrams=udp.received,
            ignored=udp.ignored,
            connections=len(streams),
            refused=streams.refused,
            displaced=streams.displaced,
            expired=streams.expired,
            unsent=self._unsent,
            failures=self._failures,
        )

    async def close(self) -> None:
        """Stop listening, and close every connection after what was written to it is sent."""
        self._udp.close()
        await self._streams.close()
        self.addresses.clear()

    def _deliver(self, message: Message | Malformed, flow: Flow) -> None:
        try:
            self.on_message(message, flow)
        except Exception:
            self._failures += 1
            logger.exception("a SIP message could not be handled")

    def _lost(self, flow: Flow) -> None:
        try:
            self.on_connection_lost(flow)
        except Exception:
            self._failures += 1
            logger.exception("the loss of a SIP connection could not be handled")
