"""`ringback diagnose`: what was wrong with the calls in captures, and why. It needs no server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import typer

from ringback.cli.diagnose_many import (
    changes_wanted,
    many_wanted,
    only_records,
    tell_problems,
    text_of,
    with_changes,
    with_many,
)
from ringback.cli.errors import USAGE, CliError
from ringback.cli.verbs import Options, verb

if TYPE_CHECKING:
    from ringback.diagnosis.causes.verdict import Counter, Mark
    from ringback.diagnosis.complaint import Complaint
    from ringback.diagnosis.diagnosed import Diagnosis
    from ringback.diagnosis.many.places import Places

ENDINGS: Final = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz", ".cap.gz")
"""What is taken for a capture in a folder."""


def add_to(app: typer.Typer) -> None:
    """Make it a verb of the application."""
    verb(app, "diagnose")(diagnose)


def diagnose(
    options: Options,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Captures (pcap, pcapng), or folders of them."),
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option("--point", metavar="NAME=FILE", help="A capture of the same calls at another place."),
    ] = None,
    complaint: Annotated[
        str,
        typer.Option("--complaint", metavar="FROM-TO", help="When it was bad: 14:02:10-14:02:40."),
    ] = "",
    time_zone: Annotated[
        str,
        typer.Option("--time-zone", metavar="ZONE", help="Of times said and shown: UTC, Europe/Berlin."),
    ] = "",
    counters: Annotated[
        list[Path] | None,
        typer.Option(
            "--counters", metavar="FILE.csv", help="Counters beside the calls: a time, and numbers."
        ),
    ] = None,
    marks: Annotated[
        list[Path] | None,
        typer.Option("--marks", metavar="FILE.csv", help="What happened when: a time, and a text."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="OUT.html", help="Write a report: one page that opens offline."),
    ] = None,
    many: Annotated[
        bool, typer.Option("--many", help="Sum up the calls, however few: what stands out, and when.")
    ] = False,
    sites: Annotated[
        Path | None,
        typer.Option("--sites", metavar="FILE.csv", help="What networks are: network, site, trunk, kind."),
    ] = None,
    records: Annotated[
        list[Path] | None,
        typer.Option("--records", metavar="FILE.csv", help="Calls of a table, in place of captures."),
    ] = None,
    save_baseline: Annotated[
        Path | None,
        typer.Option("--save-baseline", metavar="FILE.json", help="Keep how the calls are, to compare with."),
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="Of the baseline that is kept.")] = "",
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="FILE.json", help="A baseline: better, worse or unproven since?"),
    ] = None,
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            metavar="CHANGE",
            help="Play the worst calls again: 'buffer=80 ptime=40 codec=opus fec=1', or standard.",
        ),
    ] = None,
    ladder: Annotated[
        bool, typer.Option("--ladder", help="Show the SIP messages of the worst calls, without numbers.")
    ] = False,
    pdf: Annotated[
        Path | None,
        typer.Option("--pdf", metavar="OUT.pdf", help="The worst calls as PDF, with ringback[pdf]."),
    ] = None,
    show_numbers: Annotated[
        bool, typer.Option("--show-numbers", help="Mask no phone numbers, names and Call-IDs.")
    ] = False,
) -> None:
    """Say what was wrong with the calls in captures, and why, with the evidence for and against."""
    zone = _zone(time_zone)
    window = _complaint(complaint, zone)
    first, points = _captures(files or ()), _points(point or ())
    if records and (first or points):
        raise CliError("--records is in place of captures: give one or the other", USAGE)
    if not first and not points and not records:
        raise CliError("name a capture: ringback diagnose calls.pcap", USAGE)
    for path in (report, pdf, save_baseline):
        _check_writable(path)
    changes = changes_wanted(what_if or ())
    if records and changes is not None:
        raise CliError("--what-if plays packets again, which --records has none of", USAGE)
    wanted = many_wanted(many, sites, records or (), against, save_baseline, name, zone)
    beside = Beside(
        _table(counters or (), "counters", zone),
        _table(marks or (), "marks", zone),
        wanted.places,
    )
    diagnosis = only_records() if records else _diagnosed(first, points, window, beside)
    diagnosis = with_changes(with_many(diagnosis, wanted), changes)
    if report is not None:
        _write_report(diagnosis, report, show_numbers, zone)
    if pdf is not None:
        _write_pdf(diagnosis, pdf, show_numbers, zone)
    if options.json:
        _print_json(diagnosis, show_numbers)
    else:
        from ringback.cli.verdict import print_diagnosis  # noqa: PLC0415 - loads rich

        print_diagnosis(diagnosis, show_numbers, zone, report, asked_what_if=changes is not None)
        if ladder:
            from ringback.cli.call_ladder import print_ladders  # noqa: PLC0415 - loads rich

            print_ladders(diagnosis)


def _zone(name: str) -> ZoneInfo | None:
    """The zone of this name, None for this machine's."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise CliError(
            f"there is no time zone {name!r}; take UTC or a name like Europe/Berlin", USAGE
        ) from None


