"""What is done by dialling a code: which feature, and with what was dialled after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ringback.config.routing import FEATURE_CODES

CODES: Final = FEATURE_CODES
"""The usual codes by feature; `routing.feature_codes` of the settings changes them."""

VOICEMAIL: Final = "voicemail"
"""Hear one's own messages."""
VOICEMAIL_OF: Final = "voicemail-of"
"""Hear messages, after saying whose by number."""
PICKUP: Final = "pickup"
"""Take a call that rings in one of the caller's groups."""
DIRECTED_PICKUP: Final = "directed-pickup"
"""Take a call that rings at the extension dialled after it."""
PARK: Final = "park"
"""Where a call is transferred to be parked: in the slot dialled after it, else in the next free one."""
UNPARK: Final = "unpark"
"""Get the call that is parked in the slot dialled after it."""
DND_ON: Final = "dnd-on"
DND_OFF: Final = "dnd-off"
FORWARD_ON: Final[Mapping[str, str]] = {
    "forward-always-on": "always",
    "forward-busy-on": "busy",
    "forward-no-answer-on": "no_answer",
    "forward-unreachable-on": "unreachable",
}
"""Features that forward the caller's extension to the number dialled after them, and the field of its
`Answering` that they set."""
FORWARD_OFF: Final[Mapping[str, str]] = {
    name.removesuffix("on") + "off": field for name, field in FORWARD_ON.items()
}
NIGHT_SWITCH: Final = "night-switch"
"""Switch the hours with the number dialled after it by hand: closed, or by the clock again."""
AGENT_IN: Final = "agent-in"
"""Get calls of the queues whose agent the caller is."""
AGENT_OUT: Final = "agent-out"
"""Get no more of them."""
SLOT: Final = "slot"
"""A slot for parked calls was dialled by its number: get who is there, or park there who is transferred."""

TAKES_MORE: Final = frozenset({DIRECTED_PICKUP, PARK, UNPARK, NIGHT_SWITCH, *FORWARD_ON})
"""Features whose code is followed by something."""


class Dialled(NamedTuple):
    """A feature, and what was dialled after its code."""

    name: str
    argument: str


def feature_of(number: str, codes: Mapping[str, str] = CODES) -> Dialled | None:
    """The feature that was dialled; of codes that fit the longest counts, None where none does."""
    if not number.startswith("*"):
        return None
    fitting = [
        (len(code), name)
        for name, code in codes.items()
        if code and (number == code or (name in TAKES_MORE and number.startswith(code)))
    ]
    if not fitting:
        return None
    length, name = max(fitting)
    return Dialled(name, number[length:])
