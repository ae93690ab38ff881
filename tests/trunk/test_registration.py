"""Trunks that register: refreshed in time, refused in words, moved to where somebody answers."""

from __future__ import annotations

import itertools

import pytest

from ringback.governance.private import Private
from ringback.sip.message import Request, Response, make_response
from ringback.trunk.watch import FIRST_PAUSE_S, LONGEST_PAUSE_S
from tests.sip.phones import Network
from tests.trunk.customer import FIRST, SECOND, Customer, FakeRegistrar, Manner, trunk


def refusing(status: int, **headers: str) -> Manner:
    def manner(request: Request) -> Response:
        response = make_response(request, status)
        for name, value in headers.items():
            response.headers.add(name.replace("_", "-"), value)
        return response

    return manner


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def registrar(network: Network) -> FakeRegistrar:
    return FakeRegistrar(network)


@pytest.fixture
def customer(network: Network) -> Customer:
    return Customer(network)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_it_registers_with_its_account_as_contact(
    customer: Customer, registrar: FakeRegistrar, algorithm: str
) -> None:
    registrar.algorithm = algorithm
    customer.follow(trunk())
    customer.run(1)
    assert customer.state.up is True
    assert list(registrar.bound) == ["sip:alice@192.0.2.254:5060"]
    assert [kind for kind, _ in customer.told] == ["trunk.up"]


def test_it_is_refreshed_before_the_granted_time_is_over(
    customer: Customer, registrar: FakeRegistrar
) -> None:
    registrar.grants_s = 100
    customer.follow(trunk())
    customer.run(500)
    # Each refresh is challenged once: two requests.
    times = registrar.times()[::2]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert len(gaps) >= 5
    assert all(75 <= gap <= 91 for gap in gaps)
    assert [kind for kind, _ in customer.told] == ["trunk.up"], "a refresh is no news"


def test_a_wrong_password_is_said_tried_twice_and_then_seldom(
    customer: Customer, registrar: FakeRegistrar
) -> None:
    customer.follow(trunk(password=Private("wrong")))
    customer.run(100)
    assert customer.state.up is False
    assert customer.state.reason == "wrong username or password (401)"
    assert len(registrar.requests) == 3, "without credentials, and with two nonces"
    customer.follow(trunk())
    customer.run(1)
    assert customer.state.up is True, "another password is tried at once"


def test_the_password_is_for_its_realm_alone(customer: Customer, registrar: FakeRegistrar) -> None:
    customer.follow(trunk(realm="other.example"))
    customer.run(1)
    assert "correct its realm" in customer.state.reason
    assert all("Authorization" not in request.headers for _, request in registrar.requests)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (403, "wrong password, or the account is not allowed in (403)"),
        (404, "no such account there: check the username (404)"),
        (486, "refused (486 Busy Here)"),
        (503, "the other side has a fault or too much to do (503 Service Unavailable)"),
    ],
)
def test_refusals_are_said_in_words(
    customer: Customer, registrar: FakeRegistrar, status: int, reason: str
) -> None:
    registrar.manner = refusing(status)
    customer.follow(trunk())
    customer.run(1)
    assert (customer.state.up, customer.state.reason) == (False, reason)
    assert customer.told == [("trunk.down", {"trunk": "carrier", "reason": reason})]


def test_no_answer_names_the_address(customer: Customer, registrar: FakeRegistrar) -> None:
    registrar.silent = True
    customer.follow(trunk())
    customer.run(3.9)
    assert customer.state.reason == "no answer from 192.0.2.1:5060 over UDP"
    registrar.silent = False
    customer.run(FIRST_PAUSE_S + 1)
    assert customer.state.up is True


def test_an_answer_that_comes_late_counts(customer: Customer, registrar: FakeRegistrar) -> None:
    registrar.silent = True
    customer.follow(trunk(password=None, username="alice"))
    customer.run(3.6)
    assert customer.state.up is False
    (sent,) = [sent for sent in customer.phone.sent if isinstance(sent.message, Request)][:1]
    assert isinstance(sent.message, Request)
    late = make_response(sent.message, 200, to_tag="x")
    customer.phone.do(customer.phone.endpoint.receive(late, sent.flow, customer.phone.now))
    assert customer.state.up is True


def test_a_host_without_an_address(customer: Customer) -> None:
    customer.found = "DNS: no such host sip.example.com"
    customer.follow(trunk())
    customer.run(1)
    assert customer.state.reason == "DNS: no such host sip.example.com"


def test_names_that_cannot_be_looked_up_for_a_while_change_nothing(
    customer: Customer, registrar: FakeRegistrar
) -> None:
    registrar.grants_s = 60
    customer.follow(trunk())
    customer.run(1)
    customer.found = "DNS: no answer from the name servers"
    customer.run(120)
    assert customer.state.up is True
    assert len(registrar.times()) >= 6


