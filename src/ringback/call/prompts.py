"""What callers hear in words: each prompt's recording in the Asterisk English core sounds, and its text.

The text is spoken by a speech synthesiser where the recording is missing, or where none says what we mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Prompt:
    """One thing to say; `recording` is a file of the sound set without its ending, None where none fits."""

    text: str
    recording: str | None = None


PROMPTS: Final[dict[str, Prompt]] = {
    "activated": Prompt("activated.", "activated"),
    "deactivated": Prompt("de-activated.", "de-activated"),
    "do-not-disturb": Prompt("Do not disturb", "do-not-disturb"),
    "forward-always": Prompt("Call forwarding of all calls", "call-fwd-unconditional"),
    "forward-busy": Prompt("Call forwarding when busy", "call-fwd-on-busy"),
    "forward-no-answer": Prompt("Call forwarding without answer", "call-fwd-no-ans"),
    "forward-unreachable": Prompt("Call forwarding when unreachable"),
    "set-to": Prompt("is set to", "is-set-to"),
    "enter-number-to-call": Prompt("Please enter the number.", "vm-enter-num-to-call"),
    "wrong-extension": Prompt("I am sorry, that is not a valid number. Please try again.", "pbx-invalid"),
    "not-possible": Prompt("I am sorry, this is not possible.", "im-sorry"),
    "nobody-parked": Prompt("I am sorry, there is no call parked there.", "pbx-invalidpark"),
    "open": Prompt("It is open."),
    "closed": Prompt("It is closed."),
    "by-the-clock": Prompt("It is open by the clock."),
    "logged-in": Prompt("Agent logged in.", "agent-loginok"),
    "logged-out": Prompt("Agent logged off.", "agent-loggedoff"),
    "caller-number": Prompt("You are currently caller number", "queue-thereare"),
    "waiting": Prompt("waiting to speak with a representative.", "queue-callswaiting"),
    "you-are-next": Prompt("Your call is the next to be answered.", "queue-youarenext"),
    "meeting-number": Prompt("This call is a meeting now. Its number is"),
    "meeting-pin": Prompt("The PIN is"),
    "emergency-call-of": Prompt("Emergency call from extension"),
    "emergency-is-test": Prompt("This is a test of emergency calls. Nobody needs help."),
}
"""Beside the numbers, which follow."""

_ONES: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS: Final = ("", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def _digit_prompt(value: int) -> Prompt:
    word = _ONES[value] if value < 20 else _TENS[value // 10]
    return Prompt(word, f"digits/{value}")


PROMPTS.update({f"number-{n}": _digit_prompt(n) for n in (*range(20), *range(20, 100, 10))})
PROMPTS["number-hundred"] = Prompt("hundred", "digits/hundred")


def say_digits(digits: str) -> list[str]:
    """The prompts that say a number digit by digit; what is no digit is left out."""
    return [f"prompt:number-{digit}" for digit in digits if digit.isdecimal()]


def say_number(value: int) -> list[str]:
    """The prompts that say a number from 0 to 999, as `prompt:` sounds."""
    if not 0 <= value <= 999:
        raise ValueError("numbers from 0 to 999 are spoken")
    spoken: list[str] = []
    if value >= 100:
        spoken += [f"prompt:number-{value // 100}", "prompt:number-hundred"]
        value %= 100
        if not value:
            return spoken
    if value < 20 or value % 10 == 0:
        return [*spoken, f"prompt:number-{value}"]
    return [*spoken, f"prompt:number-{value // 10 * 10}", f"prompt:number-{value % 10}"]
