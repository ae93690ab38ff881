"""Chromium, driven by a test: open a link, join, speak a WAV, hear what it heard.

Quirks that the settings below respect:
- A missing WAV behind `--use-file-for-fake-audio-capture` is silence, not an error: it is checked here.
- One program has one microphone file: the tabs of one all say the same, and who says something else is a
  program of its own.
- Noise suppression takes a steady tone for noise and removes it: constraints are overridden before the page
  asks, which is the only thing of the page's that is changed.
- What is heard is taken from the remote track as decoded, which Chromium only pulls while the page plays it.
"""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser as Program
from playwright.sync_api import BrowserContext, Page, Playwright, TimeoutError

from ringback.quality.tones import make_tones
from tests.wire.namespaces import Host
from tests.wire.sound_files import write_wav

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).resolve().parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
RATE = 48000
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
)

# Runs before the page's own scripts. `ear` is what comes in by any call, `mouth` what the microphone gives;
# both remember when each piece was there (milliseconds since 1970).
LISTEN = """
(() => {
  const record = (track, into) => {
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 500 }).readable.getReader();
    const next = ({ value, done }) => {
      if (done) return;
      const at = performance.timeOrigin + performance.now();
      const samples = new Float32Array(value.numberOfFrames);
      value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      into.rate = value.sampleRate;
      into.pieces.push({ at, samples });
      value.close();
      return reader.read().then(next);
    };
    reader.read().then(next).catch((error) => into.errors.push(String(error)));
  };
  const sound = () => ({ rate: 0, pieces: [], errors: [] });
  window.__wire = { ear: sound(), mouth: sound(), connections: [], tracks: [], asked: [], coming: [] };
  window.__wire.record = () => window.__wire.coming.forEach((track) => record(track, window.__wire.ear));
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...all) {
      super(...all);
      window.__wire.connections.push(this);
      this.addEventListener("track", (event) => {
        if (window.__cheap) window.__wire.coming.push(event.track);
        else record(event.track, window.__wire.ear);
      });
      this.addEventListener("connectionstatechange", () => {
        if (!window.__cheap || this.connectionState !== "connected") return;
        for (const sender of this.getSenders()) sender.replaceTrack(null);
      });
    }
  };
  const devices = navigator.mediaDevices;
  if (!devices) return;
  const ask = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (constraints) => {
    window.__wire.asked.push(constraints);
    const audio = constraints.audio === true ? {} : { ...constraints.audio };
    Object.assign(audio, { echoCancellation: false, noiseSuppression: false, autoGainControl: false });
    const stream = await ask({ ...constraints, audio });
    for (const track of stream.getAudioTracks()) {
      window.__wire.tracks.push(track);
      // Of microphones opened one after another the newest counts.
      window.__wire.mouth = sound();
      if (!window.__cheap) record(track.clone(), window.__wire.mouth);
    }
    return stream;
  };
})();
"""

# The recording as bytes: per piece its time, then all samples as 16 bits.
TAKE = """
([which, since]) => {
  const { rate, errors, pieces: all } = window.__wire[which];
  const pieces = all.filter((one) => one.at > since * 1000);
  const total = pieces.reduce((sum, one) => sum + one.samples.length, 0);
  const samples = new Int16Array(total);
  let place = 0;
  for (const one of pieces) {
    for (let at = 0; at < one.samples.length; at++) {
      samples[place++] = Math.max(-1, Math.min(1, one.samples[at])) * 32767;
    }
  }
  const bytes = new Uint8Array(samples.buffer);
  const parts = [];
  for (let at = 0; at < bytes.length; at += 32768) {
    parts.push(String.fromCharCode(...bytes.subarray(at, at + 32768)));
  }
  return {
    rate,
    errors,
    times: pieces.map((one) => one.at),
    lengths: pieces.map((one) => one.samples.length),
    audio: btoa(parts.join("")),
  };
}
"""

