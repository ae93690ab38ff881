"""`ringback login`: who may log in to the console and the phone page."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ringback.cli.errors import CliError
from ringback.cli.output import print_table
from ringback.cli.person import find_person
from ringback.cli.system import Json, System
from ringback.cli.verbs import Options, verb

app = typer.Typer(help="Logins for the pages.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="What they log in with.", show_default=False)]
Role = Literal["admin", "helpdesk", "auditor", "user"]


@verb(app, "add")
def add(
    options: Options,
    name: Annotated[str, typer.Argument(help="Often the e-mail address.", show_default=False)],
    role: Annotated[Role, typer.Option("--role", help="What it may do.")] = "user",
    person: Annotated[
        str | None, typer.Option("--person", help="Whose it is: id, e-mail address or name.")
    ] = None,
) -> None:
    """Let somebody log in; prints the link on which they choose a password, good for 24 hours."""
    with options.system(creates=True) as system:
        body: Json = {"name": name, "role": role}
        if person is not None:
            body["person_id"] = find_person(system, person)["id"]
        made = system.ask("POST", "/logins", body)
    options.show(made, lambda: print(made["link"]))


@verb(app, "list")
def list_all(options: Options) -> None:
    """List who may log in."""
    with options.system() as system:
        logins = system.ask("GET", "/logins")
    columns = {
        "NAME": "name",
        "ROLE": "role",
        "PASSWORD": "has_password",
        "CODE": "second_factor",
        "SESSIONS": "sessions",
        "PERSON": "person_id",
    }
    options.show(logins, lambda: print_table(logins, columns, "Nobody may log in."))


@verb(app, "link")
def link(options: Options, name: Name) -> None:
    """Make a one-time link with which another password is chosen; works for 24 hours."""
    with options.system() as system:
        made = system.ask("POST", f"/logins/{_one(system, name)['id']}/link")
    options.show(made, lambda: print(made["link"]))


@verb(app, "set")
def change(
    options: Options,
    name: Name,
    role: Annotated[Role | None, typer.Option("--role", help="What it may do from now on.")] = None,
    person: Annotated[
        str | None, typer.Option("--person", help="Whose it is: id, e-mail address or name.")
    ] = None,
) -> None:
    """Change what a login may do, or whose it is."""
    with options.system() as system:
        body: Json = {} if role is None else {"role": role}
        if person is not None:
            body["person_id"] = find_person(system, person)["id"]
        changed = system.ask("PATCH", f"/logins/{_one(system, name)['id']}", body)
    options.show(changed, lambda: print(f"{changed['name']} logs in as {changed['role']}."))


@verb(app, "end-sessions")
def end_sessions(options: Options, name: Name) -> None:
    """Log somebody out everywhere."""
    with options.system() as system:
        system.ask("DELETE", f"/logins/{_one(system, name)['id']}/sessions")
    options.show({"ended": name}, lambda: print(f"{name} is logged out everywhere."))


@verb(app, "remove")
def remove(options: Options, name: Name) -> None:
    """Let somebody not log in any more; sessions end at once."""
    with options.system() as system:
        system.ask("DELETE", f"/logins/{_one(system, name)['id']}")
    options.show({"removed": name}, lambda: print(f"{name} cannot log in any more."))


totp = typer.Typer(
    help="Codes of authenticator apps (RFC 6238).", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(totp, name="totp")


@verb(totp, "reset")
def reset(options: Options, name: Name) -> None:
    """Let somebody in by the password alone who has lost app and recovery codes; all sessions end."""
    with options.system() as system:
        system.ask("DELETE", f"/logins/{_one(system, name)['id']}/second-factor")
    options.show({"reset": name}, lambda: print(f"{name} logs in by the password alone."))


def _one(system: System, name: str) -> Json:
    wanted = name.strip().lower()
    for login in system.ask("GET", "/logins"):
        if login["name"].lower() == wanted:
            found: Json = login
            return found
    raise CliError(f"nobody logs in as {name}; see: ringback login list")
