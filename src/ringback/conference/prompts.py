"""What callers of meetings hear in words; numbers and what all calls share are in `call/prompts.py`."""

from __future__ import annotations

from typing import Final

from ringback.call.prompts import Prompt, say_number

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


def say_others(others: int) -> list[str]:
    """What a newcomer hears about how many are in the meeting already."""
    if others == 0:
        return ["prompt:alone"]
    if others == 1:
        return ["prompt:one-other"]
    return ["prompt:there-are", *say_number(min(others, 999)), "prompt:others"]
