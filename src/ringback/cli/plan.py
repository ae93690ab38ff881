"""`ringback plan`: how calls go; every change is kept and can be undone."""

from __future__ import annotations

import codecs
import sys
import tomllib
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from ringback.cli.errors import CliError
from ringback.cli.output import print_facts, print_table
from ringback.cli.plan_words import assigned, difference_lines, known_kind, print_history, shown
from ringback.cli.system import Json, System
from ringback.cli.verbs import Options, verb

app = typer.Typer(
    help="How calls go: groups, queues, menus, hours, routes.", no_args_is_help=True, rich_markup_mode=None
)

Kind = Annotated[str, typer.Argument(help="As `ringback plan kinds` lists them.", show_default=False)]
Name = Annotated[str, typer.Argument(help="The value's name.", show_default=False)]
Search = Annotated[str, typer.Option("--search", help="Only those with this text somewhere in them.")]
File = Annotated[Path, typer.Argument(help="TOML; - is standard input.", show_default=False)]

_PAGE = 1000


@verb(app, "kinds")
def kinds(options: Options) -> None:
    """List the kinds of values there are, and their fields."""
    with options.system(creates=True) as system:
        found = system.ask("GET", "/plan/kinds")
    rows = [{**kind, "fields": list(_fields(kind["schema"]))} for kind in found]
    columns = {"KIND": "kind", "WHAT IT IS": "title", "FIELDS": "fields"}
    options.show(found, lambda: print_table(rows, columns, ""))


@verb(app, "list")
def list_all(options: Options, kind: Kind, search: Search = "") -> None:
    """List the values of a kind."""
    path = _path(kind)
    values: list[Json] = []
    with options.system(creates=True) as system:
        after: str | None = ""
        while after is not None:
            page = system.ask("POST", f"{path}/search", {"search": search, "after": after, "limit": _PAGE})
            values += page["items"]
            after = page["next"]
    rows = [
        {**each, "number": each["value"].get("number"), "title": each["value"].get("title")}
        for each in values
    ]
    columns = {"NAME": "name", "NUMBER": "number", "TITLE": "title", "CHANGED BY": "changed_by"}
    options.show(values, lambda: print_table(rows, columns, "There is nothing of this kind."))


@verb(app, "show")
def show(options: Options, kind: Kind, name: Name) -> None:
    """Show a value."""
    with options.system() as system:
        found = system.ask("GET", _path(kind, name))
    options.show(found, lambda: _print(found))


@verb(app, "set")
def change(
    options: Options,
    kind: Kind,
    name: Name,
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE", help="ring_s=30 members=1001,1002 keys.1=group:sales"),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="The whole value as TOML; - is standard input.")
    ] = None,
) -> None:
    """Make a value, or change what is given of it; FIELD= takes a field back to its default."""
    path = _path(kind, name)
    with options.system(creates=True) as system:
        current = _current(system, path)
        revision = current["revision"] if current is not None else 0
        before = current["value"] if current is not None and file is None else {}
        given = _table(file) if file is not None else before
        changed = system.ask("PUT", path, assigned(kind, given, fields or ()), revision=revision)
    options.show(changed, lambda: _print(changed))


@verb(app, "remove")
def remove(options: Options, kind: Kind, name: Name) -> None:
    """Delete a value, unless something needs it."""
    with options.system() as system:
        system.ask("DELETE", _path(kind, name))
    options.show({"removed": f"{kind}.{name}"}, lambda: print(f"{kind} {name} is gone."))


@verb(app, "history")
def history(
    options: Options,
    kind: Annotated[str | None, typer.Argument(help="Only of this kind.")] = None,
    name: Annotated[str | None, typer.Argument(help="Only of this value.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 50,
) -> None:
    """Show what was changed, by whom and when, the last change first."""
    asked = {"kind": known_kind(kind) if kind else "", "name": name or "", "limit": limit}
    with options.system() as system:
        found = system.ask("POST", "/plan/history/search", asked)
    options.show(found, lambda: print_history(found))


@verb(app, "undo")
def undo(
    options: Options,
    revision: Annotated[int, typer.Argument(help="As `ringback plan history` says.", show_default=False)],
) -> None:
    """Put back what was before a change; that can be undone too."""
    with options.system() as system:
        back = system.ask("POST", "/plan/undo", {"revision_id": revision})
    options.show(back, lambda: _print(back) if back else print("It is gone, as it was before."))


@verb(app, "export")
def export(
    options: Options,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file.")] = None,
) -> None:
    """Print the whole plan as one TOML file."""
    with options.system() as system:
        text = system.ask("GET", "/plan/export") or ""
    if out is not None:
        try:
            out.write_text(text)
        except OSError as error:
            raise CliError(f"{out} cannot be written: {error.strerror}") from None
    shown_as: Json = {"toml": text} if out is None else {"written": str(out)}
    options.show(shown_as, lambda: print(text if out is None else f"{out} is written.\n", end=""))


@verb(app, "apply")
def apply(
    options: Options,
    file: File,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove what is not in the file.")] = False,
) -> None:
    """Make all values of a file, or none, and show what that changes."""
    query = urlencode({"dry_run": dry_run, "prune": prune})
    text = read_text(file)
    with options.system(creates=True) as system:
        applied = system.ask("POST", f"/plan/apply?{query}", text)
    options.show(applied, lambda: _print_applied(applied))


def read_text(file: Path) -> str:
    """What a file or standard input (-) holds; raises CliError."""
    try:
        if str(file) == "-":
            return sys.stdin.read()
        content = file.read_bytes()
        # "Unicode text" of a spreadsheet begins with the mark of its byte order.
        marked = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        return content.decode("utf-16" if marked else "utf-8-sig")
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CliError(f"{file} is not UTF-8") from None


def _table(file: Path) -> Json:
    try:
        return tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:
        raise CliError(f"{file} is not TOML: {error}") from None


def _path(kind: str, name: str | None = None) -> str:
    path = f"/plan/{known_kind(kind)}"
    return path if name is None else f"{path}/{quote(name, safe='')}"


def _current(system: System, path: str) -> Json | None:
    try:
        found: Json = system.ask("GET", path)
    except CliError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return None
    return found


def _fields(schema: Json) -> list[str]:
    definitions = schema.get("$defs", {})
    reference = schema.get("$ref", "").rpartition("/")[2]
    return [name for name in definitions.get(reference, schema).get("properties", {}) if name != "name"]


def _print(value: Json) -> None:
    fields: dict[str, Any] = {name: shown(each) for name, each in value["value"].items()}
    changed = f"{value['changed_at'][:19]}Z by {value['changed_by']} (revision {value['revision']})"
    print_facts({**fields, "changed": changed})


def _print_applied(applied: Json) -> None:
    for line in difference_lines(applied["changes"]):
        print(line)
    if not applied["changes"]:
        print("Nothing changes.")
    elif applied["dry_run"]:
        print("Nothing was changed yet: leave out --dry-run to do so.")
