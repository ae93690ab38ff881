"""The firmware that phones name in User-Agent, and whether it is the one that is wanted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from ringback.store.plan.phones import Firmware as PlannedFirmware
from ringback.store.plan.plan import Plan

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
    """The firmware a device runs, the one it should (empty: not known, not said), and what comes of both.

    `model` is what the wanted one was said of.
    """

    seen: str = ""
    wanted: str = ""
    state: FirmwareState = "unknown"
    model: str = ""


def seen_version(user_agent: str) -> str:
    """The firmware's version that a User-Agent names (the last one beside comments); empty: none."""
    found = _VERSION.findall(_COMMENT.sub(" ", user_agent))
    return found[-1] if found else ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version that is wanted of a model, and whether the settings say so or the plan."""

    name: str
    """The words of the model with dashes between, as the plan names it."""
    model: str
    version: str
    by_settings: bool


def wanted_of(settings: Mapping[str, str], plan: Plan) -> list[Wanted]:
    """What is wanted, by model; where both say something of the same words, the plan counts."""
    found = {
        name_of(model): Wanted(name_of(model), model, version, True) for model, version in settings.items()
    }
    for name, value in plan.all(PlannedFirmware).items():
        found[name_of(name)] = Wanted(name, value.title or name, value.version, False)
    return [found[key] for key in sorted(found)]


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
        of = self._said_of(model) or self._said_of(user_agent)
        wanted = self._versions.get(of, "")
        seen = seen_version(user_agent)
        if not wanted or not seen:
            return Firmware(seen, wanted, model=of)
        return Firmware(seen, wanted, "behind" if _numbers(seen) < _numbers(wanted) else "as-wanted", of)

    def _said_of(self, text: str) -> str:
        plain = "".join(_words(text))
        fitting = [model for model in self._versions if all(word in plain for word in _words(model))]
        return max(fitting, key=lambda model: (len(_words(model)), len(model)), default="")


def name_of(model: str) -> str:
    """What the plan calls a model: its words with dashes between."""
    return "-".join(_words(model))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
