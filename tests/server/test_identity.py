"""Who callers are to those they call: by account, by a trusted peer's word, or unknown if they like."""

from __future__ import annotations

import pytest

from ringback.sip.headers import Headers
from ringback.sip.message import NameAddr, Request
from ringback.sip.uri import parse_uri
from tests.conference.stage import GUEST_PIN, NUMBER
from tests.server.door import SERVER, TRUSTED, Door, Visitor, extension

ANONYMOUS = NameAddr.parse('"Anonymous" <sip:anonymous@anonymous.invalid>')
LIES = Headers(
    ("P-Asserted-Identity", '"The boss" <sip:999@example.com>'),
    ("P-Preferred-Identity", "<sip:999@example.com>"),
    ("Remote-Party-ID", "<sip:999@example.com>;party=calling"),
    ("Diversion", "<sip:999@example.com>"),
    ("Identity", '"c2lnbmVk"'),
)


def rung(door: Door, host: str) -> list[Request]:
    """The INVITEs that a device got."""
    return [
        sent.message
        for sent in door.phone.sent
        if isinstance(sent.message, Request)
        and sent.message.method == "INVITE"
        and sent.flow.remote[0] == host
    ]


def call_between(
    door: Door, device: str = "192.0.2.2", *, from_: NameAddr | None = None, headers: Headers | None = None
) -> Request:
    """101 calls 102, whose phone is at `device`: the INVITE that rings there."""
    assert Visitor(door, device).register("102") == 200
    caller = Visitor(door, "192.0.2.1")
    caller.authorized_call("102", "101", from_=from_, headers=headers)
    (invite,) = rung(door, device)
    return invite


def test_a_phone_is_told_the_account_that_calls_and_nothing_the_caller_made_up() -> None:
    invite = call_between(Door(), headers=LIES)
    assert invite.from_.uri == parse_uri(f"sip:101@{SERVER}")
    assert invite.from_.display == "Phone 101"
    assert "999" not in "\n".join(invite.headers.lines())
    for name in ("P-Asserted-Identity", "Remote-Party-ID", "Diversion", "Identity", "Privacy"):
        assert name not in invite.headers


@pytest.mark.parametrize("how", ["id", "user", "header", "from"])
def test_who_wants_to_stay_unknown_does(how: str) -> None:
    if how == "from":
        invite = call_between(Door(), from_=ANONYMOUS)
    else:
        invite = call_between(Door(), headers=Headers(("Privacy", how)))
    assert invite.from_.with_tag("") == ANONYMOUS.with_tag("")
    assert "101" not in "\n".join(invite.headers.lines())


def test_a_trusted_peer_learns_who_calls_and_that_it_must_not_tell() -> None:
    invite = call_between(Door(), TRUSTED, headers=Headers(("Privacy", "id")))
    assert invite.from_.with_tag("") == ANONYMOUS.with_tag("")
    assert NameAddr.parse(invite.headers.get("P-Asserted-Identity") or "").uri == parse_uri(
        f"sip:101@{SERVER}"
    )
    assert invite.headers.get("Privacy") == "id"


def test_privacy_of_an_unknown_kind_that_is_a_condition_ends_the_call() -> None:
    caller = Visitor(Door(), "192.0.2.1")
    caller.authorized_call("102", "101", headers=Headers(("Privacy", "magic;critical")))
    assert caller.status() == 500


@pytest.mark.parametrize(
    ("from_", "status"),
    [
        ("<sip:101@example.com>", 480),
        ('"102" <sip:101@example.com>', 480),
        ("<sips:101@example.com>", 480),
        ("<sip:%31%30%31@example.com>", 480),
        ("<sip:101:secret@example.com>", 480),
        ("<sip:102@example.com>", 403),
        ('"101" <sip:102@example.com>', 403),
        ("<sip:%2531%2530%2531@example.com>", 403),
        ("<sip:101%00@example.com>", 403),
        ("<sip:101;phone-context=x@example.com>", 403),
        ("<sip:1-0-1@example.com>", 403),
        ("<tel:101>", 403),
        ("<sip:example.com>", 403),
        ("<https://101>", 403),
    ],
)
def test_from_is_the_account_whatever_it_looks_like(from_: str, status: int) -> None:
    caller = Visitor(Door(), "192.0.2.1")
    caller.authorized_call("102", "101", from_=NameAddr.parse(from_))
    assert caller.status() == status


