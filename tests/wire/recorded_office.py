"""A server whose calls are recorded by a policy: who wrote it, who approved it, and what is in the files."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringback.governance.wav import HEADER_BYTES
from tests.wire.server import RingbackServer

NOTICE = "This is recorded."
WHY = {"X-Reason": "Complaint%20of%20today"}
Samples = NDArray[np.float32]


def wait_for(condition: Callable[[], bool], patience_s: float = 10) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


class RecordedOffice:
    """A server with a policy, an administrator who wrote it, and an auditor who approved it."""

    def __init__(self, server: RingbackServer) -> None:
        self.server = server
        self.tokens = {
            name: server.ask("token", "add", "--role", role, "--name", name)["token"]
            for name, role in (("ada", "admin"), ("carl", "auditor"))
        }
        self.voices = server.data / "voices"

    def request(
        self, who: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.web_port, timeout=15)
        content = None if body is None else json.dumps(body)
        sent = {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/json"}
        connection.request(method, f"/api/v1{path}", content, {**sent, **(headers or {})})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), data

    def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, _, data = self.request(who, method, path, body, headers)
        assert status < 300, (status, data)
        return json.loads(data) if data else None

    def add_extension(self, number: str) -> str:
        password = f"secret-of-{number}"
        self.ask("ada", "POST", "/extensions", {"number": number, "password": password})
        return password

    def write_policy(self, **fields: Any) -> None:
        """A policy that is written by one and approved by the other."""
        body: dict[str, Any] = {"everybody": True, "notice": NOTICE, **fields}
        self.ask("ada", "PUT", "/plan/recording-policy/all", body)
        status, _, data = self.request("ada", "POST", "/recordings/policies/all/approve")
        assert (status, b"somebody else" in data) == (422, True)
        self.ask("carl", "POST", "/recordings/policies/all/approve")
        assert self.spoken(str(body["notice"])).exists()

    @property
    def notice_file(self) -> Path:
        return self.spoken(NOTICE)

    def spoken(self, words: str) -> Path:
        return self.server.data / "prompts" / (hashlib.sha256(words.encode()).hexdigest()[:24] + ".wav")

    def recordings(self, extension: str = "") -> list[dict[str, Any]]:
        asked = {"extension": extension} if extension else {}
        found: list[dict[str, Any]] = self.ask("carl", "POST", "/recordings/search", asked)["items"]
        return found

    def is_recording(self, tracks: int) -> bool:
        return any(len(list(folder.glob("leg-*.rbv"))) == tracks for folder in self.voices.glob("*"))

    def track(self, recording: str, part: str = "mix") -> Samples:
        path = f"/recordings/{recording}/audio?track={part}"
        status, headers, data = self.request("carl", "GET", path, headers=WHY)
        assert (status, headers["cache-control"], data[:4]) == (200, "no-store", b"RIFF")
        assert int(headers["content-length"]) == len(data)
        return np.frombuffer(data[HEADER_BYTES:], "<i2").astype(np.float32) / 32768
