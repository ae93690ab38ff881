"""A phone is set up by the file that it fetches: baresip, with what a desk phone would read in it."""

from __future__ import annotations

import base64
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from ringback.quality.tones import tone_levels
from tests.wire.baresip import Baresip
from tests.wire.server import RingbackServer

pytestmark = [pytest.mark.wire, pytest.mark.slow]


def fetch(server: RingbackServer, username: str, password: str) -> dict[str, str]:
    """The Yealink file of the phone with the MAC address below, as its settings."""
    login = base64.b64encode(f"{username}:{password}".encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.web_port}/provisioning/001565abcdef.cfg",
        headers={"Authorization": f"Basic {login}"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


def test_a_device_calls_with_what_its_file_says_until_it_is_shut_out(
    make_server: Callable[..., RingbackServer], make_baresip: Callable[..., Baresip]
) -> None:
    server = make_server(settings={"RINGBACK_PROVISIONING__TRANSPORT": "udp"})
    server.add_extension("1001")
    words = ("--model", "Yealink T46U", "--mac", "00:15:65:ab:cd:ef")
    made = server.ask("device", "add", "Front desk", "1001", *words)
    told = fetch(server, made["username"], made["password"])
    phone = make_baresip(
        told["account.1.user_name"],
        tone_hz=440,
        server=(told["account.1.sip_server.1.address"], int(told["account.1.sip_server.1.port"])),
        username=told["account.1.auth_name"],
        password=told["account.1.password"],
    )
    phone.register()
    phone.dial(server.uri("600"))
    time.sleep(0.5)
    phone.press("1")
    time.sleep(1.5)
    phone.hang_up_and_wait()
    assert tone_levels(phone.heard(0.5, trim_s=0.3), phone.rate, [440])[0] == pytest.approx(-12, abs=3)
    server.ask("device", "set", "Front desk", "--disabled")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        fetch(server, made["username"], made["password"])
    phone.dial(server.uri("600"), wait=False)
    phone.wait_event("CALL_CLOSED", 5)
    log = server.output()
    assert "provisioning" in log
    assert made["password"] not in log