# The device is unplugged: its tracks end, the list is without it, and to ask for it fails.
UNPLUG = """
() => {
  const devices = navigator.mediaDevices;
  devices.enumerateDevices = async () => [];
  devices.getUserMedia = async () => {
    throw new DOMException("Requested device not found", "NotFoundError");
  };
  for (const track of window.__wire.tracks) {
    track.stop();
    track.dispatchEvent(new Event("ended"));
  }
  devices.dispatchEvent(new Event("devicechange"));
}
"""


class Sound:
    """What was heard or spoken: `audio` float32[samples] at `rate`, and the time of each sample."""

    def __init__(self, taken: dict[str, Any]) -> None:
        self.rate: int = taken["rate"] or RATE
        self.errors: list[str] = taken["errors"]
        self.audio: NDArray[np.float32] = (
            np.frombuffer(base64.b64decode(taken["audio"]), "<i2").astype(np.float32) / 32767
        )
        lengths = np.asarray(taken["lengths"], dtype=int)
        ends = np.asarray(taken["times"], dtype=np.float64) / 1000
        self.times: NDArray[np.float64] = np.concatenate(
            [end - np.arange(length, 0, -1) / self.rate for end, length in zip(ends, lengths, strict=True)]
            or [np.zeros(0)]
        )

    def since(self, began: float) -> NDArray[np.float32]:
        """What was heard after a time (seconds since 1970)."""
        return self.audio[np.searchsorted(self.times, began) :]

    def between(self, began: float, ended: float) -> NDArray[np.float32]:
        """What was heard between two times."""
        return self.audio[np.searchsorted(self.times, began) : np.searchsorted(self.times, ended)]


