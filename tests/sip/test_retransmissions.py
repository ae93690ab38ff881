"""What is counted as sent again is what went out more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from ringback.sip.effects import Effect
from ringback.sip.endpoint import Answered, IncomingCall
from ringback.sip.message import encode
from ringback.testing.lossy_link import LinkQuality
from tests.sip.phones import ANSWER, Network, Phone


def answers(phone: Phone, event: Effect) -> list[Effect]:
    if isinstance(event, IncomingCall):
        return [*event.session.ring(phone.now), *event.session.accept(ANSWER, phone.now)]
    return []


def refuses(phone: Phone, event: Effect) -> list[Effect]:
    return event.session.reject(486, phone.now) if isinstance(event, IncomingCall) else []


def sent_again(phone: Phone) -> int:
    counts = Counter(encode(sent.message) for sent in phone.sent)
    return sum(counts.values()) - len(counts)


@pytest.mark.parametrize("callee", [answers, refuses])
def test_on_bad_lines(callee: Callable[[Phone, Effect], list[Effect]]) -> None:
    came_again = 0
    for seed in range(40):
        network = Network(seed, LinkQuality(loss=0.3, duplication=0.1))
        alice = network.phone("192.0.2.1")
        bob = network.phone("192.0.2.2", on_event=callee)
        session = alice.call(bob)
        network.run(20)
        if alice.told(Answered):
            alice.do(session.hangup(network.clock.now))
        network.run(120)
        for phone in (alice, bob):
            assert phone.endpoint.retransmissions[1] == sent_again(phone), (seed, phone.names())
            came_again += phone.endpoint.retransmissions[0]
    assert came_again > 10


def test_on_a_good_line_nothing_comes_again() -> None:
    network = Network()
    alice = network.phone("192.0.2.1")
    bob = network.phone("192.0.2.2", on_event=answers)
    session = alice.call(bob)
    network.run(1)
    alice.do(session.hangup(network.clock.now))
    network.run(1)
    assert alice.endpoint.retransmissions == bob.endpoint.retransmissions == (0, 0)
