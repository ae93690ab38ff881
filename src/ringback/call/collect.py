"""Collecting the digits a person keys in: length, `#`, and patience for the first and the next."""

from __future__ import annotations

from dataclasses import dataclass, field

TERMINATOR = "#"


@dataclass(slots=True)
class DigitCollector:
    """Gathers digits until `length` of them, `#`, or silence; sans-IO.

    `first_digit_s` runs from the start, `between_digits_s` from each digit. A leading `#` is ignored: people
    press it after a PIN that was already complete, and it never hangs up.
    """

    length: int
    now: float
    first_digit_s: float = 30.0
    between_digits_s: float = 5.0
    digits: str = ""
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = self.now + self.first_digit_s

    def receive(self, digit: str, now: float) -> str | None:
        """Take one key; return the digits when they are complete."""
        if digit == TERMINATOR:
            return self.digits or None
        if not digit.isdigit():
            return None
        self.digits += digit
        self.deadline = now + self.between_digits_s
        return self.digits if len(self.digits) >= self.length else None

    def expire(self, now: float) -> str | None:
        """Return what there is ("" for nothing at all) once the patience is over, None before."""
        return self.digits if now >= self.deadline else None
