"""Keys in a call, between phones signalled for real: who hears whom before, meanwhile and after."""

from __future__ import annotations

import pytest

from ringback.call.application import Application
from ringback.call.bridge import Bridge
from ringback.call.in_call import KeyFeatures
from ringback.call.leg import Leg
from ringback.call.park import ParkHere, ParkingLot, Retrieve
from ringback.call.pick_up import PickUp
from ringback.media import protocol as media
from ringback.sip.effects import IncomingCall
from ringback.sip.message import NameAddr, SipUri
from tests.call.test_transfer import Company, invited


class Firm(Company):
    """A company whose numbers may use keys, all but 109, which is beyond a trunk, so to speak."""

    def __init__(self, **manners: str) -> None:
        super().__init__(**manners)
        self.desks["701"] = self.desks["101"]
        self.met: list[str] = []
        self.labels: list[str] = []
        self.lot = ParkingLot(self.switchboard, ("701", "702"), self.come_back, back_after_s=30)
        self.switchboard.in_call = self.features = KeyFeatures(self.switchboard, self, self.lot)

    def may_use_keys(self, leg: Leg) -> bool:
        return leg.party.number.reveal() != "109"

    def come_back(self, account: str, leg: Leg, label: str, now: float) -> Application | None:
        self.labels.append(f"{label}: {leg.party.number.reveal()}")
        return self.bridge_to(account, leg.party.number.reveal()) if account in self.desks else None

    def meet(self, leg: Leg, now: float) -> bool:
        self.met.append(leg.party.number.reveal())
        return True

    def destination(
        self, transferor: Leg, remaining: Leg, refer_to: NameAddr, now: float
    ) -> Application | int:
        assert isinstance(refer_to.uri, SipUri)
        number = refer_to.uri.username
        if number in self.lot.slots:
            if self.lot.at(number) is not None:
                return Retrieve(self.lot, number)
            return ParkHere(self.lot, number, transferor.party.account)
        return super().destination(transferor, remaining, refer_to, now)

    def bridge_to(self, number: str, caller: str) -> Application:  # type: ignore[override]
        return Retrieve(self.lot, number) if number in self.lot.slots else super().bridge_to(number, caller)

    def leg(self, number: str) -> Leg:
        (found,) = [leg for leg in self.switchboard.legs.values() if leg.party.number.reveal() == number]
        return found

    def press(self, number: str, keys: str) -> None:
        leg = self.leg(number).id
        for key in keys:
            self.media_says(media.Digit(leg=leg, digit=key, duration_ms=100))
        self.run(0.2)

    def sent(self, number: str) -> str:
        """The keys that a phone got."""
        leg = self.leg(number).id
        return "".join(c.digits for c in self.given(media.SendDigits) if c.leg == leg)  # type: ignore[attr-defined]

    def end(self, number: str) -> None:
        phone = self[number].phone
        phone.do(self[number].sessions[-1].hangup(phone.now))
        self.run(0.5)

    def said(self, number: str) -> None:
        """What is being said to a phone has been said."""
        leg = self.leg(number)
        assert leg.playing is not None
        self.media_says(media.PlayEnded(leg=leg.id, play=leg.playing, reason="finished"))
        self.run(0.5)


def test_keys_go_through_unless_they_are_for_us() -> None:
    firm = Firm(n101="answer", n102="answer")
    firm.call("101", "102")
    firm.press("101", "12#")
    assert firm.sent("102") == "12"
    firm.run(1.6)
    assert firm.sent("102") == "12#"
    firm.press("102", "*9")
    assert firm.sent("101") == "*9"
    # Nobody waits: these mean nothing here.
    firm.press("101", "*0*3")
    assert firm.sent("102") == "12#*0*3"


def test_who_is_not_ours_uses_no_keys() -> None:
    firm = Firm(n101="answer", n109="answer", n103="answer")
    firm.call("101", "109")
    firm.press("109", "##103#")
    assert firm.sent("101") == "##103#"
    assert firm.talking() == [{"101", "109"}]


