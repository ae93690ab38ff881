"""Forked calls and session timers over a network that loses, doubles and reorders; then over none at all."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.sip.endpoint import Confirmed, Effect, Ended, IncomingCall, OfferReceived
from ringback.sip.message import Headers, Request, Response, SipUri, encode
from ringback.sip.parse import parse_message
from ringback.sip.session_state import SessionState
from ringback.testing.lossy_link import Address, LinkQuality
from tests.sip.phones import ANSWER, OFFER, Network, Phone

PROXY = ("192.0.2.100", 5060)

bad_links = st.builds(
    LinkQuality,
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    duplication=st.sampled_from([0.0, 0.3]),
    delay=st.just(0.02),
    jitter=st.sampled_from([0.0, 0.2, 1.0]),
)
some = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass
class Fork:
    """A proxy without state that sends what is for itself to every callee, and all else where it is for."""

    network: Network
    callees: list[Phone]
    seen: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network.link.attach(PROXY, self._receive)

    def _receive(self, data: bytes, source: Address, destination: Address) -> None:
        message = parse_message(data)
        if isinstance(message, Request):
            assert isinstance(message.uri, SipUri)
            if message.uri.host == PROXY[0]:
                for phone in self.callees:
                    self._pass_on(message, phone.address)
            else:
                self._pass_on(message, (message.uri.host, 5060))
        elif isinstance(message, Response):
            vias = message.headers.get_all("Via")[1:]
            message.headers.remove("Via")
            for via in vias:
                message.headers.add("Via", via)
            self.network.link.send(encode(message), PROXY, (message.top_via.host, 5060))

    def _pass_on(self, request: Request, to: Address) -> None:
        copy = Request(request.method, request.uri, request.headers.copy(), request.body)
        # Of the same request the same branch, for its copies, its ACK and its CANCEL.
        branch = f"{request.top_via.branch}-{to[0].replace('.', '-')}"
        copy.headers.prepend("Via", f"SIP/2.0/UDP {PROXY[0]}:5060;branch={branch}")
        self.network.link.send(encode(copy), PROXY, to)


def answering(status: int, early: bool, after_ring: bool) -> object:
    """A callee that rings, perhaps with early media, and answers or refuses at once."""

    def on_event(phone: Phone, event: Effect) -> list[Effect]:
        if isinstance(event, OfferReceived):
            return event.session.answer_offer(ANSWER, phone.now)
        if not isinstance(event, IncomingCall):
            return []
        effects = []
        if after_ring:
            effects += event.session.ring(phone.now, 183 if early else 180, ANSWER if early else None)
        if status == 200:
            return effects + event.session.accept(ANSWER, phone.now)
        return effects + event.session.reject(status, phone.now) if status else effects

    return on_event


callees = st.builds(answering, st.sampled_from([0, 200, 200, 486]), st.booleans(), st.booleans())


@given(st.integers(0, 2**32), bad_links, st.lists(callees, min_size=2, max_size=4), st.floats(0.0, 70.0))
@some
def test_of_a_forked_call_one_is_left_and_then_none(seed, quality, behaviours, hangup_after) -> None:
    network = Network(seed, quality)
    alice = network.phone("192.0.2.1")
    phones = [network.phone(f"192.0.2.{10 + n}", on_event=each) for n, each in enumerate(behaviours)]
    Fork(network, phones)
    caller = alice.call(PROXY)
    network.run(hangup_after)
    assert sum(event.session is caller for event in alice.told(Confirmed)) <= 1
    alice.do(caller.hangup(alice.now))
    network.run(40)
    for phone in phones:
        for call in phone.told(IncomingCall):
            # The caller is gone, and so is every call it was told of.
            phone.do(call.session.hangup(phone.now))
    network.settle()
    assert [end.session for end in alice.told(Ended)] == [caller]
    for phone in phones:
        assert len(phone.told(IncomingCall)) <= 1
        assert len(phone.told(Ended)) == len(phone.told(IncomingCall))


@given(st.integers(0, 2**32), bad_links, st.integers(2, 4))
@some
def test_when_all_callees_answer_one_of_them_is_in_the_call(seed, quality, count) -> None:
    network = Network(seed, quality)
    alice = network.phone("192.0.2.1")
    phones = [network.phone(f"192.0.2.{10 + n}", on_event=answering(200, False, True)) for n in range(count)]
    Fork(network, phones)
    caller = alice.call(PROXY)
    network.run(70)
    left = [
        call.session
        for phone in phones
        for call in phone.told(IncomingCall)
        if call.session.state is SessionState.CONFIRMED
    ]
    if caller.state is SessionState.CONFIRMED:
        assert [session.local_tag for session in left] == [caller.remote_tag]
    else:
        assert left == []
    alice.do(caller.hangup(alice.now))
    network.settle()


@given(
    st.integers(0, 2**32),
    bad_links,
    st.sampled_from([0, 90, 120]),
    st.sampled_from([0, 90, 300]),
    st.floats(1.0, 900.0),
    st.booleans(),
)
@some
def test_a_timed_session_lives_through_loss_and_ends_with_the_network(
    seed, quality, asked, granted, cut_after, by_reinvite
) -> None:
    # Without UPDATE a session is refreshed by re-INVITE (RFC 4028 §7.4).
    methods = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "PRACK")
    allow = methods if by_reinvite else (*methods, "UPDATE")
    network = Network(seed, quality)
    alice = network.phone(
        "192.0.2.1", session_expires_s=asked, allow=allow, on_event=answering(200, False, False)
    )
    bob = network.phone(
        "192.0.2.2", session_expires_s=granted, allow=allow, on_event=answering(200, False, False)
    )
    caller = alice.call(bob, sdp=OFFER, headers=Headers(("Subject", "a long talk")))
    network.run(cut_after)
    if bob.told(IncomingCall) and caller.state is SessionState.CONFIRMED and asked + granted:
        network.link.quality = LinkQuality(loss=1.0)
        network.run(700)
        # Who refreshes has no answer, who waits is not refreshed: neither stays in a call with nobody.
        assert caller.state is SessionState.ENDED
        assert bob.told(IncomingCall)[0].session.state is SessionState.ENDED
    else:
        network.run(60)
        alice.do(caller.hangup(alice.now))
        for call in bob.told(IncomingCall):
            bob.do(call.session.hangup(bob.now))
    network.settle()
    assert len(alice.told(Ended)) == 1


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.2]), st.booleans())
@some
def test_a_timed_session_outlives_a_loss_of_a_tenth(seed, jitter, caller_refreshes) -> None:
    network = Network(seed, LinkQuality(loss=0.1, duplication=0.2, delay=0.02, jitter=jitter))
    alice = network.phone("192.0.2.1", session_expires_s=300 if caller_refreshes else 0)
    bob = network.phone(
        "192.0.2.2", session_expires_s=0 if caller_refreshes else 300, on_event=answering(200, False, True)
    )
    caller = alice.call(bob)
    network.run(3_000)
    assert caller.state is SessionState.CONFIRMED
    assert bob.told(IncomingCall)[0].session.state is SessionState.CONFIRMED
    alice.do(caller.hangup(alice.now))
    network.settle()
    # By our BYE, or by the 481 to a refresh that met it.
    assert [end.by in ("peer", "error") for end in bob.told(Ended)] == [True]


def test_a_reinvite_that_a_lost_peer_never_answers_ends_with_the_call() -> None:
    network = Network()
    alice = network.phone("192.0.2.1")
    # Only tries it: the application's answer to the new offer never comes.
    bob = network.phone("192.0.2.2", on_event=_accept_first)
    caller = alice.call(bob)
    network.run(1)
    alice.do(caller.reinvite(OFFER, alice.now))
    network.run(1)
    network.link.quality = LinkQuality(loss=1.0)
    alice.do(caller.hangup(alice.now))
    bob.do(bob.told(IncomingCall)[0].session.hangup(bob.now))
    network.settle()


def _accept_first(phone: Phone, event: Effect) -> list[Effect]:
    return event.session.accept(ANSWER, phone.now) if isinstance(event, IncomingCall) else []
