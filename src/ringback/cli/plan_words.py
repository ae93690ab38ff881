"""Values of the plan on the command line: `ring_s=30 members=1001,1002 keys.1=busy`, and differences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec import inspect

from ringback.cli.errors import USAGE, CliError
from ringback.cli.output import print_table
from ringback.cli.system import Json
from ringback.store.plan.plan import KINDS

_YES: Final = frozenset({"yes", "true", "on", "1"})
_NO: Final = frozenset({"no", "false", "off", "0"})


def known_kind(kind: str) -> str:
    """A kind that there is; raises CliError."""
    if kind not in KINDS:
        raise CliError(f"there is no kind {kind!r}; kinds are {', '.join(KINDS)}", USAGE)
    return kind


def assigned(kind: str, fields: Json, words: Iterable[str]) -> Json:
    """The fields with what the words say: `field=value`, or `field.key=value` in a table.

    Nothing behind the sign takes a field back to its default. Raises CliError.
    """
    types = {field.encode_name: _bare(field.type) for field in _struct(kind).fields}
    result = dict(fields)
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not name:
            raise CliError(f"write field=value, not {word!r}", USAGE)
        field, dot, key = name.partition(".")
        if dot and isinstance(types.get(field), inspect.DictType):
            table = dict(result.get(field) or {})
            if text:
                table[key] = text
            else:
                table.pop(key, None)
            result[field] = table
        elif text:
            result[name] = _value(name, types.get(name), text)
        else:
            result.pop(name, None)
    return result


def difference_lines(changes: Iterable[Json]) -> Iterator[str]:
    """What applying a file changes, a line a field."""
    for change in changes:
        title = f"{change['kind']}.{change['name']}"
        before, after = change["before"] or {}, change["after"] or {}
        if change["act"] == "remove":
            yield f"- {title}"
        elif change["act"] == "add":
            yield f"+ {title}"
        else:
            for field in sorted({*before, *after}):
                if before.get(field) != after.get(field):
                    yield f"~ {title} {field}: {shown(before.get(field))} → {shown(after.get(field))}"


def shown(value: Any) -> str:
    """A field's value in a line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value) or "none"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False) if value else "none"
    return str(value) if value not in (None, "") else "none"


def _struct(kind: str) -> inspect.StructType:
    struct = inspect.type_info(KINDS[kind])
    if not isinstance(struct, inspect.StructType):
        raise TypeError(f"{kind} has no fields")
    return struct


def _bare(wanted: inspect.Type) -> inspect.Type:
    return _bare(wanted.type) if isinstance(wanted, inspect.Metadata) else wanted


def _value(name: str, wanted: inspect.Type | None, text: str) -> Any:
    match wanted:
        case inspect.BoolType():
            if text.lower() not in _YES | _NO:
                raise CliError(f"{name} is yes or no, not {text!r}", USAGE)
            return text.lower() in _YES
        case inspect.IntType():
            if not text.removeprefix("-").isdecimal() or len(text) > 15:
                raise CliError(f"{name} is a whole number, not {text!r}", USAGE)
            return int(text)
        case inspect.VarTupleType() | inspect.DictType() if text[0] in "[{":
            try:
                return json.loads(text)
            except ValueError:
                raise CliError(f"{name} is not JSON", USAGE) from None
        case inspect.VarTupleType():
            return [each.strip() for each in text.split(",") if each.strip()]
        case _:
            return text


def print_history(revisions: Sequence[Json]) -> None:
    """Print what was changed, the last change first."""
    rows = [
        {
            **each,
            "value": f"{each['kind']}.{_named(each)}",
            "what": _what(each),
            "at": each["changed_at"][:19] + "Z",
        }
        for each in revisions
    ]
    columns = {"REVISION": "revision_id", "AT": "at", "BY": "changed_by", "VALUE": "value", "CHANGE": "what"}
    print_table(rows, columns, "Nothing was changed yet.")


def _named(revision: Json) -> str:
    # People and devices are named by an id.
    value = revision["after"] or revision["before"] or {}
    return str(value.get("name", revision["name"]))


def _what(revision: Json) -> str:
    if revision["undoes"] is not None:
        return f"undoes {revision['undoes']}"
    if revision["after"] is None:
        return "removed"
    if revision["before"] is None:
        return "added"
    before, after = revision["before"], revision["after"]
    return ", ".join(
        f"{field}: {shown(after.get(field))}" for field in after if before.get(field) != after.get(field)
    )