@pytest.mark.parametrize("grants_s", [20, 60, 3_600])
def test_a_second_address_is_there_in_under_four_seconds_and_the_first_as_soon_as_it_is_back(
    customer: Customer, registrar: FakeRegistrar, network: Network, grants_s: int
) -> None:
    other = FakeRegistrar(network, SECOND)
    other.grants_s = grants_s
    registrar.silent = True
    customer.found = customer.flows(FIRST, SECOND)
    customer.follow(trunk())
    customer.run(4)
    assert customer.state.up is True
    assert [flow.remote[0] for flow in customer.lines.targets(trunk())] == [SECOND, FIRST], (
        "where it is known"
    )
    customer.run(200)
    confirmed = [
        at
        for at, request in other.requests
        if request.headers.get("Authorization") and request.headers.get("Expires") != "0"
    ]
    gaps = [after - before for before, after in itertools.pairwise(confirmed)]
    assert gaps
    assert max(gaps) < grants_s, "it is refreshed in time, though the first is asked before"
    assert [kind for kind, _ in customer.told] == ["trunk.up"]
    registrar.silent = False
    customer.run(62)
    assert registrar.bound
    assert [flow.remote[0] for flow in customer.lines.targets(trunk())] == [FIRST, SECOND]


def test_calls_go_by_the_first_address_again_once_it_answers(
    customer: Customer, registrar: FakeRegistrar, network: Network
) -> None:
    FakeRegistrar(network, SECOND)
    customer.found = customer.flows(FIRST, SECOND)
    customer.follow(trunk(register=False))

    def first() -> str:
        return customer.lines.targets(trunk())[0].remote[0]

    customer.run(1)
    assert first() == FIRST
    registrar.silent = True
    customer.check()
    customer.run(4)
    assert first() == SECOND
    customer.run(100)
    assert first() == SECOND
    registrar.silent = False
    customer.run(31)
    assert first() == FIRST
    assert [kind for kind, _ in customer.told] == ["trunk.up"]


def test_what_is_registered_at_the_second_address_is_taken_back_there(
    customer: Customer, registrar: FakeRegistrar, network: Network
) -> None:
    other = FakeRegistrar(network, SECOND)
    registrar.silent = True
    customer.found = customer.flows(FIRST, SECOND)
    customer.follow(trunk())
    customer.run(4)
    assert other.bound
    customer.check()
    customer.run(1)
    customer.stop()
    customer.run(1)
    assert not other.bound


def test_a_name_is_asked_for_again_within_half_a_minute_however_long_it_was_unknown(
    customer: Customer, registrar: FakeRegistrar
) -> None:
    customer.found, found = "DNS: no answer from the name servers", customer.found
    customer.follow(trunk())
    customer.run(600)
    assert customer.state.up is False
    customer.found = found
    customer.run(31)
    assert customer.state.up is True
    assert registrar.bound


def test_another_address_is_tried_after_503(
    customer: Customer, registrar: FakeRegistrar, network: Network
) -> None:
    FakeRegistrar(network, SECOND)
    registrar.manner = refusing(503)
    customer.found = customer.flows(FIRST, SECOND)
    customer.follow(trunk())
    customer.run(1)
    assert customer.state.up is True


def test_a_longer_time_is_asked_for_where_the_registrar_wants_it(
    customer: Customer, registrar: FakeRegistrar
) -> None:
    def manner(request: Request) -> Response | None:
        return refusing(423, Min_Expires="1800")(request) if request.headers.get("Expires") == "600" else None

    registrar.manner = manner
    customer.follow(trunk())
    customer.run(1)
    assert registrar.bound == {"sip:alice@192.0.2.254:5060": 1800}


@pytest.mark.parametrize("least", ["0", "600", "99999999", "x", ""])
def test_a_senseless_423_is_a_refusal_and_no_loop(
    customer: Customer, registrar: FakeRegistrar, least: str
) -> None:
    registrar.manner = refusing(423, Min_Expires=least)
    customer.follow(trunk())
    customer.run(10)
    assert customer.state.up is False
    assert len(registrar.requests) == 1


def test_retry_after_is_waited_for(customer: Customer, registrar: FakeRegistrar) -> None:
    registrar.manner = refusing(503, Retry_After="120 (a while)")
    customer.follow(trunk())
    customer.run(119)
    assert len(registrar.requests) == 1
    customer.run(5)
    assert len(registrar.requests) == 2


