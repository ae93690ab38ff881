"""Busy lamps, mailboxes and published calls: what accounts are told of each other, signalled for real."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from ringback.governance.private import Private
from ringback.sip.dialog_info import DIALOG_INFO, DialogState, write_dialog_info
from ringback.sip.digest import authorize, parse_challenge
from ringback.sip.effects import IncomingCall
from ringback.sip.message import Headers, NameAddr, Response, SipUri
from ringback.sip.message_summary import Mailbox
from ringback.sip.replaces import Replaces
from tests.call.office import offer
from tests.conference.stage import GUEST_PIN, NUMBER
from tests.server.door import SERVER, Door, Visitor, extension
from tests.sip.watcher import Watcher

SPACE = "{urn:ietf:params:xml:ns:dialog-info}"


class Lamp(Watcher):
    """A phone with an account that watches."""

    def __init__(self, door: Door, host: str, user: str) -> None:
        super().__init__(door.network, host, SERVER, user)
        self.door = door

    def ask(
        self, method: str, *headers: tuple[str, str], to: str, call_id: str, body: bytes = b""
    ) -> Response:
        """A request with the account's credentials."""
        refused = self.send(method, *headers, to=to, call_id=call_id, body=body)
        assert refused.status == 401
        challenge = parse_challenge(refused.headers.get("WWW-Authenticate") or "")
        assert challenge is not None
        value = authorize(challenge, method, f"sip:{to}@{SERVER}", self.user, Private("secret"))
        assert value is not None
        credentials = Headers(("Authorization", value))
        self.send(method, *headers, to=to, call_id=call_id, body=body, credentials=credentials)
        self.door.run(0.5)
        return self.responses[-1]

    def watch(self, number: str, package: str = "dialog") -> int:
        return self.ask(
            "SUBSCRIBE", ("Event", package), ("Expires", "600"), to=number, call_id=f"{package}-{number}"
        ).status

    def publish(self, dialogs: list[DialogState] | None, *headers: tuple[str, str]) -> Response:
        body = b"" if dialogs is None else write_dialog_info(SipUri(user=self.user), 0, dialogs)
        fields = (("Event", "dialog"), ("Content-Type", DIALOG_INFO), *headers)
        return self.ask("PUBLISH", *fields, to=self.user, call_id=f"publish{len(self.responses)}", body=body)

    @property
    def shown(self) -> list[str]:
        """The states of the dialogs in the last NOTIFY."""
        return [dialog.findtext(f"{SPACE}state") or "" for dialog in self.dialogs]

    @property
    def dialogs(self) -> list[ElementTree.Element]:
        return list(ElementTree.fromstring(self.bodies[-1]))


@pytest.fixture
def door() -> Door:
    door = Door()
    door.directory = door.directory.with_extension(extension("103"))
    return door


def answer_calls(visitor: Visitor) -> None:
    """Let its phone take the call that it rings for."""
    session = visitor.phone.told(IncomingCall)[-1].session
    visitor.phone.do(session.accept(offer(visitor.phone.address[0]), visitor.phone.now))
    visitor.door.run(1.5)


def ring(door: Door) -> tuple[Visitor, Visitor]:
    """101 calls 102, whose phone rings."""
    caller, called = Visitor(door, "192.0.2.1"), Visitor(door, "192.0.2.2")
    called.register("102")
    caller.authorized_call("102", "101")
    session = called.phone.told(IncomingCall)[-1].session
    called.phone.do(session.ring(called.phone.now))
    door.run(1.5)
    return caller, called


def test_a_lamp_shows_ringing_talking_and_the_end(door: Door) -> None:
    lamp = Lamp(door, "192.0.2.3", "103")
    assert lamp.watch("102") == 200
    assert lamp.dialogs == []
    _, called = ring(door)
    assert lamp.shown == ["early"]
    answer_calls(called)
    assert lamp.shown == ["confirmed"]
    session = called.phone.told(IncomingCall)[-1].session
    called.phone.do(session.hangup(called.phone.now))
    door.run(1.5)
    assert lamp.shown == ["terminated"]
    versions = [ElementTree.fromstring(body).get("version") for body in lamp.bodies]
    assert versions == [str(number) for number in range(len(lamp.bodies))]


def test_the_caller_s_lamp_goes_on_too(door: Door) -> None:
    lamp = Lamp(door, "192.0.2.3", "103")
    lamp.watch("101")
    _, called = ring(door)
    assert lamp.shown == ["early"]
    assert lamp.dialogs[0].get("direction") == "initiator"
    answer_calls(called)
    assert lamp.shown == ["confirmed"]


def test_others_learn_that_somebody_talks_and_not_with_whom(door: Door) -> None:
    stranger, colleague = Lamp(door, "192.0.2.3", "103"), Lamp(door, "192.0.2.4", "102")
    stranger.watch("102")
    colleague.watch("102")
    _, called = ring(door)
    session = called.phone.told(IncomingCall)[-1].session
    assert "101" not in stranger.bodies[-1]
    assert session.call_id not in stranger.bodies[-1]
    assert f"sip:101@{SERVER}" in colleague.bodies[-1]
    (dialog,) = colleague.dialogs
    told = Replaces(*(dialog.get(name) or "" for name in ("call-id", "remote-tag", "local-tag")))
    found = door.phone.endpoint.session_of(told)
    assert found is not None
    assert found.call_id == session.call_id


def test_a_pin_that_was_dialled_is_shown_to_nobody(door: Door) -> None:
    own = Lamp(door, "192.0.2.3", "101")
    own.watch("101")
    Visitor(door, "192.0.2.1").authorized_call(f"{NUMBER}*{GUEST_PIN}", "101")
    door.run(1.5)
    assert own.shown == ["confirmed"]
    assert NUMBER in own.bodies[-1]
    assert GUEST_PIN not in own.bodies[-1]


