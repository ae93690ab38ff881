"""`ringback person`: people, the extensions that they hold, and tables of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from ringback.cli.deleting import ForGood, say_gone
from ringback.cli.errors import FAILED, CliError
from ringback.cli.output import print_facts, print_table
from ringback.cli.plan import read_text
from ringback.cli.system import Json, System, delete
from ringback.cli.verbs import Options, verb

app = typer.Typer(help="People, and the extensions they hold.", no_args_is_help=True, rich_markup_mode=None)

Person = Annotated[str, typer.Argument(help="Id, e-mail address or name.", show_default=False)]
Number = Annotated[str, typer.Argument(help="The extension's number.", show_default=False)]
Role = Annotated[str | None, typer.Option("--role", help="A role of the plan: what may be called.")]
EMail = Annotated[str | None, typer.Option("--e-mail", help="Address that is written to.")]
Site = Annotated[str | None, typer.Option("--site", help="Where they work.")]
Day = Annotated[str | None, typer.Option("--from", help="First day, YYYY-MM-DD; today if left out.")]
LastDay = Annotated[str | None, typer.Option("--to", help="Last day, included; for good if left out.")]

_PAGE = 10_000


@verb(app, "add")
def add(
    options: Options,
    name: Annotated[str, typer.Argument(help="As others see it.", show_default=False)],
    role: Role = None,
    e_mail: EMail = None,
    site: Site = None,
) -> None:
    """Add a person."""
    with options.system(creates=True) as system:
        made = system.ask("POST", "/people", {"name": name, **_given(role=role, e_mail=e_mail, site=site)})
    options.show(made, lambda: _print(made))


@verb(app, "list")
def list_all(
    options: Options,
    search: Annotated[str, typer.Option("--search", help="Only those with this text.")] = "",
) -> None:
    """List people by name."""
    with options.system() as system:
        people = _found(system, search)
    columns = {
        "ID": "id",
        "NAME": "name",
        "EXTENSIONS": "extensions",
        "ROLE": "role",
        "E-MAIL": "e_mail",
        "SITE": "site",
    }
    options.show(people, lambda: print_table(people, columns, "There is nobody."))


@verb(app, "show")
def show(options: Options, person: Person) -> None:
    """Show a person, and which extensions they hold when."""
    with options.system() as system:
        found = find_person(system, person)
        asked = {"person_id": found["id"], "limit": 1000}
        holdings = system.ask("POST", "/holdings/search", asked)["items"]

    def print_both() -> None:
        _print(found)
        if holdings:
            print_table(holdings, _HOLDING_COLUMNS, "")

    options.show({**found, "holdings": holdings}, print_both)


@verb(app, "set")
def change(
    options: Options,
    person: Person,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    role: Role = None,
    e_mail: EMail = None,
    site: Site = None,
) -> None:
    """Change what is given of a person."""
    with options.system() as system:
        path = f"/people/{find_person(system, person)['id']}"
        changed = system.ask("PATCH", path, _given(name=name, role=role, e_mail=e_mail, site=site))
    options.show(changed, lambda: _print(changed))


@verb(app, "remove")
def remove(options: Options, person: Person, for_good: ForGood = False) -> None:
    """Delete a person; their extensions stay and belong to nobody."""
    with options.system() as system:
        found = find_person(system, person)
        revision = delete(system, f"/people/{found['id']}", "person", found["id"], for_good)
    say_gone(options, found["id"], found["name"], revision)


@verb(app, "hold")
def hold(
    options: Options, person: Person, number: Number, first_day: Day = None, last_day: LastDay = None
) -> None:
    """Give an extension to a person, from a day and perhaps to another; who has it keeps it until then."""
    with options.system() as system:
        body = {
            "extension": number,
            "person_id": find_person(system, person)["id"],
            **_given(first_day=first_day, last_day=last_day),
        }
        made = system.ask("POST", "/holdings", body)
    options.show(made, lambda: print_table([made], _HOLDING_COLUMNS, ""))


@verb(app, "holdings")
def holdings(
    options: Options,
    number: Annotated[str | None, typer.Argument(help="Only of this extension.")] = None,
) -> None:
    """List who held, holds and will hold extensions."""
    found: list[Json] = []
    with options.system() as system:
        after: str | None = ""
        while after is not None:
            asked = {"after": after, "limit": 1000, **_given(extension=number)}
            page = system.ask("POST", "/holdings/search", asked)
            found += page["items"]
            after = page["next"]
        names = {each["id"]: each["name"] for each in _found(system, "")}
    rows = [{**each, "name": names.get(each["person_id"])} for each in found]
    columns = {**_HOLDING_COLUMNS, "NAME": "name"}
    options.show(found, lambda: print_table(rows, columns, "Nobody holds an extension."))


@verb(app, "release")
def release(
    options: Options,
    holding: Annotated[
        str, typer.Argument(help="As `ringback person holdings` lists it.", show_default=False)
    ],
    last_day: Annotated[
        str | None, typer.Option("--to", help="Last day, included; if left out, as if it had never been.")
    ] = None,
) -> None:
    """Take an extension from who holds it, after a day or at once."""
    path = f"/holdings/{quote(holding, safe='')}"
    with options.system() as system:
        if last_day is None:
            system.ask("DELETE", path)
        else:
            system.ask("PATCH", path, {"last_day": last_day})
    options.show({"released": holding}, lambda: print("It is so."))


@verb(app, "import")
def import_people(
    options: Options,
    file: Annotated[Path, typer.Argument(help="CSV; - is standard input.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is wrong.")] = False,
) -> None:
    """Add people from CSV with extensions and phones, all or none; passwords are shown this once.

    The first row names the columns: name, and of extension, role, e_mail, site, model, mac those there are.
    """
    text = read_text(file)
    with options.system(creates=True) as system:
        answer = system.ask("POST", f"/people/import?{urlencode({'dry_run': dry_run})}", text)
    options.show(answer, lambda: _print_import(answer))
    if answer["problems"]:
        raise typer.Exit(FAILED)


_HOLDING_COLUMNS = {"ID": "id", "NUMBER": "extension", "FROM": "first_day", "TO": "last_day", "NOW": "now"}


def _given(**words: str | None) -> Json:
    return {name: word for name, word in words.items() if word is not None}


def _found(system: System, search: str) -> list[Json]:
    people: list[Json] = []
    after: str | None = ""
    while after is not None:
        page = system.ask("POST", "/people/search", {"search": search, "after": after, "limit": _PAGE})
        people += page["items"]
        after = page["next"]
    return people


def find_person(system: System, words: str) -> Json:
    """The person with that id, address or name; raises CliError if there is none, or more than one."""
    found = [
        person
        for person in _found(system, words if not _is_id(words) else "")
        if words in (person["id"], person["e_mail"], person["name"])
    ]
    if not found:
        raise CliError(f"there is nobody called {words}")
    if len(found) > 1:
        raise CliError(f"{len(found)} people are called {words}; say the id: ringback person list")
    return found[0]


def _is_id(words: str) -> bool:
    return len(words) == 16 and set(words) <= set("0123456789abcdef")


def _print(person: Json) -> None:
    print_facts(
        {
            "Id": person["id"],
            "Name": person["name"],
            "Extensions": " ".join(person["extensions"]),
            "Role": person["role"],
            "E-mail": person["e_mail"],
            "Site": person["site"],
        }
    )


def _print_import(answer: Json) -> None:
    if answer["problems"]:
        for row in answer["rows"]:
            for problem in row["problems"]:
                print(f"row {row['row']}, {problem['field']}: {problem['message']}")
        print("Nothing was stored.")
        return
    if answer["dry_run"]:
        print(f"{len(answer['rows'])} people can be added: leave out --dry-run to do so.")
        return
    rows = [
        {**row["cells"], **{key: row[key] for key in ("password", "device_username", "device_password")}}
        for row in answer["rows"]
    ]
    columns = {
        "NAME": "name",
        "EXTENSION": "extension",
        "PASSWORD": "password",
        "PHONE": "model",
        "ITS USERNAME": "device_username",
        "ITS PASSWORD": "device_password",
    }
    print_table(rows, columns, "The table has no people.")
