"""Strangers spray DTLS and STUN at the media ports: browsers join all the same, and no call is disturbed."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import TimeoutError as PageTimeout

from ringback.quality.silence import longest_gap_ms
from ringback.quality.tones import Audio, make_tones, tone_levels
from ringback.webrtc.dtls import DtlsContext
from tests.webrtc.browser import CERTIFICATE, check, stun
from tests.webrtc.browser import Browser as DtlsClient
from tests.wire.browser import Browser, Tab
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipPhone
from tests.wire.sprayer import Sprayer

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBrowser = Callable[..., Browser]
MakePhone = Callable[..., SipPhone]
Measured = Callable[[str], None]

PHONE_HZ, BROWSER_HZ = 440.0, 1090.0
PROGRAMS, TABS = 4, 5
ONE_PROCESS = "--process-per-site"
"""The tabs of a program share their renderer: much cheaper to start."""
PORT_RATE = 300
BINDING_ERROR = b"\x01\x11"
REFUSALS = 10
"""Answers a second, of the whole server, to checks that nobody signed."""


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RingbackServer]:
    """A server with few open ports, so that each of them gets its share."""
    server = RingbackServer(tmp_path_factory.mktemp("sprayed")).start()
    yield server
    server.stop()


def client_hello() -> bytes:
    """The first datagram of a DTLS-SRTP client, one that would begin a handshake."""
    client = DtlsClient(0)
    client.mapped = [(1, 1)]
    hello = next(datagram for datagram in client.drive(0.0) if datagram[0] == 22)
    context = DtlsContext(CERTIFICATE.der, CERTIFICATE.private_key)
    association = context.associate([("sha-256", client.fingerprint)])
    assert association.receive(hello, 0.0), "who looks at it answers"
    return hello


def until(holds: Callable[[], bool], what: str, timeout: float = 30) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def open_pages(make_browser: MakeBrowser) -> list[Tab]:
    """Empty pages of a few programs; the first of each program first."""
    browsers = [make_browser(f"Page {number}", flags=(ONE_PROCESS,)) for number in range(PROGRAMS)]
    others = [
        browser.open_tab(f"{browser.name}.{number}") for browser in browsers for number in range(1, TABS)
    ]
    tabs = [*browsers, *others]
    for tab in tabs:
        tab.be_cheap()
    return tabs


def wait_all_inside(tabs: list[Tab], timeout: float = 90) -> None:
    """Wait until every page is in the meeting; what those show that are not."""
    deadline = time.monotonic() + timeout
    outside = []
    for tab in tabs:
        try:
            tab.wait_inside(max(0.1, deadline - time.monotonic()))
        except PageTimeout:
            outside.append(f"{tab.name}: {tab.words()[:200]}")
    assert not outside, f"{len(outside)} of {len(tabs)} are not inside: {outside}"


def inbound(tab: Tab) -> dict[str, float]:
    """What a page's connection has got so far, by Chromium's own statistics."""
    (stream,) = tab.statistics("inbound-rtp")
    return stream


@dataclass(frozen=True)
class Listening:
    """What pages got in the same while, from `began` to `ended` (seconds since 1970), one number a page."""

    began: float
    ended: float
    packets: list[float]
    lost: list[float]
    levels: list[float]
    """dBFS of what was decoded; Chromium's energy is that of the peaks, so a tone has its own level."""


def listen(tabs: list[Tab], seconds: float = 2) -> Listening:
    """Let all pages hear for a while."""
    before, began = [inbound(tab) for tab in tabs], time.time()
    time.sleep(seconds)
    ended, after = time.time(), [inbound(tab) for tab in tabs]

    def growth(what: str) -> list[float]:
        return [late[what] - early[what] for early, late in zip(before, after, strict=True)]

    powers = [
        max(energy, 1e-12) / max(duration, 1e-3)
        for energy, duration in zip(growth("totalAudioEnergy"), growth("totalSamplesDuration"), strict=True)
    ]
    levels = [10 * math.log10(power) for power in powers]
    return Listening(began, ended, growth("packetsReceived"), [one["packetsLost"] for one in after], levels)


