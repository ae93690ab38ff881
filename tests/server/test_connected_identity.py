"""Phones that follow it show who they talk to now: after a transfer, a pickup, a takeover (RFC 4916)."""

from __future__ import annotations

import pytest

from ringback.sip.effects import Answered, IncomingCall, PeerChanged
from ringback.sip.headers import Headers
from ringback.sip.message import NameAddr, Request, SipUri
from ringback.sip.replaces import Replaces
from ringback.sip.session import InviteSession
from ringback.store.directory import Directory
from tests.call.office import offer
from tests.server.door import SERVER, Door, Visitor, extension


class Follower(Visitor):
    """A registered phone that follows changes of who it talks to, by UPDATE or by re-INVITE."""

    def __init__(self, door: Door, number: str, *, tags: tuple[str, ...] = ("from-change",)) -> None:
        super().__init__(door, f"192.0.2.{int(number) - 100}")
        self.number = number
        self.phone = door.network.phone(f"192.0.2.{int(number) - 50}", supported=tags)
        assert self.register(number) == 200

    def answers_call(self) -> InviteSession:
        session = self.phone.told(IncomingCall)[-1].session
        self.phone.do(session.accept(offer(self.phone.address[0]), self.phone.now))
        self.door.run(1)
        return session

    def shown(self) -> list[tuple[str, str, str]]:
        """The methods by which it was told, and whom: in From, and by P-Asserted-Identity."""
        return [
            (sent.message.method, str(sent.message.from_.uri), value)
            for sent in self.door.phone.sent
            if isinstance(sent.message, Request)
            and sent.flow.remote == self.phone.address
            and sent.message.to.tag is not None
            and (value := sent.message.headers.get("P-Asserted-Identity")) is not None
        ]


def told_of(number: str) -> tuple[str, str, str]:
    return "UPDATE", f"sip:{number}@{SERVER}", f'"Phone {number}" <sip:{number}@{SERVER}>'


def connected(caller: Follower, called: Follower, headers: Headers | None = None) -> InviteSession:
    """One calls the other; the session of who is called."""
    caller.authorized_call(called.number, caller.number, headers=headers)
    return called.answers_call()


def refer(by: Follower, session: InviteSession, number: str, other: InviteSession | None = None) -> None:
    uri, phone = SipUri(user=number, host=SERVER), by.phone
    target = Replaces.of(other).in_uri(uri) if other is not None else uri
    phone.do(session.refer(NameAddr(target), phone.now))
    by.door.run(1)


@pytest.fixture
def door() -> Door:
    made = Door()
    made.directory = Directory.of([extension(number) for number in ("101", "102", "103")])
    return made


def test_who_is_transferred_is_told_to_whom(door: Door) -> None:
    one, two, three = (Follower(door, number) for number in ("101", "102", "103"))
    refer(two, connected(one, two), "103")
    three.answers_call()
    assert one.shown() == [told_of("103")]
    assert three.shown() == [], "its INVITE said who calls"
    (changed,) = one.phone.told(PeerChanged)
    assert (changed.who.display, str(changed.who.uri)) == ("Phone 103", f"sip:103@{SERVER}")
    assert changed.session.dialog is not None
    assert changed.session.dialog.remote.uri == changed.who.uri
    # Requests in the call go on to be understood.
    door.phone.do(door.switchboard.hang_up_all(door.phone.now, "over") or [])
    door.run(1)
    assert one.phone.told(Answered)[-1].session.state.value == "ended"


def test_after_a_consultation_both_are_told(door: Door) -> None:
    one, two, three = (Follower(door, number) for number in ("101", "102", "103"))
    first = connected(one, two)
    connected(two, three)
    refer(two, first, "103", two.phone.told(Answered)[-1].session)
    assert one.shown() == [told_of("103")]
    assert [(method, uri) for method, uri, _ in three.shown()] == [("UPDATE", f"sip:101@{SERVER}")]


def test_who_stays_unknown_is_told_to_nobody(door: Door) -> None:
    one, two, three = (Follower(door, number) for number in ("101", "102", "103"))
    first = connected(one, two, Headers(("Privacy", "id")))
    connected(two, three)
    refer(two, first, "103", two.phone.told(Answered)[-1].session)
    assert one.shown() == [told_of("103")]
    assert three.shown() == []


def test_a_phone_that_does_not_follow_is_told_nothing(door: Door) -> None:
    one, two, three = Follower(door, "101", tags=()), Follower(door, "102"), Follower(door, "103")
    refer(two, connected(one, two), "103")
    three.answers_call()
    assert one.shown() == []
    assert one.phone.told(PeerChanged) == []
