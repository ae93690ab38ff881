"""Requests of ours that are challenged: sent again with credentials, twice at most, to our realm alone."""

from __future__ import annotations

from itertools import count

import pytest

from ringback.governance.private import Private
from ringback.sip.authentication import ClientAuthentication
from ringback.sip.digest import Accepted, Credential, DigestAuthenticator, make_ha1, parse_digest
from ringback.sip.effects import (
    Answered,
    Ended,
    Failed,
    IncomingCall,
    OfferAnswered,
    OfferReceived,
    ReferProgress,
    ReferReceived,
    RequestArrived,
    ResponseArrived,
)
from ringback.sip.message import Headers, NameAddr, Request, SipUri, encode, make_response
from ringback.sip.parse import parse_message
from ringback.sip.session import InviteSession
from ringback.sip.session_state import SessionState
from ringback.testing.lossy_link import Address
from tests.sip.phones import ANSWER, OFFER, Network, Phone

A, B = "192.0.2.1", "192.0.2.2"
USER = Credential("101", make_ha1("101", "example.com", "correct horse"))


class Gate(Phone):
    """A phone behind a server that lets nothing in without digest; ACK and CANCEL cannot be challenged."""

    def __init__(self, network: Network, status: int = 401, realm: str = "example.com") -> None:
        super().__init__(network, (B, 5060))
        network.phones.append(self)
        numbers = count(1)
        self.digest = DigestAuthenticator(
            realm, Private(b"s" * 32), random_bytes=lambda size: next(numbers).to_bytes(size, "big")
        )
        self.status = status
        self.open = False
        self.constant: str | None = None
        self.tried: list[Request] = []

    def _receive(self, data: bytes, source: Address, destination: Address) -> None:
        request = parse_message(data)
        if isinstance(request, Request) and request.method not in ("ACK", "CANCEL") and not self.open:
            self.tried.append(request)
            if not self._lets_in(request):
                self._challenge(request, source)
                return
        super()._receive(data, source, destination)

    def _lets_in(self, request: Request) -> bool:
        field = "Authorization" if self.status == 401 else "Proxy-Authorization"
        value = request.headers.get(field)
        if value is None:
            return False
        found = self.digest.check(
            value, request.method, request.uri, lambda name: USER if name == "101" else None, self.now
        )
        return isinstance(found, Accepted)

    def _challenge(self, request: Request, source: Address) -> None:
        response = make_response(request, self.status, to_tag="gate")
        name = "WWW-Authenticate" if self.status == 401 else "Proxy-Authenticate"
        response.headers.add(name, self.constant or self.digest.challenge(self.now))
        self.network.link.send(encode(response), self.address, source)

    def methods(self) -> list[tuple[str, int]]:
        return [(request.method, request.cseq.number) for request in self.tried]


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def alice(network: Network) -> Phone:
    return network.phone(A)


def account(password: str = "correct horse", realm: str | None = None) -> ClientAuthentication:
    return ClientAuthentication("101", Private(password), realm)


def call(alice: Phone, gate: Phone, credentials: ClientAuthentication | None) -> InviteSession:
    session, effects = alice.endpoint.invite(
        target=SipUri(user="102", host=B),
        to=NameAddr(SipUri(user="102", host="example.com")),
        from_=NameAddr(SipUri(user="101", host="example.com")),
        flow=alice.flow_to(gate),
        now=alice.now,
        sdp=OFFER,
        credentials=credentials,
    )
    alice.do(effects)
    alice.network.run(1)
    return session


def answer(gate: Phone) -> None:
    gate.do(gate.told(IncomingCall)[-1].session.accept(ANSWER, gate.now))
    gate.network.run(1)


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenged_call_is_made_again_with_credentials(
    network: Network, alice: Phone, status: int
) -> None:
    gate = Gate(network, status)
    call(alice, gate, account())
    answer(gate)
    first, second = gate.tried
    assert [first.cseq.number, second.cseq.number] == [1, 2]
    assert first.call_id == second.call_id
    assert first.from_ == second.from_
    assert first.top_via.branch != second.top_via.branch
    assert [event.sdp for event in alice.told(Answered)] == [ANSWER]
    # The ACK to the 200 has the number and the credentials of the INVITE it is for.
    acks = [sent.message for sent in alice.sent if sent.name == "ACK"]
    field = "Authorization" if status == 401 else "Proxy-Authorization"
    assert acks[-1].cseq.number == 2
    assert acks[-1].headers.get(field) == second.headers.get(field)


def test_without_credentials_a_challenge_is_a_failed_call(network: Network, alice: Phone) -> None:
    gate = Gate(network)
    call(alice, gate, None)
    assert [(event.status) for event in alice.told(Failed)] == [401]
    network.settle()


def test_requests_within_the_call_bring_credentials_with_the_next_count(
    network: Network, alice: Phone
) -> None:
    gate = Gate(network)
    session = call(alice, gate, account())
    answer(gate)
    alice.do(session.reinvite(OFFER, alice.now))
    network.run(1)
    gate.do(gate.told(OfferReceived)[-1].session.answer_offer(ANSWER, gate.now))
    network.run(1)
    alice.do(session.hangup(alice.now))
    network.run(1)
    assert gate.methods() == [("INVITE", 1), ("INVITE", 2), ("INVITE", 3), ("BYE", 4)]
    counts = [parse_digest(request.headers.get("Authorization") or "") or {} for request in gate.tried[1:]]
    assert [given["nc"] for given in counts] == ["00000001", "00000002", "00000003"]
    assert len({given["nonce"] for given in counts}) == 1
    assert gate.told(Ended)[0].by == "peer"
    network.settle()


