"""The firmware that phones name in User-Agent, and whether it is the one that is wanted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

FirmwareState = Literal["as-wanted", "behind", "unknown"]

_REMEMBERED: Final = 4_096
_COMMENT: Final = re.compile(r"\([^()]*\)")
# Two numbers or more with dots between, and what a maker puts behind: 108.86.0.70, 6.3.1-8427, 1.2.0rc1.
_VERSION: Final = re.compile(
    r"(?<![0-9.])v?([0-9]{1,6}(?:\.[0-9]{1,8}){1,5})(?:[-_.a-z][0-9A-Za-z.]*)?", re.I
)
_WORD: Final = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Firmware:
    """The firmware a device runs, the one it should (empty: not known, not said), and what comes of both."""

    seen: str = ""
    wanted: str = ""
    state: FirmwareState = "unknown"


def seen_version(user_agent: str) -> str:
    """The firmware's version that a User-Agent names (the last one beside comments); empty: none."""
    found = _VERSION.findall(_COMMENT.sub(" ", user_agent))
    return found[-1] if found else ""


class WantedFirmware:
    """Which versions are wanted, by model.

    A model is recognised by its words in what was set up (`Yealink T46U`), without that in the User-Agent;
    the one with the most words decides.
    """

    def __init__(self, versions: Mapping[str, str]) -> None:
        self._versions = versions
        self.of = lru_cache(maxsize=_REMEMBERED)(self._of)
        """What a device runs and should run, by its model as set up and its User-Agent."""

    def _of(self, model: str, user_agent: str) -> Firmware:
        wanted = self._wanted(model) or self._wanted(user_agent)
        seen = seen_version(user_agent)
        if not wanted or not seen:
            return Firmware(seen, wanted)
        return Firmware(seen, wanted, "behind" if _numbers(seen) < _numbers(wanted) else "as-wanted")

    def _wanted(self, text: str) -> str:
        plain = "".join(_words(text))
        fitting = [model for model in self._versions if all(word in plain for word in _words(model))]
        best = max(fitting, key=lambda model: (len(_words(model)), len(model)), default=None)
        return "" if best is None else self._versions[best]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