def test_without_an_account_nothing_is_watched(door: Door) -> None:
    stranger = Watcher(door.network, "192.0.2.3", SERVER, "103")
    existing = stranger.subscribe(to="101")
    missing = stranger.subscribe(to="999", call_id="two")
    assert existing.status == missing.status == 401
    assert stranger.send("PUBLISH", ("Event", "dialog"), to="103", call_id="three").status == 401
    lamp = Lamp(door, "192.0.2.4", "103")
    assert lamp.watch("999") == lamp.watch(NUMBER) == 403
    assert lamp.watch("101", "presence") == 489
    assert lamp.notified == []


def test_who_is_removed_is_not_watched_and_watches_no_more(door: Door) -> None:
    lamp, other = Lamp(door, "192.0.2.3", "103"), Lamp(door, "192.0.2.4", "101")
    lamp.watch("102")
    other.watch("103")
    door.directory = door.directory.without_extension("103")
    door.switchboard.sip(door.watching.review(door.phone.now))
    door.run(1)
    assert lamp.state.terminated
    assert other.state.terminated
    assert len(door.watching.notifier) == 0


def test_a_mailbox_is_told_to_its_owner_alone(door: Door) -> None:
    lamp = Lamp(door, "192.0.2.3", "103")
    assert lamp.watch("102", "message-summary") == 403
    assert lamp.watch("103", "message-summary") == 200
    assert lamp.bodies == ["Messages-Waiting: no\r\n"]
    door.run(1)
    door.watching.mailboxes.find = lambda account: Mailbox(new=len(account))
    door.switchboard.sip(door.watching.mailbox_changed("103", door.phone.now))
    door.run(1)
    assert lamp.bodies[-1].startswith("Messages-Waiting: yes\r\n")


def test_what_a_phone_publishes_is_shown_beside_what_the_server_knows(door: Door) -> None:
    lamp, own = Lamp(door, "192.0.2.3", "103"), Lamp(door, "192.0.2.4", "102")
    phone = Lamp(door, "192.0.2.5", "102")
    lamp.watch("102")
    own.watch("102")
    elsewhere = DialogState(
        "a", "confirmed", True, "elsewhere", remote=NameAddr(SipUri(user="900", host="example.com"))
    )
    published = phone.publish([elsewhere])
    door.run(1.5)
    assert published.status == 200
    assert lamp.shown == own.shown == ["confirmed"]
    assert "900" not in lamp.bodies[-1]
    assert "900" in own.bodies[-1]
    _, called = ring(door)
    assert sorted(lamp.shown) == ["confirmed", "early"]
    # A phone that publishes the call which the server knows does not make it two.
    session = called.phone.told(IncomingCall)[-1].session
    tag = published.headers.get("SIP-ETag") or ""
    known = replace(elsewhere, call_id=session.call_id)
    changed = phone.publish([known], ("SIP-If-Match", tag))
    door.run(1.5)
    assert sorted(lamp.shown) == ["early", "terminated"]
    removed = phone.publish(None, ("SIP-If-Match", changed.headers.get("SIP-ETag") or ""), ("Expires", "0"))
    assert removed.status == 200
    assert phone.publish(None, ("SIP-If-Match", tag)).status == 412


def test_what_was_published_is_forgotten_in_time(door: Door) -> None:
    lamp, phone = Lamp(door, "192.0.2.3", "103"), Lamp(door, "192.0.2.5", "102")
    lamp.watch("102")
    phone.publish([DialogState("a", "confirmed")], ("Expires", "60"))
    door.run(1.5)
    assert lamp.shown == ["confirmed"]
    door.run(61)
    assert lamp.shown == ["terminated"]


def test_an_account_publishes_for_itself_alone(door: Door) -> None:
    phone = Lamp(door, "192.0.2.5", "102")
    answer = phone.ask(
        "PUBLISH", ("Event", "dialog"), ("Content-Type", DIALOG_INFO), to="103", call_id="x", body=b"<a/>"
    )
    assert answer.status == 403


def test_a_transfer_goes_where_the_transferor_may_call_and_calls_are_taken_over_by_own_devices(
    door: Door,
) -> None:
    caller, called = ring(door)
    answer_calls(called)
    session = called.phone.told(IncomingCall)[-1].session
    for number, status in (("998", 404), ("not a number", 404), ("103", 202)):
        target = NameAddr(SipUri(user=number.replace(" ", "%20"), host="elsewhere.example.com"))
        called.phone.do(session.refer(target, called.phone.now))
        door.run(1)
        answers = [r.status for r in called.answers() if r.cseq.method == "REFER"]
        assert answers[-1] == status
    # 103 has no phone: the two talk on.
    for user, host, status in (("103", "192.0.2.6", 403), ("102", "192.0.2.7", 200)):
        visitor = Visitor(door, host)
        headers = visitor.credentials(visitor.challenged(), user, "secret", f"sip:101@{SERVER}")
        headers.add("Replaces", str(Replaces.of(session)))
        visitor.call("101", from_=user, headers=headers)
        assert visitor.status() == status
    door.run(1)
    assert session.state.value == "ended"
    assert len(door.switchboard.legs) == 2
    stranger = Visitor(door, "192.0.2.8")
    unknown = Headers(("Replaces", "unknown;to-tag=a;from-tag=b"))
    stranger.call("101", headers=unknown)
    assert stranger.status() == 401, "who has no account learns of no call"
    stranger.authorized_call("101", "103", headers=unknown)
    assert stranger.status() == 481
    del caller
