"""What happens when a process dies, is killed, or is asked to end; and what the next start still knows."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from ringback.quality.tones import make_tones, tone_levels
from tests.wire.baresip import Baresip
from tests.wire.browser import Browser
from tests.wire.rtp_stream import decode_ulaw
from tests.wire.server import COMMAND, RingbackServer
from tests.wire.sip_phone import Call, SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBaresip = Callable[..., Baresip]
MakeBrowser = Callable[..., Browser]
MakePhone = Callable[..., SipPhone]
MakeServer = Callable[..., RingbackServer]
Measured = Callable[[str], None]

# Below 3.4 kHz, no harmonic or mixture of two near the third.
TONES_HZ = (440.0, 1090.0, 1870.0)


@pytest.mark.calm
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.long), 2])
def test_calls_go_on_when_their_media_process_is_killed(
    make_server: MakeServer,
    make_phone: MakePhone,
    make_baresip: MakeBaresip,
    make_browser: MakeBrowser,
    measured: Measured,
    workers: int,
) -> None:
    server = make_server(settings={"RINGBACK_MEDIA__WORKERS": str(workers)})
    meeting = server.add_meeting()
    number, plain_hz, secure_hz, browser_hz = meeting["number"], *TONES_HZ
    target = f"{number}*{meeting['guest_pin']}"
    plain = make_phone(server).dial(target)
    plain.media.speak(make_tones(8000, 2, [plain_hz]))
    secure = make_baresip("secure", tone_hz=secure_hz, server=server.tls, transport="tls", srtp=True)
    secure.dial(server.uri(target, "tls"))
    browser = make_browser("Ada", tone_hz=browser_hz)
    browser.join(meeting["link"])
    browser.wait_inside()
    people = {person["id"] for person in server.wait_participants(number, 3)}
    time.sleep(4)

    (victim,) = [each["pid"] for each in server.ask("status")["media"] if each["legs"]]
    output_before = len(server.output())
    killed, killed_wall = time.monotonic(), time.time()
    os.kill(victim, signal.SIGKILL)
    while "media worker died" not in server.output()[output_before:]:
        assert time.monotonic() - killed < 1.0, "the server should say so within a second"
        time.sleep(0.01)
    said_ms = 1000 * (time.monotonic() - killed)
    time.sleep(5)
    assert {person["id"] for person in server.participants(number)} == people
    assert not plain.ended.is_set()
    assert [request.method for request in plain.requests] == []
    gaps = {
        "phone from SRTP phone": silence_of(heard_tones(plain, secure_hz), killed, killed + 4),
        "phone from browser": silence_of(heard_tones(plain, browser_hz), killed, killed + 4),
        "browser from phone": browser_silence(browser, plain_hz, killed_wall),
        "browser from SRTP phone": browser_silence(browser, secure_hz, killed_wall),
    }
    text = ", ".join(f"{who} {1000 * gap:.0f} ms" for who, gap in gaps.items())
    measured(f"one of {workers} media processes killed: said so after {said_ms:.0f} ms; silence: {text}")
    assert max(gaps.values()) < 2, text
    secure.hang_up_and_wait()
    levels = tone_levels(secure.heard(2, trim_s=1), 8000, [plain_hz, browser_hz])
    assert levels.min() > -20, "the phone with SRTP hears the others again"
    status = server.ask("status")
    assert status["takeovers"] == 3
    assert len(status["pids"]["media"]) == workers
    assert victim not in status["pids"]["media"]


def heard_tones(call: Call, tone_hz: float) -> list[float]:
    """When a phone's packets brought a tone."""
    return [
        packet.at
        for packet in call.media.received
        if len(packet.payload) == 160
        and tone_levels(decode_ulaw(packet.payload), 8000, [tone_hz], 20)[0] > -25
    ]


def silence_of(times: list[float], began: float, ended: float) -> float:
    """The longest time between two times without any of these."""
    inside = [began, *(at for at in times if began < at < ended), ended]
    return max(later - at for at, later in pairwise(inside))


