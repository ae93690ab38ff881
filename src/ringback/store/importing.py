"""People from a table (CSV, RFC 4180) with extensions and phones: all of them, or none and what is wrong."""

from __future__ import annotations

import asyncio
import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Final

from sqlalchemy import Table

from ringback.governance.private import Private
from ringback.governance.sealing import Sealer
from ringback.governance.shown import fit_to_show
from ringback.store import schema
from ringback.store.agreement import STANDARD_ROLE, Fixed, taken_by
from ringback.store.database import Database, insert_all
from ringback.store.devices import checked_device, new_device
from ringback.store.devices import row_of as device_row
from ringback.store.directory import Device, Directory, Extension, Person
from ringback.store.errors import FieldProblem, InvalidError, InvalidValueError, StoreError
from ringback.store.extensions import new_extension, values_of
from ringback.store.holder import DirectoryHolder
from ringback.store.holdings import Holding, Holdings
from ringback.store.holdings import row_of as holding_row
from ringback.store.people import checked_person
from ringback.store.people import row_of as person_row
from ringback.store.rules import checked_extension_number, new_id

COLUMNS: Final = ("name", "extension", "role", "e_mail", "site", "model", "mac")
MOST_ROWS: Final = 20_000
MOST_BYTES: Final = 8_000_000

_OTHER_NAMES: Final = {
    "e-mail": "e_mail",
    "email": "e_mail",
    "mail": "e_mail",
    "number": "extension",
    "device": "model",
    "device model": "model",
    "device_model": "model",
    "mac address": "mac",
    "location": "site",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """A row of the table: `row` as a spreadsheet counts, its cells by column, and what is wrong with them.

    Where it was stored there are passwords, which cannot be read again.
    """

    row: int
    cells: dict[str, str]
    problems: tuple[FieldProblem, ...] = ()
    password: Private[str] | None = None
    device_username: str = ""
    device_password: Private[str] | None = None


@dataclass(slots=True)
class _Made:
    """What comes of the rows, not stored yet."""

    rows: list[Imported] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)
    holdings: list[Holding] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)
    macs: set[str] = field(default_factory=set)

    @property
    def right(self) -> bool:
        return not any(row.problems for row in self.rows)


