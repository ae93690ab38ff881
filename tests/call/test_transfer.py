"""Transfers and take-overs between phones, signalled for real: who hears whom, and what is told."""

from __future__ import annotations

import pytest

from ringback.call.application import Application
from ringback.call.bridge import Bridge, Device, RingRound
from ringback.call.echo import EchoTest
from ringback.call.leg import Leg
from ringback.call.party import Party
from ringback.call.transfer import Takeover
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.sip.effects import Ended, Failed, IncomingCall, ReferProgress
from ringback.sip.flow import Flow
from ringback.sip.message import Headers, NameAddr, SipUri
from ringback.sip.replaces import Replaces
from ringback.sip.session import InviteSession
from tests.call.office import SERVER, Desk, Office, offer
from tests.sip.phones import Effect, Phone


class Company(Office):
    """Numbers with a phone each; who calls is believed to be who it says, and may call every number."""

    def __init__(self, **manners: str) -> None:
        super().__init__()
        self.desks: dict[str, Desk] = {}
        self.switchboard.transfers = self
        for number, manner in manners.items():
            host = f"192.0.2.{int(number[1:])}"
            self.desks[number[1:]] = Desk(self, host, manner, "udp", number[1:])

    def __getitem__(self, number: str) -> Desk:
        return self.desks[number]

    def bridge_to(self, number: str, caller: str) -> Bridge:
        desk = self.desks[number]
        devices = (
            [Device(SipUri(user=number, host=desk.host), Flow("udp", (SERVER, 5060), (desk.host, 5060)))]
            if desk.manner != "away"
            else []
        )
        return Bridge(
            self.switchboard,
            [RingRound(lambda now: devices)],
            NameAddr(SipUri(user=number, host=SERVER)),
            NameAddr(SipUri(user=caller, host=SERVER)),
            Party(Private(number), account=number),
            next(self.switchboard.media_rooms),
        )

    def destination(
        self, transferor: Leg, remaining: Leg, refer_to: NameAddr, now: float
    ) -> Application | int:
        assert isinstance(refer_to.uri, SipUri)
        number = refer_to.uri.username
        if number == "echo":
            return EchoTest()
        return self.bridge_to(number, remaining.party.number.reveal()) if number in self.desks else 404

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if not isinstance(event, IncomingCall):
            return super()._on_event(phone, event)
        caller, called = event.request.from_.uri, event.request.uri
        assert isinstance(caller, SipUri)
        assert isinstance(called, SipUri)
        application: Application = EchoTest()
        if event.replaced is not None:
            leg = self.switchboard.leg_of(event.replaced)
            assert leg is not None
            assert isinstance(leg.application, Bridge)
            application = Takeover(leg.application, leg)
        elif called.username in self.desks:
            application = self.bridge_to(called.username, caller.username)
        party = Party(Private(caller.username), account=caller.username)
        number = Private(called.username)
        self.switchboard.incoming(
            event.session, event.flow, event.request.body, party, number, application, phone.now
        )
        return self.flush()

    def call(self, caller: str, called: str) -> InviteSession:
        session = self[caller].call(self, number=called)
        self.run()
        return session

    def refer(
        self, number: str, session: InviteSession, target: str, consulted: Replaces | None = None
    ) -> None:
        uri = SipUri(user=target, host=SERVER)
        phone = self[number].phone
        phone.events.clear()
        phone.do(session.refer(NameAddr(consulted.in_uri(uri) if consulted else uri), phone.now))
        self.run()

    def told(self, number: str) -> list[int]:
        """The statuses that a transferor was told, and that no more follows."""
        told = self[number].phone.told(ReferProgress)
        assert not told or told[-1].done
        return [one.status for one in told]

    def talking(self) -> list[set[str]]:
        """The numbers of the legs in each media room, two or more."""
        rooms: dict[int, set[str]] = {}
        for leg, room in self.rooms().items():
            rooms.setdefault(room, set()).add(self.switchboard.legs[leg].party.number.reveal())
        return list(rooms.values())

    def hears(self, number: str) -> list[str]:
        """What is being played to the leg of a number."""
        playing: dict[int, list[str]] = {}
        for command in self.commands:
            if isinstance(command, media.Play):
                playing[command.leg] = list(command.sounds)
            elif isinstance(command, media.StopPlay):
                playing.pop(command.leg, None)
        (leg,) = [leg.id for leg in self.switchboard.legs.values() if leg.party.number.reveal() == number]
        return playing.get(leg, [])

    def listed(self) -> list[tuple[str, str]]:
        """The calls that an administrator is shown: from and to."""
        legs = [leg for leg in self.switchboard.legs.values() if leg.dialled is not None]
        return [(leg.party.number.reveal(), leg.dialled.reveal() if leg.dialled else "") for leg in legs]

    def over(self, number: str) -> bool:
        return all(session.state.value == "ended" for session in self[number].sessions)


