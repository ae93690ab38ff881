"""The real command in its own data folder on its own ports, and what a person can ask of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

from ringback.web import control_socket
from tests.wire.namespaces import Host
from tests.wire.ports import free_ports, media_range

COMMAND = Path(sys.executable).with_name("ringback")


class ServerError(AssertionError):
    """The server or a verb of the command line did not do what the test needs."""


class RingbackServer:
    """One `ringback serve`; started, killed and started again on the same data and ports.

    Loopback is free of limits unless `limits` is set: the tests of one server all come from there.
    With `own_group` all its processes die in one moment when they are killed. With `host` it runs there; make
    what talks to its loopback inside as well (`Host.entered`).
    """

    spoken: ClassVar[Path | None] = None
    """Where the first server here had its prompts spoken, which takes 1 s of CPU: others get copies."""

    def __init__(
        self,
        folder: Path,
        *,
        limits: bool = False,
        settings: dict[str, str] | None = None,
        host: Host | None = None,
        own_group: bool = False,
    ) -> None:
        self.folder = folder
        self.host = host
        self.own_group = own_group
        self.data = folder / "data"
        folder.mkdir(parents=True, exist_ok=True)
        first = free_ports(8)
        self.udp_port, self.tcp_port, self.tls_port, self.web_port = first, first, first + 1, first + 2
        self.media_ports = media_range()
        self.environment = {
            "RINGBACK_SIP__UDP_PORT": str(self.udp_port),
            "RINGBACK_SIP__TCP_PORT": str(self.tcp_port),
            "RINGBACK_SIP__TLS_PORT": str(self.tls_port),
            "RINGBACK_WEB__PORT": str(self.web_port),
            "RINGBACK_MEDIA__PORT_RANGE": f"{self.media_ports[0]}-{self.media_ports[1]}",
            **({} if limits else {"RINGBACK_SECURITY__ALLOW_SOURCES": "127.0.0.0/8"}),
            **(settings or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    # Life

    def start(self, *, wait: bool = True) -> RingbackServer:
        """Start it; with `wait`, until it is ready."""
        self.starts += 1
        self._lend_prompts()
        self.began = time.monotonic()
        with self._log_file().open("wb") as log:
            self.process = subprocess.Popen(
                [*(self.host.prefix if self.host else ()), COMMAND, "serve", "--data-dir", self.data],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=self.own_group,
            )
        if wait:
            self.wait_ready()
        return self

    def _lend_prompts(self) -> None:
        prompts = self.data / "prompts"
        if self.spoken is None or prompts.exists():
            return
        self.data.mkdir(mode=0o700, exist_ok=True)
        prompts.mkdir()
        for prompt in self.spoken.glob("*.wav"):
            # What is spoken just now has two endings.
            if "." not in prompt.stem:
                shutil.copy(prompt, prompts)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
        return kept | self.environment

    def wait_ready(self, timeout: float = 60) -> float:
        """Wait until /readyz says so; return the seconds since the start."""
        deadline = time.monotonic() + timeout
        while True:
            assert self.process is not None
            if self.process.poll() is not None:
                raise ServerError(f"the server ended with {self.process.returncode}:\n{self.output()}")
            try:
                if self._is_ready():
                    took = time.monotonic() - self.began
                    RingbackServer.spoken = RingbackServer.spoken or self.data / "prompts"
                    return took
            except (urllib.error.URLError, OSError):
                pass
            if time.monotonic() > deadline:
                raise ServerError(f"not ready in {timeout} s:\n{self.output()}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        # Its certificate is trusted by nobody. The usual context reads the system's, which takes longest.
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        loopback = self.environment.get("RINGBACK_WEB__BIND", "127.0.0.1").startswith("127.")
        url = f"{'http' if loopback else 'https'}://127.0.0.1:{self.web_port}/readyz"
        inside = self.host.entered() if self.host else nullcontext()
        with inside, urllib.request.urlopen(url, timeout=2, context=trusting) as answer:
            return bool(answer.status == 200)

    def stop(self, timeout: float = 10) -> int:
        """Ask it to end (SIGTERM); return its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise ServerError(f"still there {timeout} s after SIGTERM:\n{self.output()}") from None
        finally:
            self.process = None

    def kill_all(self) -> None:
        """End control and media processes as a power cut would."""
        if self.process is None:
            return
        children = descendants(self.process.pid)
        if self.own_group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        for pid in (self.process.pid, *children):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        self.process = None

    def _log_file(self) -> Path:
        return self.folder / f"server-{self.starts}.log"

    def output(self) -> str:
        """What it has printed since its latest start, colours removed."""
        path = self._log_file()
        return re.sub(r"\x1b\[[0-9;]*m", "", path.read_text(errors="replace")) if path.exists() else ""

    def first_start(self) -> str:
        """What the first start created, as kept for its owner when there was no terminal to show it on."""
        return (self.data / "first-start.txt").read_text()

    # The command line

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a verb on this server's data."""
        return subprocess.run(
            [COMMAND, *words, "--data-dir", str(self.data)],
            env=self._environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def ask(self, *words: str, stdin: str = "") -> Any:
        """Run a verb with --json; its answer, decoded. Raises ServerError when it fails."""
        done = self.run(*words, "--json", stdin=stdin)
        if done.returncode != 0:
            raise ServerError(
                f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.output()[-3000:]}"
            )
        return json.loads(done.stdout)

    def fetch(self, path: str) -> str:
        """GET a path of the running server as its owner, over its control socket; raises ServerError."""
        return self.request("GET", path)

    def api(self, method: str, path: str, body: object = None) -> Any:
        """What the API answers its owner, decoded; raises ServerError."""
        text = self.request(method, f"/api/v1{path}", body)
        return json.loads(text) if text else None

    def request(self, method: str, path: str, body: object = None) -> str:
        """As `fetch`, by any method; `body` goes as JSON."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = control_socket.connect(self.data / "control.sock", timeout_s=15)
        content = None if body is None else json.dumps(body)
        with contextlib.closing(connection):
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        if answer.status >= 300:
            raise ServerError(f"{method} {path}: {answer.status} {text}")
        return text

    def _made(self, path: str, body: dict[str, str], *verb: str, stdin: str = "") -> Any:
        """By the API, as the verb does it but without a process for it; by the verb where no server runs."""
        try:
            return self.api("POST", path, body)
        except (FileNotFoundError, ConnectionRefusedError):
            return self.ask(*verb, stdin=stdin)

    def add_extension(self, number: str) -> str:
        """A new extension; its password."""
        password = f"secret-of-{number}"
        body = {"number": number, "password": password}
        self._made("/extensions", body, "extension", "add", number, "--password-stdin", stdin=password + "\n")
        return password

    def add_meeting(self, name: str = "Weekly") -> dict[str, Any]:
        """A new meeting: number, guest_pin, host_pin, link, dial_in."""
        meeting = self._made("/meetings", {"name": name}, "meeting", "add", name)
        assert isinstance(meeting, dict), meeting
        return meeting

    def participants(self, number: str) -> list[dict[str, Any]]:
        """Who is in a meeting."""
        people = self.api("GET", f"/meetings/{number}/participants")
        assert isinstance(people, list), people
        return people

    def wait_participants(self, number: str, count: int, timeout: float = 20) -> list[dict[str, Any]]:
        """Wait until so many are inside."""
        deadline = time.monotonic() + timeout
        while True:
            people = self.participants(number)
            inside = [person for person in people if person["state"] == "in"]
            if len(inside) == count:
                return inside
            if time.monotonic() > deadline:
                raise ServerError(f"{count} expected in {number}, but {people}\n{self.output()[-3000:]}")
            time.sleep(0.1)

    def media_pids(self) -> list[int]:
        """The media processes, as `ringback status` names them."""
        return [int(pid) for pid in self.api("GET", "/status")["pids"]["media"]]

    # Addresses

    def open_media_ports(self) -> list[int]:
        """The UDP ports for media that it has open now, in order."""
        assert self.process is not None
        ours = {inode for pid in descendants(self.process.pid) for inode in _sockets(pid)}
        fields = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return sorted(int(one[1].rpartition(":")[2], 16) for one in fields if one[9] in ours)

    @property
    def udp(self) -> tuple[str, int]:
        """Where phones reach it over UDP."""
        return ("127.0.0.1", self.udp_port)

    @property
    def tls(self) -> tuple[str, int]:
        """Where phones reach it over TLS."""
        return ("127.0.0.1", self.tls_port)

    def uri(self, user: str, transport: str = "udp") -> str:
        """A SIP address here."""
        port = self.tls_port if transport == "tls" else self.udp_port
        suffix = "" if transport == "udp" else f";transport={transport}"
        return f"sip:{user}@127.0.0.1:{port}{suffix}"


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == pid:
            found.append(int(path.parent.name))
    return [*found, *(grandchild for child in found for grandchild in descendants(child))]


def _sockets(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target[len("socket:[") : -1])
    return found