def test_pauses_grow_to_their_bound_and_no_further(customer: Customer, registrar: FakeRegistrar) -> None:
    registrar.manner = refusing(500)
    customer.follow(trunk())
    customer.run(3_000)
    times = registrar.times()
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[0] <= FIRST_PAUSE_S + 0.2
    assert all(after >= before - 0.2 for before, after in itertools.pairwise(gaps))
    assert max(gaps) <= LONGEST_PAUSE_S


def test_asked_for_by_hand_it_tries_at_once(customer: Customer, registrar: FakeRegistrar) -> None:
    registrar.manner = refusing(403)
    customer.follow(trunk())
    customer.run(1)
    registrar.manner = None
    customer.check()
    assert customer.lines.asking("carrier")
    customer.run(1)
    assert not customer.lines.asking("carrier")
    assert customer.state.up is True


def test_registrations_are_taken_back_at_the_end_and_when_a_trunk_goes(
    customer: Customer, registrar: FakeRegistrar
) -> None:
    for end in (customer.stop, customer.follow):
        customer.follow(trunk())
        customer.run(1)
        assert registrar.bound
        end()
        customer.run(1)
        assert not registrar.bound
    assert {kind for kind, _ in customer.told} == {"trunk.up"}, "what was ended on purpose is not down"
    customer.run(700)
    assert customer.lines.deadline() is None


def test_what_does_not_matter_to_the_registrar_is_changed_without_asking_it(
    customer: Customer, registrar: FakeRegistrar
) -> None:
    customer.follow(trunk())
    customer.run(1)
    asked = len(registrar.requests)
    customer.follow(trunk(dids={"+15550100": "101"}, max_calls=2))
    customer.run(1)
    assert len(registrar.requests) == asked


def test_a_trunk_that_does_not_register_is_asked_whether_it_is_there(
    customer: Customer, registrar: FakeRegistrar
) -> None:
    customer.follow(trunk(register=False))
    customer.run(100)
    assert customer.state.up is True
    assert len(registrar.times("OPTIONS")) >= 4
    registrar.manner = refusing(401, WWW_Authenticate='Digest realm="x", nonce="y"')
    customer.run(40)
    assert customer.state.up is True, "who asks for a password is there"
    registrar.silent = True
    customer.run(40)
    assert customer.state.reason == "no answer from 192.0.2.1:5060 over UDP"
    registrar.silent, registrar.manner = False, refusing(503)
    customer.run(120)
    assert customer.state.up is False
    registrar.manner = None
    customer.run(120)
    assert customer.state.up is True
    assert [kind for kind, _ in customer.told] == ["trunk.up", "trunk.down", "trunk.down", "trunk.up"]


def test_a_connection_that_breaks_is_made_again_soon(network: Network) -> None:
    customer, registrar = Customer(network, transport="tcp"), FakeRegistrar(network)
    customer.follow(trunk())
    customer.run(1)
    assert customer.state.up is True
    flow = customer.lines.targets(trunk())[0]
    assert set(customer.kept) == {flow}
    asked = len(registrar.requests)
    customer.phone.do(customer.lines.connection_lost(flow, network.clock.now))
    customer.run(FIRST_PAUSE_S + 1)
    assert len(registrar.requests) > asked


@pytest.mark.parametrize("status", [403, 503])
def test_a_trunk_that_is_gone_is_not_asked_again_whatever_its_registrar_says(
    customer: Customer, registrar: FakeRegistrar, status: int
) -> None:
    customer.follow(trunk())
    customer.run(1)
    registrar.manner = refusing(status)
    asked = len(registrar.requests)
    customer.follow()
    customer.run(1_000)
    assert len(registrar.requests) == asked + 1
    assert [kind for kind, _ in customer.told] == ["trunk.up"]


@pytest.mark.parametrize(
    ("contact", "expires", "seconds"),
    [
        ("<sip:alice@203.0.113.7:6000>;expires=40", "600", 40),
        ("<sip:alice@192.0.2.254:5060>;expires=100, <sip:alice@192.0.2.8>;expires=40", "", 100),
        ("<sip:alice@192.0.2.254:5060>", "60", 60),
        ("<sip:alice@192.0.2.254:5060>;expires=x", "", 600),
        ("<sip:alice@192.0.2.254:5060>;expires=999999999", "", 86_400),
    ],
)
def test_for_how_long_is_read_from_whatever_the_registrar_says(
    customer: Customer, registrar: FakeRegistrar, contact: str, expires: str, seconds: int
) -> None:
    registrar.manner = refusing(200, Contact=contact, **({"Expires": expires} if expires else {}))
    customer.follow(trunk())
    customer.run(1)
    at = customer.lines.deadline()
    assert at is not None
    assert 0.75 * seconds <= at - registrar.times()[0] <= 0.91 * seconds
