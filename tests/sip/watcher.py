"""A phone that watches others: it subscribes, keeps every NOTIFY, and answers it as told (RFC 6665)."""

from __future__ import annotations

from itertools import count

from ringback.sip.event import SubscriptionState
from ringback.sip.message import Headers, Request, Response, SipUri, encode, make_response
from ringback.sip.parse import parse_message
from ringback.testing.lossy_link import Address
from tests.sip.phones import Network


class Watcher:
    """Sends requests by hand, each with the Via, tags and numbers that it needs."""

    def __init__(self, network: Network, host: str, server: str, user: str = "101") -> None:
        self.address: Address = (host, 5060)
        self.user = user
        self.notified: list[Request] = []
        self.responses: list[Response] = []
        self.answer: int | None = 200
        """What a NOTIFY gets; None lets it go unanswered."""
        self._network = network
        self._server = server
        self._numbers = count(1)
        network.link.attach(self.address, self._receive)

    def send(
        self,
        method: str,
        *headers: tuple[str, str],
        to: str = "102",
        call_id: str = "one",
        tag: str | None = None,
        body: bytes = b"",
        contact: bool = True,
        credentials: Headers | None = None,
    ) -> Response:
        """Send a request, in the dialog whose far tag is given; the last answer so far."""
        number = next(self._numbers)
        host = self.address[0]
        fields = Headers(
            ("Via", f"SIP/2.0/UDP {host}:5060;branch=z9hG4bK{host}-{number}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self.user}@{self._server}>;tag=watcher-{call_id}"),
            ("To", f"<sip:{to}@{self._server}>" + (f";tag={tag}" if tag else "")),
            ("Call-ID", f"{host}-{call_id}"),
            ("CSeq", f"{number} {method}"),
            *((("Contact", f"<sip:{self.user}@{host}:5060>"),) if contact else ()),
            *headers,
        )
        if credentials is not None:
            fields.copy_from(credentials, "Authorization")
        request = Request(method, SipUri(user=to, host=self._server), fields, body)
        self._network.link.send(encode(request), self.address, (self._server, 5060))
        self._network.run(0.1)
        return self.responses[-1] if self.responses else make_response(request, 408)

    def subscribe(
        self, package: str = "dialog", expires: int | str | None = 3600, **options: object
    ) -> Response:
        """SUBSCRIBE; None leaves Expires out."""
        headers = [("Event", package)]
        if expires is not None:
            headers.append(("Expires", str(expires)))
        return self.send("SUBSCRIBE", *headers, **options)  # type: ignore[arg-type]

    @property
    def bodies(self) -> list[str]:
        """What was told so far."""
        return [request.body.decode() for request in self.notified]

    @property
    def state(self) -> SubscriptionState:
        """What the last NOTIFY says of the subscription."""
        return SubscriptionState.parse(self.notified[-1].headers.get("Subscription-State") or "")

    def _receive(self, data: bytes, source: Address, destination: Address) -> None:
        message = parse_message(data)
        if isinstance(message, Response):
            self.responses.append(message)
        elif isinstance(message, Request):
            if all(message.cseq != known.cseq for known in self.notified):
                self.notified.append(message)
            if self.answer is not None:
                answer = make_response(message, self.answer)
                self._network.link.send(encode(answer), self.address, source)
