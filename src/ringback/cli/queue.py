"""`ringback queue`: who waits in queues, and who answers them."""

from __future__ import annotations

import typer

from ringback.cli.output import print_table
from ringback.cli.verbs import Options, verb

app = typer.Typer(help="Queues: who waits, and who answers.", no_args_is_help=True, rich_markup_mode=None)


@verb(app, "list")
def list_all(options: Options) -> None:
    """List all queues: how many wait and for how long, and what each agent does."""
    with options.server() as server:
        queues = server.queues()
    rows = [
        {
            "name": queue["name"],
            "waiting": len(queue["waiting"]),
            "longest": f"{queue['longest_wait_s']:.0f} s",
            "average": "" if queue["average_wait_s"] is None else f"{queue['average_wait_s']:.0f} s",
            "answered": queue["answered"],
            "gone": queue["abandoned"] + queue["left"],
            "agents": ", ".join(f"{agent['extension']} {agent['state']}" for agent in queue["agents"]),
        }
        for queue in queues
    ]
    columns = {
        "NAME": "name",
        "WAITING": "waiting",
        "LONGEST": "longest",
        "AVERAGE": "average",
        "ANSWERED": "answered",
        "GONE": "gone",
        "AGENTS": "agents",
    }
    options.show(queues, lambda: print_table(rows, columns, "There are no queues."))
