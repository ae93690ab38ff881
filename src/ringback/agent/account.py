"""Who an agent is and how it reaches its server, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ringback.governance.private import Private
from ringback.media.protocol import Codec
from ringback.sdp.negotiated import SrtpPolicy
from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Transport
from ringback.sip.message import NameAddr, SipUri
from ringback.sip.uri import escape_user

TRANSPORTS: Final[tuple[Transport, ...]] = ("udp", "tcp", "tls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An address of record with what is needed to use it.

    `server` is the next hop's URI, by which its addresses are found: of the outbound proxy if there is one.
    `srtp` other than "refused" is for TLS alone, where keys are safe on their way (RFC 4568 §7).
    """

    aor: SipUri
    server: SipUri
    username: str
    password: Private[str] | None = field(default=None, repr=False)
    realm: str | None = None
    display_name: str = ""
    transport: Transport = "udp"
    proxy: SipUri | None = None
    srtp: SrtpPolicy = "refused"
    codecs: tuple[Codec, ...] = ("OPUS", "G722", "PCMU", "PCMA")
    expires_s: int = 600

    @property
    def address(self) -> NameAddr:
        """What From and To say of us."""
        return NameAddr(SipUri("sip", self.aor.user, host=self.aor.host), self.display_name)

    @property
    def route_set(self) -> tuple[NameAddr, ...]:
        """The way that requests outside of dialogs take: by the outbound proxy, if there is one (§8.1.2)."""
        return () if self.proxy is None else (NameAddr(self.proxy.with_params(lr=None)),)

    def target(self, number: str) -> SipUri:
        """Whom a text means: a whole SIP URI, or a number at our server. ValueError when it is neither."""
        if number.lower().startswith(("sip:", "sips:")):
            return _parse(number)
        if not number:
            raise ValueError("whom to call is a number or a SIP URI, and not empty")
        return SipUri("sip", escape_user(number), host=self.aor.host, port=self.aor.port)

    def hop(self, target: SipUri) -> SipUri:
        """The URI that leads a request for `target`: the proxy's or our server's, or its own."""
        ours = target.host.lower() == self.aor.host.lower() and target.port in (None, self.aor.port)
        if self.proxy is not None or ours:
            return self.server
        return by_transport(target, self.transport)


def make_account(
    uri: str,
    *,
    password: Private[str] | str | None = None,
    username: str | None = None,
    realm: str | None = None,
    display_name: str = "",
    transport: Transport | None = None,
    proxy: str | None = None,
    srtp: SrtpPolicy | None = None,
    codecs: tuple[Codec, ...] = ("OPUS", "G722", "PCMU", "PCMA"),
    expires_s: int = 600,
) -> Account:
    """An account out of what a person writes; ValueError says what is wrong.

    `username` is that of the digest where it is not the number. Without `srtp` media is encrypted over TLS
    and plain elsewhere.
    """
    aor = _parse(uri)
    if not aor.user:
        raise ValueError("the account's URI needs a user part: sip:101@example.com")
    hop = _parse(proxy if proxy.lower().startswith("sip") else f"sip:{proxy}") if proxy else None
    named = transport or (hop or aor).transport or aor.transport or ("tls" if aor.scheme == "sips" else "udp")
    if named not in TRANSPORTS:
        raise ValueError(f"the transport is one of {', '.join(TRANSPORTS)}")
    chosen: Transport = next(each for each in TRANSPORTS if each == named)
    if srtp in ("allowed", "required") and chosen != "tls":
        raise ValueError('encrypted media needs transport="tls": its keys go over the signalling')
    if not codecs:
        raise ValueError("at least one codec is needed")
    return Account(
        aor=SipUri("sip", aor.user, host=aor.host, port=aor.port),
        server=by_transport(hop or aor, chosen),
        username=username or aor.username,
        password=Private(password) if isinstance(password, str) else password,
        realm=realm,
        display_name=display_name,
        transport=chosen,
        proxy=None if hop is None else hop.with_params(transport=chosen),
        srtp=srtp or ("required" if chosen == "tls" else "refused"),
        codecs=codecs,
        expires_s=expires_s,
    )


def by_transport(uri: SipUri, transport: Transport) -> SipUri:
    """A URI of the same host that leads there by one transport alone (RFC 3263 §4.1)."""
    scheme, named = ("sips", "tcp") if transport == "tls" else ("sip", transport)
    return SipUri(scheme, host=uri.host, port=uri.port, params={"transport": named})


def _parse(uri: str) -> SipUri:
    try:
        return SipUri.parse(uri)
    except SipSyntaxError as error:
        # What was written may be a number: it is not repeated.
        raise ValueError(f"not a SIP URI: {error}") from error