@pytest.mark.parametrize("transferor", ["101", "102"])
def test_a_blind_transfer(transferor: str) -> None:
    firm = Firm(n101="answer", n102="answer", n103="ring")
    firm.call("101", "102")
    remaining = {"101": "102", "102": "101"}[transferor]
    firm.press(transferor, "##")
    assert firm.hears(remaining) == ["music"]
    assert firm.hears(transferor) == ["tone:dial"]
    firm.press(transferor, "103")
    assert not firm["103"].sessions
    firm.run(3.1)
    assert invited(firm["103"]).request.from_.uri == SipUri(user=remaining, host="192.0.2.254")
    assert firm.sent(remaining) == ""
    # It rings: that is all that one has to wait for.
    firm.run(0.5)
    assert firm.over(transferor)
    assert firm.hears(remaining) == ["tone:ringback"]
    firm["103"].pick_up()
    firm.run(0.5)
    assert firm.talking() == [{remaining, "103"}]
    assert firm.hears(remaining) == []
    firm.end("103")
    assert firm.switchboard.legs == {}
    assert firm.faults == []


@pytest.mark.parametrize("keys", ["103#", "999#", "#", "*"])
def test_a_blind_transfer_that_fails_gives_the_call_back(keys: str) -> None:
    firm = Firm(n101="answer", n102="answer", n103="busy")
    firm.call("101", "102")
    firm.press("101", "##" + keys)
    firm.run(0.5)
    assert firm.talking() == [{"101", "102"}]
    assert firm.hears("102") == []
    assert firm.hears("101") == ["tone:error"]
    firm.press("101", "5")
    assert firm.sent("102") == "5"
    assert firm.faults == []


def test_who_was_sent_to_nobody_comes_back_by_a_call() -> None:
    firm = Firm(n101="answer", n102="answer", n103="ring")
    firm.call("101", "102")
    firm.press("101", "##103#")
    firm.run(1)
    assert firm.over("101")
    firm.run(61)
    assert firm.labels == ["Back: 102"]
    assert firm.talking() == [{"101", "102"}]
    firm.end("101")
    assert firm.over("102")
    assert firm.faults == []


def test_a_number_that_nobody_keys_in_is_not_waited_for() -> None:
    firm = Firm(n101="answer", n102="answer")
    firm.call("101", "102")
    firm.press("101", "##")
    firm.run(10.2)
    assert firm.talking() == [{"101", "102"}]
    firm.press("101", "##")
    firm.end("101")
    assert firm.over("102")
    assert firm.faults == []


def consulting(caller_asks: bool = True, third: str = "answer") -> tuple[Firm, str, str]:
    firm = Firm(n101="answer", n102="answer", n103=third)
    firm.call("101", "102")
    who, waits = ("101", "102") if caller_asks else ("102", "101")
    firm.press(who, "*2103#")
    firm.run(0.5)
    assert third in ("busy", "away") or firm.hears(waits) == ["music"]
    return firm, who, waits


@pytest.mark.parametrize("caller_asks", [True, False])
def test_an_attended_transfer(caller_asks: bool) -> None:
    firm, who, waits = consulting(caller_asks)
    assert invited(firm["103"]).request.from_.uri == SipUri(user=who, host="192.0.2.254")
    assert firm.talking() == [{who, "103"}]
    firm.end(who)
    assert firm.talking() == [{waits, "103"}]
    assert firm.hears(waits) == []
    assert firm.listed() == [(waits, "103")]
    firm.end(waits)
    assert firm.over("103")
    assert firm.switchboard.legs == {}
    assert firm.faults == []


@pytest.mark.parametrize("caller_asks", [True, False])
def test_an_attended_transfer_before_the_third_answers(caller_asks: bool) -> None:
    firm, who, waits = consulting(caller_asks, "ring")
    assert firm.hears(who) == ["tone:ringback"]
    firm.end(who)
    assert firm.hears(waits) == ["tone:ringback"]
    firm["103"].pick_up()
    firm.run(0.5)
    assert firm.talking() == [{waits, "103"}]
    assert firm.hears(waits) == []
    assert firm.faults == []


