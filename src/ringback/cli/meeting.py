"""`ringback meeting`: meetings, and the people in them."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import typer

from ringback.cli.deleting import ForGood
from ringback.cli.errors import USAGE, CliError
from ringback.cli.output import print_facts, print_table
from ringback.cli.verbs import Options, verb

app = typer.Typer(help="Meetings, and the people in them.", no_args_is_help=True, rich_markup_mode=None)

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The meeting's number.", show_default=False)]
Whom = Annotated[
    str | None,
    typer.Argument(
        metavar="[ID]", help="A participant's id, as `participants` lists it.", show_default=False
    ),
]
Everybody = Annotated[bool, typer.Option("--all", help="Everybody whom it can concern.")]


@verb(app, "add")
def add(
    options: Options,
    name: Annotated[str, typer.Argument(help="What the meeting is called.", show_default=False)],
    admission: Annotated[
        Literal["direct", "lobby"],
        typer.Option("--admission", help="lobby: guests wait until the host admits them."),
    ] = "direct",
) -> None:
    """Add a meeting; number, PINs and links stay until they are rotated."""
    with options.system(creates=True) as system:
        made = system.add_meeting(name, admission)
    options.show(made, lambda: _print_meeting(made))


@verb(app, "list")
def list_all(
    options: Options,
    links: Annotated[
        bool,
        typer.Option("--links", help="With the links of guests and hosts; printed to a terminal only."),
    ] = False,
) -> None:
    """List all meetings, and how many are in them."""
    if links and not options.json and not is_terminal():
        raise CliError(
            "links let people in, so --links prints to a terminal only; a program asks for --json", USAGE
        )
    with options.system() as system:
        meetings = system.meetings()
    if links:
        columns = {"NUMBER": "number", "NAME": "name", "LINK": "link", "HOST LINK": "host_link"}
    else:
        columns = {
            "NUMBER": "number",
            "NAME": "name",
            "ADMISSION": "admission",
            "GUEST PIN": "guest_pin",
            "HOST PIN": "host_pin",
            "IN IT": "people",
            "WAIT": "waiting",
        }
    rows = [{**meeting, **(meeting["now"] or {})} for meeting in meetings]
    options.show(meetings, lambda: print_table(rows, columns, "There are no meetings."))


@verb(app, "show")
def show(options: Options, number: Number) -> None:
    """Show how people get into a meeting."""
    with options.system() as system:
        meeting = system.meeting(number)
    options.show(meeting, lambda: _print_meeting(meeting))


@verb(app, "rotate-pin")
def rotate_pin(
    options: Options,
    number: Number,
    which: Annotated[Literal["guest", "host", "both"], typer.Option("--which", help="Whose PIN.")] = "both",
) -> None:
    """Replace PINs; number and links stay."""
    with options.system() as system:
        meeting = system.rotate_pin(number, which)
    options.show(meeting, lambda: _print_meeting(meeting))


@verb(app, "set")
def change(
    options: Options,
    number: Number,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    admission: Annotated[
        Literal["direct", "lobby"] | None,
        typer.Option("--admission", help="lobby: guests wait until the host admits them."),
    ] = None,
) -> None:
    """Change what is given of a meeting; who is in it stays in it."""
    given = {"name": name, "admission": admission}
    with options.system() as system:
        changed = system.change_meeting(
            number, {key: word for key, word in given.items() if word is not None}
        )
    options.show(changed, lambda: _print_meeting(changed))


@verb(app, "delete")
def delete(options: Options, number: Number, for_good: ForGood = False) -> None:
    """Delete a meeting."""
    with options.system() as system:
        revision = system.remove_meeting(number, for_good)
    back = f" Have it back: ringback undo {revision}" if revision is not None else ""
    gone = {"deleted": number, "revision_id": revision}
    options.show(gone, lambda: print(f"Meeting {number} is gone.{back}"))


@verb(app, "past")
def past(
    options: Options,
    number: Number,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="Of calls that are looked at.")] = 200,
) -> None:
    """Show meetings that were, the last one first, and who was in them."""
    with options.server() as server:
        found = server.ask("GET", f"/meetings/{quote(number, safe='')}/past?{urlencode({'limit': limit})}")
    rows = [
        {
            "began": f"{meeting['began_at'][:19]}Z" if place == 0 else "",
            "name": person["name"],
            "number": person["number"],
            "joined": person["joined_at"][11:19],
            "left": (person["left_at"] or "")[11:19],
        }
        for meeting in found["items"]
        for place, person in enumerate(meeting["people"])
    ]
    columns = {"BEGAN": "began", "NAME": "name", "NUMBER": "number", "CAME": "joined", "WENT": "left"}
    options.show(found, lambda: print_table(rows, columns, "Nobody was in this meeting."))


@verb(app, "participants")
def participants(options: Options, number: Number) -> None:
    """List who is in a meeting, or on the way into it."""
    with options.server() as server:
        people = server.participants(number)
    columns = {
        "ID": "id",
        "NAME": "name",
        "NUMBER": "number",
        "ROLE": "role",
        "STATE": "state",
        "MUTED": "muted",
        "HAND": "hand",
        "TALKING": "talking",
        "CODEC": "codec",
    }
    options.show(people, lambda: print_table(people, columns, "Nobody is in this meeting."))


@verb(app, "admit")
def admit(options: Options, number: Number, participant: Whom = None, everybody: Everybody = False) -> None:
    """Let in from the lobby."""
    _act(options, "admit", number, participant, everybody, "admitted")


@verb(app, "mute")
def mute(options: Options, number: Number, participant: Whom = None, everybody: Everybody = False) -> None:
    """Mute one, or all but the hosts."""
    _act(options, "mute", number, participant, everybody, "muted")


@verb(app, "unmute")
def unmute(options: Options, number: Number, participant: Whom = None, everybody: Everybody = False) -> None:
    """Unmute one or all."""
    _act(options, "unmute", number, participant, everybody, "unmuted")


@verb(app, "remove")
def remove(options: Options, number: Number, participant: Whom = None, everybody: Everybody = False) -> None:
    """End the call of one or all."""
    _act(options, "remove", number, participant, everybody, "removed")


@verb(app, "end")
def end(options: Options, number: Number) -> None:
    """End the meeting for everybody in it, and for who waits."""
    _act(options, "remove", number, None, True, "removed")


@verb(app, "lock")
def lock(options: Options, number: Number) -> None:
    """Let nobody else in."""
    _lock(options, number, True)


@verb(app, "unlock")
def unlock(options: Options, number: Number) -> None:
    """Open a locked meeting again."""
    _lock(options, number, False)


def is_terminal() -> bool:
    """Whether somebody sees what is printed, and nothing keeps it."""
    return sys.stdout.isatty()


def _act(
    options: Options, act: str, number: str, participant: str | None, everybody: bool, done: str
) -> None:
    if (participant is None) != everybody:
        raise CliError(f"say whom to {act}: an ID, or --all", USAGE)
    with options.server() as server:
        result = server.act(act, number, participant)
    options.show(result, lambda: print(f"{result['count']} {done}."))


def _lock(options: Options, number: str, locked: bool) -> None:
    with options.server() as server:
        result = server.lock(number, locked)
    options.show(result, lambda: print(f"Meeting {number} is {'locked' if result['locked'] else 'open'}."))


def _print_meeting(meeting: dict[str, Any]) -> None:
    print_facts(
        {
            "Name": meeting["name"],
            "Number": meeting["number"],
            "Dial": meeting["dial_in"],
            "Guest PIN": meeting["guest_pin"],
            "Host PIN": meeting["host_pin"],
            "Link": meeting["link"],
            "Host link": meeting["host_link"],
            "Admission": meeting["admission"],
        }
    )
