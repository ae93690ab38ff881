"""What lies in somebody's mailbox: `application/simple-message-summary` (RFC 3842)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringback.sip.message import SipUri

MESSAGE_SUMMARY: Final = "application/simple-message-summary"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """How many voice messages there are; `new` ones have not been heard, urgent ones are among them."""

    new: int = 0
    old: int = 0
    new_urgent: int = 0
    old_urgent: int = 0


def write_message_summary(account: SipUri, mailbox: Mailbox | None) -> bytes:
    """The body for a mailbox, or for somebody who has none (§5.2)."""
    waiting = "yes" if mailbox is not None and mailbox.new else "no"
    lines = [f"Messages-Waiting: {waiting}"]
    if mailbox is not None:
        counts = f"{mailbox.new}/{mailbox.old} ({mailbox.new_urgent}/{mailbox.old_urgent})"
        lines += [f"Message-Account: {account}", f"Voice-Message: {counts}"]
    return "".join(f"{line}\r\n" for line in lines).encode()
