"""Mailboxes of servers under test, and the message lamp of a small phone."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
from typing import Any

from ringback.web import control_socket
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone


class LampWatch:
    """A phone's subscription to its own mailbox (RFC 3842)."""

    def __init__(self, phone: SipPhone) -> None:
        self._watch = phone.subscribe(phone.user, "message-summary")
        self.shows()

    def shows(self) -> str:
        """The counts that were told last."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            told = [request.body for request in self._watch.requests if request.method == "NOTIFY"]
            counts = re.findall(r"Voice-Message: (.+)", told[-1]) if told else []
            if counts:
                return str(counts[0]).strip()
            time.sleep(0.05)
        raise AssertionError("no mailbox was told of")

    def wait_for(self, counts: str, patience_s: float = 15) -> None:
        """Wait until the lamp shows these counts."""
        deadline = time.monotonic() + patience_s
        while self.shows() != counts:
            assert time.monotonic() < deadline, f"the lamp shows {self.shows()}, not {counts}"
            time.sleep(0.05)


def ask(server: RingbackServer, method: str, path: str, body: Any = None) -> Any:
    """Have the running server's API do something, as its owner; its answer."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = control_socket.connect(server.data / "control.sock", timeout_s=15)
    with contextlib.closing(connection):
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, f"/api/v1{path}", content, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
    return json.loads(text) if text else None


def give_mailbox(server: RingbackServer, number: str, **values: Any) -> None:
    """Give an extension a mailbox."""
    ask(server, "PUT", f"/plan/mailbox/{number}", values)
