"""The plan as a text that people read and edit: TOML, one table a value (TOML 1.0)."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ringback.governance.shown import fit_to_show
from ringback.store.plan.document import document
from ringback.store.plan.plan import KINDS, NAMES
from ringback.store.plan.value import Value

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_WIDE: Final = 100


class TomlError(ValueError):
    """The text is not TOML, or not made of kinds, names and values; the message says where."""


def write_plan(values: Iterable[Value]) -> str:
    """The values as TOML by kind and name; what is as it would be anyway is left out."""
    lines: list[str] = []
    order = {kind: place for place, kind in enumerate(KINDS)}
    for value in sorted(values, key=lambda each: (order[NAMES[type(each)]], each.name)):
        lines += ["", f"[{NAMES[type(value)]}.{_key(value.name)}]"]
        fields = document(value, defaults=False)
        lines += [f"{_key(name)} = {_text(each)}" for name, each in fields.items() if name != "name"]
    return "\n".join(lines).lstrip("\n") + "\n" if lines else ""


def read_plan(text: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What a text has: fields as they are given, by kind and name. Raises TomlError."""
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TomlError(f"this is not TOML: {fit_to_show(str(error), 200)}") from None
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for kind, values in tables.items():
        if kind not in KINDS:
            raise TomlError(f"there is no kind {fit_to_show(kind, 40)!r}; kinds are {', '.join(KINDS)}")
        if not isinstance(values, dict):
            raise TomlError(f"{kind} is a table of values: write [{kind}.NAME]")
        for name, fields in values.items():
            if not isinstance(fields, dict):
                raise TomlError(f"{kind}.{fit_to_show(name, 40)} is a table of fields: write [{kind}.NAME]")
            found[kind, name] = fields
    return found


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    # JSON's strings are TOML's, but for the one control character that JSON lets stand.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        pairs = (f"{_key(key)} = {_text(each)}" for key, each in value.items())
        return "{ " + ", ".join(pairs) + " }" if value else "{}"
    if isinstance(value, list):
        items = [_text(each) for each in value]
        short = "[" + ", ".join(items) + "]"
        return short if len(short) <= _WIDE else "[\n" + "".join(f"  {item},\n" for item in items) + "]"
    return str(value)
