"""What an agent's line does, between two of them and towards a server, on a fake clock."""

from __future__ import annotations

import pytest

from ringback.agent.conversation import Conversation, ConversationState
from ringback.agent.events import (
    Answered,
    Changed,
    ChangeFailed,
    DigitReceived,
    Ended,
    Held,
    Ringing,
    TransferProgress,
    Transferred,
)
from ringback.agent.registration import RegistrationState
from ringback.media import protocol as media
from ringback.sip.effects import RequestArrived
from ringback.sip.message import NameAddr, Response, SipUri, make_response
from ringback.testing.lossy_link import LinkQuality
from tests.agent.lines import AgentLine
from tests.sip.phones import Network, Phone

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def alice(network: Network) -> AgentLine:
    return AgentLine(network, "sip:alice@192.0.2.1", A)


@pytest.fixture
def bob(network: Network) -> AgentLine:
    return AgentLine(network, "sip:bob@192.0.2.2", B)


@pytest.fixture
def carol(network: Network) -> AgentLine:
    return AgentLine(network, "sip:carol@192.0.2.3", C)


def talk(caller: AgentLine, callee: AgentLine) -> tuple[Conversation, Conversation]:
    name = callee.line.account.aor
    calling = caller.call(str(name), callee)
    caller.network.run(0.2)
    called = callee.newest()
    called.answer(caller.network.clock.now)
    callee.settle()
    caller.network.run(0.2)
    assert calling.state is called.state is ConversationState.TALKING
    return calling, called


def set_media(line: AgentLine, call: Conversation) -> list[media.SetMedia]:
    return [c for c in line.commands if isinstance(c, media.SetMedia) and c.leg == call.id]


def test_a_call_rings_is_answered_and_ends(network: Network, alice: AgentLine, bob: AgentLine) -> None:
    calling, called = talk(alice, bob)
    assert alice.events(calling) == [Ringing(180, early_media=False), Answered()]
    assert bob.events(called) == [Answered()]
    (ours,), (theirs,) = set_media(alice, calling), set_media(bob, called)
    assert ours.send.codec == theirs.send.codec == "OPUS"
    assert (ours.remote_ip, ours.remote_port) == (B, 40_000 + 2 * called.id)
    assert (theirs.remote_ip, theirs.remote_port) == (A, 40_000 + 2 * calling.id)
    called.hangup(network.clock.now)
    bob.settle()
    network.run(0.2)
    assert alice.events(calling)[-1] == Ended("peer", 0, "hung up")
    assert bob.events(called)[-1] == Ended("us", 0, "hung up")
    for line, call in ((alice, calling), (bob, called)):
        assert [c for c in line.commands if isinstance(c, media.CloseLeg)] == [media.CloseLeg(leg=call.id)]


@pytest.mark.parametrize("seed", range(5))
def test_calls_are_set_up_over_a_bad_line(seed: int) -> None:
    network = Network(seed, LinkQuality(loss=0.2, duplication=0.1, delay=0.02, jitter=0.1))
    alice = AgentLine(network, "sip:alice@192.0.2.1", A)
    bob = AgentLine(network, "sip:bob@192.0.2.2", B)
    calling = alice.call("sip:bob@192.0.2.2", bob)
    network.run(20)
    bob.newest().answer(network.clock.now)
    bob.settle()
    network.run(20)
    assert calling.state is ConversationState.TALKING
    calling.hangup(network.clock.now)
    alice.settle()
    network.run(60)
    assert bob.events(bob.line.calls[bob.arrived[0]])[-1] == Ended("peer", 0, "hung up")


def test_a_refused_call_tells_the_status(network: Network, alice: AgentLine, bob: AgentLine) -> None:
    calling = alice.call("sip:bob@192.0.2.2", bob)
    network.run(0.2)
    bob.newest().reject(486, network.clock.now)
    bob.settle()
    network.run(0.2)
    assert alice.events(calling)[-1] == Ended("peer", 486, "Busy Here")


def test_nobody_there(network: Network, alice: AgentLine) -> None:
    calling = alice.call("sip:bob@192.0.2.9", ("192.0.2.9", 5060))
    network.run(60)
    assert alice.events(calling) == [Ended("timeout", 408, "Request Timeout")]


def test_without_a_codec_in_common_the_call_is_refused(network: Network) -> None:
    alice = AgentLine(network, "sip:alice@192.0.2.1", A, codecs=("PCMA",))
    bob = AgentLine(network, "sip:bob@192.0.2.2", B, codecs=("G722",))
    calling = alice.call("sip:bob@192.0.2.2", bob)
    network.run(0.2)
    ended = alice.events(calling)[-1]
    assert isinstance(ended, Ended)
    assert ended.status == 488
    assert bob.arrived == [], "a call that cannot be answered does not ring"


