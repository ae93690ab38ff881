"""Janus AudioBridge as the peer of measurements: its process, and its rooms over its HTTP API."""

from __future__ import annotations

import http.client
import itertools
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from bench import rig

HOST, PORT = "127.0.0.1", 8188


def missing() -> str:
    """Why nothing can be measured against Janus, "" where it can."""
    if problem := rig.missing():
        return problem
    return "" if shutil.which("janus") else "not measured: janus is missing; scripts/setup bench installs it"


@contextmanager
def running() -> Iterator[int]:
    """Janus with the rig's configuration: its process."""
    command = ["janus", f"--configs-folder={rig.RIG / 'janus-loopback'}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(f"http://{HOST}:{PORT}/janus/info", timeout=2):
                    break
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit("Janus does not start") from None
                time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


class AudioBridge:
    """Its rooms, with members of plain RTP and of WebRTC."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._session = f"/janus/{self._ask('/janus', {'janus': 'create'})['data']['id']}"
        self._control = self._attach()

    def create(self, room: str, rate: int) -> None:
        """Open a room that mixes at a rate."""
        body = {"request": "create", "room": room, "sampling_rate": rate, "allow_rtp_participants": True}
        self._message(self._control, body)

    def join_by_rtp(self, room: str, name: str, codec: str, rtp: dict[str, Any]) -> tuple[str, int]:
        """Add a member of plain RTP; where to send its packets."""
        handle = self._attach()
        self._message(handle, {"request": "join", "room": room, "id": name, "codec": codec, "rtp": rtp})
        data = self._wait_for(handle, lambda event: "rtp" in _data(event))["plugindata"]["data"]
        return data["rtp"]["ip"], data["rtp"]["port"]

    def join_by_webrtc(self, room: str, name: str, offer: str) -> str:
        """Add a member of Opus with an SDP offer; the answer."""
        handle = self._attach()
        self._message(handle, {"request": "join", "room": room, "id": name, "codec": "opus"})
        self._wait_for(handle, lambda event: _data(event).get("audiobridge") == "joined")
        self._message(handle, {"request": "configure"}, {"type": "offer", "sdp": offer})
        return str(self._wait_for(handle, lambda event: "jsep" in event)["jsep"]["sdp"])

    def _wait_for(self, handle: int, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            event = self._ask(f"{self._session}?maxev=1", None)
            if "error" in _data(event):
                raise SystemExit(f"Janus: {_data(event)['error']}")
            if event.get("sender") == handle and fits(event):
                return event

    def _attach(self) -> int:
        answer = self._ask(self._session, {"janus": "attach", "plugin": "janus.plugin.audiobridge"})
        return int(answer["data"]["id"])

    def _message(self, handle: int, body: dict[str, Any], jsep: dict[str, str] | None = None) -> None:
        message = {"janus": "message", "body": body, **({"jsep": jsep} if jsep else {})}
        self._ask(f"{self._session}/{handle}", message)

    def _ask(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        with closing(http.client.HTTPConnection(HOST, PORT, timeout=60)) as connection:
            if body is None:
                connection.request("GET", path)
            else:
                body = {**body, "transaction": str(next(self._numbers))}
                connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        return dict(answer[0] if isinstance(answer, list) else answer)


def _data(event: dict[str, Any]) -> dict[str, Any]:
    return dict(event.get("plugindata", {}).get("data", {}))
