"""What all calls of voicemail share: the desk that serves them, clocks, patience, and the guard of PINs."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.voicemail.counts import Counts
from ringback.voicemail.desk import Alarm, Desk
from ringback.voicemail.guard import MailboxGuard


@dataclass(frozen=True, slots=True)
class Patience:
    """How long callers are waited for, in seconds, and how many PINs one call may try."""

    first_digit_s: float = 30.0
    between_digits_s: float = 5.0
    pin_tries: int = 3


@dataclass(frozen=True, slots=True)
class Office:
    """Handed to every call."""

    desk: Desk
    alarm: Alarm
    guard: MailboxGuard
    patience: Patience = field(default_factory=Patience)
    counts: Counts = field(default_factory=Counts)