def test_without_ports_calls_fail_and_say_why(network: Network, alice: AgentLine, bob: AgentLine) -> None:
    bob.ports_left = 0
    calling = alice.call("sip:bob@192.0.2.2", bob)
    network.run(0.2)
    assert alice.events(calling)[-1] == Ended("peer", 503, "Service Unavailable")
    alice.ports_left = 0
    calling = alice.call("sip:bob@192.0.2.2", bob)
    network.run(0.2)
    (ended,) = alice.events(calling)
    assert ended == Ended("error", 503, "no media: no port is left")


def test_hold_and_resume_are_told(network: Network, alice: AgentLine, bob: AgentLine) -> None:
    calling, called = talk(alice, bob)
    calling.offer(network.clock.now, direction="sendonly")
    alice.settle()
    network.run(0.2)
    assert Held(held=True) in bob.events(called)
    assert called.held
    assert not calling.held
    assert set_media(alice, calling)[-1].direction == "sendonly"
    assert set_media(bob, called)[-1].direction == "recvonly"
    calling.offer(network.clock.now, direction="sendrecv")
    alice.settle()
    network.run(0.2)
    assert Held(held=False) in bob.events(called)
    assert set_media(bob, called)[-1].direction == "sendrecv"


def test_codecs_change_within_a_call(network: Network, alice: AgentLine, bob: AgentLine) -> None:
    calling, called = talk(alice, bob)
    called.offer(network.clock.now, codecs=["PCMU"])
    bob.settle()
    network.run(0.2)
    assert alice.events(calling)[-1] == Changed("PCMU", encrypted=False, ours=False)
    assert bob.events(called)[-1] == Changed("PCMU", encrypted=False, ours=True)


def test_a_refused_change_leaves_the_call_as_it_was(network: Network, alice: AgentLine) -> None:
    bob = AgentLine(network, "sip:bob@192.0.2.2", B, codecs=("PCMU",))
    calling, called = talk(alice, bob)
    calling.offer(network.clock.now, codecs=["PCMA"])
    alice.settle()
    network.run(0.2)
    assert alice.events(calling)[-1] == ChangeFailed(488, "Not Acceptable Here")
    assert set_media(alice, calling)[-1].send.codec == "PCMU"
    calling.offer(network.clock.now, direction="sendonly")
    alice.settle()
    network.run(0.2)
    assert alice.events(calling)[-1] == Changed("PCMU", encrypted=False, ours=True)
    assert called.held


def test_keys_are_told(network: Network, alice: AgentLine, bob: AgentLine) -> None:
    calling, _ = talk(alice, bob)
    alice.line.media_event(calling.id, media.Digit(leg=calling.id, digit="5", duration_ms=100), 0.0)
    alice.settle()
    assert alice.events(calling)[-1] == DigitReceived("5", 100)


def test_blind_transfer(network: Network, alice: AgentLine, bob: AgentLine, carol: AgentLine) -> None:
    calling, called = talk(alice, bob)
    target = NameAddr(SipUri.parse("sip:carol@192.0.2.3"))
    calling.refer(target, alice.line.account.address, network.clock.now)
    alice.settle()
    network.run(0.5)
    (moved,) = [event for event in bob.events(called) if isinstance(event, Transferred)]
    carol.newest().answer(network.clock.now)
    carol.settle()
    network.run(0.5)
    progress = [event for event in alice.events(calling) if isinstance(event, TransferProgress)]
    assert (progress[-1].status, progress[-1].done) == (200, True)
    assert bob.line.calls[moved.call].state is ConversationState.TALKING
    assert carol.newest().state is ConversationState.TALKING
    (invite,) = [request for request in bob.sent if request.method == "INVITE"]
    assert invite.headers.get("Referred-By") == "<sip:alice@192.0.2.1>"


def test_a_transfer_that_fails_is_told(
    network: Network, alice: AgentLine, bob: AgentLine, carol: AgentLine
) -> None:
    calling, called = talk(alice, bob)
    calling.refer(
        NameAddr(SipUri.parse("sip:carol@192.0.2.3")), alice.line.account.address, network.clock.now
    )
    alice.settle()
    network.run(0.5)
    carol.newest().reject(486, network.clock.now)
    carol.settle()
    network.run(0.5)
    last = alice.events(calling)[-1]
    assert isinstance(last, TransferProgress)
    assert (last.status, last.done) == (486, True)
    assert calling.state is called.state is ConversationState.TALKING


def test_attended_transfer(network: Network, alice: AgentLine, bob: AgentLine, carol: AgentLine) -> None:
    with_bob, at_bob = talk(alice, bob)
    with_carol, at_carol = talk(alice, carol)
    with_bob.refer_to(with_carol, alice.line.account.address, network.clock.now)
    alice.settle()
    network.run(1)
    (moved,) = [event for event in bob.events(at_bob) if isinstance(event, Transferred)]
    (taken,) = [event for event in carol.events(at_carol) if isinstance(event, Transferred)]
    assert bob.line.calls[moved.call].state is ConversationState.TALKING
    assert carol.line.calls[taken.call].state is ConversationState.TALKING
    # Carol has given her call with Alice up for the one with Bob.
    assert alice.events(with_carol)[-1] == Ended("peer", 0, "hung up")
    assert carol.arrived == [at_carol.id], "nobody has to answer it"


