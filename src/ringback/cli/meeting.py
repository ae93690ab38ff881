"""`ringback meeting`: meetings, and the people in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

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
def list_all(options: Options) -> None:
    """List all meetings."""
    with options.system() as system:
        meetings = system.meetings()
    columns = {
        "NUMBER": "number",
        "NAME": "name",
        "ADMISSION": "admission",
        "GUEST PIN": "guest_pin",
        "HOST PIN": "host_pin",
    }
    options.show(meetings, lambda: print_table(meetings, columns, "There are no meetings."))


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


@verb(app, "delete")
def delete(options: Options, number: Number) -> None:
    """Delete a meeting."""
    with options.system() as system:
        system.remove_meeting(number)
    options.show({"deleted": number}, lambda: print(f"Meeting {number} is gone."))


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


@verb(app, "lock")
def lock(options: Options, number: Number) -> None:
    """Let nobody else in."""
    _lock(options, number, True)


@verb(app, "unlock")
def unlock(options: Options, number: Number) -> None:
    """Open a locked meeting again."""
    _lock(options, number, False)


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
