"""What outsiders, guests and accounts get from the front door, signalled for real."""

from __future__ import annotations

import pytest

from ringback.conference.pin_guard import CALLS_AT_THE_DOOR
from ringback.conference.roles import Role
from ringback.conference.visits import LIFETIME_S
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.sip.message import Headers, Response, SipUri
from tests.conference.stage import GUEST_PIN, NUMBER, meeting
from tests.server.door import DIAL_IN, SERVER, Door, Visitor, extension


def shape(answer: Response) -> list[str]:
    """The names of an answer's headers, in order."""
    return [name for name, _ in answer.headers.items()]


def test_without_an_account_existing_and_missing_numbers_look_the_same() -> None:
    door = Door()
    door.directory = door.directory.with_extension(extension("103", enabled=False))
    shapes = set()
    for number, host in (("101", 1), ("103", 2), ("999", 3), ("*43", 4), ("481516235", 5)):
        visitor = Visitor(door, f"192.0.2.{host}")
        visitor.call(number)
        (answer,) = visitor.answers()
        shapes.add((answer.status, answer.reason, *shape(answer)))
    assert len(shapes) == 1
    assert next(iter(shapes))[0] == 401


def test_only_an_account_learns_that_a_number_does_not_exist() -> None:
    caller = Visitor(Door(), "192.0.2.1")
    caller.authorized_call("998", "101")
    assert caller.status() == 404
    stranger = Visitor(Door(), "192.0.2.2")
    stranger.authorized_call("999", "101", "wrong")
    assert stranger.status() == 401


@pytest.mark.parametrize("number", ["102", "999", "*43", NUMBER])
def test_credentials_of_one_account_do_not_speak_for_another(number: str) -> None:
    caller = Visitor(Door(), "192.0.2.1")
    caller.authorized_call(number, "101", from_="102")
    assert caller.status() == 403


@pytest.mark.parametrize("number", [NUMBER, DIAL_IN, f"{NUMBER}*{GUEST_PIN}"])
def test_meetings_are_open_to_guests_and_accounts_alike(number: str) -> None:
    door = Door()
    guest, account = Visitor(door, "192.0.2.1"), Visitor(door, "192.0.2.2")
    guest.call(number)
    account.authorized_call(number, "101")
    assert guest.status() == account.status() == 200
    names = [leg.party.account for leg in door.switchboard.legs.values()]
    assert names == [None, "101"]


def test_credentials_for_another_server_do_not_keep_a_guest_out() -> None:
    guest = Visitor(Door(), "192.0.2.1")
    other = 'Digest realm="elsewhere", nonce="abc", algorithm=MD5, qop="auth"'
    guest.call(NUMBER, headers=guest.credentials(other, "eve", "x", "sip:eve@example.com"))
    assert guest.status() == 200


def test_wrong_passwords_ban_their_source_and_no_other() -> None:
    door = Door()
    guesser, other = Visitor(door, "192.0.2.66"), Visitor(door, "192.0.2.1")
    for guess in range(20):
        guesser.register("101", f"guess {guess}")
    assert guesser.register("101") == 403
    assert other.register("101") == 200


def test_nobody_is_banned_by_forged_datagrams_in_its_name() -> None:
    door = Door()
    attacker, victim = Visitor(door, "192.0.2.66"), Visitor(door, "192.0.2.1")
    challenge = attacker.challenged()
    for _ in range(40):
        attacker.forge(victim, "101", challenge)
    assert victim.register("101") == 200


def test_a_stale_challenge_says_nothing_about_the_password() -> None:
    door = Door()
    here, there = Visitor(door, "192.0.2.1"), Visitor(door, "192.0.2.2")
    challenge = here.challenged()
    told = set()
    for password in ("secret", "wrong"):
        assert there.register("101", password, challenge) == 401
        told.add("stale=true" in (there.answers()[-1].headers.get("WWW-Authenticate") or ""))
    assert told == {True}


def test_many_wrong_pins_at_once_from_one_source_get_no_further_than_one_after_another() -> None:
    door = Door()
    guesser = Visitor(door, "192.0.2.66")
    for guess in range(40):
        guesser.call(f"{NUMBER}*{guess:06}")
    door.run(30)
    guesser.call(f"{NUMBER}*{GUEST_PIN}")
    door.run(30)
    assert door.meetings.rooms == {}
    # A right PIN from elsewhere is slowed, never refused.
    guest = Visitor(door, "192.0.2.1")
    guest.call(f"{NUMBER}*{GUEST_PIN}")
    door.run(30)
    assert list(door.meetings.rooms) == [NUMBER]


def test_one_source_cannot_crowd_the_door_for_the_others() -> None:
    door = Door()
    crowd, guest = Visitor(door, "192.0.2.66"), Visitor(door, "192.0.2.1")
    for _ in range(CALLS_AT_THE_DOOR + 5):
        crowd.call(NUMBER)
    assert [answer.status for answer in crowd.answers()].count(503) == 5
    assert crowd.answers()[-1].headers.get("Retry-After") == "5"
    guest.call(NUMBER)
    assert guest.status() == 200
    door.run(240)
    crowd.call(NUMBER)
    assert crowd.status() == 200, "who has left makes room"


def test_who_is_in_a_meeting_is_not_at_the_door() -> None:
    door = Door()
    office = Visitor(door, "192.0.2.1")
    for _ in range(CALLS_AT_THE_DOOR + 5):
        office.call(f"{NUMBER}*{GUEST_PIN}")
    assert {answer.status for answer in office.answers()} == {200}


