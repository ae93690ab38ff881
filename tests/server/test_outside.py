"""Calls to and from trunks as carriers and phones see them: where they go, who may, how much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.media import protocol as media
from ringback.sip.digest import DigestAuthenticator
from ringback.sip.effects import Effect, IncomingCall, RequestArrived
from ringback.sip.message import Headers, NameAddr, Request, SipUri, make_response
from ringback.sip.session import InviteSession
from ringback.store.directory import Trunk
from tests.call.office import offer
from tests.conference.stage import NUMBER
from tests.server.door import SERVER, Door, Visitor
from tests.sip.phones import Phone
from tests.trunk.customer import trunk as made_trunk

CARRIER, OTHER, PHONE = "198.51.100.1", "198.51.100.2", "192.0.2.1"
REALM = "carrier.example"
ANSWER = offer(CARRIER)


def trunk(**details: object) -> Trunk:
    plain = made_trunk(
        host=CARRIER,
        register=False,
        prefixes=("",),
        dids={"+15550100": "102", "15550101": NUMBER, "15550102": "5550199", "15550103": "444"},
    )
    return replace(plain, **details)  # type: ignore[arg-type]


class Carrier:
    """The far side: answers, or does as its manner is; challenges where it has a digest."""

    def __init__(self, door: Door, host: str = CARRIER, manner: str = "answer") -> None:
        self.door = door
        self.manner = manner
        self.asks = False
        self.digest = DigestAuthenticator(REALM)
        self.invites: list[Request] = []
        self.sessions: list[InviteSession] = []
        self.phone = door.network.phone(host, on_event=self._on_event)

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if isinstance(event, RequestArrived):
            return phone.endpoint.respond(event.transaction_id, make_response(event.request, 200), phone.now)
        if not isinstance(event, IncomingCall):
            return []
        self.invites.append(event.request)
        self.sessions.append(event.session)
        if self.asks and "Proxy-Authorization" not in event.request.headers:
            challenge = Headers(("Proxy-Authenticate", self.digest.challenge(phone.now)))
            return event.session.reject(407, phone.now, headers=challenge)
        if self.manner == "answer":
            return event.session.accept(ANSWER, phone.now)
        if self.manner == "180":
            return event.session.ring(phone.now)
        return event.session.reject(int(self.manner), phone.now)

    def vanish(self) -> None:
        self.door.network.link.attach(self.phone.address, lambda *_: None)

    def call(
        self, number: str, *, to: str | None = None, headers: Headers | None = None, hops: int = 70
    ) -> int:
        """Call a number here; the final answer."""
        before = len(self.answers())
        session, effects = self.phone.endpoint.invite(
            target=SipUri(user=number, host=SERVER),
            to=NameAddr(SipUri(user=to or number, host=SERVER)),
            from_=NameAddr(SipUri(user="+15559999", host=CARRIER), "Somebody"),
            flow=self.phone.flow_to(self.door.phone),
            now=self.phone.now,
            sdp=offer(self.phone.address[0]),
            headers=headers,
            max_forwards=hops,
        )
        self.sessions.append(session)
        self.phone.do(effects)
        self.door.run(1)
        return (self.answers()[before:] or [0])[-1]

    def answers(self) -> list[int]:
        return [
            sent.message.status
            for sent in self.door.phone.sent
            if not isinstance(sent.message, Request)
            and sent.message.cseq.method == "INVITE"
            and sent.message.status >= 200
            and sent.flow.remote == self.phone.address
        ]


@pytest.fixture
def door() -> Door:
    return Door()


def outgoing(door: Door, number: str, host: str = PHONE) -> Visitor:
    """Extension 101 calls a number."""
    caller = Visitor(door, host)
    caller.authorized_call(number, "101")
    door.run(1)
    return caller


# Out


def test_an_extension_calls_out_and_both_are_connected(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk(caller_id="15550100"))
    caller = outgoing(door, "5550199")
    assert caller.status() == 200
    (invite,) = carrier.invites
    assert str(invite.uri) == f"sip:5550199@{CARRIER}"
    assert invite.from_.uri == SipUri(user="15550100", host=CARRIER)
    assert len(door.given(media.JoinRoom)) == 2
    assert door.switchboard.on_trunk("carrier") == 1
    door.phone.do(door.switchboard.hang_up_all(door.phone.now, "over") or [])
    door.run(1)
    assert door.switchboard.on_trunk("carrier") == 0


def test_digits_are_stripped_and_put_in_front(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk(prefixes=("9",), strip=1, prepend="+1"))
    outgoing(door, "95550199")
    assert str(carrier.invites[0].uri).startswith("sip:+15550199@")
    assert outgoing(door, "5550199", "192.0.2.3").status() == 404, "no trunk has this prefix"


def test_the_caller_is_asserted_where_the_trunk_wants_it(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk(identity="asserted"))
    outgoing(door, "5550199")
    assert carrier.invites[0].from_.uri == SipUri(user="alice", host=CARRIER)
    assert carrier.invites[0].headers.get("P-Asserted-Identity") == f'"Phone 101" <sip:101@{CARRIER}>'


@pytest.mark.parametrize(("identity", "user"), [("from", "anonymous"), ("asserted", "alice")])
def test_who_stays_unknown_is_known_to_the_carrier_alone(door: Door, identity: str, user: str) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk(identity=identity))
    Visitor(door, PHONE).authorized_call("5550199", "101", headers=Headers(("Privacy", "id")))
    door.run(1)
    (invite,) = carrier.invites
    assert getattr(invite.from_.uri, "user", None) == user
    assert "101" not in str(invite.from_)
    assert invite.headers.get("P-Asserted-Identity") == f'"Phone 101" <sip:101@{CARRIER}>'
    assert invite.headers.get("Privacy") == "id"


@pytest.mark.parametrize(
    ("privacy", "known", "shown"),
    [("none", True, "+15550123"), ("id", True, "anonymous"), ("none", False, None)],
)
def test_a_trunk_known_by_its_address_is_believed_who_calls(
    door: Door, privacy: str, known: bool, shown: str | None
) -> None:
    assert Visitor(door, PHONE).register("102") == 200
    carrier = Carrier(door)
    if known:
        door.with_trunk(trunk(inbound="address"))
    asserted = Headers(("P-Asserted-Identity", "<sip:+15550123@example.com>"), ("Privacy", privacy))
    carrier.call("+15550100", headers=asserted)
    users = [
        getattr(sent.message.from_.uri, "user", None)
        for sent in door.phone.sent
        if isinstance(sent.message, Request) and sent.flow.remote[0] == PHONE
    ]
    assert set(users) == ({shown} if shown else set())


def test_the_trunks_password_answers_its_challenge(door: Door) -> None:
    carrier = Carrier(door)
    carrier.asks = True
    door.with_trunk(trunk())
    assert outgoing(door, "5550199").status() == 200
    assert len(carrier.invites) == 2
    assert carrier.invites[1].headers.get("Proxy-Authorization") is not None


def test_a_challenge_that_cannot_be_answered_never_reaches_the_caller(door: Door) -> None:
    carrier = Carrier(door)
    carrier.asks = True
    door.with_trunk(trunk(realm="other.example"))
    assert outgoing(door, "5550199").status() == 503
    assert len(carrier.invites) == 1


def test_the_next_trunk_takes_the_call_when_one_is_silent_or_overloaded(door: Door) -> None:
    for host, manner in ((PHONE, "silent"), ("192.0.2.3", "503")):
        door = Door()
        first = Carrier(door, manner="503" if manner == "503" else "answer")
        second = Carrier(door, OTHER)
        door.with_trunk(trunk(priority=1))
        door.with_trunk(trunk(id="t2", name="other", host=OTHER, priority=2))
        if manner == "silent":
            first.vanish()
        caller = outgoing(door, "5550199", host)
        if manner == "silent":
            assert not second.invites
            door.run(3)
        assert len(second.invites) == 1
        assert caller.status() == 200


def test_a_call_whose_media_is_lost_before_it_is_answered_goes_on_elsewhere(door: Door) -> None:
    carrier, second = Carrier(door, manner="180"), Carrier(door, OTHER)
    door.with_trunk(trunk(priority=1))
    door.with_trunk(trunk(id="t2", name="other", host=OTHER, priority=2))
    caller = outgoing(door, "5550199")
    assert len(carrier.invites) == 1
    (leg,) = [leg.id for leg in door.switchboard.legs.values() if leg.party.trunk]
    door.switchboard.media_lost([leg], door.phone.now)
    door.run(1)
    assert len(second.invites) == 1
    assert caller.status() == 200


def test_what_is_said_of_the_number_is_not_asked_elsewhere(door: Door) -> None:
    Carrier(door, manner="486")
    second = Carrier(door, OTHER)
    door.with_trunk(trunk(priority=1))
    door.with_trunk(trunk(id="t2", name="other", host=OTHER, priority=2))
    assert outgoing(door, "5550199").status() == 486
    assert not second.invites


def test_the_longest_prefix_comes_first(door: Door) -> None:
    first, second = Carrier(door), Carrier(door, OTHER)
    door.with_trunk(trunk())
    door.with_trunk(trunk(id="t2", name="other", host=OTHER, prefixes=("555",)))
    outgoing(door, "5550199")
    assert (len(first.invites), len(second.invites)) == (0, 1)


def test_a_trunk_that_is_full_or_disabled_takes_no_call(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk(max_calls=1))
    assert outgoing(door, "5550199").status() == 200
    assert outgoing(door, "5550199", "192.0.2.3").status() == 503
    assert carrier.call("15550100") == 486
    door.with_trunk(trunk(enabled=False))
    assert outgoing(door, "5550199", "192.0.2.4").status() == 404


def test_only_the_trunks_codecs_are_offered(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk(codecs=("G722",)))
    # The server of this test speaks PCMU alone.
    assert outgoing(door, "5550199").status() == 488
    assert not carrier.invites
    door.with_trunk(trunk(codecs=("G722", "PCMU")))
    assert outgoing(door, "5550199", "192.0.2.3").status() == 200


def test_without_an_account_nobody_calls_out(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk())
    stranger = Visitor(door, "192.0.2.66")
    stranger.call("5550199")
    assert stranger.status() == 401
    assert not carrier.invites


# In


def test_a_number_from_outside_rings_its_extension_with_the_callers_number(door: Door) -> None:
    carrier = Carrier(door)
    phone = Carrier(door, "192.0.2.2", "180")
    phone.manner = "486"
    door.with_trunk(trunk())
    registered = Visitor.__new__(Visitor)
    registered.door, registered.phone, registered.challenge = door, phone.phone, ""
    assert registered.register("102") == 200
    assert carrier.call("15550100") == 486, "with or without a plus; the phone is busy"
    assert phone.invites[0].from_.uri.username == "+15559999"  # type: ignore[union-attr]
    assert phone.invites[0].from_.display == "Somebody"


def test_a_meeting_is_entered_from_outside(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk())
    assert carrier.call("+15550101") == 200
    (leg,) = door.switchboard.legs.values()
    assert (leg.party.trunk, leg.party.account) == ("carrier", None)
    assert leg.source != CARRIER, "one who guesses PINs is not all of the carrier's customers"


def test_the_number_may_stand_in_to_where_the_contact_is_called(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk())
    assert carrier.call("alice", to="15550101") == 200


@pytest.mark.parametrize("number", ["15550199", "101", "*43", NUMBER, "anything"])
def test_an_unknown_number_is_not_found_whatever_else_has_it(door: Door, number: str) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk(prefixes=()))
    assert carrier.call(number) == 404


def test_a_call_from_a_trunk_leaves_by_none_again(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk())
    assert carrier.call("15550102") == 403
    assert not carrier.invites


def test_where_transit_is_allowed_hops_are_counted_and_caps_hold(door: Door) -> None:
    carrier, onward = Carrier(door), Carrier(door, OTHER)
    door.with_trunk(trunk(transit=True, prefixes=()))
    door.with_trunk(trunk(id="t2", name="other", host=OTHER, prefixes=("555",)))
    assert carrier.call("15550102", hops=5) == 200
    assert onward.invites[0].max_forwards == 4
    assert [toll.account for toll in door.caps.usage(door.phone.now)] == ["trunk:carrier"]
    assert carrier.call("15550102", hops=1) == 483


def test_the_same_number_from_another_address_is_a_strangers_call(door: Door) -> None:
    Carrier(door)
    stranger = Visitor(door, "192.0.2.66")
    door.with_trunk(trunk())
    stranger.call("15550101")
    assert stranger.status() == 401


def test_networks_stand_for_the_host(door: Door) -> None:
    carrier, stranger = Carrier(door, OTHER), Visitor(door, CARRIER)
    door.with_trunk(trunk(networks=(f"{OTHER}/32",), register=False))
    assert carrier.call("15550101") == 200
    stranger.call("15550101")
    assert stranger.status() == 401


@pytest.mark.parametrize("inbound", ["digest", "both"])
def test_a_trunk_proves_itself_by_its_account(door: Door, inbound: str) -> None:
    host = CARRIER if inbound == "both" else "203.0.113.9"
    peer = Visitor(door, host)
    door.with_trunk(trunk(inbound=inbound, networks=(f"{CARRIER}/32",)))
    peer.call("15550101", from_="+15559999")
    assert peer.status() == 401
    challenge = peer.answers()[-1].headers.get("WWW-Authenticate") or ""
    uri = str(SipUri(user="15550101", host=SERVER))
    for password, status in (("wrong", 401), ("secret", 200)):
        peer.call("15550101", from_="+15559999", headers=peer.credentials(challenge, "alice", password, uri))
        assert peer.status() == status
    assert [leg.party.trunk for leg in door.switchboard.legs.values()] == ["carrier"]


def test_a_trunks_account_is_good_for_calls_to_its_numbers_alone(door: Door) -> None:
    peer = Visitor(door, "203.0.113.9")
    door.with_trunk(trunk(inbound="digest"))
    assert peer.register("alice") == 403
    peer.authorized_call("101", "alice")
    assert peer.status() == 404


def test_a_trunk_that_takes_no_calls_is_nobody(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk(inbound="none"))
    assert carrier.call("15550101") == 401


# How much


def test_calls_at_once_are_capped_by_class_and_told(door: Door) -> None:
    Carrier(door)
    door.with_trunk(trunk())
    for host in range(2):
        assert outgoing(door, "0049555", f"192.0.2.{10 + host}").status() == 200
    third = outgoing(door, "0049555", "192.0.2.20")
    assert (third.status(), third.answers()[-1].reason) == (403, "Too many international calls at once")
    assert outgoing(door, "5550199", "192.0.2.21").status() == 200, "another class is another matter"
    (notice,) = [notice for notice in door.notices if notice.kind == "toll.refused"]
    assert notice.facts == {"call_class": "international", "cap": "concurrent", "extension": "e101"}
    assert door.caps.refused["international"] == 1


def test_premium_numbers_are_not_called_unless_somebody_allows_it(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk())
    assert outgoing(door, "09005550199").status() == 403
    assert not carrier.invites


def test_what_counts_is_the_number_as_it_goes_out(door: Door) -> None:
    Carrier(door)
    door.with_trunk(trunk(prefixes=("0",), strip=1))
    assert outgoing(door, "009005550199").status() == 403


def test_emergency_calls_go_out_whatever_was_called_before_and_however_full_it_is(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk(max_calls=1, prefixes=("5",), strip=1))
    assert outgoing(door, "5550199").status() == 200
    assert outgoing(door, "112", "192.0.2.3").status() == 200
    assert str(carrier.invites[-1].uri) == f"sip:112@{CARRIER}"
    assert sum(toll.calls for toll in door.caps.usage(door.phone.now)) == 1


def test_the_minutes_of_a_day_end_a_call(door: Door) -> None:
    carrier = Carrier(door)
    door.with_trunk(trunk())
    outgoing(door, "0049555")
    door.run(59 * 60)
    assert door.switchboard.on_trunk("carrier") == 1
    door.run(2 * 60)
    assert door.switchboard.on_trunk("carrier") == 0
    assert "200 BYE" in carrier.phone.names()
    assert outgoing(door, "0049555", "192.0.2.3").answers()[-1].reason == (
        "Too many minutes of international calls today"
    )
    door.day = "2026-01-02"
    assert outgoing(door, "0049555", "192.0.2.4").status() == 200


def test_calls_that_are_not_answered_cost_nothing(door: Door) -> None:
    Carrier(door, manner="486")
    door.with_trunk(trunk())
    for call in range(25):
        assert outgoing(door, "0049555", f"192.0.2.{10 + call}").status() == 486