class Tab:
    """One page of a browser: what a person does with it, and what it heard."""

    page: Page

    def __init__(self, name: str) -> None:
        self.name = name
        self.console: list[str] = []
        self.requests: list[str] = []

    def show(self, page: Page) -> None:
        """Be this page, which has nothing in it yet."""
        self.page = page
        page.set_default_timeout(15_000)
        page.on("console", lambda said: self.console.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.add_init_script(LISTEN)

    def be_cheap(self) -> None:
        """For many pages at once: say nothing once connected, and record only from `record` on."""
        self.page.add_init_script("window.__cheap = true")

    def record(self) -> None:
        """Begin to record what comes in, where that was not begun with the call."""
        self.page.evaluate("window.__wire.record()")

    # What a person does

    def open(self, link: str) -> float:
        """Open a meeting's link; the time at which it was begun (seconds since 1970)."""
        began = time.time()
        self.page.goto(link, wait_until="domcontentloaded")
        return began

    def join(self, link: str, name: str = "") -> float:
        """Open a link, say who we are, join; the time at which "Join" was pressed."""
        self.open(link)
        self.page.get_by_label("Your name").fill(name or self.name)
        return self.press("Join")

    def press(self, button: str) -> float:
        """Press a button by its exact name; the time at which it was pressed."""
        self.page.get_by_role("button", name=button, exact=True).click()
        return time.time()

    def is_microphone_on(self) -> bool:
        """Whether the page lets any sound of a microphone out to its call."""
        return bool(
            self.page.evaluate("__wire.tracks.some((one) => one.readyState === 'live' && one.enabled)")
        )

    def wait_inside(self, timeout_s: float = 20) -> None:
        """Wait until the list of participants is there."""
        try:
            self.page.get_by_role("list", name="Participants").wait_for(timeout=timeout_s * 1000)
        except TimeoutError as error:
            raise AssertionError(f"{self.name} is not inside, the page says: {self.words()}") from error

    def wait_participants(self, count: int, timeout_s: float = 10) -> list[str]:
        """Wait until the list has so many people; returns it."""
        people = self.page.get_by_role("list", name="Participants").get_by_role("listitem")
        people.nth(count - 1).wait_for(timeout=timeout_s * 1000)
        return self.participants()

    def participants(self) -> list[str]:
        """The list of participants, one text each."""
        found = self.page.get_by_role("list", name="Participants").get_by_role("listitem").all_inner_texts()
        return [" ".join(text.split()) for text in found]

    def words(self) -> str:
        """All that the page shows."""
        return " ".join(self.page.locator("body").inner_text().split())

    def leave(self) -> None:
        """Press "Leave"."""
        self.press("Leave")

    def unplug(self) -> None:
        """Take the microphone away, as if it was pulled out."""
        self.page.evaluate(UNPLUG)

    # What it heard

    def heard(self, since: float = 0) -> Sound:
        """All that came in by calls so far, or since a time (seconds since 1970)."""
        return Sound(self.page.evaluate(TAKE, ["ear", since]))

    def spoken(self) -> Sound:
        """What its microphone gave since it was last opened."""
        return Sound(self.page.evaluate(TAKE, ["mouth", 0]))

    def statistics(self, kind: str) -> list[dict[str, Any]]:
        """What Chromium's own statistics say about its connections, of a type such as inbound-rtp."""
        script = """
        async (kind) => {
          const found = [];
          for (const connection of window.__wire.connections) {
            if (connection.connectionState === "closed") continue;
            for (const one of (await connection.getStats()).values()) if (one.type === kind) found.push(one);
          }
          return found;
        }
        """
        answer: list[dict[str, Any]] = self.page.evaluate(script, kind)
        return answer


def serious(tab: Tab) -> list[str]:
    """What axe finds wrong for people who cannot see or use a mouse, serious or worse."""
    assert AXE.exists(), "axe-core is missing: scripts/setup test installs it"
    # Through the debugger: the page itself may load nothing but its own scripts.
    tab.page.evaluate(AXE.read_text() + "; undefined")
    found: dict[str, Any] = tab.page.evaluate("() => axe.run()")
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html']}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]


class Browser(Tab):
    """One headless Chromium, and its first page.

    `tone_hz` is what its microphone gives (or `speech`, float audio at 48 kHz, repeated for ever).
    `microphone` is "granted", "denied", or "none" for a machine that has no such device. With `host` it runs
    there.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        tone_hz: float | None = None,
        speech: NDArray[np.floating] | None = None,
        level_dbfs: float = -12.0,
        microphone: str = "granted",
        context: dict[str, Any] | None = None,
        flags: tuple[str, ...] = (),
        host: Host | None = None,
    ) -> None:
        super().__init__(name)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._executable = host.launcher(CHROMIUM, folder) if host else CHROMIUM
        if speech is None:
            # Whole waves: the file is repeated.
            speech = make_tones(RATE, 10, [tone_hz] if tone_hz else [], level_dbfs)
        wav = write_wav(folder / "microphone.wav", speech, RATE).resolve()
        assert wav.stat().st_size > RATE, wav
        self._flags = [*FLAGS, *flags]
        if microphone != "none":
            self._flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={wav}"]
        if microphone == "granted":
            self._flags.append("--use-fake-ui-for-media-stream")
        self._context_options = context or {}
        self._program: Program | None = None
        self._context: BrowserContext | None = None

    def start(self, playwright: Playwright) -> Browser:
        """Start the program and open an empty page."""
        self._program = playwright.chromium.launch(
            executable_path=self._executable, headless=True, args=self._flags, chromium_sandbox=False
        )
        self._context = self._program.new_context(**self._context_options)
        self.show(self._context.new_page())
        return self

    def stop(self) -> None:
        """End the program."""
        if self._program is not None:
            self._program.close()
            self._program = None

    def open_tab(self, name: str) -> Tab:
        """Open an empty page beside those that are there.

        One server gives the tabs of one browser six streams at a time (HTTP/1.1), and one program has no more
        than 16 microphones: five tabs are a good number.
        """
        assert self._context is not None
        tab = Tab(name)
        tab.show(self._context.new_page())
        return tab
