"""What `ringback diagnose` takes of many calls: tables, baselines, changes to play again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from ringback.cli.errors import USAGE, CliError

if TYPE_CHECKING:
    from ringback.diagnosis.diagnosed import Diagnosis
    from ringback.diagnosis.many.baseline import Baseline
    from ringback.diagnosis.many.calls import CallRow, RowProblem
    from ringback.diagnosis.many.places import Places
    from ringback.diagnosis.what_if import Change

Read = TypeVar("Read")
LARGEST_BASELINE = 50_000_000


class ManyWanted(NamedTuple):
    """What was asked for, read before minutes of work."""

    asked: bool
    places: Places | None
    records: list[CallRow] | None
    source: str
    against: Baseline | None
    save: Path | None
    name: str
    zone: ZoneInfo | None


def many_wanted(
    asked: bool,
    sites: Path | None,
    records: Sequence[Path],
    against: Path | None,
    save: Path | None,
    name: str,
    zone: ZoneInfo | None,
) -> ManyWanted:
    """Read the tables and the baseline. Raises CliError for what cannot be read."""
    if name and save is None:
        raise CliError("--name is of a baseline: give --save-baseline FILE.json, too", USAGE)
    places = None
    if sites is not None:
        from ringback.diagnosis.many.places import read_places  # noqa: PLC0415

        places = _table(sites, read_places)
        if not places.known:
            raise CliError(f"{sites}: there is no network in it; columns are network, site, trunk, kind")
    rows: list[CallRow] | None = None
    for path in records:
        from ringback.diagnosis.many.calls import read_rows  # noqa: PLC0415 - loads csv

        found = _table(path, lambda text: read_rows(text, zone))
        if not found:
            raise CliError(f"{path}: there are no calls in it")
        rows = [*(rows or ()), *found]
    wanted = asked or any(one is not None for one in (places, rows, against, save))
    source = ", ".join(path.name for path in records[:3])
    source += f" and {len(records) - 3} more" if len(records) > 3 else ""
    return ManyWanted(
        wanted, places, rows, source, None if against is None else _baseline(against), save, name, zone
    )


def with_many(diagnosis: Diagnosis, wanted: ManyWanted) -> Diagnosis:
    """The diagnosis with its calls summed up, if that was asked for or they are many.

    The baseline is written. Raises CliError.
    """
    from ringback.diagnosis.many.baseline import BaselineError, make, to_text  # noqa: PLC0415 - loads NumPy
    from ringback.diagnosis.many.rows import SOURCE, rows_of_all  # noqa: PLC0415
    from ringback.diagnosis.many.summary import MANY, summed_up  # noqa: PLC0415

    rows, source = wanted.records, wanted.source
    if rows is None:
        rows, source = rows_of_all(diagnosis, wanted.zone), SOURCE
        if not wanted.asked and len(rows) < MANY:
            return diagnosis
    try:
        many = summed_up(rows, source, wanted.against)
        if wanted.save is not None:
            wanted.save.write_text(to_text(make(rows, wanted.name)), encoding="utf-8")
    except BaselineError as error:
        raise CliError(str(error)) from None
    except OSError as error:
        raise CliError(f"{wanted.save}: {error.strerror or error}") from None
    return replace(diagnosis, many=many)


def only_records() -> Diagnosis:
    """A diagnosis without captures, for calls of a table."""
    from ringback.diagnosis.diagnosed import Diagnosis  # noqa: PLC0415 - loads NumPy
    from ringback.diagnosis.signalling.call import OtherDialogs  # noqa: PLC0415

    return Diagnosis((), (), (), OtherDialogs({}, {}, (), 0))


def changes_wanted(texts: Sequence[str]) -> list[Change] | None:
    """What `--what-if` asks for; None for nothing, an empty list for the standard changes."""
    if not texts:
        return None
    from ringback.diagnosis.what_if import WhatIfError, read_change  # noqa: PLC0415 - loads NumPy

    changes: list[Change] = []
    for text in texts:
        if text.strip().lower() == "standard":
            continue
        try:
            changes.append(read_change(text))
        except WhatIfError as error:
            raise CliError(f"--what-if: {error}", USAGE) from None
    if changes and len(changes) < len(texts):
        raise CliError("--what-if standard stands alone", USAGE)
    return changes


def with_changes(diagnosis: Diagnosis, changes: list[Change] | None) -> Diagnosis:
    """The diagnosis with its worst calls played again, if that was asked for."""
    if changes is None:
        return diagnosis
    from ringback.diagnosis.replayed import with_what_if  # noqa: PLC0415 - loads NumPy

    return with_what_if(diagnosis, changes)


def _baseline(path: Path) -> Baseline:
    from ringback.diagnosis.many.baseline import BaselineError, from_text  # noqa: PLC0415 - loads NumPy

    try:
        if path.stat().st_size > LARGEST_BASELINE:
            raise CliError(f"{path}: this is no baseline, it is too large")
        return from_text(path.read_text(encoding="utf-8", errors="replace"))
    except BaselineError as error:
        raise CliError(f"{path}: {error}") from None
    except OSError as error:
        raise CliError(f"{path}: {error.strerror or error}") from None


def _table(path: Path, read: Callable[[str], tuple[Read, list[RowProblem]]]) -> Read:
    """What a table holds; lines that cannot be read are told on standard error."""
    found, problems = read(text_of(path))
    tell_problems(path, problems)
    return found


def text_of(path: Path) -> str:
    """The text of a table. Raises CliError."""
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise CliError(f"{path}: {error.strerror or error}") from None


def tell_problems(path: Path, problems: Sequence[Any]) -> None:
    """The first lines of a table that could not be used, and how many more, on standard error."""
    for problem in problems[:3]:
        print(f"ringback: {path}, line {problem.line}: {problem.reason}", file=sys.stderr)
    if len(problems) > 3:
        print(f"ringback: {path}: {len(problems) - 3} more lines were left out", file=sys.stderr)
