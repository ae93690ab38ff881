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
from pathlib import Path

import pytest

from ringback.quality.tones import make_tones, tone_levels
from tests.wire.server import COMMAND, RingbackServer
from tests.wire.sip_phone import SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakePhone = Callable[..., SipPhone]
MakeServer = Callable[..., RingbackServer]
Measured = Callable[[str], None]


@pytest.mark.alone
def test_a_killed_media_process_is_noticed_and_replaced(
    make_server: MakeServer, make_phone: MakePhone, measured: Measured
) -> None:
    server = make_server()
    meeting = server.add_meeting()
    target = f"{meeting['number']}*{meeting['guest_pin']}"
    call = make_phone(server).dial(target)
    time.sleep(1)
    (pid,) = server.media_pids()
    output_before = len(server.output())
    killed_at = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while len(server.output()) == output_before:
        assert time.monotonic() - killed_at < 1.0, "the server should say so within a second"
        time.sleep(0.01)
    measured(f"media process killed: said so after {(time.monotonic() - killed_at) * 1000:.0f} ms")
    said = server.output()[output_before:]
    assert "media" in said

    deadline = time.monotonic() + 5
    while not call.ended.is_set() and not any(request.method == "INVITE" for request in call.requests):
        assert time.monotonic() < deadline, "the call should be ended or re-invited"
        time.sleep(0.02)

    deadline = time.monotonic() + 10
    while (pids := server.media_pids()) in ([], [pid]):
        assert time.monotonic() < deadline, "a new media process should run"
        time.sleep(0.1)
    assert pids != [pid]
    speaker, listener = make_phone(server).dial(target), make_phone(server).dial(target)
    speaker.media.speak(make_tones(8000, 2, [440]))
    time.sleep(7)
    assert tone_levels(listener.media.heard(1), 8000, [440])[0] == pytest.approx(-12, abs=1)


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
