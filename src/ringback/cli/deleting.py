"""What verbs that delete have in common: what they are told, and what they say."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback.cli.verbs import Options

ForGood = Annotated[bool, typer.Option("--for-good", help="Keep nothing of it: it cannot be taken back.")]


def say_gone(options: Options, name: str, title: str, revision: int | None) -> None:
    """Say that it is gone."""
    back = f" Have it back: ringback undo {revision}" if revision is not None else ""
    options.show({"removed": name, "revision_id": revision}, lambda: print(f"{title} is gone.{back}"))