def test_who_goes_back_is_not_taken_along_by_a_colleague_who_asks_in_turn() -> None:
    firm = Firm(n101="answer", n102="answer", n103="answer", n104="answer")
    firm.call("101", "102")
    firm.press("102", "*2103#")
    firm.run(0.5)
    firm.press("103", "*2104#")
    firm.run(0.5)
    assert firm.talking() == [{"103", "104"}]
    firm.press("102", "*0")
    firm.run(0.5)
    assert {"101", "102"} in firm.talking()
    firm.end("103")
    assert firm.talking() == [{"101", "102"}]
    assert firm.over("104")
    firm.end("102")
    assert firm.switchboard.legs == {}
    assert firm.faults == []


def test_whom_the_third_does_not_take_comes_back_by_a_call() -> None:
    firm, who, waits = consulting(third="ring")
    firm.end(who)
    firm.run(61)
    assert firm.labels == [f"Back: {waits}"]
    assert firm.talking() == [{who, waits}]
    assert firm.faults == []


@pytest.mark.parametrize("caller_asks", [True, False])
@pytest.mark.parametrize("third", ["answer", "ring"])
def test_back_to_the_first(caller_asks: bool, third: str) -> None:
    firm, who, waits = consulting(caller_asks, third)
    firm.press(who, "*0")
    firm.run(0.5)
    assert firm.talking() == [{who, waits}]
    assert firm.hears(who) == firm.hears(waits) == []
    assert firm.over("103")
    # And again.
    firm.press(who, "*2103#")
    firm.run(0.5)
    assert firm.hears(waits) == ["music"]
    assert firm.faults == []


@pytest.mark.parametrize("how", ["busy", "away", "hangs up"])
def test_a_third_who_is_not_there_leads_back_to_the_first(how: str) -> None:
    firm, who, waits = consulting(third="answer" if how == "hangs up" else how)
    if how == "hangs up":
        firm.end("103")
    assert firm.talking() == [{who, waits}]
    assert firm.hears(waits) == []
    assert firm.faults == []


def test_who_waits_may_give_up() -> None:
    firm, who, waits = consulting()
    firm.end(waits)
    assert firm.talking() == [{who, "103"}]
    firm.press(who, "*0")
    assert firm.sent("103") == "*0", "nobody waits any more"
    firm.end("103")
    assert firm.over(who)
    assert firm.faults == []


def test_three_talk_and_two_are_left() -> None:
    firm, who, waits = consulting()
    firm.press(who, "*3")
    assert firm.talking() == [{who, waits, "103"}]
    assert firm.hears(waits) == []
    assert "call.three_way" in firm.notices
    firm.press(who, "*5")
    assert firm.met == [who]
    firm.end(who)
    assert firm.talking() == [{waits, "103"}]
    assert isinstance(firm.leg(waits).application, Bridge)
    firm.press(waits, "##101#")
    firm.run(0.5)
    assert firm.talking() == [{"101", "103"}], "keys work as before"
    firm.end("101")
    assert firm.switchboard.legs == {}
    assert firm.faults == []


def test_hold_by_key() -> None:
    firm = Firm(n101="answer", n102="answer")
    firm.call("101", "102")
    firm.press("101", "*4")
    assert firm.hears("102") == ["music"]
    assert firm.talking() == [{"101"}]
    firm.press("101", "*4")
    assert firm.talking() == [{"101", "102"}]
    assert firm.hears("102") == []
    firm.press("101", "*4")
    firm.press("101", "##103#")
    assert firm.talking() == [{"101", "102"}], "there is no 103"
    firm.end("102")
    assert firm.over("101")
    assert firm.faults == []