def recorded_dbfs(page: Tab) -> float:
    """Level of the phone's tone in what a page has recorded of late; nothing while there are gaps in it."""
    sound = page.heard(since=time.time() - 1.5)
    if len(sound.audio) < sound.rate or longest_gap_ms(sound.audio, sound.rate) > 0:
        return -99
    return float(tone_levels(sound.audio, sound.rate, [PHONE_HZ])[0])


def recorded_tone(page: Tab, timeout: float = 40) -> float:
    """Wait until a page's recording has the phone's tone and nothing in between; its level in dBFS."""
    deadline = time.monotonic() + timeout
    while (level := recorded_dbfs(page)) < -14:
        assert time.monotonic() < deadline, f"{page.name} heard {level:.1f} dBFS"
        time.sleep(0.1)
    return level


def all_hear(tabs: list[Tab], timeout: float = 40) -> Listening:
    """Wait until every page hears the phone at its level, and nothing beside it."""
    deadline = time.monotonic() + timeout
    while True:
        found = listen(tabs)
        if min(found.levels) > -13.5 and max(found.levels) < -10.5:
            return found
        assert time.monotonic() < deadline, [f"{level:.1f} dBFS" for level in found.levels]


# It takes both cores for twenty seconds, and longer where they are shared.
@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(300)
def test_twenty_pages_join_while_client_hellos_are_sprayed(
    own_server: RingbackServer, make_browser: MakeBrowser, make_phone: MakePhone, measured: Measured
) -> None:
    hellos = [client_hello() for _ in range(20)]
    meeting = own_server.add_meeting()
    phone = make_phone(own_server).dial(f"{meeting['number']}*{meeting['guest_pin']}")
    phone.media.speak(make_tones(8000, 2, [PHONE_HZ]))
    tabs = open_pages(make_browser)
    with Sprayer(own_server.open_media_ports, hellos, port_rate=PORT_RATE) as sprayer:
        until(sprayer.has_hit_all, "the spray begins before anybody joins")
        for tab in tabs:
            tab.open(meeting["link"])
            tab.page.get_by_label("Your name").fill(tab.name)
        pressed = time.monotonic()
        for tab in tabs:
            # Not `press`, which waits for a page to be at rest: they shall join at once.
            tab.page.get_by_role("button", name="Join", exact=True).dispatch_event("click")
        wait_all_inside(tabs)
        took_s = time.monotonic() - pressed
        people = own_server.wait_participants(meeting["number"], len(tabs) + 1)
        until(sprayer.has_hit_all, "what browsers use is sprayed as well")
        found = all_hear(tabs)
        for tab in tabs[:PROGRAMS]:
            tab.record()
        tones = [recorded_tone(tab) for tab in tabs[:PROGRAMS]]
    script = "window.__wire.connections.map((one) => one.connectionState)"
    states = [tab.page.evaluate(script) for tab in tabs]
    assert states == [["connected"]] * len(tabs), "each at its first try"
    assert [person["codec"].upper() for person in people].count("OPUS") == len(tabs)
    assert min(found.packets) > 50
    assert sprayer.answers == [], "no handshake, nor anything else"
    rates = sprayer.rates(own_server.open_media_ports())
    measured(
        f"{min(rates):.0f} to {max(rates):.0f} ClientHellos a second to each of {len(rates)} open ports: "
        f"{states.count(['connected'])} of {len(tabs)} pages in {took_s:.1f} s after all pressed Join, "
        f"answers to the sprayer: {len(sprayer.answers)}"
    )
    measured(
        f"in {found.ended - found.began:.1f} s they then got {min(found.packets):.0f} to "
        f"{max(found.packets):.0f} packets, {sum(found.lost):.0f} lost since they joined, and decoded "
        f"{min(found.levels):.1f} to {max(found.levels):.1f} dBFS; "
        f"{len(tones)} recorded the phone's tone at {min(tones):.1f} to {max(tones):.1f} dBFS"
    )