def test_a_name_beside_the_number_does_not_make_another_caller() -> None:
    door = Door()
    invite = call_between(door, from_=NameAddr.parse('"Boss 999" <sip:101@example.com>'))
    assert invite.from_.display == "Phone 101"
    assert invite.from_.uri == parse_uri(f"sip:101@{SERVER}")


@pytest.mark.parametrize(("host", "number"), [(TRUSTED, "+15550123"), ("192.0.2.77", "eve")])
def test_a_trusted_peer_is_believed_and_no_other(host: str, number: str) -> None:
    door = Door()
    peer = Visitor(door, host)
    peer.call(f"{NUMBER}*{GUEST_PIN}", headers=Headers(("P-Asserted-Identity", '"Ada" <tel:+1-555-0123>')))
    (leg,) = door.switchboard.legs.values()
    assert leg.party.number.reveal() == number
    assert leg.party.account is None


@pytest.mark.parametrize("from_", ["101", ANONYMOUS])
def test_in_a_meeting_who_stays_unknown_has_no_number(from_: str | NameAddr) -> None:
    door = Door()
    Visitor(door, "192.0.2.1").authorized_call(NUMBER, "101", from_=from_, headers=Headers(("Privacy", "id")))
    (leg,) = door.switchboard.legs.values()
    assert leg.party.number.reveal() == ""
    assert leg.party.account == "101", "the system itself knows"


@pytest.mark.parametrize("name", ["Answer-Mode", "Priv-Answer-Mode"])
def test_nobody_makes_a_phone_answer_by_itself(name: str) -> None:
    wish = Headers((name, "Auto"), ("Call-Info", "<sip:x>;answer-after=0"), ("Alert-Info", "<http://x>"))
    invite = call_between(Door(), headers=wish)
    for field in ("Answer-Mode", "Priv-Answer-Mode", "Call-Info", "Alert-Info"):
        assert field not in invite.headers
    caller = Visitor(Door(), "192.0.2.1")
    caller.authorized_call("102", "101", headers=Headers((name, "Auto;require")))
    assert caller.status() == 403


def test_where_it_is_allowed_an_account_may() -> None:
    invite = call_between(Door(allow_answer_mode=True), headers=Headers(("Answer-Mode", "Auto;require")))
    assert invite.headers.get("Answer-Mode") == "Auto"
    assert "answer-after=0" in (invite.headers.get("Call-Info") or "")
    manual = call_between(Door(allow_answer_mode=True))
    assert "Answer-Mode" not in manual.headers


@pytest.mark.parametrize(
    "method",
    ["OPTIONS", "SUBSCRIBE", "PUBLISH", "MESSAGE", "REFER", "NOTIFY", "INFO", "BYE", "UPDATE", "PRACK"],
)
def test_no_method_tells_which_extensions_there_are(method: str) -> None:
    door = Door()
    door.directory = door.directory.with_extension(extension("103", enabled=False))
    assert Visitor(door, "192.0.2.50").register("102") == 200
    shapes = set()
    for host, number in enumerate(("101", "102", "103", "999", "*43", "tel:101", "tel:999"), 60):
        answer = Visitor(door, f"192.0.2.{host}").inquire(method, number)
        shapes.add((answer.status, answer.reason, tuple(name for name, _ in answer.headers.items())))
    assert len(shapes) == 1, shapes


def test_a_telephone_uri_is_no_way_around() -> None:
    door = Door()
    answers = {
        Visitor(door, f"192.0.2.{host}").inquire("REGISTER", f"sip:{SERVER}", from_=who).status
        for host, who in enumerate(("<tel:101>", "<tel:999>", "<sip:101@x>", "<sip:999@x>"), 70)
    }
    assert answers == {401}


def test_refusals_and_challenges_leave_nothing_behind() -> None:
    door = Door()
    stranger = Visitor(door, "192.0.2.66")
    for method in ("OPTIONS", "SUBSCRIBE", "REGISTER", "BYE"):
        stranger.inquire(method, "101")
    stranger.call("101")
    assert door.phone.endpoint.transactions == 0
    assert door.phone.endpoint.deadline() is None
