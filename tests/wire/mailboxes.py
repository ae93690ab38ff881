"""Mailboxes of servers under test, and the message lamp of a small phone."""

from __future__ import annotations

import re
import time

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

    def wait_for(self, counts: str, patience_s: float = 5) -> None:
        """Wait until the lamp shows these counts."""
        deadline = time.monotonic() + patience_s
        while self.shows() != counts:
            assert time.monotonic() < deadline, f"the lamp shows {self.shows()}, not {counts}"
            time.sleep(0.05)
