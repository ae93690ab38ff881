"""Another certificate in mid-call: media goes on under the old keys until the new association is up."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.protocol import MediaConnected, MediaLost
from tests.media.world import Peer

from .browser import Browser, Office

LEVEL = -13.98


def told(office: Office, kind: type) -> list[int]:
    return [event.leg for event in office.of(kind)]


class Meeting:
    """A phone, a browser in its call, and the page that will take the browser's place."""

    def __init__(self) -> None:
        self.office = Office()
        self.phone = self.office.add(Peer(2, "PCMU", 1000.0))
        self.first = self.office.browse(Browser(1, 440.0))
        self.office.run(1.5)
        self.page = Browser(1, 440.0)
        self.page.restart()
        self.page.ip, self.page.port, self.page.to_pair = self.first.ip, 61111, self.first.to_pair

    def knock(self) -> None:
        """The page is there, beside the first one."""
        office, page = self.office, self.page
        office.browsers.append(page)
        office.peers[101], office._next_send[101] = page, office.now_ns + page.phase_ns
        office.delay[101] = lambda _at: 0.0 if page.secured else None

    def arrive(self) -> None:
        """The page comes, and speaks as soon as it can; the first one is gone then."""
        self.knock()
        for _ in range(200):
            self.office.tick()
            if self.page.secured:
                break
        assert self.page.secured
        del self.office.peers[1]
        self.office.browsers.remove(self.first)


def gap_ms(audio: np.ndarray) -> float:
    """The longest silence."""
    loud = np.flatnonzero(np.abs(audio) > 0.05)
    return float(np.diff(loud, prepend=0, append=len(audio)).max() / 8)


def test_media_goes_on_until_the_new_association_is_up_and_after() -> None:
    meeting = Meeting()
    office, phone = meeting.office, meeting.phone
    office.apply(meeting.page.media())
    office.run(0.5)
    before = len(meeting.first.packets)
    office.run(0.5)
    assert len(meeting.first.packets) - before >= 24, "the old page still hears"
    assert told(office, MediaConnected) == [1]
    meeting.arrive()
    office.run(2)
    assert gap_ms(phone.audio(2.5)) <= 60
    assert meeting.page.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert told(office, MediaConnected) == [1, 1]
    assert told(office, MediaLost) == []
    # A new source is on probation with its first packet.
    assert office.totals(1).rejected_packets <= 1


def test_the_old_keys_are_good_for_five_seconds_if_nobody_comes() -> None:
    meeting = Meeting()
    office = meeting.office
    office.apply(meeting.page.media())
    office.run(4.5)
    assert gap_ms(meeting.phone.audio(2)) <= 60
    office.run(1)
    before = len(meeting.first.packets)
    office.run(1)
    assert len(meeting.first.packets) == before
    assert meeting.phone.level(440.0, 0.8) < -60
    meeting.arrive()
    office.run(1.5)
    assert meeting.phone.level(440.0, 0.8) == pytest.approx(LEVEL, abs=1.5)


def test_an_impostor_ends_the_old_keys_too() -> None:
    meeting = Meeting()
    office = meeting.office
    office.apply(meeting.page.media(fingerprint=":".join(["AB"] * 32)))
    meeting.knock()
    office.run(1.5)
    assert [(event.leg, event.reason) for event in office.of(MediaLost)] == [(1, "fingerprint")]
    assert meeting.page.packets == []
    before = len(meeting.first.packets)
    office.run(1)
    assert len(meeting.first.packets) == before
    assert meeting.phone.level(440.0, 0.8) < -60
