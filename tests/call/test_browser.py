"""A browser's leg: from its offer to the end of its media."""

from __future__ import annotations

import pytest

from ringback.call.application import Application
from ringback.call.echo import EchoTest
from ringback.call.leg import BROWSER_PATIENCE_S, VANISHED_AFTER_S
from ringback.media import protocol as media
from ringback.sip.effects import Ended, OfferAnswered, OfferFailed
from ringback.sip.session import InviteSession
from tests.quality.measures import told
from tests.sdp import bodies

from .office import Desk, Office, offer


class Browsers(Office):
    def __init__(self) -> None:
        super().__init__()
        self.application = self.echo
        self.page = self.desk("192.0.2.13", transport="wss")

    def echo(self) -> Application:
        return EchoTest()

    def join(self, sdp: bytes = bodies.CHROMIUM) -> InviteSession:
        session = self.page.call(self, sdp)
        self.run()
        return session

    def plays(self) -> list[media.Command]:
        return self.given(media.Play)

    def answers(self) -> list[bytes]:
        return [
            sent.message.body
            for sent in self.server.sent
            if sent.message.body and b"a=ice-lite" in sent.message.body
        ]

    def keys(self) -> list[media.WebRtcKeys]:
        given = [command for command in self.commands if isinstance(command, media.SetMedia)]
        return [command.webrtc for command in given if command.webrtc is not None]

    def ended(self, page: Desk) -> list[str]:
        return [event.reason for event in page.phone.told(Ended)]


def test_a_browser_is_answered_and_the_engine_told_its_keys_at_once() -> None:
    office = Browsers()
    office.join()
    (opened,) = office.given(media.OpenLeg)
    assert opened.webrtc
    (keys,) = office.keys()
    assert keys.remote_ufrag == "Xq3C"
    assert f"a=ice-ufrag:{keys.local_ufrag}".encode() in office.answers()[0]
    assert not office.faults


def test_nothing_is_said_before_the_browser_can_hear_it() -> None:
    office = Browsers()
    office.join()
    assert office.plays() == []
    office.media_says(media.MediaConnected(leg=1))
    assert len(office.plays()) == 1
    # After an ICE restart the engine may tell it again.
    office.media_says(media.MediaConnected(leg=1))
    assert len(office.plays()) == 1


def test_without_a_certificate_the_browser_is_refused_and_costs_nothing() -> None:
    office = Browsers()
    office.fingerprint = ""
    office.join()
    assert "488 INVITE" in office.server.names()
    assert office.given(media.OpenLeg) == []


def test_a_browser_that_is_gone_ends_its_leg() -> None:
    office = Browsers()
    office.join()
    office.media_says(media.MediaConnected(leg=1))
    office.media_says(media.MediaLost(leg=1, reason="consent"))
    office.run()
    assert office.switchboard.legs == {}
    assert "leg.media_lost" in office.notices
    assert office.ended(office.page)


def test_a_browser_that_never_connects_is_given_up() -> None:
    office = Browsers()
    office.join()
    statistics = told({1: {}})
    office.media_says(statistics)
    assert office.switchboard.legs
    office.run(BROWSER_PATIENCE_S + 1)
    office.media_says(statistics)
    office.run()
    assert not office.switchboard.legs


def test_a_browser_may_be_silent_for_long() -> None:
    office = Browsers()
    office.join()
    office.media_says(media.MediaConnected(leg=1))
    office.media_says(told({1: {"silent_s": VANISHED_AFTER_S + 60}}))
    office.run()
    assert office.switchboard.legs


@pytest.mark.parametrize("restart", [True, False])
def test_an_ice_restart_renews_both_sides_and_nothing_else_does(restart: bool) -> None:
    office = Browsers()
    session = office.join()
    office.media_says(media.MediaConnected(leg=1))
    again = bodies.CHROMIUM.replace(b"Xq3C", b"Yr4D") if restart else bodies.CHROMIUM
    page = office.page.phone
    page.do(session.reinvite(again, page.now))
    office.run()
    assert page.told(OfferAnswered)
    first, second = office.keys()
    assert (second.local_ufrag != first.local_ufrag) is restart
    assert (second.local_pwd != first.local_pwd) is restart
    assert second.remote_fingerprints == first.remote_fingerprints
    # And what was agreed stays for the next time.
    page.do(session.reinvite(again, page.now))
    office.run()
    assert office.keys()[2] == second
    assert len(office.plays()) == 1


def test_a_secured_stream_does_not_become_a_plain_one() -> None:
    office = Browsers()
    session = office.join()
    page = office.page.phone
    page.do(session.reinvite(offer("192.0.2.13"), page.now))
    office.run()
    assert page.told(OfferFailed)
    assert office.switchboard.legs
