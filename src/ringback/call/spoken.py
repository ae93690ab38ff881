"""What callers hear in words: each prompt's recording in the Asterisk English core sounds, and its text.

The text is spoken by a speech synthesiser where the recording is missing, or where none says what we mean.
Features have prompts of their own; those here are what several of them say, and numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Prompt:
    """One thing to say; `recording` is a file of the sound set without its ending, None where none fits."""

    text: str
    recording: str | None = None


_ONES: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS: Final = ("", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def _digit_prompt(value: int) -> Prompt:
    word = _ONES[value] if value < 20 else _TENS[value // 10]
    return Prompt(word, f"digits/{value}")


PROMPTS: Final[dict[str, Prompt]] = {
    "enter-pin": Prompt("Please enter the PIN.", "conf-getpin"),
    "wrong-pin": Prompt("That PIN is not right.", "conf-invalidpin"),
    "goodbye": Prompt("Goodbye.", "vm-goodbye"),
    "one-moment": Prompt("One moment please.", "one-moment-please"),
    "too-many-tries": Prompt("Too many wrong PINs. Please try again later.", None),
    **{f"number-{n}": _digit_prompt(n) for n in (*range(20), *range(20, 100, 10))},
    "number-hundred": Prompt("hundred", "digits/hundred"),
}


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


def say_digits(number: str) -> list[str]:
    """The prompts that say a number digit by digit; what is no digit is left out."""
    return [f"prompt:number-{digit}" for digit in number if digit in "0123456789"]
