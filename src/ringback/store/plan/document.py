"""Values of the plan as documents of plain fields, and back, with every mistake said in words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from ringback.governance.shown import fit_to_show
from ringback.store.errors import FieldProblem, InvalidValueError
from ringback.store.plan.plan import KINDS
from ringback.store.plan.value import Value

LONGEST_TEXT: Final = 300
"""Characters of a text whose field does not say otherwise."""

MOST_ITEMS: Final = 5_000
"""Entries of a list or table."""

_SEVERAL_LINES: Final = frozenset({"words", "notice", "address", "details"})

WORDS: Final[Mapping[str, str]] = {
    r"^[a-z0-9][a-z0-9-]{0,31}$": "has 1 to 32 small letters, digits and dashes, and no dash in front",
    r"^([1-9][0-9]{1,5})?$": "is a number of 2 to 6 digits that does not start with 0, or empty",
    r"^[1-9][0-9]{1,5}$": "is an extension's number: 2 to 6 digits, not 0 in front",
    r"^(\+?[0-9]{2,20})?$": "is a phone number of 2 to 20 digits, with or without + in front, or empty",
    r"^\+?[0-9]{2,20}$": "is a phone number of 2 to 20 digits, with or without + in front",
    r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$": "is a time of day such as 09:00, or 24:00",
    r"^([0-9]{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$": "is a day: 2026-12-24, or 12-25 each year",
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$": "is a day such as 2026-12-24, or empty",
    r"^[0-9*#]?$": "is one key: 0 to 9, * or #, or empty",
    r"^[0-9*#]$": "is one key: 0 to 9, * or #",
    r"^(\+?[0-9XZN*#]*(\[[0-9-]+\][0-9XZN*#]*)*\.?)$": "is made of digits, X (0-9), Z (1-9), N (2-9), ranges "
    "such as [2-5], and perhaps a dot at the end",
    r"^\+?[0-9*#]{0,20}$": "is up to 20 digits, with or without + in front",
    r"^[0-9]{1,6}(\.[0-9]{1,8}){1,5}$": "is two numbers or more with dots between, such as 108.86.0.70",
    r"^[A-Z]{2}$": "is a country's two capital letters, such as US",
}
"""What patterns of fields mean. A test looks whether there is one for each."""

_TARGET: Final = (
    "says where a call goes: extension:1001, group:sales, queue:support, menu:main, hours:office, "
    "mailbox:1001, announcement:closed, meeting:481516234, outside:+14155550100, busy, hangup, or is empty"
)


def document(value: Value, *, defaults: bool = True) -> dict[str, Any]:
    """The fields of a value as JSON has them; without `defaults` only what differs from them."""
    return _fields(value, defaults)


def read_value(kind: str, name: str, fields: Mapping[str, Any]) -> Value:
    """The value of that kind; raises InvalidValueError with every mistake there is."""
    given = {**fields, "name": fields.get("name", name)}
    problems = list(_problems(_type(kind), given, ""))
    if given["name"] != name:
        problems.append(FieldProblem("name", "is another one in the address; a value cannot be renamed"))
    if problems:
        raise InvalidValueError(f"{kind} {fit_to_show(name, 40)}", problems)
    return msgspec.convert(given, KINDS[kind])


def stored_value(kind: str, fields: Mapping[str, Any]) -> Value:
    """A value as it was stored, without fields of other versions; raises msgspec.ValidationError."""
    known = {field.encode_name for field in _fields_of(KINDS[kind])}
    return msgspec.convert({name: each for name, each in fields.items() if name in known}, KINDS[kind])


@lru_cache(maxsize=64)
def _type(kind: str) -> inspect.Type:
    return inspect.type_info(KINDS[kind])


@lru_cache(maxsize=64)
def _fields_of(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _fields(struct: msgspec.Struct, defaults: bool) -> dict[str, Any]:
    return {
        field.encode_name: _plain(each, defaults)
        for field in _fields_of(type(struct))
        if (each := getattr(struct, field.name)) != field.default or defaults
    }


def _plain(value: Any, defaults: bool) -> Any:
    if isinstance(value, msgspec.Struct):
        return _fields(value, defaults)
    if isinstance(value, tuple):
        return [_plain(each, defaults) for each in value]
    return dict(value) if isinstance(value, dict) else value


def _problems(wanted: inspect.Type, given: Any, where: str) -> Iterator[FieldProblem]:
    match wanted:
        case inspect.Metadata():
            yield from _problems(wanted.type, given, where)
        case inspect.StructType():
            yield from _struct_problems(wanted, given, where)
        case inspect.VarTupleType():
            if isinstance(given, list | tuple) and len(given) <= MOST_ITEMS:
                for place, each in enumerate(given):
                    yield from _problems(wanted.item_type, each, f"{where}.{place}")
            else:
                yield FieldProblem(where, f"must be a list of at most {MOST_ITEMS} entries")
        case inspect.DictType():
            if isinstance(given, Mapping) and len(given) <= MOST_ITEMS:
                for key, each in given.items():
                    yield from _problems(wanted.key_type, key, f"{where}.{fit_to_show(str(key), 20)}")
                    yield from _problems(wanted.value_type, each, f"{where}.{fit_to_show(str(key), 20)}")
            else:
                yield FieldProblem(where, f"must be a table of at most {MOST_ITEMS} entries")
        case _:
            complaint = _complaint(wanted, given, where)
            if complaint:
                yield FieldProblem(where, complaint)


def _struct_problems(wanted: inspect.StructType, given: Any, where: str) -> Iterator[FieldProblem]:
    if not isinstance(given, Mapping):
        yield FieldProblem(where, "must be a table of fields")
        return
    dot = f"{where}." if where else ""
    known = {field.encode_name: field for field in wanted.fields}
    for name in given:
        if name not in known:
            yield FieldProblem(f"{dot}{fit_to_show(str(name), 40)}", _unknown(str(name), known))
    for name, field in known.items():
        if name in given:
            yield from _problems(field.type, given[name], f"{dot}{name}")
        elif field.required:
            yield FieldProblem(f"{dot}{name}", "is missing")


def _unknown(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"is unknown; did you mean {close[0]}?" if close else "is unknown"


def _complaint(wanted: inspect.Type, given: Any, where: str) -> str:
    match wanted:
        case inspect.BoolType():
            return "" if isinstance(given, bool) else "must be true or false"
        case inspect.IntType():
            return _number_complaint(wanted, given)
        case inspect.LiteralType():
            names = ", ".join(str(each) or "empty" for each in wanted.values)
            return "" if given in wanted.values else f"must be one of: {names}"
        case inspect.StrType():
            return _text_complaint(wanted, given, where)
        case _:
            raise TypeError(f"values of the plan have no fields of {wanted}")


def _number_complaint(wanted: inspect.IntType, given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, int):
        return "must be a whole number"
    low, high = wanted.ge, wanted.le
    if (low is not None and given < low) or (high is not None and given > high):
        return f"must be {low} to {high}"
    return ""


def _text_complaint(wanted: inspect.StrType, given: Any, where: str) -> str:
    if not isinstance(given, str):
        return "must be text"
    longest = LONGEST_TEXT if wanted.max_length is None else wanted.max_length
    if len(given) > longest:
        return f"must have at most {longest} characters"
    shown = given.replace("\n", "").replace("\t", "") if where in _SEVERAL_LINES else given
    if not shown.isprintable():
        return "must not contain control characters"
    # `$` alone would let a line break pass.
    if wanted.pattern is not None and not re.fullmatch(wanted.pattern, given):
        return WORDS.get(wanted.pattern, _TARGET)
    return ""
