"""`ringback route`: where a call would go, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.output import print_rich
from ringback.cli.system import Json
from ringback.cli.verbs import Options, verb

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

app = typer.Typer(help="Where calls go.", no_args_is_help=True, rich_markup_mode=None)


@verb(app, "simulate")
def simulate(
    options: Options,
    to: Annotated[str, typer.Option("--to", metavar="NUMBER", help="What is dialled.")],
    caller: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="NUMBER",
            help="The extension that calls; with --from-trunk a number outside.",
        ),
    ] = "",
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help='As in "2026-12-24 19:00"; left out: now.')
    ] = "",
    time_zone: Annotated[
        str, typer.Option("--time-zone", metavar="ZONE", help="Of --at, as in Europe/Berlin.")
    ] = "",
    from_trunk: Annotated[
        str, typer.Option("--from-trunk", metavar="NAME", help="The trunk that the call comes in by.")
    ] = "",
    location: Annotated[
        str, typer.Option("--location", metavar="NAME", help="Location of the phone, for emergency calls.")
    ] = "",
) -> None:
    """Show where a call would go: each rule passed, the legs that would ring, loops and dead ends."""
    asked: Json = {
        "from": caller,
        "to": to,
        "time_zone": time_zone,
        "from_trunk": from_trunk,
        "location": location,
    }
    if at:
        asked["at"] = at.replace(" ", "T", 1)
    with options.system() as system:
        found = system.simulate(asked)
    options.show(found, lambda: _print(asked, found))


def _print(asked: Json, found: Json) -> None:
    from rich.tree import Tree  # noqa: PLC0415 - not loaded for JSON

    who = asked["from"] or ("somebody" if asked["from_trunk"] else "a guest")
    by = f" by the trunk {asked['from_trunk']}" if asked["from_trunk"] else ""
    moment = found["at"][:16].replace("T", " ")
    root = Tree(f"{who} calls {asked['to']}{by} at {moment} ({found['time_zone']})", guide_style="dim")
    branches: dict[int, Tree] = {}
    for node in found["nodes"]:
        parent = node["parent"]
        branch = branches[node["id"]] = root if parent is None else branches[parent].add(_way(node))
        for line in _lines(node):
            branch.add(line)
    print_rich(root)
    problems = [*found["loops"], *found["dead_ends"]]
    if problems or found["cut"]:
        print()
    for problem in problems:
        print(f"! {problem}")
    if found["cut"]:
        print("! The tree is cut here: there is more than anybody reads.")


def _lines(node: Json) -> Iterator[Text]:
    from rich.text import Text  # noqa: PLC0415

    for rule in node["rules"]:
        name = f"{rule['kind']} {rule['name']}".rstrip()
        yield Text.assemble((name, "dim"), f": {rule['said']}")
    step = node["step"]
    if step is not None:
        wrong = step["loop"] or step["dead_end"]
        yield Text(f"→ {step['said']}", style="bold red" if wrong else "bold")


def _way(child: Json) -> Text:
    from rich.text import Text  # noqa: PLC0415

    text = f"{', '.join(child['came_by'])}: {child['target']}"
    return Text(f"{text} (as above)" if child["seen"] else text)
