"""linphone, a SIP phone that others wrote, driven by a test at the prompt of its console version `linphonec`.

Quirks of Debian's version 5.1 that the settings below respect:
- Without `~/.local/share/linphone` for its database it starts all the same, but never has a network.
- It finds no IP address in a certificate, so that by TLS it knows the server as localhost.
- With `soundcard use files` it plays one WAV and records into one, at the codec's rate; while it holds a call
  nothing is recorded, and it plays to who is held. The file has a header once the call was held, or is over;
  before that the rate is the codec's (`listen` wants one codec alone).
- A digit alone, typed at the prompt in a call, is a key (RFC 4733).
- A key takes it 0.9 s, however fast they are typed.
- It dials and resumes only while it talks in no call.
- When a call is refused with 403 it asks for the account's password, and takes the next line for it; with an
  account of another domain than its own it would have two, and use none.
- A TLS listening point is given by its port, and only those of the transports in use are opened.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from ringback.quality.tones import make_tones
from tests.wire.desk_phone import PATIENCE_S, Caller, wait_for
from tests.wire.ending import end
from tests.wire.namespaces import Host
from tests.wire.ports import bracketed, free_ports
from tests.wire.server import RingbackServer
from tests.wire.sound_files import read_wav, write_wav

RATE = 8000
HEADER = 44
CODECS = {"pcmu": ("PCMU", 8000), "pcma": ("PCMA", 8000)}
TONE_SECONDS = 120

CONFIG = """\
[net]
mtu=1300
[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
default_proxy=0
guess_hostname=0
root_ca={authority}
verify_server_certs=1
verify_server_cn=1
media_encryption={encryption}
inc_timeout=30
[rtp]
audio_rtp_port={rtp}
audio_adaptive_jitt_comp_enabled=1
[sound]
echocancellation=0
[auth_info_0]
username={name}
passwd={password}
domain={host}
[proxy_0]
reg_proxy=<sip:{host}{suffix}>
reg_route=<sip:{host}{suffix};lr>
reg_identity=<sip:{name}@{host}>
reg_expires=60
reg_sendregister=1
publish=0
"""
ONE_CODEC = """\
[misc]
add_missing_audio_codecs=0
[audio_codec_0]
mime={mime}
rate={rate}
channels=1
enabled=1
"""
CALL_ENDS = re.compile(r"Call (\d+) with .* (?:ended|error)")
CALL_BEGINS = re.compile(r"assigned id (\d+)\s")
TALKS = re.compile(r"Media streams established with .* for call (\d+) ")
ASKS_PASSWORD = re.compile(r"Password for \S+ on \S+: *$")
RINGS = re.compile(r"Receiving new incoming call from (.*), assigned id (\d+)\s")


def talks_in(call: int) -> str:
    """What it prints when sound flows in a call."""
    return rf"Media streams established with .* for call {call} "


class LinphoneError(AssertionError):
    """The phone did not do what the test needs of it."""


class Linphone:
    """One linphonec that registers one account with `server`; its own ports and folder.

    It speaks `tone_hz`; its codecs are its own, Opus first, or `codec` alone. By TLS it trusts the server's
    authority alone; `srtp` makes its media encrypted by SDES. With `answers` it takes every call by itself.
    With `host` it runs there, where the server is at `address`.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        server: RingbackServer,
        password: str,
        transport: str = "udp",
        srtp: bool = False,
        tone_hz: float | None = None,
        codec: str = "",
        level_dbfs: float = -12.0,
        answers: bool = False,
        host: Host | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.folder, self.name, self.host = folder, name, host
        self.number, self.tone_hz = name, tone_hz or 0.0
        (folder / ".local/share/linphone").mkdir(parents=True)
        first = free_ports(16)
        speech = make_tones(RATE, TONE_SECONDS, [tone_hz] if tone_hz else [], level_dbfs)
        self._speech = write_wav(folder / "speech.wav", speech, RATE)
        self._recording = folder / "heard.wav"
        self._answers = answers
        self._config = folder / "linphonerc"
        self._port = server.tls_port if transport == "tls" else server.udp_port
        self._suffix = f":{self._port};transport={transport}"
        self._domain = "localhost" if transport == "tls" else bracketed(address)
        self._config.write_text(
            CONFIG.format(
                udp=first if transport == "udp" else 0,
                tcp=first if transport == "tcp" else 0,
                tls=first if transport == "tls" else 0,
                name=name,
                password=password,
                host=self._domain,
                suffix=self._suffix,
                authority=server.data / "tls/ca.pem",
                encryption="srtp" if srtp else "none",
                rtp=first + 4,
            )
        )
        if codec:
            mime, rate = CODECS[codec]
            with self._config.open("a") as config:
                config.write(ONE_CODEC.format(mime=mime, rate=rate))
        self._rate = CODECS[codec][1] if codec else 0
        self._password = password
        self._rung: set[int] = set()
        self._said = ""
        self._news = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None

    # Life

    def start(self) -> Linphone:
        """Start the program; its sound comes from and goes to files."""
        words = ["linphonec", "-c", self._config, "-d", "6", "-l", self.folder / "linphone.log"]
        self._process = subprocess.Popen(
            [*(self.host.prefix if self.host else ()), *map(str, words), *(["-a"] if self._answers else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=os.environ | {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / ".config")},
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.command("soundcard use files")
        self.command(f"play {self._speech}")
        self.command(f"record {self._recording}")
        return self

    def stop(self, patience_s: float = 5) -> None:
        """End the program: as a person would, else by its process id."""
        if self._process is None:
            return
        end(self._process, patience_s)
        self._process = None

    def _read(self) -> None:
        process = self._process
        # Who is stopped at once has none any more.
        while process is not None and process.stdout is not None:
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                break
            with self._news:
                self._said += data.decode(errors="replace")
                self._news.notify_all()

    def log(self) -> str:
        """What it logged, SIP messages included."""
        path = self.folder / "linphone.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # Control

    @property
    def said(self) -> int:
        """How much it has printed so far: what `expect` may look after."""
        with self._news:
            return len(self._said)

    def command(self, line: str) -> None:
        """Type a line at its prompt."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def expect(self, pattern: str, timeout: float = 10, *, after: int = 0) -> re.Match[str]:
        """Wait until it prints something; raises LinphoneError at the time-out."""
        deadline = time.monotonic() + timeout
        with self._news:
            while not (found := re.compile(pattern).search(self._said, after)):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._news.wait(remaining):
                    raise LinphoneError(f"{self.name}: no {pattern!r} in {timeout} s, only\n{self._said}")
        return found

    # What a person does

    def register(self, timeout: float = 30) -> None:
        """Wait for the registration that starts with the program."""
        deadline = time.monotonic() + timeout
        while self._until("status register", r"registered(=-?\d|, )")[1] != ", ":
            if time.monotonic() > deadline:
                raise LinphoneError(f"{self.name} is not registered:\n{self.log()[-4000:]}")
            time.sleep(0.1)

    def uri(self, number: str) -> str:
        """A number at its server."""
        return f"sip:{number}@{self._domain}{self._suffix}"

    def dial(self, number: str, timeout: float = 10) -> None:
        """Call a number at its server, until sound flows."""
        self._until(f"call {self.uri(number)}", r"Media streams established", timeout)

    def start_call(self, number: str) -> None:
        """Dial a number at its server; a call that is talked in is held first."""
        if self._talks():
            self.hold()
        if ASKS_PASSWORD.search(self._said):
            self._until(self._password, r"linphonec> ")
        self._until(f"call {self.uri(number)}", CALL_BEGINS.pattern)

    def call(self, number: str) -> None:
        """As `start_call`, until somebody answers."""
        self.start_call(number)
        self.wait_talking()

    def pick_up(self, number: str, replaces: str) -> None:
        """Take over a call of that number, which Replaces names (RFC 3891)."""
        self.command(f"call sip:{number}@{self._domain}:{self._port}?Replaces={quote(replaces, safe='')}")

    def wait_talking(self, timeout: float = PATIENCE_S) -> None:
        """Wait until the call that was dialled is answered."""
        self.expect(talks_in(self.calls[-1]), timeout)

    def wait_ringing(self, timeout: float = PATIENCE_S) -> Caller:
        """Wait for the next call; who calls, as the display shows it."""
        wait_for(lambda: self._next_ringing() is not None, f"{self.name} does not ring", timeout)
        found = self._next_ringing()
        assert found
        self._rung.add(int(found[2]))
        caller = re.match(r'(?:"?(.*?)"? *<)?sips?:([^@;>]*)', found[1])
        assert caller, found[1]
        return Caller(caller[1] or "", caller[2])

    @property
    def times_rung(self) -> int:
        """How many calls have come since its start."""
        with self._news:
            return len(RINGS.findall(self._said))

    def _next_ringing(self) -> re.Match[str] | None:
        """A call that came and has not been looked at yet."""
        live = set(self.calls) - self._rung
        with self._news:
            came = list(RINGS.finditer(self._said))
        return next((one for one in came if int(one[2]) in live), None)

    @property
    def calls(self) -> list[int]:
        """Its calls by their numbers in this program, that which came or was dialled first first."""
        with self._news:
            said = self._said
        ended = set(CALL_ENDS.findall(said))
        return [int(one) for one in CALL_BEGINS.findall(said) if one not in ended]

    @property
    def _talked(self) -> int:
        """The call that was answered or resumed last."""
        live = self.calls
        with self._news:
            talked = [int(one) for one in TALKS.findall(self._said)]
        return next((one for one in reversed(talked) if one in live), live[-1] if live else 0)

    def _talks(self) -> bool:
        """Whether it talks in a call, which holding would end."""
        with self._news:
            said = self._said
        return any(
            max((m.end() for m in TALKS.finditer(said) if int(m[1]) == call), default=0)
            > max((m.end() for m in re.finditer(rf"Call {call} with .* is now paused", said)), default=0)
            for call in self.calls
        )

    def answer(self, timeout: float = PATIENCE_S) -> None:
        """Take the call that rings, after waiting for one; another is held."""
        ringing = [call for call in self.calls if call in self._rung and not self._was_talked(call)]
        if not ringing:
            self.wait_ringing(timeout)
            ringing = [call for call in self.calls if call in self._rung and not self._was_talked(call)]
        self._until(f"answer {ringing[0]}", talks_in(ringing[0]), timeout)

    def _was_talked(self, call: int) -> bool:
        with self._news:
            return str(call) in TALKS.findall(self._said)

    def press(self, keys: str, pause_s: float = 0.3) -> None:
        """Press keys one after another."""
        for key in keys:
            self.command(key)
            time.sleep(pause_s)

    def hold(self) -> None:
        """Put the call on hold by re-INVITE."""
        self._until("pause", r"is now paused")

    def resume(self) -> None:
        """Take the call off hold."""
        self._until(f"resume {self._talked}", r"Media streams established")

    def switch(self) -> None:
        """Hold the call that is talked in, and talk in the other."""
        talked = self._talked
        (other,) = [call for call in self.calls if call != talked]
        if self._talks():
            self.hold()
        self._until(f"resume {other}", talks_in(other))

    def hang_up(self) -> None:
        """End the call that is talked in, or the only one."""
        self._until(f"terminate {self._talked}", CALL_ENDS.pattern)

    def wait_calls(self, count: int, timeout: float = PATIENCE_S) -> None:
        """Wait until it has so many calls."""
        wait_for(lambda: len(self.calls) == count, f"{self.name} has {len(self.calls)} calls", timeout)

    def transfer(self, number: str) -> None:
        """Send who is talked to there, by REFER."""
        self.command(f"transfer {self._talked} {self.uri(number)}")

    def transfer_to_other(self) -> None:
        """Connect who is held with who is talked to, by REFER with Replaces."""
        talked = self._talked
        (held,) = [call for call in self.calls if call != talked]
        self.command(f"transfer {held} --to-call {talked}")

    def _until(self, line: str, pattern: str, timeout: float = 10) -> re.Match[str]:
        after = self.said
        self.command(line)
        return self.expect(pattern, timeout, after=after)

    # What it heard

    def listen(self, seconds: float) -> tuple[NDArray[np.float32], int]:
        """What it hears from now on, and the rate; shorter where less comes in that time."""
        assert self._rate, "without one codec alone the rate is known at the end only"
        before, wanted = self._recorded(), round(seconds * self._rate)
        deadline = time.monotonic() + seconds + 0.3
        while self._recorded() < before + wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        new = self._recording.read_bytes()[HEADER + 2 * before :] if self._recording.exists() else b""
        samples = np.frombuffer(new, "<i2", count=min(wanted, len(new) // 2))
        return samples.astype(np.float32) / 32768.0, self._rate

    def _recorded(self) -> int:
        """Samples in its recording so far."""
        size = self._recording.stat().st_size if self._recording.exists() else 0
        return max(0, size - HEADER) // 2

    def heard(self, last_s: float, *, trim_s: float = 0.0) -> tuple[NDArray[np.float32], int]:
        """The end of its recording so far: the last so many seconds less `trim_s`, and their rate."""
        if not self._recording.exists():
            raise LinphoneError(f"{self.name} recorded nothing\n{self.log()[-3000:]}")
        audio, rate = read_wav(self._recording)
        audio = audio[: len(audio) - round(trim_s * rate)]
        return audio[-round(last_s * rate) :], rate