def _complaint(text: str, zone: ZoneInfo | None) -> Complaint | None:
    if not text:
        return None
    from ringback.diagnosis.complaint import NotATimeError, complaint_from  # noqa: PLC0415

    try:
        return complaint_from(text, zone)
    except NotATimeError as error:
        raise CliError(f"--complaint: {error}", USAGE) from None


def _captures(paths: Sequence[Path]) -> list[Path]:
    """The files; of folders those that are captures by name, in the order of their names."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.name.lower().endswith(ENDINGS))
            if not inside:
                raise CliError(f"there is no capture in the folder {path} (names end with .pcap or .pcapng)")
            found += inside
        elif not path.exists():
            raise CliError(f"there is no file {path}")
        else:
            found.append(path)
    return found


def _points(given: Sequence[str]) -> dict[str, list[Path]]:
    points: dict[str, list[Path]] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise CliError(f"--point wants NAME=FILE, as in --point wan=router.pcap, not {text!r}", USAGE)
        points.setdefault(name, []).extend(_captures([Path(path)]))
    return points


def _check_writable(path: Path | None) -> None:
    """Before minutes of work: the folder is there."""
    if path is not None and not path.absolute().parent.is_dir():
        raise CliError(f"there is no folder {path.absolute().parent} to write {path.name} to")


class Beside(NamedTuple):
    """What was counted and noted beside the captures."""

    counters: list[Counter]
    marks: list[Mark]
    places: Places | None


def _table(paths: Sequence[Path], what: Literal["counters", "marks"], zone: ZoneInfo | None) -> list[Any]:
    """Counters or marks of tables; lines that cannot be read are told on standard error."""
    found: list[Any] = []
    for path in paths:
        from ringback.diagnosis.beside import read_counters, read_marks  # noqa: PLC0415 - loads NumPy

        read: Any = read_counters if what == "counters" else read_marks
        rows, problems = read(text_of(path), zone)
        if not rows:
            reason = problems[0].reason if problems else f"there are no {what} in it"
            raise CliError(f"{path}: {reason}")
        tell_problems(path, problems)
        found += rows
    return found


def _diagnosed(
    files: Sequence[Path], points: dict[str, list[Path]], complaint: Complaint | None, beside: Beside
) -> Diagnosis:
    from ringback.cli.progress import shown_progress  # noqa: PLC0415
    from ringback.diagnosis.from_files import diagnose as diagnose_files  # noqa: PLC0415 - loads NumPy

    try:
        with shown_progress() as progress:
            diagnosis = diagnose_files(
                files,
                points=points,
                complaint=complaint,
                counters=beside.counters,
                marks=beside.marks,
                **({} if beside.places is None else {"places": beside.places}),
                progress=progress,
            )
    except OSError as error:
        raise CliError(f"{error.filename or 'the capture'}: {error.strerror or error}") from None
    if not any(capture.packets for capture in diagnosis.captures):
        raise CliError("\n".join(_why_nothing(diagnosis)))
    return diagnosis


def _why_nothing(diagnosis: Diagnosis) -> Iterator[str]:
    if not diagnosis.problems:
        yield "there is not one packet in the capture"
    for problem in diagnosis.problems:
        yield f"{problem.file}: {problem.problem}"


def _write_report(diagnosis: Diagnosis, path: Path, show_numbers: bool, zone: ZoneInfo | None) -> None:
    from ringback.diagnosis.report.page import report_html  # noqa: PLC0415

    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(report_html(diagnosis, show_numbers=show_numbers, zone=zone))
    except OSError as error:
        raise CliError(f"{path}: {error.strerror or error}") from None


def _write_pdf(diagnosis: Diagnosis, path: Path, show_numbers: bool, zone: ZoneInfo | None) -> None:
    from ringback.diagnosis.report.document import PdfMissingError, report_pdf  # noqa: PLC0415

    try:
        path.write_bytes(report_pdf(diagnosis, show_numbers=show_numbers, zone=zone))
    except PdfMissingError as error:
        raise CliError(str(error)) from None
    except OSError as error:
        raise CliError(f"{path}: {error.strerror or error}") from None


def _print_json(diagnosis: Diagnosis, show_numbers: bool) -> None:
    from ringback.cli.output import print_json  # noqa: PLC0415
    from ringback.diagnosis.json_form import as_json  # noqa: PLC0415

    print_json(as_json(diagnosis, show_numbers=show_numbers))