def test_no_pin_is_in_anything_that_is_printed() -> None:
    door = Door()
    guest = Visitor(door, "192.0.2.1")
    guest.call(f"{NUMBER}*{GUEST_PIN}")
    (leg,) = door.switchboard.legs.values()
    printed = repr([leg, vars(leg), leg.application, vars(leg.application), leg.session, door.meetings.rooms])
    assert GUEST_PIN not in printed


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"Ada", "Ada"),
        ("Zo\u00eb \u4f60".encode(), "Zo\u00eb \u4f60"),
        (b"\xff\xfe Bob", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} Bob"),
        (b"\x1b[2Jx\x9by", "[2Jx\N{REPLACEMENT CHARACTER}y"),
        ("a\u202egnp".encode(), "agnp"),
        (b"x" * 5_000, "x" * 80),
    ],
)
def test_the_name_a_caller_gives_itself_can_be_shown_anywhere(sent: bytes, shown: str) -> None:
    door = Door()
    guest = Visitor(door, "192.0.2.1")
    guest.call(f"{NUMBER}*{GUEST_PIN}", display=sent.decode("utf-8", "surrogateescape"))
    (leg,) = door.switchboard.legs.values()
    assert leg.party.name is not None
    assert leg.party.name.reveal() == shown
    leg.party.name.reveal().encode()


def test_a_call_after_the_shutdown_began_is_told_so() -> None:
    door = Door()
    door.policy.accepting = False
    guest = Visitor(door, "192.0.2.1")
    guest.call(NUMBER)
    assert guest.status() == 503
    assert not door.given(media.OpenLeg)


def test_header_names_do_not_matter_for_credentials() -> None:
    guest = Visitor(Door(), "192.0.2.1")
    guest.call("101", headers=Headers(("authorization", "Digest nonsense")))
    assert guest.status() == 401


def visit(door: Door) -> tuple[str, str]:
    """The account of somebody with the meeting's link: name and password."""
    known = door.directory.meeting(NUMBER)
    assert known is not None
    opened = door.visits.open(known, Role.GUEST, "Ada", "192.0.2.9", door.phone.now)
    assert opened is not None
    return opened.visit.id, opened.password.reveal()


def test_a_link_opens_its_meeting_without_a_pin_and_the_echo_test() -> None:
    door = Door()
    user, password = visit(door)
    page = Visitor(door, "192.0.2.9")
    page.authorized_call(NUMBER, user, password)
    assert page.status() == 200
    door.run()
    (inside,) = door.meetings.rooms[NUMBER].present()
    assert inside.leg.party.name == Private("Ada")
    page.authorized_call("*43", user, password)
    assert page.status() == 200


@pytest.mark.parametrize("number", ["101", "999", DIAL_IN, "481516235"])
def test_a_link_opens_nothing_else(number: str) -> None:
    door = Door()
    door.directory = door.directory.with_meeting(meeting("481516235"))
    user, password = visit(door)
    page = Visitor(door, "192.0.2.9")
    page.authorized_call(number, user, password)
    assert page.status() == 403


def test_a_visitor_cannot_register() -> None:
    door = Door()
    user, password = visit(door)
    assert Visitor(door, "192.0.2.9").register(user, password) == 403
    assert not list(door.registrar.users())


def test_a_page_registers_for_its_account() -> None:
    door = Door()
    door.phone.transport = "wss"
    assert Visitor(door, "192.0.2.9", "wss").register("101") == 200
    (binding,) = door.registrar.bindings("101", door.phone.now)
    assert binding.flow.transport == "wss"


def test_a_phone_with_two_flows_rings_once_by_the_newest_and_through_its_proxy() -> None:
    door = Door()
    flows = [Visitor(door, host) for host in ("192.0.2.21", "192.0.2.22")]
    for number, flow in enumerate(flows, 1):
        parameters = f';+sip.instance="<urn:uuid:0a>";reg-id={number}'
        more = (("Supported", "path, outbound"), ("Path", f"<sip:edge{number}.example.com;lr;ob>"))
        assert flow.register("102", parameters=parameters, more=more) == 200
    caller = Visitor(door, "192.0.2.1")
    caller.authorized_call("102", "101")
    invites = [sent for sent in door.phone.sent if sent.name == "INVITE"]
    assert [sent.flow.remote for sent in invites] == [flows[1].phone.address]
    assert invites[0].message.headers.get("Route") == "<sip:edge2.example.com;lr;ob>"


def test_an_account_that_is_over_is_unknown() -> None:
    door = Door()
    user, password = visit(door)
    door.run(LIFETIME_S + 1)
    page = Visitor(door, "192.0.2.9")
    page.authorized_call(NUMBER, user, password)
    assert page.status() == 401


def test_over_websocket_even_a_meeting_needs_an_account() -> None:
    door = Door()
    door.phone.transport = "wss"
    page = Visitor(door, "192.0.2.9", "wss")
    page.call(NUMBER)
    assert page.status() == 401
    assert "MD5" in str(page.answers()[-1].headers.get("WWW-Authenticate"))


def test_only_an_account_learns_that_messages_are_not_taken() -> None:
    door = Door()
    phone = Visitor(door, "192.0.2.9")
    uri = SipUri(user="102", host=SERVER)
    assert phone.ask("MESSAGE", uri, "101", Headers()) == 401
    challenge = phone.answers()[-1].headers.get("WWW-Authenticate") or ""
    assert (
        phone.ask("MESSAGE", uri, "101", phone.credentials(challenge, "101", "secret", str(uri), "MESSAGE"))
        == 405
    )
    assert "INVITE" in phone.answers()[-1].headers.get_all("Allow")
    assert "MESSAGE" not in phone.answers()[-1].headers.get_all("Allow")
