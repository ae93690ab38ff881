"""`ringback voicemail`: mailboxes as who runs the system sees them; what was said is for their holders."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ringback.cli.output import print_facts, print_table
from ringback.cli.system import Json
from ringback.cli.verbs import Options, verb

app = typer.Typer(help="Mailboxes.", no_args_is_help=True, rich_markup_mode=None)

Number = Annotated[str, typer.Argument(help="The extension's number.", show_default=False)]


@verb(app, "list")
def list_all(options: Options) -> None:
    """List all mailboxes and how much lies in them."""
    with options.server() as server:
        boxes = server.mailboxes()
    columns = {
        "EXTENSION": "extension",
        "NEW": "new",
        "URGENT": "new_urgent",
        "OLD": "old",
        "PIN": "has_pin",
        "GREETINGS": "greetings",
    }
    nothing = "No extension has a mailbox; the plan gives one: ringback plan set mailbox NUMBER"
    options.show(boxes, lambda: print_table(boxes, columns, nothing))


@verb(app, "show")
def show(options: Options, number: Number) -> None:
    """Show a mailbox."""
    with options.server() as server:
        box = server.mailbox(number)
    options.show(box, lambda: _print(box))


@verb(app, "reset-pin")
def reset_pin(options: Options, number: Number) -> None:
    """Let a mailbox forget its PIN: its holder chooses another one at the extension's own phone."""
    with options.server() as server:
        server.reset_mailbox_pin(number)
    done = f"The mailbox {number} has no PIN; call *97 from that phone to choose one."
    options.show({"extension": number, "has_pin": False}, lambda: print(done))


def _print(box: Json) -> None:
    facts: dict[str, Any] = {
        "Extension": box["extension"],
        "New": box["new"],
        "  urgent": box["new_urgent"] or None,
        "Old": box["old"],
        "At most": box["most_messages"],
        "PIN": "chosen" if box["has_pin"] else "none yet",
        "Greetings": " ".join(box["greetings"]),
        "Told by mail": box["told_by_mail"],
    }
    print_facts(facts)