class Importing:
    """Reads a table and stores what it says in one transaction."""

    def __init__(
        self, database: Database, sealer: Sealer, holder: DirectoryHolder, holdings: Holdings, fixed: Fixed
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._holder = holder
        self._holdings = holdings
        self._fixed = fixed

    async def run(self, content: bytes, *, dry_run: bool) -> list[Imported]:
        """The rows; if one has problems, or it is a dry run, nothing is stored.

        Raises InvalidValueError for what is no table with these columns, DatabaseUnusableError.
        """
        async with self._database.write() as connection:
            day = self._holdings.today()
            # Passwords and seals of thousands take a while: calls go on meanwhile.
            made = await asyncio.to_thread(_make, content, self._holder.current, self._fixed, day)
            if dry_run or not made.right:
                return [Imported(row.row, row.cells, row.problems) for row in made.rows]
            for table, rows in await asyncio.to_thread(self._rows, made):
                await insert_all(connection, table, rows)
        for holding in made.holdings:
            self._holdings.remember(holding.extension_id, (holding,))
        directory = self._holder.current.with_people(made.people).with_extensions(made.extensions)
        self._holder.replace(directory.with_devices(made.devices))
        return made.rows

    def _rows(self, made: _Made) -> list[tuple[Table, list[dict[str, object]]]]:
        sealer = self._sealer
        return [
            (schema.people, [person_row(each) for each in made.people]),
            (schema.extensions, [values_of(sealer, each) for each in made.extensions]),
            (schema.holdings, [holding_row(each) for each in made.holdings]),
            (schema.devices, [device_row(sealer, each) for each in made.devices]),
        ]


def read_table(content: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows that are not empty, with the lines they begin at; raises InvalidValueError."""
    # "Unicode text" of a spreadsheet begins with the mark of its byte order.
    coding = "utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    try:
        text = content.decode(coding)
    except UnicodeDecodeError:
        raise _no_table("", "the file is not UTF-8; save it as CSV (UTF-8)") from None
    head = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    count, begins = 0, 1
    try:
        for cells in lines:
            row, begins = begins, lines.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _columns(cells)
                continue
            count += 1
            if count > MOST_ROWS:
                raise _no_table("", f"there are more than {MOST_ROWS} rows; make several files of it")
            if len(cells) > len(columns):
                raise _no_table(f"{row}", f"row {row} has more cells than there are columns")
            yield row, dict(zip_longest(columns, (cell.strip() for cell in cells), fillvalue=""))
    except csv.Error as error:
        raise _no_table(f"{lines.line_num}", f"row {lines.line_num} is not CSV: {error}") from None
    if not columns:
        raise _no_table("", f"the first row has to name the columns: {', '.join(COLUMNS)}")


def _columns(cells: Sequence[str]) -> list[str]:
    columns = [_OTHER_NAMES.get(name := cell.strip().casefold(), name) for cell in cells]
    for place, name in enumerate(columns):
        if name not in COLUMNS:
            raise _no_table(
                "", f"there is no column {fit_to_show(name, 40)!r}; columns are {', '.join(COLUMNS)}"
            )
        if name in columns[:place]:
            raise _no_table("", f"the column {name} is there twice")
    if "name" not in columns:
        raise _no_table("", "the column name is missing")
    return columns


def _no_table(where: str, message: str) -> InvalidValueError:
    return InvalidValueError("the table", [FieldProblem(where, message)])


def _make(content: bytes, directory: Directory, fixed: Fixed, day: str) -> _Made:
    made = _Made(macs={device.mac for device in directory.devices.values() if device.mac})
    names = {device.name for device in directory.devices.values()}
    for row, cells in read_table(content):
        problems: list[FieldProblem] = []
        person = _person(cells, directory, problems)
        extension, password = _extension(cells, person, directory, fixed, made, problems)
        device, device_password = _device(cells, directory, made, names, problems)
        made.rows.append(
            Imported(
                row,
                cells,
                tuple(problems),
                password,
                "" if device is None else device.username,
                device_password,
            )
        )
        made.people.append(person)
        if extension is not None:
            made.extensions.append(extension)
            made.holdings.append(Holding(new_id(), extension.id, person.id, day))
        if device is not None:
            made.devices.append(device)
    return made


def _person(cells: dict[str, str], directory: Directory, problems: list[FieldProblem]) -> Person:
    person = Person(
        new_id(),
        cells["name"],
        datetime.now(UTC),
        cells.get("role") or STANDARD_ROLE,
        cells.get("e_mail", ""),
        cells.get("site", ""),
    )
    try:
        return checked_person(person, directory)
    except InvalidValueError as error:
        problems += error.problems
        return person


def _extension(
    cells: dict[str, str],
    person: Person,
    directory: Directory,
    fixed: Fixed,
    made: _Made,
    problems: list[FieldProblem],
) -> tuple[Extension | None, Private[str] | None]:
    number = cells.get("extension", "")
    if not number:
        return None, None
    try:
        checked_extension_number(number, fixed.services, fixed.emergency)
    except StoreError as error:
        problems.append(FieldProblem("extension", str(error)))
        return None, None
    holder = "the number of an earlier row" if number in made.numbers else taken_by(number, directory, fixed)
    made.numbers.add(number)
    if holder is not None:
        problems.append(FieldProblem("extension", f"{number} is {holder}"))
        return None, None
    if problems:
        return None, None
    extension, password = new_extension(number, person.name, person_id=person.id)
    return extension, password


def _device(
    cells: dict[str, str],
    directory: Directory,
    made: _Made,
    names: set[str],
    problems: list[FieldProblem],
) -> tuple[Device | None, Private[str] | None]:
    number, model, mac = (cells.get(name, "") for name in ("extension", "model", "mac"))
    if not model and not mac:
        return None, None
    if not number:
        problems.append(FieldProblem("extension", "is missing: the phone registers for it"))
        return None, None
    device, password = new_device(f"{number} {model or 'phone'}"[:80], number, directory, model, mac)
    try:
        device = checked_device(device, directory, made.numbers)
    except InvalidError as error:
        problems += [
            problem
            for problem in (error.problems if isinstance(error, InvalidValueError) else ())
            if problem.field != "extension"
        ]
        return None, None
    if device.mac and device.mac in made.macs:
        problems.append(FieldProblem("mac", "another device has this MAC address"))
    if device.name in names:
        problems.append(FieldProblem("model", f"there is a device {device.name} already"))
    made.macs.add(device.mac)
    names.add(device.name)
    return (None, None) if problems else (device, password)
