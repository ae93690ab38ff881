"""Calls of ours that are challenged: by whom they are answered, how often, and in what the credentials go."""

from __future__ import annotations

from ringback.governance.private import Private
from ringback.sip.authentication import ClientAuthentication
from ringback.sip.digest import Accepted, Credential, DigestAuthenticator, make_ha1
from ringback.sip.effects import Answered, Effect, Failed, IncomingCall, OfferAnswered
from ringback.sip.message import Headers, NameAddr, Request, Response, SipUri
from tests.sip.phones import ANSWER, OFFER, Network, Phone


def account(password: str = "secret") -> ClientAuthentication:
    return ClientAuthentication("alice", Private(password), "carrier")


class Carrier:
    """Takes calls of those who know the password; counts how often it was asked."""

    def __init__(self, network: Network, realm: str = "carrier", algorithm: str = "MD5") -> None:
        self.digest = DigestAuthenticator(realm)
        self.realm, self.algorithm = realm, algorithm
        self.invites: list[Request] = []
        self.phone = network.phone("192.0.2.2", on_event=self._on_event)

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if not isinstance(event, IncomingCall):
            return []
        request = event.request
        self.invites.append(request)
        value = self.digest.find(request.headers.get_all("Proxy-Authorization"))
        credential = Credential(
            "alice",
            make_ha1("alice", self.realm, "secret"),
            make_ha1("alice", self.realm, "secret", "SHA-256"),
        )
        if value is not None:
            verdict = self.digest.check(value, "INVITE", request.uri, lambda _: credential, phone.now)
            if isinstance(verdict, Accepted):
                return event.session.accept(ANSWER, phone.now)
        challenge = self.digest.challenge(phone.now, algorithm=self.algorithm)  # type: ignore[arg-type]
        return event.session.reject(407, phone.now, headers=Headers(("Proxy-Authenticate", challenge)))


def call(network: Network, credentials: ClientAuthentication | None) -> Phone:
    phone = network.phone("192.0.2.1")
    target = SipUri(user="5550100", host="192.0.2.2")
    _, effects = phone.endpoint.invite(
        target=target,
        to=NameAddr(target),
        from_=NameAddr(SipUri(user="alice", host="192.0.2.2")),
        flow=phone.flow_to(("192.0.2.2", 5060)),
        now=phone.now,
        sdp=OFFER,
        credentials=credentials,
    )
    phone.do(effects)
    network.run(2)
    return phone


def test_a_challenged_call_goes_again_with_credentials_and_so_does_its_ack() -> None:
    network = Network()
    carrier = Carrier(network)
    phone = call(network, account())
    assert len(phone.told(Answered)) == 1
    first, second = carrier.invites
    assert second.call_id == first.call_id
    assert second.cseq.number == first.cseq.number + 1
    ack = phone.sent[-1].message
    assert isinstance(ack, Request)
    assert ack.method == "ACK"
    assert ack.headers.get("Proxy-Authorization") == second.headers.get("Proxy-Authorization")


def test_sha_256_is_answered_too() -> None:
    network = Network()
    Carrier(network, algorithm="SHA-256")
    assert len(call(network, account()).told(Answered)) == 1


def test_a_wrong_password_is_tried_twice_and_no_more() -> None:
    network = Network()
    carrier = Carrier(network)
    phone = call(network, account("wrong"))
    assert [failed.status for failed in phone.told(Failed)] == [407]
    assert len(carrier.invites) == 3, "asked, and two answers to two nonces"


def test_another_realm_gets_no_digest_of_the_password() -> None:
    network = Network()
    carrier = Carrier(network, realm="elsewhere")
    phone = call(network, account())
    assert [failed.status for failed in phone.told(Failed)] == [407]
    assert len(carrier.invites) == 1


def test_without_an_account_a_challenge_ends_the_call() -> None:
    network = Network()
    carrier = Carrier(network)
    assert [failed.status for failed in call(network, None).told(Failed)] == [407]
    assert len(carrier.invites) == 1


def answer_to(request: Request, status: int, headers: Headers | None = None, body: bytes = b"") -> Response:
    """What the far side says to a request within the call."""
    fields = headers or Headers()
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        fields.add(name, request.headers.get(name) or "")
    if body:
        fields.add("Content-Type", "application/sdp")
    return Response(status, "", fields, body)


CHALLENGE = 'Digest realm="carrier", nonce="n1", qop="auth", algorithm=MD5'


def challenged_within(phone: Phone, effects: list[Effect]) -> tuple[Request, Request]:
    """Send a request within the call, challenge it, and see it go again."""
    phone.do(effects)
    first = phone.sent[-1]
    assert isinstance(first.message, Request)
    challenge = answer_to(first.message, 401, Headers(("WWW-Authenticate", CHALLENGE)))
    phone.do(phone.endpoint.receive(challenge, first.flow, phone.now))
    again = phone.sent[-1].message
    assert isinstance(again, Request)
    assert again.method == first.message.method
    assert again.cseq.number == first.message.cseq.number + 1
    assert 'realm="carrier"' in (again.headers.get("Authorization") or "")
    return first.message, again


def test_a_challenged_bye_goes_again_so_that_no_call_goes_on_alone() -> None:
    network = Network()
    Carrier(network)
    phone = call(network, account())
    session = phone.told(Answered)[0].session
    challenged_within(phone, session.hangup(phone.now))


def test_a_challenged_offer_goes_again_and_is_answered() -> None:
    network = Network()
    Carrier(network)
    phone = call(network, account())
    session = phone.told(Answered)[0].session
    first, again = challenged_within(phone, session.reinvite(OFFER, phone.now))
    assert again.body == first.body == OFFER
    response = answer_to(again, 200, Headers(("Contact", "<sip:192.0.2.2>")), ANSWER)
    phone.do(phone.endpoint.receive(response, phone.sent[-1].flow, phone.now))
    assert [event.sdp for event in phone.told(OfferAnswered)] == [ANSWER]
    ack = phone.sent[-1].message
    assert isinstance(ack, Request)
    assert (ack.method, ack.cseq.number) == ("ACK", again.cseq.number)


def why_not(credentials: ClientAuthentication, *values: str, tries: int = 0) -> str:
    """What keeps a challenge of a REGISTER from being answered; empty: nothing does."""
    headers = Headers()
    for value in values:
        headers.add("WWW-Authenticate", value)
    request = Request("REGISTER", SipUri(host="example.com"), Headers())
    credentials.answer(request, Response(401, "Unauthorized", headers), tries)
    return credentials.refused


def test_why_a_challenge_was_not_answered() -> None:
    ours = 'Digest realm="carrier", nonce="a", qop="auth"'
    others = 'Digest realm="elsewhere", nonce="b", qop="auth"'
    unknown = 'Digest realm="carrier", nonce="c", algorithm=SHA-512-256, qop="auth"'
    assert why_not(account(), ours) == ""
    assert why_not(account(), others, unknown, ours) == ""
    assert why_not(account(), others) == "realm"
    assert why_not(account(), unknown) == "unsupported"
    assert why_not(account(), ours, tries=2) == "password"
