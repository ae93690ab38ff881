"""The SIP transports of a server behind one face: UDP, TCP and TLS (RFC 3261 §18)."""

from __future__ import annotations

import functools
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringback.governance.sources import SipSources
from ringback.governance.throttle import SourceList
from ringback.net.bind import LocalAddresses, is_wildcard
from ringback.net.certificate import CertificatePaths
from ringback.net.limits import Limits
from ringback.net.streams import Streams
from ringback.net.tls import client_context, server_context
from ringback.net.udp import UdpTransport
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message import Message
from ringback.sip.parse import Malformed
from ringback.sip.tap import Hear

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
    delivered before its end, so that the answer goes out. `hear` is told of every message with its bytes
    (decrypted), before `on_message` and also of those that do not come there; keep-alives are none.
    """

    def __init__(
        self,
        on_message: Callable[[Message | Malformed, Flow], None],
        on_connection_lost: Callable[[Flow], None] = lambda _flow: None,
        limits: Limits | None = None,
        *,
        sources: SipSources | None = None,
        hear: Hear = lambda _data, _flow, _message: None,
        tls_client: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`sources` says whose messages are read, by default everybody's.

        `tls_client` verifies the servers we connect to; by default against the system's authorities.
        """
        self.on_message = on_message
        self.on_connection_lost = on_connection_lost
        limits = limits or Limits()
        self._sources = sources or SipSources(SourceList(("0.0.0.0/0", "::/0")))
        self._clock = clock
        self.listening: dict[Transport, tuple[Address, ...]] = {}
        self._local: dict[Transport, LocalAddresses] = {}
        self._udp: dict[Address, UdpTransport] = {}
        self._streams = Streams(limits, self._sources, self._deliver, self._lost, clock, self._note)
        self._hear = hear
        self._tls_client = tls_client
        self._client_authorities: Path | None = None
        self._client_certificate_required = False
        self._unsent = 0
        self._failures = 0

    async def open(
        self,
        bind: str | Sequence[str],
        *,
        udp_port: int | None = None,
        tcp_port: int | None = None,
        tls_port: int | None = None,
        certificate: CertificatePaths | None = None,
        client_authorities: Path | None = None,
        require_client_certificate: bool = False,
    ) -> dict[Transport, Address]:
        """Listen on addresses, on the ports that are given; TLS needs a certificate (else ValueError).

        A taken port is replaced by the next free one: `listening` tells, and `addresses`, also returned.
        With `client_authorities` clients on TLS are asked for a certificate. OSError when an address is not
        ours or a certificate cannot be read; nothing stays open then.
        """
        if tls_port is not None and certificate is None:
            raise ValueError("TLS needs a certificate")
        self._client_authorities = client_authorities
        self._client_certificate_required = require_client_certificate
        try:
            self._use(certificate)
            for host in (bind,) if isinstance(bind, str) else bind:
                if udp_port is not None:
                    self._open_udp(host, udp_port)
                if tcp_port is not None:
                    self._listens("tcp", await self._streams.listen("tcp", host, tcp_port))
                if tls_port is not None:
                    self._listens("tls", await self._streams.listen("tls", host, tls_port))
        except OSError:
            await self.close()
            raise
        self._local = {name: LocalAddresses(bound) for name, bound in self.listening.items()}
        return self.addresses

    def _open_udp(self, host: str, port: int) -> None:
        transport = UdpTransport(self._deliver, self._note, self._sources, self._clock)
        bound = transport.open(host, port)
        self._udp[bound] = transport
        self._listens("udp", bound)

    def _listens(self, transport: Transport, bound: Address) -> None:
        self.listening[transport] = (*self.listening.get(transport, ()), bound)

    @property
    def addresses(self) -> dict[Transport, Address]:
        """The first address that each transport listens on."""
        return {name: bound[0] for name, bound in self.listening.items()}

    def contact_address(self, flow: Flow) -> Address:
        """Where the peer of a flow reaches us by the flow's transport; KeyError if we do not listen on it."""
        local = self._local[flow.transport]
        if not flow.local[0]:
            return local.towards(flow.remote[0])
        bound = local.socket_for(flow.local, flow.remote[0])
        return (flow.local[0], bound[1]) if is_wildcard(bound[0]) else bound

    def send(self, flow: Flow, data: bytes) -> bool:
        """Send on a flow without ever blocking; False when that is not possible (any more).

        A stream flow with id 0 gets a connection to its remote: one that exists, or a new one that the data
        waits for; if that fails `on_connection_lost` is called with this flow.
        """
        if flow.transport == "udp":
            local = self._local.get("udp")
            sent = local is not None and self._udp[local.socket_for(flow.local, flow.remote[0])].send(
                flow.remote, data
            )
        else:
            sent = flow.transport in ("tcp", "tls") and self._streams.send(flow, data)
        self._unsent += not sent
        return sent

    def trust(self, flow: Flow) -> bool:
        """Keep a stream open though silent: its peer is registered or in a call. False when it is gone.

        Others are closed after `Limits.idle_s`; TCP keep-alives find dead peers in either case.
        """
        return flow.transport == "udp" or self._streams.trust(flow)

    def close_flow(self, flow: Flow) -> None:
        """Close a stream's connection after what was written to it is sent; nothing happens on UDP."""
        if flow.transport != "udp":
            self._streams.close_flow(flow)

    def reload_certificate(self, certificate: CertificatePaths) -> None:
        """Use another certificate for connections from now on; OSError (SSLError) leaves the old one."""
        self._use(certificate)

    def _use(self, certificate: CertificatePaths | None) -> None:
        """New contexts, not changed ones: those would keep the old certificate beside one of another kind."""
        authorities = self._client_authorities
        if certificate is not None:
            chain, key = certificate.certificate, certificate.key
            self._streams.server_context = server_context(
                chain, key, authorities, required=self._client_certificate_required
            )

        # With the first connection that needs it: to read the system's authorities takes 20 ms and more.
        @functools.cache
        def client() -> ssl.SSLContext:
            context = self._tls_client or client_context(authorities)
            if certificate is not None:
                context.load_cert_chain(certificate.certificate, certificate.key)
            return context

        self._streams.client_context = client

    def counts(self) -> TransportCounts:
        """What happened so far."""
        udp, streams = self._udp.values(), self._streams
        return TransportCounts(
            datagrams=sum(one.received for one in udp),
            ignored=sum(one.ignored for one in udp),
            connections=len(streams),
            refused=streams.refused,
            displaced=streams.displaced,
            expired=streams.expired,
            unsent=self._unsent,
            failures=self._failures,
        )

    async def close(self) -> None:
        """Stop listening, and close every connection after what was written to it is sent."""
        for transport in self._udp.values():
            transport.close()
        await self._streams.close()
        self.listening.clear()
        self._local.clear()

    def _note(self, data: bytes, flow: Flow, message: Message | Malformed) -> None:
        try:
            self._hear(data, flow, message)
        except Exception:
            self._failures += 1
            logger.exception("a SIP message could not be noted")

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
