"""Whether values of the plan agree with all else that is set up: names that exist, numbers that are free."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from ringback.config.emergency import USUAL
from ringback.governance import roles
from ringback.store.directory import Directory
from ringback.store.emergency_numbers import emergency_in, emergency_sent
from ringback.store.errors import FieldProblem
from ringback.store.plan.answering import Answering
from ringback.store.plan.hours import Hours
from ringback.store.plan.outbound import Blocked
from ringback.store.plan.plan import NAMES, Plan
from ringback.store.plan.references import OUTSIDE, OWNED, Reference, references
from ringback.store.plan.safety import EmergencyTest, Location
from ringback.store.plan.target import ALONE, Target
from ringback.store.plan.value import Value
from ringback.store.plan.voice import MailboxPlan

STANDARD_ROLE: Final = "standard"
"""The role of people who have no other; it is there without being set up."""

_OUTSIDE: Final = re.compile(r"\+?[0-9*#]{1,32}")
_NAMED: Final = 8
_E_MAIL: Final = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[^\s@<>,;:\"()\[\]\\]{1,190}")


@dataclass(frozen=True, slots=True)
class Fixed:
    """What the settings say and the plan must agree with; without `classes` any may be named."""

    services: frozenset[str] = frozenset()
    emergency: frozenset[str] = frozenset(USUAL)
    classes: frozenset[str] | None = None
    country: str = ""


def taken_by(number: str, directory: Directory, fixed: Fixed, plan: Plan | None = None) -> str | None:
    """What has this number already, in words; None if it is free."""
    if number in fixed.emergency:
        return "an emergency number"
    if number in fixed.services:
        return "a service number (echo, dial-in, parking)"
    if number in directory.extensions:
        return f"the number of extension {number}"
    if number in directory.meetings:
        return "the number of a meeting"
    target = (directory.plan if plan is None else plan).numbers.get(number)
    return None if target is None else f"the number of {target.kind} {target.name}"


def exists(reference: Reference, plan: Plan, directory: Directory, fixed: Fixed) -> bool:
    """Whether what is referred to is there."""
    return any(_is_there(kind, reference.name, plan, directory, fixed) for kind in reference.kinds)


def _is_there(kind: str, name: str, plan: Plan, directory: Directory, fixed: Fixed) -> bool:
    match kind:
        case "extension":
            return name in directory.extensions
        case "meeting":
            return name in directory.meetings
        case "trunk":
            return name in directory.trunks
        case "class":
            return fixed.classes is None or name in fixed.classes
        case "permission":
            return any(name == role.value for role in roles.Role)
        case "outside":
            return _OUTSIDE.fullmatch(name) is not None
        case "role" if name == STANDARD_ROLE:
            return True
        case _:
            return name in plan.values.get(kind, {})


def is_e_mail(text: str) -> bool:
    """Whether a text has the form of an e-mail address."""
    return _E_MAIL.fullmatch(text) is not None


def disagreements(
    values: Iterable[Value], plan: Plan, directory: Directory, fixed: Fixed
) -> list[tuple[Value, FieldProblem]]:
    """What is wrong with values of `plan`, beside the form of their fields."""
    numbered: dict[str, list[Value]] = {}
    for of_kind in plan.values.values():
        if of_kind and hasattr(next(iter(of_kind.values())), "number"):
            for value in of_kind.values():
                numbered.setdefault(getattr(value, "number", ""), []).append(value)
    found = []
    for value in values:
        for reference in references(value):
            if not exists(reference, plan, directory, fixed):
                found.append((value, FieldProblem(reference.field, missing(reference, plan))))
            elif reference.kinds == (OUTSIDE,):
                unasked = not_unasked(reference.name, replace(directory, plan=plan), fixed)
                if unasked is not None:
                    found.append((value, FieldProblem(reference.field, unasked)))
        number = getattr(value, "number", "")
        if number:
            others = [other for other in numbered.get(number, ()) if other is not value]
            holder = taken_by(number, directory, fixed, Plan.of(others))
            if holder is not None:
                found.append((value, FieldProblem("number", f"{number} is {holder}; choose another one")))
        found.extend((value, problem) for problem in _own_problems(value, fixed))
    return found


def not_unasked(number: str, directory: Directory, fixed: Fixed) -> str | None:
    """Why no call may be sent to this number outside: help would be called by whoever calls here, strangers
    too. None where it may."""
    help_ = emergency_sent(number, directory, fixed.emergency, fixed.country)
    if help_ is None:
        return None
    what = "is an emergency number" if help_ == number else f"leads to the emergency number {help_}"
    return f"{number} {what}; no calls are forwarded there: who needs help dials it"


def leads_nowhere(target: Target, directory: Directory, fixed: Fixed) -> str | None:
    """Why a number of a trunk cannot lead to this target; None where it can."""
    if target.kind in ALONE:
        return None
    reference = Reference("", (target.kind,), target.name)
    if not exists(reference, directory.plan, directory, fixed):
        return missing(reference, directory.plan)
    return not_unasked(target.name, directory, fixed) if target.kind == OUTSIDE else None


def _those_there_are(kinds: tuple[str, ...], plan: Plan) -> str:
    """What there is in place of what was named: of the plan alone, whose names are no secret."""
    names = sorted(name for kind in kinds if kind not in OWNED for name in plan.values.get(kind, {}))
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"; there {'is' if len(names) == 1 else 'are'} {', '.join(names[:_NAMED])}{more}"


def missing(reference: Reference, plan: Plan) -> str:
    """What to say when it is not there."""
    match reference.kinds:
        case (kind,) if kind == OUTSIDE:
            return "outside: takes a number of digits, with or without + in front"
        case ("class",):
            return f"the settings have no class {reference.name} (routing.classes)"
        case ("permission",):
            known = ", ".join(role.value for role in roles.Role)
            return f"{reference.name} is no role of the system; there are {known}"
        case kinds:
            return f"there is no {' or '.join(kinds)} {reference.name}{_those_there_are(kinds, plan)}"


def _own_problems(value: Value, fixed: Fixed) -> Iterator[FieldProblem]:
    match value:
        case Answering():
            for field in ("always", "busy", "no_answer", "unreachable"):
                kind, _, name = getattr(value, field).partition(":")
                if (kind, name) == ("extension", value.name):
                    yield FieldProblem(field, "leads back to the same extension")
        case Hours():
            yield from _hours_problems(value)
        case Blocked():
            yield from _blocked_problems(value, fixed)
        case EmergencyTest():
            help_ = emergency_in(value.target, fixed.emergency, fixed.country)
            if help_ is not None:
                yield FieldProblem("target", f"{value.target} calls help: a test rings somebody else")
        case Location():
            for place, address in enumerate(value.e_mail):
                yield from _address_problems(f"e_mail.{place}", address)
        case MailboxPlan():
            yield from _address_problems("e_mail", value.e_mail)
        case _:
            return


def _blocked_problems(blocked: Blocked, fixed: Fixed) -> Iterator[FieldProblem]:
    if blocked.until and not _is_day(blocked.until):
        yield FieldProblem("until", "there is no such day")
    for place, pattern in enumerate(blocked.patterns):
        if pattern in fixed.emergency:
            yield FieldProblem(
                f"patterns.{place}", f"{pattern} is an emergency number, which cannot be blocked"
            )


def _address_problems(field: str, address: str) -> Iterator[FieldProblem]:
    if address and not is_e_mail(address):
        yield FieldProblem(field, "is not an e-mail address")


def _hours_problems(hours: Hours) -> Iterator[FieldProblem]:
    try:
        ZoneInfo(hours.time_zone)
    except (KeyError, ValueError, OSError):
        yield FieldProblem("time_zone", "is not a time zone such as Europe/Berlin or America/New_York")
    for place, span in enumerate(hours.spans):
        if not span.days:
            yield FieldProblem(f"spans.{place}.days", "needs a day at least")
    for place, holiday in enumerate(hours.holidays):
        # 29 February is a day, if not of every year.
        if not _is_day(holiday.date if len(holiday.date) > 5 else f"2024-{holiday.date}"):
            yield FieldProblem(f"holidays.{place}.date", "there is no such day")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def described(value: Value) -> str:
    """A value as people name it: its kind and name."""
    return f"{NAMES[type(value)]} {value.name}"
