"""The SIP messages of diagnosed calls as ladders in a terminal, the worst calls first."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from ringback.cli.output import print_rich
from ringback.diagnosis.diagnosed import Diagnosis
from ringback.diagnosis.signalling.ladder import draw, ladder

MOST_LADDERS: Final = 3
"""The report has those of all calls."""


def print_ladders(diagnosis: Diagnosis, width: int = 100) -> None:
    """Each with what was found in its signalling; says so where there is no call."""
    records = [call.record for call in diagnosis.worst_first() if call.record is not None]
    if not records:
        print_rich(Text("No SIP of a call is in the capture.", style="dim"))
    for record in records[:MOST_LADDERS]:
        print()
        for place, line in enumerate(draw(ladder(record), width)):
            print_rich(Text(line, style="" if place else "dim"))
        for finding in record.findings:
            style = {"fault": "red", "warning": "yellow"}.get(finding.severity, "dim")
            print_rich(Text(f"  {finding.text}", style=style))
