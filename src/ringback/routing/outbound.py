"""By which trunks a number can go out: those with the longest prefix first; no I/O, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ringback.store.directory import Directory, Trunk

_GOES_OUT: Final = re.compile(r"\+?[0-9*#]{2,32}")


@dataclass(frozen=True, slots=True)
class WayOut:
    """A trunk, and the number as its other side wants it. `caller_id` is shown in place of the trunk's."""

    trunk: Trunk
    number: str = field(repr=False)
    emergency: bool = False
    caller_id: str = field(default="", repr=False)
    call_class: str = ""


def goes_out(number: str) -> bool:
    """Whether this can be a number outside at all."""
    return _GOES_OUT.fullmatch(number) is not None


def ways_out(number: str, directory: Directory) -> tuple[WayOut, ...]:
    """The enabled trunks for a dialled number, the longest prefix first, then by priority and name."""
    if not goes_out(number):
        return ()
    found: list[tuple[int, int, str, WayOut]] = []
    for trunk in directory.trunks.values():
        fitting = [len(prefix) for prefix in trunk.prefixes if number.startswith(prefix)]
        sent = trunk.prepend + number[trunk.strip :]
        if trunk.enabled and fitting and sent:
            found.append((-max(fitting), trunk.priority, trunk.name, WayOut(trunk, sent)))
    return tuple(way for *_, way in sorted(found, key=lambda one: one[:3]))


def destination_of(trunk: Trunk, *dialled: str) -> str | None:
    """The number here that one of the numbers dialled outside leads to, with or without a plus in front."""
    dids = trunk.dids
    for number in dialled:
        bare = number.removeprefix("+")
        found = dids.get(bare) or dids.get(f"+{bare}")
        if found is not None:
            return found
    return None
