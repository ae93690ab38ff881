"""A dialog: the relation of two user agents that a response with a To tag made (RFC 3261 §12)."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ringback.sip.authentication import ClientAuthentication
from ringback.sip.flow import Flow
from ringback.sip.message import Headers, NameAddr, Request, Response, SipUri, Uri

DialogKey = tuple[str, str, str]


def dialog_key_of(request: Request) -> DialogKey:
    """The dialog that a request received by us belongs to: Call-ID, our tag (To), the peer's (From)."""
    return (request.call_id, request.to.tag or "", request.from_.tag or "")


class Dialog(msgspec.Struct):
    """Dialog state of RFC 3261 §12.

    `local` and `remote` are the URIs with tags as they stand in From and To of our requests. `flow` is how
    the peer was last heard; requests go by it, which is what passes NAT. `credentials` answer challenges to
    our requests.
    """

    call_id: str
    local: NameAddr
    remote: NameAddr
    target: SipUri
    route_set: tuple[NameAddr, ...]
    local_cseq: int
    remote_cseq: int | None
    flow: Flow
    credentials: ClientAuthentication | None = None
    key: DialogKey = ("", "", "")
    """Call-ID, local tag, remote tag (§12), which stay as they are."""

    def __post_init__(self) -> None:
        self.key = (self.call_id, self.local.tag or "", self.remote.tag or "")

    @classmethod
    def of_server(cls, request: Request, local_tag: str, flow: Flow) -> Dialog:
        """The dialog that our answer to `request` makes (§12.1.1)."""
        return cls(
            call_id=request.call_id,
            local=request.to.with_tag(local_tag),
            remote=request.from_,
            target=_target(request, request.from_.uri, flow),
            route_set=tuple(request.record_routes),
            local_cseq=0,
            remote_cseq=request.cseq.number,
            flow=flow,
        )

    @classmethod
    def of_client(
        cls,
        request: Request,
        response: Response,
        flow: Flow,
        credentials: ClientAuthentication | None = None,
    ) -> Dialog:
        """The dialog that `response` to our `request` makes (§12.1.2)."""
        return cls(
            call_id=request.call_id,
            local=request.from_,
            remote=response.to,
            target=_target(response, request.uri, flow),
            route_set=tuple(reversed(response.record_routes)),
            local_cseq=request.cseq.number,
            remote_cseq=None,
            flow=flow,
            credentials=credentials,
        )

    def accepts(self, number: int) -> bool:
        """Take note of the CSeq of a request from the peer; False when it is out of order (§12.2.2)."""
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """Take the Contact of a target refresh as the new remote target (§12.2)."""
        self.target = _target(message, self.target, self.flow)

    def request(self, method: str, via: str) -> Request:
        """The next request of ours within the dialog, without Contact and body (§12.2.1.1).

        An ACK takes the number of the last INVITE: use `acknowledgement`.
        """
        self.local_cseq += 1
        return self._build(method, self.local_cseq, via)

    def acknowledgement(self, number: int, via: str) -> Request:
        """The ACK to the 2xx of our INVITE with this CSeq number (§13.2.2.4)."""
        return self._build("ACK", number, via)

    def _build(self, method: str, number: int, via: str) -> Request:
        uri, routes = route(self.target, self.route_set)
        fields = {"Via": [via]}
        if routes:
            fields["Route"] = [str(value) for value in routes]
        fields["Max-Forwards"] = ["70"]
        fields["From"] = [str(self.local)]
        fields["To"] = [str(self.remote)]
        fields["Call-ID"] = [self.call_id]
        fields["CSeq"] = [f"{number} {method}"]
        return Request(method, uri, Headers.of(fields))


def route(target: Uri, route_set: tuple[NameAddr, ...]) -> tuple[Uri, tuple[NameAddr, ...]]:
    """Request-URI and Route values for a route set, whose first hop may be a strict router (§12.2.1.1)."""
    if not route_set:
        return target, ()
    first = route_set[0].uri
    if not isinstance(first, SipUri) or "lr" in first.params:
        return target, route_set
    allowed = {name: value for name, value in first.params.items() if name != "method"}
    return replace(first, params=allowed, headers=""), (*route_set[1:], NameAddr(target))


def _target(message: Request | Response, otherwise: Uri, flow: Flow) -> SipUri:
    """The Contact as remote target; for peers of RFC 2543 without one the next best address."""
    for contact in message.contacts:
        if isinstance(contact.uri, SipUri):
            return replace(contact.uri, headers="") if contact.uri.headers else contact.uri
    if isinstance(otherwise, SipUri):
        return otherwise
    address, port = flow.remote
    return SipUri(host=f"[{address}]" if ":" in address else address, port=port)
