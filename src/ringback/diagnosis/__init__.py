"""Diagnosis: captures read to exact numbers, and from these to causes with evidence for and against.

`diagnose(files)` gives a `Diagnosis`; `as_json` and `report_html` show it. Each is loaded when it is first
asked for: who needs the values between the rooms alone does not load NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ringback.diagnosis.complaint import Complaint, NotATimeError, complaint_from
    from ringback.diagnosis.diagnosed import DiagnosedCall, DiagnosedStream, Diagnosis
    from ringback.diagnosis.from_files import diagnose
    from ringback.diagnosis.json_form import as_json
    from ringback.diagnosis.report.page import report_html

__all__ = [
    "Complaint",
    "DiagnosedCall",
    "DiagnosedStream",
    "Diagnosis",
    "NotATimeError",
    "as_json",
    "complaint_from",
    "diagnose",
    "report_html",
]

# No module may have the name of what it gives: loading it would hide that.
_HOMES: Final = {
    "Complaint": "complaint",
    "DiagnosedCall": "diagnosed",
    "DiagnosedStream": "diagnosed",
    "Diagnosis": "diagnosed",
    "NotATimeError": "complaint",
    "as_json": "json_form",
    "complaint_from": "complaint",
    "diagnose": "from_files",
    "report_html": "report.page",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