def browser_silence(browser: Browser, tone_hz: float, began: float) -> float:
    """The longest time without a tone in what a browser heard in the four seconds from then on."""
    sound = browser.heard()
    audio, frame = sound.between(began, began + 4), sound.rate // 50
    there = [
        began + number * 0.02
        for number in range(len(audio) // frame)
        if tone_levels(audio[number * frame : (number + 1) * frame], sound.rate, [tone_hz], 20)[0] > -25
    ]
    return silence_of(there, began, began + 4)


@pytest.mark.long
def test_after_a_power_cut_everything_is_still_there(
    make_server: MakeServer, make_phone: MakePhone, measured: Measured
) -> None:
    server = make_server()
    meetings = [server.add_meeting(f"Meeting {number}") for number in range(3)]
    password = server.add_extension("4001")
    phone = make_phone(server, "4001", password)
    assert phone.register().status == 200
    call = make_phone(server).dial(f"{meetings[0]['number']}*{meetings[0]['guest_pin']}")
    first_output = server.output()
    before = sorted(str(meeting["number"]) for meeting in server.ask("meeting", "list"))
    # The last thing said before the cut counts too.
    late = server.add_meeting("Late")
    server.kill_all()
    call.media.stop()

    server.start()
    measured(f"ready again after kill -9: {server.wait_ready():.1f} s from its start")
    after = sorted(str(meeting["number"]) for meeting in server.ask("meeting", "list"))
    assert after == sorted([*before, str(late["number"])])
    assert phone.register().status == 200
    for meeting in (*meetings, late):
        again = make_phone(server).dial(f"{meeting['number']}*{meeting['host_pin']}")
        server.wait_participants(meeting["number"], 1)
        again.hang_up()
    assert "First start" in first_output
    assert "First start" not in server.output(), "passwords are shown once"


def test_sigterm_ends_calls_and_the_server(
    make_server: MakeServer, make_phone: MakePhone, measured: Measured
) -> None:
    server = make_server()
    meeting = server.add_meeting()
    calls = [make_phone(server).dial(f"{meeting['number']}*{meeting['guest_pin']}") for _ in range(3)]
    time.sleep(1)
    pids = server.media_pids()
    began = time.monotonic()
    assert server.stop() == 0
    measured(f"SIGTERM with three calls: {time.monotonic() - began:.2f} s")
    for call in calls:
        call.wait_ended(1)
        assert call.end_reason.startswith("BYE")
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_first_start_says_how_to_call(make_server: MakeServer, make_phone: MakePhone) -> None:
    server = make_server()
    said = server.output()
    assert "RINGBACK_SIP__BIND=0.0.0.0" in said
    assert f":{server.web_port}" in said
    assert str(server.data / "first-start.txt") in said
    created = server.first_start()
    assert (server.data / "first-start.txt").stat().st_mode & 0o077 == 0
    (demo,) = server.ask("meeting", "list")
    assert demo["name"] == "Demo"
    links = (demo["link"], demo["host_link"])
    for needed in ("101", "102", "/setup#", str(demo["number"]), server.uri(demo["number"]), *links):
        assert needed in created
    for secret in (demo["guest_pin"], demo["host_pin"], *links):
        assert secret in created
        assert secret not in said, "a log is no place for a PIN"
    call = make_phone(server).dial(f"{demo['number']}*{demo['guest_pin']}")
    server.wait_participants(demo["number"], 1)
    call.hang_up()


def test_on_a_terminal_the_first_start_shows_the_secrets(tmp_path: Path) -> None:
    server = RingbackServer(tmp_path / "server")
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "serve", "--data-dir", server.data],
        env=os.environ | server.environment,
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    try:
        shown = ""
        deadline = time.monotonic() + 20
        while "seconds=" not in shown:
            assert time.monotonic() < deadline, shown
            if select.select([ours], [], [], 0.2)[0]:
                shown += re.sub(r"\x1b\[[0-9;]*m", "", os.read(ours, 65536).decode())
        assert "Extension 101" in shown
        assert "host PIN" in shown
        assert not (server.data / "first-start.txt").exists()
        time.sleep(0.3)
    finally:
        process.terminate()
        assert process.wait(10) == 0
        os.close(ours)


@pytest.mark.alone
def test_a_second_start_is_quick(make_server: MakeServer, measured: Measured) -> None:
    server = make_server()
    assert server.stop() == 0
    server.start(wait=False)
    took = server.wait_ready()
    measured(f"second start: ready after {took:.2f} s")
    assert took < 5, "loose on purpose: the machine is shared"
