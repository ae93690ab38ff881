"""Calls while the media engine is dying, dead, or not there yet."""

from __future__ import annotations

import pytest

from ringback.media import protocol as media
from ringback.sip.effects import Failed
from tests.call.office import Desk, Office


def refusal(desk: Desk) -> tuple[int, str | None]:
    (failed,) = desk.phone.told(Failed)
    assert failed.response is not None
    return failed.status, failed.response.headers.get("Retry-After")


def test_a_call_that_finds_no_media_is_told_to_come_back() -> None:
    office = Office()
    office.media_works = False
    caller = office.desk("192.0.2.1")
    caller.call(office)
    office.run()
    assert refusal(caller) == (503, "5")
    assert office.switchboard.legs == {}


@pytest.mark.parametrize("without_offer", [False, True])
def test_a_call_that_comes_while_no_engine_runs_is_told_to_come_back(without_offer: bool) -> None:
    office = Office()
    office.media_runs = False
    caller = office.desk("192.0.2.1")
    caller.call(office, without_offer=without_offer)
    office.run()
    assert refusal(caller) == (503, "5")
    assert not office.given(media.OpenLeg)
    assert office.switchboard.legs == {}


def test_calls_being_set_up_when_the_engine_dies_are_told_to_come_back() -> None:
    office = Office()
    opening, ringing = office.desk("192.0.2.1"), office.desk("192.0.2.2")
    device = office.desk("192.0.2.3", "ring", device=True)
    ringing.call(office)
    office.run()
    office._open = lambda leg: None  # type: ignore[method-assign]  # a worker that dies before it answers
    opening.call(office)
    office.run()
    assert len(office.switchboard.legs) == 3
    office.switchboard.media_lost(list(office.switchboard.legs), office.server.now)
    office.server.do(office.flush())
    office.run()
    assert refusal(opening) == (503, "5")
    assert refusal(ringing) == (503, "5")
    assert "487 INVITE" in device.phone.names()
    assert office.switchboard.legs == {}


def test_calls_in_progress_end_when_the_engine_dies() -> None:
    office = Office()
    caller, callee = office.desk("192.0.2.1"), office.desk("192.0.2.2", device=True)
    caller.call(office)
    office.run()
    office.switchboard.media_lost(list(office.switchboard.legs), office.server.now)
    office.server.do(office.flush())
    office.run()
    assert "200 BYE" in caller.phone.names()
    assert "200 BYE" in callee.phone.names()
    assert office.switchboard.legs == {}
    assert not office.given(media.JoinRoom)[2:]
