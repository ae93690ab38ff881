"""Diagnoses one capture for the web, as a process of its own: calls go first, and memory is given back.

`python -m ringback.server.diagnosing` takes what is wanted as one JSON object on standard input, and tells on
standard output, a JSON object a line, how far it is. It leaves `result.json` and `report.html` in the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from ringback.diagnosis import Diagnosis, as_json, complaint_from, diagnose, report_html
from ringback.diagnosis.many.rows import with_many

MOST_MEMORY_BYTES: Final = 3_000_000_000
"""Of addresses; a capture that would need more ends the diagnosis, not the server."""

MOST_CPU_S: Final = 1800
PAUSE_S: Final = 0.2
"""Between two words on how far it is."""


def main() -> None:
    """Do what standard input asks for."""
    _give_way()
    asked = json.load(sys.stdin)
    folder = Path(asked["folder"])
    try:
        diagnosis = _diagnosed(asked)
    except (OSError, ValueError) as error:
        _tell(problem=str(error))
        return
    except MemoryError:
        _tell(problem="it needs more memory than is given to one diagnosis; take the command line")
        return
    if not any(capture.packets for capture in diagnosis.captures):
        said = [problem.problem for problem in diagnosis.problems] or ["there is not one packet in it"]
        _tell(problem=said[0])
        return
    zone = ZoneInfo(asked["time_zone"] or "UTC")
    diagnosis = with_many(diagnosis, zone)
    with (folder / "report.html").open("w", encoding="utf-8") as file:
        file.writelines(report_html(diagnosis, zone=zone))
    result = json.dumps(as_json(diagnosis), ensure_ascii=False, allow_nan=False)
    (folder / "result.json").write_text(result, encoding="utf-8")
    _tell(stage="done")


def _give_way() -> None:
    os.nice(19)
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for kind, limit in ((resource.RLIMIT_AS, MOST_MEMORY_BYTES), (resource.RLIMIT_CPU, MOST_CPU_S)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (limit, limit))


def _diagnosed(asked: dict[str, Any]) -> Diagnosis:
    zone = ZoneInfo(asked["time_zone"] or "UTC")
    complaint = complaint_from(asked["complaint"], zone) if asked["complaint"] else None
    last = 0.0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal last
        if done >= total or time.monotonic() - last >= PAUSE_S:
            last = time.monotonic()
            _tell(stage=what, done=done, total=total)

    return diagnose([Path(asked["capture"])], complaint=complaint, progress=progress)


def _tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