def invited(desk: Desk) -> IncomingCall:
    return desk.phone.told(IncomingCall)[-1]


@pytest.mark.parametrize("transferor", ["101", "102"])
def test_either_side_hands_the_other_to_a_third(transferor: str) -> None:
    company = Company(n101="answer", n102="answer", n103="ring")
    company.call("101", "102")
    remaining = {"101": "102", "102": "101"}[transferor]
    session = company[transferor].sessions[-1]
    company.refer(transferor, session, "103")
    assert company.hears(remaining) == ["tone:ringback"]
    assert remaining not in set().union(*company.talking())
    call = invited(company["103"]).request
    assert call.from_.uri == SipUri(user=remaining, host=SERVER)
    assert call.headers.get("Referred-By")
    company["103"].pick_up()
    company.run()
    assert company.told(transferor) == [100, 180, 200]
    assert company.talking() == [{remaining, "103"}]
    assert company.listed() == [(remaining, "103")]
    assert company.hears(remaining) == []
    assert company.over(transferor)
    assert not company.over(remaining)
    company[remaining].phone.do(company[remaining].sessions[-1].hangup(company.server.now))
    company.run()
    assert company.over("103")
    assert company.switchboard.legs == {}
    assert company.faults == []


@pytest.mark.parametrize(
    ("manner", "target", "told"),
    [("busy", "103", [100, 486]), ("away", "103", [100, 480]), ("answer", "999", [404])],
)
def test_a_transfer_that_fails_leaves_the_call_as_it_was(manner: str, target: str, told: list[int]) -> None:
    company = Company(n101="answer", n102="answer", n103=manner)
    session = company.call("101", "102")
    company.refer("101", session, target)
    assert company.told("101") == told
    assert company.talking() == [{"101", "102"}]
    assert company.listed() == [("101", "102")]
    assert company.hears("102") == []
    # And may be tried again.
    company.refer("101", session, target)
    assert company.told("101") == told
    company["101"].phone.do(session.hangup(company.server.now))
    company.run()
    assert company.over("102")
    assert company.faults == []


def test_who_was_on_hold_hears_music_again_after_a_failed_transfer() -> None:
    company = Company(n101="answer", n102="answer", n103="ring")
    session = company.call("101", "102")
    phone = company["101"].phone
    phone.do(session.reinvite(offer("192.0.2.101", direction="sendonly"), phone.now))
    company.run()
    assert company.hears("102") == ["music"]
    company.refer("101", session, "103")
    assert company.hears("102") == ["tone:ringback"]
    company.run(62)
    assert company.told("101") == [100, 180, 480]
    assert company.hears("102") == ["music"]
    assert company.over("103")


def test_who_refers_and_hangs_up_at_once_has_transferred_all_the_same() -> None:
    company = Company(n101="answer", n102="answer", n103="ring")
    session = company.call("101", "102")
    company.refer("101", session, "103")
    company["101"].phone.do(session.hangup(company.server.now))
    company.run()
    assert company.hears("102") == ["tone:ringback"]
    company["103"].pick_up()
    company.run()
    assert company.talking() == [{"102", "103"}]
    assert company.faults == []


def test_nobody_is_left_behind_when_transferor_and_target_are_both_gone() -> None:
    company = Company(n101="answer", n102="answer", n103="ring")
    session = company.call("101", "102")
    company.refer("101", session, "103")
    company["101"].phone.do(session.hangup(company.server.now))
    company.run(62)
    assert company.over("102")
    assert company.over("103")
    assert company.switchboard.legs == {}


def test_who_is_transferred_may_hang_up_while_it_rings() -> None:
    company = Company(n101="answer", n102="answer", n103="ring")
    session = company.call("101", "102")
    company.refer("101", session, "103")
    phone = company["102"].phone
    phone.do(company["102"].sessions[-1].hangup(phone.now))
    company.run()
    assert company.over("103")
    assert company.over("101")
    assert company.told("101") == [100, 180, 487]
    assert company.switchboard.legs == {}


def test_a_transfer_to_what_answers_at_once() -> None:
    company = Company(n101="answer", n102="answer")
    session = company.call("101", "102")
    company.refer("101", session, "echo")
    assert company.told("101") == [100, 200]
    assert company.over("101")
    assert company.hears("102") == ["prompt:echo-test", "tone:entry"]
    assert company.rooms() == {}


