"""A browser whose network really changes: in a namespace with two ways to the server, of which one goes.

Chromium learns of a new address from the kernel and tells its calls about two seconds later; until then
nothing that a page does can use it. That is most of what is measured here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ringback.quality.tones import make_tones, tone_track
from tests.wire.browser import Browser
from tests.wire.sip_phone import Call, SipPhone
from tests.wire.site import Site

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBrowser = Callable[..., Browser]
MakePhone = Callable[..., SipPhone]
Measured = Callable[[str], None]
Times = NDArray[np.float64]

PHONE_HZ, BROWSER_HZ = 440.0, 1090.0
BLOCK_MS = 20
STEADY_BLOCKS = 300 // BLOCK_MS
PATIENCE_S = 45
"""Far more than people have: slow machines fail by no time-out."""


class Meeting:
    """A phone and the browser, each with its tone, hearing each other."""

    def __init__(self, site: Site, make_browser: MakeBrowser, make_phone: MakePhone) -> None:
        self.server = site.server
        self.meeting = self.server.add_meeting()
        with site.server.host.entered():  # type: ignore[union-attr]
            phone = make_phone(self.server)
            self.phone: Call = phone.dial(f"{self.meeting['number']}*{self.meeting['guest_pin']}")
        self.phone.media.speak(make_tones(8000, 2, [PHONE_HZ]))
        self.browser = make_browser(
            "Ada",
            tone_hz=BROWSER_HZ,
            context={"ignore_https_errors": True},
            host=site.wifi.interface.host,
        )
        began = self.browser.join(self.meeting["host_link"])
        self.browser.wait_inside()
        self.wait_sound(began)
        self.people = self.server.wait_participants(self.meeting["number"], 2)
        assert [(one["name"], one["role"]) for one in self.people][1] == ("Ada", "host")

    def ears(self, since: float, lost: float | None = None) -> float | None:
        """Since when the browser has heard the phone: see `heard_from`."""
        sound = self.browser.heard()
        return heard_from(sound.audio, sound.times, sound.rate, PHONE_HZ, since, lost)

    def mouth(self, since: float, lost: float | None = None) -> float | None:
        """Since when the phone has heard the browser: see `heard_from`."""
        audio, times = self.phone.media.heard_with_times()
        # Where no packet came it is as late as the last one.
        times = np.maximum.accumulate(np.nan_to_num(times)) + time.time() - time.monotonic()
        return heard_from(audio, times, 8000, BROWSER_HZ, since, lost)

    def wait_sound(self, since: float, lost: float | None = None) -> tuple[float, float]:
        """Wait until both hear each other; how long after `since` the browser does, and the phone."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            time.sleep(0.3)
            ears, mouth = self.ears(since, lost), self.mouth(since, lost)
            if ears is not None and mouth is not None:
                return ears - since, mouth - since
            assert time.monotonic() < deadline, (
                f"heard by the browser: {ears is not None}, by the phone: {mouth is not None}; "
                f"{self.browser.words()}\n{self.browser.console}"
            )

    def now(self) -> dict[str, Any]:
        """The browser as a participant, after a look at everybody: the same people in the same seats."""
        people = self.server.participants(self.meeting["number"])
        assert [identity(one) for one in people] == [identity(one) for one in self.people]
        return people[1]


def identity(person: dict[str, Any]) -> list[object]:
    """What of a participant stays through a change of network."""
    return [person[key] for key in ("id", "name", "role", "state")]


def heard_from(
    audio: NDArray[np.float32], times: Times, rate: int, tone_hz: float, since: float, lost: float | None
) -> float | None:
    """When a tone was heard first, at `since` or later; None when it was not.

    With `lost`, a time not after `since`, it has to be gone first.
    """
    began = int(np.searchsorted(times, since if lost is None else lost))
    track = tone_track(audio[began:], rate, [tone_hz], block_ms=BLOCK_MS)[:, 0]
    at = times[began :: rate * BLOCK_MS // 1000][: len(track)]
    # In one piece: less may be an accident.
    pieces = np.convolve(track > -25, np.ones(STEADY_BLOCKS), "valid")
    at = at[: len(pieces)]
    if lost is not None:
        silent = np.flatnonzero(pieces == 0)
        if not len(silent):
            return None
        since = max(since, float(at[silent[0]]))
    steady = at[(pieces == STEADY_BLOCKS) & (at >= since)]
    return float(steady[0]) if len(steady) else None


def test_a_browser_goes_over_to_another_network_and_back(
    site: Site, make_browser: MakeBrowser, make_phone: MakePhone, measured: Measured
) -> None:
    call = Meeting(site, make_browser, make_phone)
    gone = site.wifi.go()
    time.sleep(1)
    came = site.cellular.come(metric=100)
    ears, mouth = call.wait_sound(came, gone)
    measured(f"another network after 1 s without: heard {ears:.1f} s, is heard {mouth:.1f} s after it came")
    call.browser.page.get_by_text("You are connected again.").first.wait_for(state="attached")
    # Better is there before the other goes: then Chromium says nothing of a change.
    site.wifi.come()
    time.sleep(1)
    gone = site.cellular.go()
    ears, mouth = call.wait_sound(gone, gone)
    measured(f"the network in use goes, another is there: heard {ears:.1f} s, is heard {mouth:.1f} s later")
    call.now()
    # What the page shows is not of before.
    call.phone.hang_up()
    people = call.browser.page.get_by_role("list", name="Participants").get_by_role("listitem")
    people.nth(1).wait_for(state="detached", timeout=20_000)


def test_a_browser_outlives_five_seconds_without_network(
    site: Site, make_browser: MakeBrowser, make_phone: MakePhone, measured: Measured
) -> None:
    call = Meeting(site, make_browser, make_phone)
    gone = site.wifi.go()
    time.sleep(5)
    came = site.wifi.come()
    ears, mouth = call.wait_sound(came, gone)
    measured(f"the same network after 5 s without: heard {ears:.1f} s, is heard {mouth:.1f} s after it came")
    # Further away, where the browser sees nothing of it: who mutes now is not heard afterwards.
    site.uplink.down()
    call.browser.press("Mute")
    time.sleep(5)
    site.uplink.up()
    back = time.time()
    deadline = time.monotonic() + PATIENCE_S
    while not call.now()["muted"]:
        assert time.monotonic() < deadline, call.browser.words()
        time.sleep(0.2)
    assert call.mouth(back) is None, "who is muted was heard"
    # Nor does the page leave that to the server, whatever it did to find its way back.
    assert not call.browser.is_microphone_on()
    call.wait_sound(call.browser.press("Unmute"))
