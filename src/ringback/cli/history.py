"""`ringback history` and `ringback undo`: what was changed of all that is set up, and back."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from ringback.cli.plan_words import print_history
from ringback.cli.verbs import Options, verb

_NAMED_BY_ID: Final = ("person", "device", "meeting")
_MOST: Final = 1000


def add_to(app: typer.Typer) -> None:
    """Make both verbs of the command line."""

    @verb(app, "history")
    def history(
        options: Options,
        kind: Annotated[
            str | None,
            typer.Argument(help="person, extension, device, trunk, meeting, or a kind of the plan."),
        ] = None,
        name: Annotated[str | None, typer.Argument(help="Only of this one.")] = None,
        limit: Annotated[int, typer.Option("--limit", min=1, max=_MOST, help="At most so many.")] = 50,
    ) -> None:
        """Show what was changed, by whom and when, the last change first."""
        by_id = kind in _NAMED_BY_ID and name is not None
        asked = {
            "kind": kind or "",
            "name": "" if by_id else name or "",
            "limit": _MOST if by_id else limit,
        }
        with options.system() as system:
            found = system.ask("POST", "/history/search", asked)
        if by_id:
            found = [each for each in found if name in (each["name"], *_names(each))][:limit]
        options.show(found, lambda: print_history(found))

    @verb(app, "undo")
    def undo(
        options: Options,
        revision: Annotated[int, typer.Argument(help="As `ringback history` says.", show_default=False)],
    ) -> None:
        """Put back what was before a change, a deletion too; that can be undone as well."""
        with options.system() as system:
            undone = system.ask("POST", "/history/undo", {"revision_id": revision})
        notes = "".join(f"\nBut {note}." for note in undone["notes"])
        title = f"{undone['kind']} {undone['title']}"
        options.show(undone, lambda: print(f"{title} is as it was before.{notes}"))


def _names(revision: dict[str, dict[str, str] | None]) -> list[str]:
    values = (revision["before"], revision["after"])
    return [value["name"] for value in values if value is not None]