def test_a_reinvite_and_a_bye_are_challenged_when_the_nonce_is_old(network: Network, alice: Phone) -> None:
    gate = Gate(network)
    session = call(alice, gate, account())
    answer(gate)
    network.run(1_000)
    alice.do(session.reinvite(OFFER, alice.now))
    network.run(1)
    gate.do(gate.told(OfferReceived)[-1].session.answer_offer(ANSWER, gate.now))
    network.run(1)
    assert len(alice.told(OfferAnswered)) == 1
    network.run(1_000)
    alice.do(session.hangup(alice.now))
    network.run(1)
    assert gate.methods()[2:] == [("INVITE", 3), ("INVITE", 4), ("BYE", 5), ("BYE", 6)]
    assert gate.told(Ended)[0].by == "peer"
    network.settle()


def test_a_challenged_transfer_is_told_of(network: Network, alice: Phone) -> None:
    gate = Gate(network)
    session = call(alice, gate, account())
    answer(gate)
    network.run(1_000)
    alice.do(session.refer(NameAddr(SipUri(user="103", host="example.com")), alice.now))
    network.run(0.3)
    assert gate.methods()[2:] == [("REFER", 3), ("REFER", 4)]
    asked = gate.told(ReferReceived)[0].session
    gate.do(asked.accept_refer(gate.now))
    network.run(0.3)
    gate.do(asked.notify_refer(200, gate.now))
    network.run(0.3)
    progress = [(event.status, event.done) for event in alice.told(ReferProgress)]
    assert progress == [(100, False), (200, True)]


def test_who_was_called_answers_challenges_too(network: Network, alice: Phone) -> None:
    gate = Gate(network)
    gate.open = True
    gate.call(alice)
    network.run(1)
    session = alice.told(IncomingCall)[0].session
    assert session.dialog is not None
    session.dialog.credentials = account()
    alice.do(session.accept(ANSWER, alice.now))
    network.run(1)
    gate.open = False
    alice.do(session.hangup(alice.now))
    network.run(1)
    assert gate.methods() == [("BYE", 1), ("BYE", 2)]
    assert gate.told(Ended)[0].by == "peer"
    network.settle()


def test_a_wrong_password_is_tried_twice_on_changing_nonces_and_no_more(
    network: Network, alice: Phone
) -> None:
    gate = Gate(network)
    session = call(alice, gate, account("wrong"))
    assert len(gate.tried) == 3
    assert (
        len({(parse_digest(r.headers.get("Authorization") or "") or {})["nonce"] for r in gate.tried[1:]})
        == 2
    )
    assert [event.status for event in alice.told(Failed)] == [401]
    assert session.state is SessionState.ENDED
    network.settle()


def test_a_wrong_password_is_tried_once_where_the_nonce_stays(network: Network, alice: Phone) -> None:
    gate = Gate(network)
    gate.constant = 'Digest realm="example.com", nonce="the same", algorithm=MD5, qop="auth"'
    call(alice, gate, account("wrong"))
    assert len(gate.tried) == 2
    network.settle()


def test_other_realms_learn_nothing(network: Network, alice: Phone) -> None:
    gate = Gate(network, realm="elsewhere.example")
    call(alice, gate, account(realm="example.com"))
    assert [request.headers.get("Authorization") for request in gate.tried] == [None]
    assert [event.status for event in alice.told(Failed)] == [401]


def test_the_first_realm_is_the_only_one(network: Network, alice: Phone) -> None:
    credentials = account()
    gate = Gate(network)
    call(alice, gate, credentials)
    assert credentials.realm == "example.com"
    gate.digest = DigestAuthenticator("elsewhere.example")
    call(alice, gate, credentials)
    assert [event.status for event in alice.told(Failed)] == [401]


def test_a_call_given_up_is_not_made_again(network: Network, alice: Phone) -> None:
    gate = Gate(network)
    session, effects = alice.endpoint.invite(
        target=SipUri(user="102", host=B),
        to=NameAddr(SipUri(user="102", host=B)),
        from_=NameAddr(SipUri(user="101", host=B)),
        flow=alice.flow_to(gate),
        now=alice.now,
        sdp=OFFER,
        credentials=account(),
    )
    alice.do([*effects, *session.hangup(alice.now)])
    network.settle()
    assert gate.methods() == [("INVITE", 1)]


def test_other_requests_are_sent_again_too(network: Network, alice: Phone) -> None:
    gate = Gate(network)
    options = Request(
        "OPTIONS",
        SipUri(host=B),
        Headers(("From", "<sip:101@example.com>"), ("To", "<sip:192.0.2.2>")),
    )
    number, effects = alice.endpoint.request(options, alice.flow_to(gate), alice.now, credentials=account())
    alice.do(effects)
    network.run(0.3)
    assert gate.methods() == [("OPTIONS", 1), ("OPTIONS", 2)]
    (arrived,) = gate.told(RequestArrived)
    gate.do(
        gate.endpoint.respond(
            arrived.transaction_id, make_response(arrived.request, 200, to_tag="b"), gate.now
        )
    )
    network.run(1)
    assert [(e.transaction_id, e.response.status) for e in alice.told(ResponseArrived)] == [(number, 200)]
    network.settle()