def test_park_and_pick_up_elsewhere() -> None:
    firm = Firm(n101="answer", n102="answer", n103="answer")
    firm.call("101", "102")
    firm.press("102", "*7")
    assert firm.hears("101") == ["music"]
    assert firm.hears("102") == ["prompt:number-7", "prompt:number-0", "prompt:number-1"]
    assert "701" in firm.switchboard.take_touched()
    firm.said("102")
    assert firm.over("102")
    dial_slot(firm, "103", "701")
    assert firm.talking() == [{"101", "103"}]
    assert firm.hears("101") == []
    assert firm.lot.at("701") is None
    firm.end("101")
    assert firm.over("103")
    assert firm.faults == []


def dial_slot(firm: Firm, number: str, slot: str) -> None:
    """A phone dials a slot."""
    firm[number].call(firm, number=slot)
    firm.run(0.5)


def test_a_parked_call_comes_back_and_waits_on() -> None:
    firm = Firm(n101="answer", n102="answer")
    firm.call("101", "102")
    firm.press("102", "*7")
    firm.said("102")
    firm["102"].manner = "ring"
    firm.run(31)
    assert firm.labels == ["Park 701: 101"]
    assert firm.lot.at("701") is None
    assert firm.hears("101") == ["tone:ringback"]
    firm.run(61)
    assert firm.lot.at("701") is not None
    assert firm.hears("101") == ["music"]
    firm["102"].manner = "answer"
    firm.run(31)
    assert firm.talking() == [{"101", "102"}]
    firm.end("101")
    assert firm.switchboard.legs == {}
    assert firm.faults == []


def test_a_lot_that_is_full_and_a_caller_who_gives_up() -> None:
    firm = Firm(n101="answer", n102="answer", n103="answer", n104="answer", n105="answer", n106="answer")
    for caller, called in (("101", "102"), ("103", "104"), ("105", "106")):
        firm.call(caller, called)
        firm.press(called, "*7")
    assert firm.hears("106") == ["tone:error"]
    assert {"105", "106"} in firm.talking()
    firm.end("101")
    firm.press("106", "*7")
    assert firm.hears("106") == ["prompt:number-7", "prompt:number-0", "prompt:number-1"]
    assert firm.faults == []


def test_a_phone_parks_by_its_transfer_key() -> None:
    firm = Firm(n101="answer", n102="answer")
    session = firm.call("101", "102")
    firm.refer("101", session, "702")
    assert firm.told("101") == [100, 200]
    assert firm.hears("102") == ["music"]
    assert firm.lot.at("702") is not None
    firm.run(31)
    assert firm.labels == ["Park 702: 102"]
    assert firm.talking() == [{"101", "102"}]
    assert firm["101"].phone.told(IncomingCall)


def test_a_transfer_to_nobody_who_is_parked_or_rings_goes_back() -> None:
    firm = Firm(n101="answer", n102="answer", n103="answer")
    firm.call("101", "102")
    parked = Retrieve(firm.lot, "702")
    firm.destination = lambda *_: parked  # type: ignore[method-assign]
    firm.press("101", "##702#")
    assert firm.talking() == [{"101", "102"}]
    picked = PickUp(lambda: None)
    firm.destination = lambda *_: picked  # type: ignore[method-assign]
    firm.press("101", "##**103#")
    firm.run(0.5)
    assert firm.talking() == [{"101", "102"}]
    assert firm.faults == []


def test_a_call_that_rings_is_picked_up_by_a_colleague() -> None:
    firm = Firm(n101="answer", n102="ring", n103="answer")
    firm.call("101", "102")

    def ringing() -> Leg | None:
        return next((leg for leg in firm.switchboard.legs_of("102") if rings(leg)), None)

    firm.desks["104"] = firm.desks["103"]
    firm.bridge_to = lambda number, caller: PickUp(ringing)  # type: ignore[method-assign]
    dial_slot(firm, "103", "104")
    assert firm.talking() == [{"101", "103"}]
    assert firm.over("102")
    (call,) = firm.switchboard.calls.live.values()
    assert [(one.kind, one.by, one.call) for one in call.happenings] == [("picked-up", "103", 0)]
    firm.end("101")
    assert firm.switchboard.legs == {}
    assert firm.faults == []


def rings(leg: Leg) -> bool:
    return isinstance(leg.application, Bridge) and leg.application.rings(leg)