def test_what_has_no_other_side_is_not_transferred() -> None:
    company = Company(n101="answer", n102="answer")
    session = company.call("101", "700")
    company.refer("101", session, "102")
    assert company.told("101") == [403]
    assert not company.over("101")


def test_two_calls_of_one_phone_are_joined() -> None:
    company = Company(n101="answer", n102="answer", n103="answer")
    first = company.call("101", "102")
    phone = company["101"].phone
    phone.do(first.reinvite(offer("192.0.2.101", direction="sendonly"), phone.now))
    second = company.call("101", "103")
    assert company.hears("102") == ["music"]
    company.refer("101", first, "103", Replaces.of(second))
    assert company.told("101") == [100, 200]
    assert company.talking() == [{"102", "103"}]
    assert company.hears("102") == company.hears("103") == []
    assert company.listed() == [("102", "103")]
    assert company.over("101")
    assert len(company.switchboard.legs) == 2
    phone = company["103"].phone
    phone.do(company["103"].sessions[-1].hangup(phone.now))
    company.run()
    assert company.over("102")
    assert company.faults == []


def test_two_calls_are_joined_while_the_second_still_rings() -> None:
    company = Company(n101="answer", n102="answer", n103="ring")
    first = company.call("101", "102")
    second = company.call("101", "103")
    company.refer("101", first, "103", Replaces.of(second))
    assert company.hears("102") == ["tone:ringback"]
    assert company["101"].phone.told(Failed)
    company["103"].pick_up()
    company.run()
    assert company.told("101") == [100, 180, 200]
    assert company.talking() == [{"102", "103"}]
    assert company.over("101")


def test_a_call_that_is_joined_to_one_nobody_answers_goes_back() -> None:
    company = Company(n101="answer", n102="answer", n103="ring")
    first = company.call("101", "102")
    second = company.call("101", "103")
    company.refer("101", first, "103", Replaces.of(second))
    company.run(62)
    assert company.told("101") == [100, 180, 480]
    assert company.talking() == [{"101", "102"}]
    assert company.over("103")
    assert company.faults == []


def test_calls_of_others_cannot_be_joined() -> None:
    company = Company(n101="answer", n102="answer", n103="answer", n104="answer")
    first = company.call("101", "102")
    foreign = company.call("103", "104")
    echo = company.call("101", "700")
    company.refer("101", first, "104", Replaces.of(foreign))
    assert company.told("101") == [403]
    company.refer("101", first, "102", Replaces.of(first))
    assert company.told("101") == [403]
    company.refer("101", first, "700", Replaces.of(echo))
    assert company.told("101") == [403]
    company.refer("101", first, "104", Replaces("unknown", "a", "b"))
    assert company.told("101") == [404]
    assert {"101", "102"} in company.talking()
    assert {"103", "104"} in company.talking()


def replacing(company: Company, number: str, of: Replaces) -> InviteSession:
    session = company[number].call(company, number="x", headers=Headers(("Replaces", str(of))))
    company.run()
    return session


@pytest.mark.parametrize("side", ["101", "102"])
def test_a_call_in_progress_is_taken_over_by_another_phone(side: str) -> None:
    company = Company(n101="answer", n102="answer", n103="answer")
    company.call("101", "102")
    replacing(company, "103", Replaces.of(company[side].sessions[-1]))
    other = {"101": "102", "102": "101"}[side]
    assert company.talking() == [{"103", other}]
    assert company.listed() == [("103", "102") if side == "101" else ("101", "102")]
    assert company.over(side)
    assert not company.over(other)
    company["103"].phone.do(company["103"].sessions[-1].hangup(company.server.now))
    company.run()
    assert company.over(other)
    assert company.switchboard.legs == {}


def test_a_ringing_call_is_picked_up_by_another_phone() -> None:
    company = Company(n101="answer", n102="ring", n103="answer")
    company.call("101", "102")
    ringing = company["102"].sessions[-1]
    # As 102's own device says it to a colleague: the server's tag is the remote one.
    of = Replaces(ringing.call_id, ringing.remote_tag or "", ringing.local_tag, early_only=True)
    replacing(company, "103", of)
    assert company.talking() == [{"101", "103"}]
    assert company["102"].phone.told(Ended)
    assert company.over("102")
    assert company.faults == []


def test_a_call_whose_place_cannot_be_given_stays() -> None:
    company = Company(n101="answer", n102="answer", n103="ring", n104="answer")
    first = company.call("101", "102")
    company.refer("101", first, "103")
    session = replacing(company, "104", Replaces.of(first))
    assert company["104"].phone.told(Failed)[0].status == 481
    assert session.state.value == "ended"
    company["103"].pick_up()
    company.run()
    assert company.talking() == [{"102", "103"}]
