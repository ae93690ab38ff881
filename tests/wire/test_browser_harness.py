"""The harness itself, without the server: Chromium calls itself, and is heard."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ringback.quality.silence import longest_gap_ms
from ringback.quality.tones import tone_levels
from tests.wire.browser import RATE, Browser

pytestmark = pytest.mark.wire
MakeBrowser = Callable[..., Browser]

CALL = """
async () => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const [one, other] = [new RTCPeerConnection(), new RTCPeerConnection()];
  one.onicecandidate = ({ candidate }) => other.addIceCandidate(candidate);
  other.onicecandidate = ({ candidate }) => one.addIceCandidate(candidate);
  const player = new Audio();
  other.ontrack = ({ streams }) => { player.srcObject = streams[0]; player.play(); };
  for (const track of stream.getTracks()) one.addTrack(track, stream);
  await one.setLocalDescription();
  await other.setRemoteDescription(one.localDescription);
  await other.setLocalDescription();
  await one.setRemoteDescription(other.localDescription);
}
"""


class Quiet(http.server.BaseHTTPRequestHandler):
    """One empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>call</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def empty_page() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def test_chromium_hears_its_own_microphone_through_a_call(make_browser: MakeBrowser, empty_page: str) -> None:
    browser = make_browser("self", tone_hz=440)
    browser.open(empty_page)
    browser.page.evaluate(CALL)
    deadline = time.monotonic() + 20
    # The first second is that of the call's beginning, however long it took the program to get there.
    while len(browser.heard().audio) < 3.2 * RATE:
        assert time.monotonic() < deadline, "nothing comes through the call"
        time.sleep(0.2)
    for sound in (browser.heard(), browser.spoken()):
        assert not sound.errors
        piece = sound.audio[-2 * sound.rate :]
        assert tone_levels(piece, sound.rate, [440, 1090])[0] == pytest.approx(-12, abs=1.5)
        assert tone_levels(piece, sound.rate, [440, 1090])[1] < -45
        assert longest_gap_ms(piece, sound.rate) <= 200


@pytest.mark.parametrize(("microphone", "error"), [("denied", "NotAllowedError"), ("none", "NotFoundError")])
def test_a_microphone_can_be_denied_or_missing(
    make_browser: MakeBrowser, empty_page: str, microphone: str, error: str
) -> None:
    browser = make_browser("deaf", microphone=microphone)
    browser.open(empty_page)
    ask = "() => navigator.mediaDevices.getUserMedia({ audio: true }).then(() => 'open', (e) => e.name)"
    assert browser.page.evaluate(ask) == error
