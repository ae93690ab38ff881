"""Browsers that tell their level under DTLS-SRTP: most of a room is never decoded, and the rest is heard."""

from __future__ import annotations

import struct

import pytest

from ringback.media.protocol import SetMedia
from tests.media.test_opus_levels import asleep, decoders

from .browser import Browser, Office

LEVEL = -13.98


class TellingBrowser(Browser):
    """A browser that agreed on the audio level extension."""

    def __init__(self, leg: int, frequency: float) -> None:
        super().__init__(leg, frequency)
        self.silent = True

    def media(self, fingerprint: str | None = None) -> SetMedia:
        plain = super().media(fingerprint)
        fields = {name: getattr(plain, name) for name in plain.__struct_fields__}
        return SetMedia(**(fields | {"audio_level_extension": 1}))

    def packet(self, payload: bytes, payload_type: int, marker: bool = False) -> bytes:
        plain = super().packet(payload, payload_type, marker)
        extension = struct.pack("!HHBBxx", 0xBEDE, 1, 0x10, 127 if self.silent else 17 | 0x80)
        return bytes([0x90]) + plain[1:12] + extension + plain[12:]


def test_a_room_of_browsers_decodes_who_talks() -> None:
    office = Office()
    browsers = [office.browse(TellingBrowser(leg, 300.0 + 100 * leg)) for leg in range(1, 7)]
    office.run(1)
    assert decoders(office) == set()
    assert all(asleep(office, browser.leg) for browser in browsers)
    browsers[0].silent = False
    office.run(1.5)
    assert decoders(office) == {1}
    for listener in browsers[1:]:
        assert listener.level(400.0) == pytest.approx(LEVEL, abs=1.5)
    assert browsers[0].level(400.0) < -60
    browsers[0].silent, browsers[5].silent = True, False
    office.run(1.5)
    assert asleep(office, 1)
    assert browsers[0].level(900.0) == pytest.approx(LEVEL, abs=1.5)