def test_who_does_not_follow_transfers_declines_them(
    network: Network, alice: AgentLine, bob: AgentLine
) -> None:
    bob.line.follow_transfers = False
    calling, called = talk(alice, bob)
    calling.refer(
        NameAddr(SipUri.parse("sip:carol@192.0.2.3")), alice.line.account.address, network.clock.now
    )
    alice.settle()
    network.run(0.5)
    assert alice.events(calling)[-1] == TransferProgress(603, "Decline", done=True)
    assert called.state is ConversationState.TALKING


class Registrar(Phone):
    """Answers REGISTER with what the test says."""

    def __init__(self, network: Network) -> None:
        super().__init__(network, (B, 5060), on_event=self._answer, allow=("REGISTER",))
        network.phones.append(self)
        self.answers: list[tuple[int, tuple[str, str] | None]] = []
        self.expires: list[str | None] = []
        self.at: list[float] = []

    def _answer(self, _: Phone, event: object) -> list:  # type: ignore[type-arg]
        if not isinstance(event, RequestArrived):
            return []
        self.expires.append(event.request.headers.get("Expires"))
        self.at.append(self.now)
        status, field = self.answers.pop(0) if self.answers else (200, ("Expires", "100"))
        response: Response = make_response(event.request, status, to_tag="r")
        if field is not None:
            response.headers.add(*field)
        return self.endpoint.respond(event.transaction_id, response, self.now)


@pytest.fixture
def registrar(network: Network) -> Registrar:
    return Registrar(network)


@pytest.fixture
def member(network: Network, registrar: Registrar) -> AgentLine:
    return AgentLine(network, "sip:101@192.0.2.2", A, server=registrar.address)


def test_a_registration_is_refreshed_and_taken_back(
    network: Network, registrar: Registrar, member: AgentLine
) -> None:
    member.line.registration.begin(network.clock.now)
    network.run(100)
    assert registrar.expires == ["600", "600"]
    assert registrar.at[1] - registrar.at[0] == pytest.approx(80, abs=1)
    assert [changed.state for changed in member.registration] == 2 * [RegistrationState.REGISTERED]
    member.line.registration.end(network.clock.now)
    network.run(1)
    assert registrar.expires[-1] == "0"
    assert member.line.registration.state is RegistrationState.NONE
    network.run(1_000)
    assert len(registrar.expires) == 3


def test_while_registered_the_way_back_is_kept_open(
    network: Network, registrar: Registrar, member: AgentLine
) -> None:
    network.run(60)
    assert member.kept_alive == []
    member.line.registration.begin(network.clock.now)
    network.run(60)
    assert len(member.kept_alive) == 2
    member.line.registration.end(network.clock.now)
    network.run(60)
    assert len(member.kept_alive) == 2
    assert len(registrar.at) == 2


def test_a_registrar_that_wants_longer_gets_it(
    network: Network, registrar: Registrar, member: AgentLine
) -> None:
    registrar.answers = [(423, ("Min-Expires", "1800"))]
    member.line.registration.begin(network.clock.now)
    network.run(1)
    assert registrar.expires == ["600", "1800"]
    assert [changed.status for changed in member.registration] == [200]


def test_a_busy_registrar_is_asked_again_when_it_says(
    network: Network, registrar: Registrar, member: AgentLine
) -> None:
    registrar.answers = [(503, ("Retry-After", "42 (soon)"))]
    member.line.registration.begin(network.clock.now)
    network.run(1)
    assert [changed.state for changed in member.registration] == [RegistrationState.FAILED]
    network.run(60)
    assert registrar.at[1] - registrar.at[0] == pytest.approx(42, abs=1)
    assert member.registration[-1].state is RegistrationState.REGISTERED


def test_a_wrong_password_is_not_tried_again_and_again(
    network: Network, registrar: Registrar, member: AgentLine
) -> None:
    registrar.answers = 9 * [(401, ("WWW-Authenticate", 'Digest realm="x", nonce="n"'))]
    member.line.registration.begin(network.clock.now)
    network.run(1_000)
    assert [changed.status for changed in member.registration] == [401]
    assert len(registrar.at) == 1


def test_a_silent_registrar_is_tried_again(network: Network, member: AgentLine) -> None:
    member.line.server = member.line.flow_to(("192.0.2.77", 5060))
    member.line.registration.begin(network.clock.now)
    network.run(200)
    assert [changed.status for changed in member.registration][:2] == [408, 408]


def test_a_lost_connection_registers_anew(network: Network, registrar: Registrar, member: AgentLine) -> None:
    member.line.registration.begin(network.clock.now)
    network.run(1)
    member.line.connection_lost(member.line.flow_to(registrar.address), network.clock.now)
    network.run(1)
    assert len(registrar.at) == 2
