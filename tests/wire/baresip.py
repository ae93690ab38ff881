"""baresip, a SIP phone that others wrote, driven by a test: dial, answer, press keys, hear what it heard.

Quirks of Debian's version 1.0 that the settings below respect:
- Its media address is that of `net_interface`, a name or an address: `local`, or it offers eth0's.
- The audio source `aufile` wants a WAV of exactly `ausrc_srate` and hangs up at its end: the files are long.
- Without an audio player the received sound is still decoded, and `sndfile` writes it down: `dump-*-dec.wav`.
- `ctrl_tcp` serves one client, commands and events as netstrings of JSON.
- It answers no digest challenge with SHA-256.
- On a hold it drops the filter that writes down what it hears, and makes a new one only when it has none
  for what it speaks: so that one is kept from being (`_no_recording_of_own_voice`).
- Its commands are for the call that came or was chosen last (`callfind`), also while that only rings.
- It knows no attended transfer: `transfer_to_other` writes the Refer-To for its plain transfer.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from ringback.quality.tones import make_tones
from tests.wire.desk_phone import PATIENCE_S, Caller, wait_for
from tests.wire.ending import end
from tests.wire.namespaces import Host
from tests.wire.ports import bracketed, free_ports
from tests.wire.sound_files import read_wav, write_wav

log = logging.getLogger(__name__)

MODULES = Path("/usr/lib/baresip/modules")
RATES = {"pcmu": 8000, "pcma": 8000, "g722": 16000, "opus": 48000, "l16": 16000}
CODEC_NAMES = {
    "pcmu": "PCMU/8000/1",
    "pcma": "PCMA/8000/1",
    "g722": "G722/16000/1",
    "opus": "opus/48000/2",
    "l16": "L16/16000/1",
}
TONE_SECONDS = 150
HELD_SECONDS = 600
"""How long after its start a call may be held and still be heard afterwards."""

CONFIG = """\
poll_method epoll
sip_listen {bracketed}:{sip_port}
call_local_timeout 60
call_max_calls 4
audio_path {silent_sounds}
audio_player aufile,none
audio_source aufile,{tone}
audio_alert aufile,none
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels 1
auplay_channels 1
audio_buffer 20-160
rtp_ports {rtp_port}-{rtp_last}
rtcp_mux no
jitter_buffer_delay 1-5
net_interface {local}
module_path {modules}
{codec_modules}
module aufile.so
module sndfile.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app ctrl_tcp.so
module_app menu.so
ctrl_tcp_listen {control}:{control_port}
snd_path {recordings}
opus_bitrate 64000
opus_application audio
opus_stereo no
opus_sprop_stereo no
menu_bell no
ringback_disabled yes
"""


CHOSEN = "chosen by the test"
OVER = {"CALL_CLOSED", "TRANSFER_FAILED"}
"""What it says when a call is over: where a transfer fails it hangs up, and says no more than that."""


class PhoneError(AssertionError):
    """A phone did not do what the test needs of it."""


class Baresip:
    """One baresip with one account, its own ports and folder.

    All of it goes over `proxy` (host, port), where that is given.

    `ptime_ms` is how much it sends in a packet, and asks for. `tone_hz` is what it speaks (or `speech`, float
    audio at the codec's rate). `transport` and `srtp` are as in its account; `password` makes it register
    with `server` (host, port), as `username` where that is not its number, and with `mwi` ask for its
    mailbox there. With `host` it runs there, at its address `local`; with one of IPv6 it knows IPv6 alone.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        codec: str = "pcmu",
        ptime_ms: int = 20,
        tone_hz: float | None = None,
        speech: NDArray[np.floating] | None = None,
        level_dbfs: float = -12.0,
        server: tuple[str, int] | None = None,
        proxy: tuple[str, int] | None = None,
        password: str | None = None,
        username: str = "",
        transport: str = "udp",
        srtp: bool = False,
        answer: str = "manual",
        mwi: bool = False,
        host: Host | None = None,
        local: str = "127.0.0.1",
    ) -> None:
        self.folder = folder / name
        self.host, self.local = host, local
        self._control_host = "127.0.0.1" if ":" in local else local
        self.name = self.number = name
        self.tone_hz = tone_hz or 0.0
        self.codec = codec
        self.rate = RATES[codec]
        # A short path: baresip cuts the names of its recordings at 128 characters, and then writes none.
        self._recordings = tempfile.TemporaryDirectory(prefix="baresip-")
        self.recordings_folder = Path(self._recordings.name)
        self.folder.mkdir(parents=True)
        first = free_ports(24)
        # TLS listens on the next port.
        self.sip_port, self.control_port, self.rtp_port = first, first + 2, first + 4
        if speech is None:
            tones = [tone_hz] if tone_hz else []
            speech = make_tones(self.rate, TONE_SECONDS, tones, level_dbfs)
        tone = write_wav(self.folder / "speech.wav", speech, self.rate)
        codecs = {"pcmu": "g711", "pcma": "g711", "g722": "g722", "opus": "opus", "l16": "l16"}
        modules = f"module {codecs[codec]}.so" + ("\nmodule_app mwi.so" if mwi else "")
        self._write_config(tone, modules)
        domain, port = server or (local, self.sip_port)
        domain = bracketed(domain)
        account = [f"<sip:{name}@{domain}:{port};transport={transport}>", f"answermode={answer}"]
        account += [f"audio_codecs={CODEC_NAMES[codec]}", f"ptime={ptime_ms}"]
        account += [f"auth_pass={password}", "regint=60"] if password else ["regint=0"]
        account += [f"auth_user={username}"] if username else []
        if server:
            hop, hop_port = proxy or server
            account.append(f'outbound="sip:{bracketed(hop)}:{hop_port};transport={transport}"')
        if srtp:
            account.append("mediaenc=srtp-mand")
        (self.folder / "accounts").write_text(";".join(account) + "\n")
        self.uri = f"sip:{name}@{bracketed(local)}:{self.sip_port}"
        self._domain = f"{domain}:{port}"
        self.events: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._replies: queue.Queue[dict[str, Any]] = queue.Queue()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._dialled_at = 0
        self._rung: set[str] = set()

    def _write_config(self, tone: Path, codec_modules: str) -> None:
        silent = self.folder / "no-sounds"
        silent.mkdir()
        (self.folder / "config").write_text(
            CONFIG.format(
                local=self.local,
                bracketed=bracketed(self.local),
                control=self._control_host,
                sip_port=self.sip_port,
                silent_sounds=silent,
                tone=tone,
                rate=self.rate,
                rtp_port=self.rtp_port,
                rtp_last=self.rtp_port + 19,
                modules=MODULES,
                codec_modules=codec_modules,
                control_port=self.control_port,
                recordings=self.recordings_folder,
            )
        )

    # Life

    def start(self) -> Baresip:
        """Start the program and connect to its control port."""
        self._no_recording_of_own_voice()
        self._log = (self.folder / "baresip.log").open("wb")
        words = ["baresip", "-f", str(self.folder), "-v", "-s", *(["-6"] if ":" in self.local else [])]
        self._process = subprocess.Popen(
            [*(self.host.prefix if self.host else ()), *words],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                with self.host.entered() if self.host else nullcontext():
                    self._control = socket.create_connection(
                        (self._control_host, self.control_port), timeout=5
                    )
                break
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise PhoneError(f"baresip {self.name} did not start:\n{self.log()}") from None
                time.sleep(0.02)
        self._control.settimeout(None)
        threading.Thread(target=self._read, args=(self._control,), daemon=True).start()
        return self

    def _no_recording_of_own_voice(self) -> None:
        """Take the names of such files away, a second each, so that none is opened."""
        for second in range(HELD_SECONDS):
            at = time.strftime("%Y-%m-%d-%H-%M-%S", time.localtime(time.time() + second))
            (self.recordings_folder / f"dump-{at}-enc.wav").mkdir()

    def stop(self, patience_s: float = 5) -> None:
        """End the program: hang up, then by its process id."""
        if self._process is None:
            return
        end(self._process, patience_s)
        self._process = None
        if self._control is not None:
            self._control.close()
        self._log.close()

    def log(self) -> str:
        """What it printed, SIP messages included."""
        return (self.folder / "baresip.log").read_text(errors="replace")

    # Control

    def _read(self, connection: socket.socket) -> None:
        buffered = b""
        while True:
            try:
                data = connection.recv(65536)
            except OSError:
                return
            if not data:
                return
            buffered += data
            while match := re.match(rb"(\d+):", buffered):
                end = match.end() + int(match[1])
                if len(buffered) < end + 1:
                    break
                message = json.loads(buffered[match.end() : end])
                buffered = buffered[end + 1 :]
                if "response" in message:
                    self._replies.put(message)
                    continue
                message["at"] = time.monotonic()
                log.info("%s: %s %s", self.name, message.get("type"), message.get("param", ""))
                with self._news:
                    self.events.append(message)
                    self._news.notify_all()

    def command(self, name: str, params: str = "") -> str:
        """Give a command as typed at its prompt; return what it says."""
        assert self._control is not None
        text = json.dumps({"command": name, "params": params, "token": "t"}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))
        reply = self._replies.get(timeout=5)
        return str(reply.get("data", ""))

    def wait_event(self, kind: str, timeout: float = 10, *, after: int = 0) -> dict[str, Any]:
        """The first event of a kind from the `after`-th event on; raises PhoneError at the time-out."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for event in self.events[after:]:
                    if event.get("type") == kind:
                        return event
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._news.wait(remaining):
                    seen = [event.get("type") for event in self.events]
                    raise PhoneError(
                        f"{self.name}: no {kind} in {timeout} s, only {seen}\n{self.log()[-3000:]}"
                    )

    def has_event(self, kind: str, *, after: int = 0) -> bool:
        """Whether an event of a kind has come."""
        with self._news:
            return any(event.get("type") == kind for event in self.events[after:])

    # What a person does

    def register(self) -> None:
        """Wait for the registration that starts with the program (its event may precede our connection)."""
        deadline = time.monotonic() + 30
        while "OK" not in (said := self.command("reginfo")):
            if time.monotonic() > deadline:
                raise PhoneError(f"{self.name} is not registered: {said}\n{self.log()[-3000:]}")
            time.sleep(0.1)

    def dial(self, uri: str, *, wait: bool = True, timeout: float = 10) -> None:
        """Call; with `wait`, until it is answered."""
        after = len(self.events)
        self.command("dial", uri)
        if wait:
            self.wait_event("CALL_ESTABLISHED", timeout, after=after)

    def start_call(self, number: str) -> None:
        """Dial a number at its server; a call that is talked in is held first."""
        if self.calls:
            self._choose(self._talked)
            self.hold()
        self._dialled_at = len(self.events)
        self.command("dial", f"sip:{number}@{self._domain}")

    def call(self, number: str) -> None:
        """As `start_call`, until somebody answers."""
        self.start_call(number)
        self.wait_talking()

    def wait_talking(self, timeout: float = PATIENCE_S) -> None:
        """Wait until the call that was dialled is answered."""
        self.wait_event("CALL_ESTABLISHED", timeout, after=self._dialled_at)

    def wait_ringing(self, timeout: float = PATIENCE_S) -> Caller:
        """Wait for the next call; who calls, as the display shows it."""
        wait_for(lambda: self._next_ringing() is not None, f"{self.name} does not ring", timeout)
        event = self._next_ringing()
        assert event is not None
        self._rung.add(event["id"])
        number = re.match(r"sips?:([^@;]*)", event["peeruri"])
        assert number, event
        return Caller(event.get("peerdisplayname", ""), number[1])

    @property
    def times_rung(self) -> int:
        """How many calls have come since its start."""
        with self._news:
            return sum(event.get("type") == "CALL_INCOMING" for event in self.events)

    def _next_ringing(self) -> dict[str, Any] | None:
        """A call that came and has not been looked at yet."""
        live = self.calls
        with self._news:
            came = [event for event in self.events if event.get("type") == "CALL_INCOMING"]
        return next((one for one in came if one["id"] in live and one["id"] not in self._rung), None)

    @property
    def calls(self) -> list[str]:
        """Its calls, that which came or was dialled first first."""
        with self._news:
            events = [event for event in self.events if "id" in event]
        closed = {event["id"] for event in events if event["type"] in OVER}
        return [one for one in dict.fromkeys(event["id"] for event in events) if one not in closed]

    @property
    def _talked(self) -> str:
        """The call that was answered or chosen last."""
        live = self.calls
        with self._news:
            chosen = [event["id"] for event in self.events if event["type"] in {"CALL_ESTABLISHED", CHOSEN}]
        return next((one for one in reversed(chosen) if one in live), live[-1] if live else "")

    def _choose(self, call: str) -> None:
        """Let commands be for this call."""
        self.command("callfind", call)
        with self._news:
            self.events.append({"type": CHOSEN, "id": call})

    def answer(self, timeout: float = PATIENCE_S) -> None:
        """Take the call that rings, after waiting for one; another is held."""
        after = len(self.events)
        if not any(self._is_new(call) for call in self.calls):
            self.wait_ringing(timeout)
        self.command("accept")
        self.wait_event("CALL_ESTABLISHED", timeout, after=after)

    def _is_new(self, call: str) -> bool:
        """Whether a call that was looked at rings on."""
        with self._news:
            kinds = {event["type"] for event in self.events if event.get("id") == call}
        return call in self._rung and not kinds & {"CALL_ESTABLISHED", "CALL_CLOSED"}

    def press(self, keys: str, pause_s: float = 0.25) -> None:
        """Press keys one after another (RFC 4733)."""
        for key in keys:
            self.command("sndcode", key)
            time.sleep(pause_s)

    def hold(self) -> None:
        """Put the call on hold by re-INVITE."""
        self.command("hold")

    def resume(self) -> None:
        """Take the call off hold."""
        self.command("resume")

    def hang_up(self) -> None:
        """End the call that is talked in."""
        if len(self.calls) > 1:
            self._choose(self._talked)
        self.command("hangup")

    def switch(self) -> None:
        """Hold the call that is talked in, and talk in the other."""
        talked = self._talked
        (other,) = [call for call in self.calls if call != talked]
        self._choose(talked)
        self.hold()
        self._choose(other)
        self.resume()

    def wait_calls(self, count: int, timeout: float = PATIENCE_S) -> None:
        """Wait until it has so many calls."""
        wait_for(lambda: len(self.calls) == count, f"{self.name} has {len(self.calls)} calls", timeout)

    def transfer(self, number: str) -> None:
        """Send who is talked to there, by REFER."""
        self._choose(self._talked)
        self.command("transfer", f"sip:{number}@{self._domain}")

    def transfer_to_other(self) -> None:
        """Connect who is held with who is talked to: its REFER, with Replaces written by us."""
        talked = self._talked
        (held,) = [call for call in self.calls if call != talked]
        with self._news:
            peer = next(event["peeruri"] for event in self.events if event.get("id") == talked)
        ours, theirs = self._tags(talked)
        replaces = quote(f"{talked};to-tag={theirs};from-tag={ours}", safe="")
        self._choose(held)
        self.command("transfer", f"<{peer.partition(';')[0]}?Replaces={replaces}>")

    def _tags(self, call: str) -> tuple[str, str]:
        """The tags of a call's dialog, ours and the other's, as its log shows them."""
        log = self.log().replace("\r\n", "\n")
        acks = [part.partition("\n\n")[0] for part in re.split(r"^(?=ACK )", log, flags=re.M)[1:]]
        # The first may be that to a challenge.
        head = next((one for one in reversed(acks) if f"\nCall-ID: {call}\n" in one), "")
        one, other = (re.search(rf"^{name}: .*;tag=([^;\s]+)", head, re.M) for name in ("From", "To"))
        assert one, f"no ACK of {call}\n{self.log()[-3000:]}"
        assert other, head
        return (one[1], other[1]) if call not in self._rung else (other[1], one[1])

    def hang_up_and_wait(self) -> None:
        """End the call, and wait until the recording is closed."""
        after = len(self.events)
        self.hang_up()
        self.wait_event("CALL_CLOSED", after=after)

    # What it heard

    def listen(self, seconds: float) -> tuple[NDArray[np.float32], int]:
        """What it hears from now on, and the rate; shorter where less comes in that time."""
        before = self._recorded()
        wanted = round(seconds * self.rate) * 2
        deadline = time.monotonic() + seconds + 0.3
        while True:
            now = self._recorded()
            # Of a file that began anew all is new.
            new = {
                path: size - old if (old := before.get(path, 0)) <= size else size
                for path, size in now.items()
            }
            path = max(new, key=lambda one: new[one], default=self.recordings_folder)
            if new.get(path, 0) >= wanted or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        if not new.get(path):
            return np.zeros(0, np.float32), self.rate
        audio, rate = read_wav(path)
        return audio[-(new[path] // 2) :][: wanted // 2], rate

    def _recorded(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in self.recordings_folder.glob("dump-*-dec.wav")}

    def recordings(self) -> list[NDArray[np.float32]]:
        """What it heard in each call so far, oldest first, as float32 at `self.rate`."""
        files = sorted(
            self.recordings_folder.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime_ns
        )
        heard = []
        for path in files:
            audio, rate = read_wav(path)
            assert rate == self.rate, (path, rate)
            heard.append(audio)
        return heard

    def heard(self, last_s: float | None = None, *, trim_s: float = 0.0) -> NDArray[np.float32]:
        """What it heard in its latest call: the last so many seconds of it, less `trim_s` at the end."""
        recordings = self.recordings()
        if not recordings:
            raise PhoneError(f"{self.name} recorded nothing\n{self.log()[-3000:]}")
        audio = recordings[-1]
        audio = audio[: len(audio) - round(trim_s * self.rate)]
        return audio if last_s is None else audio[-round(last_s * self.rate) :]