def unsigned_checks(page: Tab) -> list[bytes]:
    """Binding requests that no right password signs: bare, with the right names, by a wrong password."""
    script = (
        "(() => { const one = window.__wire.connections[0]; "
        "return [one.localDescription.sdp, one.remoteDescription.sdp]; })()"
    )
    names = [re.search(r"^a=ice-ufrag:(\S+)", sdp, re.M) for sdp in page.page.evaluate(script)]
    ours, theirs = ((name[1], "wrong" * 5) for name in names if name)
    return [stun(1, [], None), check(ours, theirs, password=None), check(ours, theirs)]


def level_and_gap(audio: Audio, rate: int, tone_hz: float, seconds: float) -> tuple[float, float]:
    """Level of a tone in dBFS, and the longest silence in milliseconds; what did not come is silence."""
    missing_ms = max(0.0, seconds - 0.2 - len(audio) / rate) * 1000
    if len(audio) < rate:
        return -99, missing_ms
    return float(tone_levels(audio, rate, [tone_hz])[0]), max(missing_ms, longest_gap_ms(audio, rate))


def talk(phone: Call, browser: Browser, seconds: float = 3, timeout: float = 30) -> str:
    """Both hear each other's tone for a while, without a gap; how well.

    A machine that does too much at a time makes gaps as well: there may be a try after another.
    """
    deadline = time.monotonic() + timeout
    while True:
        began = time.time()
        time.sleep(seconds)
        ended = time.time()
        back, sound = phone.media.heard(ended - began), browser.heard(since=began)
        there, there_gap_ms = level_and_gap(sound.between(began, ended), sound.rate, PHONE_HZ, ended - began)
        back_level, back_gap_ms = level_and_gap(back, 8000, BROWSER_HZ, ended - began)
        text = (
            f"the browser heard the phone at {there:.1f} dBFS, longest gap {there_gap_ms:.0f} ms, "
            f"the phone the browser at {back_level:.1f} dBFS, longest gap {back_gap_ms:.0f} ms"
        )
        in_tune = [there, back_level] == pytest.approx([-12, -12], abs=1.5)
        if in_tune and max(there_gap_ms, back_gap_ms) <= 100:
            return text
        assert time.monotonic() < deadline, text


def test_unsigned_stun_is_answered_seldom_and_harms_no_call(
    own_server: RingbackServer, make_browser: MakeBrowser, make_phone: MakePhone, measured: Measured
) -> None:
    meeting = own_server.add_meeting()
    phone = make_phone(own_server).dial(f"{meeting['number']}*{meeting['guest_pin']}")
    phone.media.speak(make_tones(8000, 2, [PHONE_HZ]))
    browser = make_browser("Ada", tone_hz=BROWSER_HZ)
    browser.join(meeting["link"])
    browser.wait_inside()
    checks = unsigned_checks(browser)
    # What is said to who comes is over then.
    recorded_tone(browser)
    before = browser.statistics("candidate-pair")
    with Sprayer(own_server.open_media_ports, checks, port_rate=PORT_RATE) as sprayer:
        until(sprayer.has_hit_all, "the spray reaches every port")
        heard = talk(phone, browser)
        after = browser.statistics("candidate-pair")
    assert {answer[:2] for answer in sprayer.answers} == {BINDING_ERROR}
    # It counts by whole seconds of its own: those at both ends may be cut.
    assert len(sprayer.answers) <= REFUSALS * (sprayer.seconds + 2)
    answered = [sum(pair["responsesReceived"] for pair in pairs) for pairs in (before, after)]
    assert answered[1] > answered[0], "the browser's own checks are answered"
    rates = sprayer.rates(own_server.open_media_ports())
    measured(
        f"{sum(rates):.0f} unsigned STUN requests a second to {len(rates)} open ports: "
        f"{len(sprayer.answers)} answers in {sprayer.seconds:.1f} s (limit: {REFUSALS} a second); "
        f"meanwhile {heard}"
    )
