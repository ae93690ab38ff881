"""What callers and holders of mailboxes hear: prompts as in `call.prompts`, and how they are joined."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ringback.call.prompts import Prompt, say_digits, say_number
from ringback.routing.steps import Outcome
from ringback.voicemail.mailbox import Box, GreetingKind, Message, Voice

PROMPTS: Final[dict[str, Prompt]] = {
    "vm-person": Prompt("The person at extension", "vm-theperson"),
    "vm-unavailable": Prompt("is unavailable.", "vm-isunavail"),
    "vm-busy": Prompt("is on the phone.", "vm-isonphone"),
    "vm-intro": Prompt(
        "Please leave your message after the tone. When done, hang up, or press the pound key.", "vm-intro"
    ),
    "vm-full": Prompt("Sorry, but the user's mailbox can't accept more messages.", "vm-mailboxfull"),
    "vm-too-short": Prompt("Your message is too short.", "vm-tooshort"),
    "vm-review": Prompt(
        "Press 1 to accept this recording. Press 2 to listen to it. Press 3 to rerecord it.", "vm-review"
    ),
    "vm-review-urgent": Prompt("Press 4 to mark this message as urgent.", "vm-review-urgent"),
    "vm-is-urgent": Prompt("Message marked urgent.", "vm-marked-urgent"),
    "vm-not-urgent": Prompt("Message marked non urgent.", "vm-marked-nonurgent"),
    "vm-sent": Prompt("Your message has been saved.", "vm-msgsaved"),
    "vm-no-operator": Prompt("Nobody is available to take your call at the moment.", "vm-nobodyavail"),
    "vm-mailbox": Prompt("Please enter your mailbox number, followed by the pound key.", None),
    "vm-password": Prompt("Password.", "vm-password"),
    "vm-incorrect": Prompt("Login incorrect.", "vm-incorrect"),
    "vm-new-pin": Prompt("Please enter your new password, followed by the pound key.", "vm-newpassword"),
    "vm-pin-again": Prompt(
        "Please enter your password again, followed by the pound key.", "vm-reenterpassword"
    ),
    "vm-pin-differs": Prompt("The passwords you entered did not match. Please try again.", "vm-mismatch"),
    "vm-pin-refused": Prompt("That password is too short, or would be guessed first.", None),
    "vm-pin-kept": Prompt("Your password has been changed.", "vm-passchanged"),
    "vm-you-have": Prompt("You have", "vm-youhave"),
    "vm-no": Prompt("no", "vm-no"),
    "vm-and": Prompt("and", "vm-and"),
    "vm-new": Prompt("new", "vm-INBOX"),
    "vm-old": Prompt("old", "vm-Old"),
    "vm-message": Prompt("message", "vm-message"),
    "vm-messages": Prompt("messages", "vm-messages"),
    "vm-menu": Prompt(
        "To listen to your messages, press 1. For your greetings, press 2. To change your password, press 3. "
        "To end, press star.",
        None,
    ),
    "vm-urgent": Prompt("Urgent.", "vm-Urgent"),
    "vm-received": Prompt("received", "vm-received"),
    "vm-from": Prompt("from phone number", "vm-from-phonenumber"),
    "vm-duration": Prompt("duration", "vm-duration"),
    "vm-minutes": Prompt("minutes", "vm-minutes"),
    "vm-seconds": Prompt("seconds", None),
    "vm-keys": Prompt(
        "To hear it again, press 5. To delete it, press 7. To save it, press 9. For the next message, press "
        "6, for the one before, 4. Three pauses, and star goes back.",
        None,
    ),
    "vm-deleted": Prompt("Message deleted.", "vm-deleted"),
    "vm-undeleted": Prompt("Message undeleted.", "vm-undeleted"),
    "vm-saved": Prompt("saved", "vm-saved"),
    "vm-no-more": Prompt("No more messages.", "vm-nomore"),
    "vm-greetings": Prompt(
        "For your greeting when you do not answer, press 1, when you are busy, 2, while you are away, 3. "
        "For your name, press 4. To go back, press star.",
        None,
    ),
    "vm-greeting": Prompt("To record it, press 1. To listen to it, press 2. To remove it, press 3.", None),
    "vm-say-no-answer": Prompt(
        "After the tone, say your unavailable message, and then press the pound key.", "vm-rec-unv"
    ),
    "vm-say-busy": Prompt(
        "After the tone, say your busy message, and then press the pound key.", "vm-rec-busy"
    ),
    "vm-say-away": Prompt(
        "After the tone, say your temporary message, and then press the pound key.", "vm-rec-temp"
    ),
    "vm-say-name": Prompt("After the tone, say your name, and then press the pound key.", "vm-rec-name"),
    "vm-default": Prompt("Nothing is recorded. Callers hear the usual words.", None),
    "vm-today": Prompt("today", "digits/today"),
    "vm-yesterday": Prompt("yesterday", "digits/yesterday"),
    "vm-at": Prompt("at", "digits/at"),
    "vm-oh": Prompt("oh", "digits/oh"),
    "vm-oclock": Prompt("o'clock", "digits/oclock"),
    "vm-am": Prompt("a m", "digits/a-m"),
    "vm-pm": Prompt("p m", "digits/p-m"),
}

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_ORDINALS: Final = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
    *("eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth"),
    *("eighteenth", "nineteenth", "twentieth"),
)
PROMPTS.update({f"vm-month-{n}": Prompt(name, f"digits/mon-{n - 1}") for n, name in enumerate(_MONTHS, 1)})
PROMPTS.update({f"vm-day-{n}": Prompt(name, f"digits/h-{n}") for n, name in enumerate(_ORDINALS, 1)})
PROMPTS["vm-day-30"] = Prompt("thirtieth", "digits/h-30")

_DAY: Final = timedelta(days=1)
_GREETING_FOR: Final[dict[Outcome, GreetingKind]] = {
    Outcome.BUSY: "busy",
    Outcome.DONE: "away",
    Outcome.UNREACHABLE: "away",
}


def greeting(box: Box, why: Outcome) -> list[str | Voice]:
    """What a caller hears first: the greeting for the occasion, else that for no answer, else words.

    Once a greeting for being away is recorded it is heard whatever happened, until it is removed.
    """
    own = box.greetings
    for kind in ("away", _GREETING_FOR.get(why, "no-answer"), "no-answer"):
        if kind in own:
            return [own[kind], "prompt:vm-intro"]
    nameless = ["prompt:vm-person", *say_digits(box.extension)]
    who: list[str | Voice] = [own["name"]] if "name" in own else [*nameless]
    return [*who, "prompt:vm-busy" if why is Outcome.BUSY else "prompt:vm-unavailable", "prompt:vm-intro"]


def say_counts(new: int, old: int) -> list[str]:
    """How much lies in the mailbox."""
    if not new and not old:
        return ["prompt:vm-you-have", "prompt:vm-no", "prompt:vm-messages"]
    parts = []
    for count, kind in ((new, "prompt:vm-new"), (old, "prompt:vm-old")):
        if count:
            noun = "prompt:vm-message" if count == 1 else "prompt:vm-messages"
            parts.append([*say_number(min(count, 999)), kind, noun])
    return ["prompt:vm-you-have", *parts[0], *(["prompt:vm-and", *parts[1]] if len(parts) == 2 else [])]


def say_message(message: Message, at: datetime, now: datetime) -> list[str]:
    """What is said before a message: when it came (both by the wall clock), from where, how long it is."""
    number = say_digits(message.caller.reveal())
    return [
        *(["prompt:vm-urgent"] if message.urgent else []),
        "prompt:vm-received",
        *say_time(at, now),
        *(["prompt:vm-from", *number] if number else []),
        "prompt:vm-duration",
        *_say_length(message.voice.length_ms),
    ]


def say_time(at: datetime, now: datetime) -> list[str]:
    """A time as people say it: today at ten oh five p m, or May second at three o'clock a m."""
    if at.date() == now.date():
        day = ["prompt:vm-today"]
    elif at.date() == (now - _DAY).date():
        day = ["prompt:vm-yesterday"]
    else:
        day = [f"prompt:vm-month-{at.month}", *_say_day(at.day)]
    minute = ["prompt:vm-oclock"] if at.minute == 0 else say_number(at.minute)
    if 0 < at.minute < 10:
        minute = ["prompt:vm-oh", *minute]
    half = "prompt:vm-am" if at.hour < 12 else "prompt:vm-pm"
    return [*day, "prompt:vm-at", *say_number((at.hour - 1) % 12 + 1), *minute, half]


def _say_day(day: int) -> list[str]:
    if day <= 20 or day == 30:
        return [f"prompt:vm-day-{day}"]
    return [f"prompt:number-{day // 10 * 10}", f"prompt:vm-day-{day % 10}"]


def _say_length(length_ms: int) -> list[str]:
    seconds = max(1, round(length_ms / 1000))
    if seconds < 60:
        return [*say_number(seconds), "prompt:vm-seconds"]
    return [*say_number(min(round(seconds / 60), 999)), "prompt:vm-minutes"]
