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
    "enter-number": Prompt("Please enter the meeting number.", "conf-getconfno"),
    "wrong-number": Prompt("There is no meeting with that number. Please try again.", "conf-invalid"),
    "enter-pin": Prompt("Please enter the PIN.", "conf-getpin"),
    "wrong-pin": Prompt("That PIN is not right.", "conf-invalidpin"),
    "goodbye": Prompt("Goodbye.", "vm-goodbye"),
    "one-moment": Prompt("One moment please.", "one-moment-please"),
    "alone": Prompt("You are the only person in this meeting.", "conf-onlyperson"),
    "one-other": Prompt("There is one other participant in this meeting.", "conf-onlyone"),
    "there-are": Prompt("There are", "conf-thereare"),
    "others": Prompt("other participants in this meeting.", "conf-otherinparty"),
    "muted": Prompt("You are now muted.", "conf-muted"),
    "unmuted": Prompt("You are no longer muted.", "conf-unmuted"),
    "locked": Prompt("This meeting is locked.", "conf-locked"),
    "now-locked": Prompt("The meeting is now locked.", "conf-lockednow"),
    "now-unlocked": Prompt("The meeting is now unlocked.", "conf-unlockednow"),
    "wait-for-host": Prompt("The host will let you in. Please wait.", None),
    "removed": Prompt("You have been removed from this meeting.", "conf-kicked"),
    "ended": Prompt("This meeting has ended.", None),
    "hand-raised": Prompt("Your hand is raised.", None),
    "hand-lowered": Prompt("Your hand is lowered.", None),
    "too-many-tries": Prompt("Too many wrong PINs. Please try again later.", None),
    "menu-guest": Prompt(
        "To mute or unmute yourself, press star six. To raise or lower your hand, press star nine. "
        "To hear this again, press star.",
        None,
    ),
    "menu-host": Prompt(
        "To mute or unmute yourself, press star six. To raise or lower your hand, press star nine. "
        "To lock or unlock the meeting, press star five. To hear this again, press star.",
        None,
    ),
    "echo-test": Prompt("This is an echo test. You will hear what you say.", "demo-echotest"),
}

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


def say_others(others: int) -> list[str]:
    """What a newcomer hears about how many are in the meeting already."""
    if others == 0:
        return ["prompt:alone"]
    if others == 1:
        return ["prompt:one-other"]
    return ["prompt:there-are", *say_number(min(others, 999)), "prompt:others"]
