"""`ringback calls`: calls that are over, what went on in them and how their lines were."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Concatenate, ParamSpec, get_type_hints

import typer

from ringback.cli.errors import CliError
from ringback.cli.output import print_facts, print_table
from ringback.cli.system import Json, System
from ringback.cli.verbs import Options, verb

app = typer.Typer(help="Calls that are over.", no_args_is_help=True, rich_markup_mode=None)

_PAGE = 500
P = ParamSpec("P")

Since = Annotated[
    str | None,
    typer.Option("--since", help="Begun at this time or later: 2026-11-01T09:00, 7d, 2h."),
]
Until = Annotated[str | None, typer.Option("--until", help="Begun before this time.")]
Number = Annotated[
    str | None, typer.Option("--number", help="A number on any side, whole; - reads it from standard input.")
]
Extension = Annotated[str | None, typer.Option("--extension", help="An extension that took part.")]
Target = Annotated[str | None, typer.Option("--target", help="What the number led to: group:sales.")]
Trunk = Annotated[str | None, typer.Option("--trunk", help="A trunk that a leg went by.")]
Direction = Annotated[str | None, typer.Option("--direction", help="internal, inbound, outbound or transit.")]
Outcome = Annotated[
    str | None,
    typer.Option(
        "--outcome", help="answered, abandoned, busy, no-answer, cancelled, refused, failed or interrupted."
    ),
]
Cause = Annotated[int | None, typer.Option("--cause", help="SIP status that it ended with, as in 486.")]
Quality = Annotated[str | None, typer.Option("--quality", help="This or worse: poor, low, medium, high.")]
Emergency = Annotated[bool | None, typer.Option("--emergency/--no-emergency", help="Emergency calls only.")]
Recorded = Annotated[bool | None, typer.Option("--recorded/--no-recorded", help="Recorded calls only.")]


def _filters(
    since: Since = None,
    until: Until = None,
    number: Number = None,
    extension: Extension = None,
    target: Target = None,
    trunk: Trunk = None,
    direction: Direction = None,
    outcome: Outcome = None,
    cause: Cause = None,
    quality: Quality = None,
    emergency: Emergency = None,
    recorded: Recorded = None,
) -> None:
    """What calls can be looked for by: the options that verbs have in common."""


def _searching(
    function: Callable[Concatenate[Options, Json, P], None],
) -> Callable[Concatenate[Options, P], None]:
    """Give a verb the filters as options; it gets what was asked for by them."""
    filters = inspect.signature(_filters).parameters
    own = list(inspect.signature(function).parameters.values())[2:]

    def searching(options: Options, **given: Any) -> None:
        asked = _asked({name: given.pop(name) for name in filters})
        function(options, asked, **given)  # type: ignore[call-arg]

    first = inspect.Parameter("options", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Options)
    searching.__signature__ = inspect.Signature([first, *filters.values(), *own])  # type: ignore[attr-defined]
    hints = get_type_hints(function, include_extras=True)
    searching.__annotations__ = {
        **get_type_hints(_filters, include_extras=True),
        **{parameter.name: hints[parameter.name] for parameter in own},
    }
    searching.__doc__ = function.__doc__
    return searching  # type: ignore[return-value]


@verb(app, "list")
@_searching
def list_all(
    options: Options,
    asked: Json,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many at most.")] = 50,
) -> None:
    """List calls, newest first."""
    with options.system() as system:
        calls = list(_found(system, asked, limit))
    rows = [_row(call) for call in calls]
    columns = {
        "CALL": "id", "BEGAN": "began", "CALLER": "caller", "DIALLED": "dialled", "LED TO": "called",
        "OUTCOME": "how", "TALK": "talk", "MOS": "mos",
    }  # fmt: skip
    options.show(calls, lambda: print_table(rows, columns, "There are no such calls."))


@verb(app, "show")
def show(
    options: Options,
    call: Annotated[str, typer.Argument(help="As `ringback calls list` names it.", show_default=False)],
) -> None:
    """Show a call: its legs, and its story in words."""
    with options.system() as system:
        record = system.call_record(call)
    options.show(record, lambda: _print(record))


@verb(app, "export")
@_searching
def export(
    options: Options,
    asked: Json,
    format: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
    rows: Annotated[str, typer.Option("--rows", help="Of CSV: calls or legs.")] = "calls",
) -> None:
    """Write calls to standard output as CSV or JSON lines, newest first; numbers in full."""
    from ringback.web.record_rows import head, lines  # noqa: PLC0415 - not loaded for other verbs
    from ringback.web.record_views import CallRecordView  # noqa: PLC0415

    if format not in ("csv", "jsonl") or rows not in ("calls", "legs"):
        raise CliError("--format is csv or jsonl, --rows is calls or legs")
    form = "jsonl" if options.json else format
    asked = {**asked, "legs": form == "jsonl" or rows == "legs"}
    with options.system() as system:
        sys.stdout.write(head(form, rows))  # type: ignore[arg-type]
        for call in _found(system, asked, None):
            view = CallRecordView.model_validate(call)
            sys.stdout.writelines(lines([view], form, rows))  # type: ignore[arg-type]


def _asked(filters: dict[str, Any]) -> Json:
    asked = {name: value for name, value in filters.items() if value is not None}
    if asked.get("number") == "-":
        asked["number"] = sys.stdin.readline().strip()
    for name in ("since", "until"):
        if name in asked:
            asked[name] = _moment(asked[name], f"--{name}").isoformat()
    return asked


def _moment(text: str, option: str) -> datetime:
    """A time as people write it: with a zone, of this place without one, or so long ago."""
    units = {"m": "minutes", "h": "hours", "d": "days"}
    if text[:-1].isdecimal() and text[-1] in units and len(text) < 8:
        return datetime.now(UTC) - timedelta(**{units[text[-1]]: int(text[:-1])})
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise CliError(f"{option} takes a time as in 2026-11-01T09:00, or 7d, not {text}") from None


def _found(system: System, asked: Json, limit: int | None) -> Iterator[Json]:
    """Page after page, at most so many."""
    after: str | None = None
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(left, _PAGE)
        page = system.call_records({**asked, "after": after, "limit": size})
        yield from page["items"]
        after = page["next"]
        if after is None:
            return
        if left is not None:
            left -= len(page["items"])


def _row(call: Json) -> Json:
    began = datetime.fromisoformat(call["began_at"]).astimezone()
    talk = call["talk_s"]
    mark = " emergency" if call["emergency"] else ""
    how = call["outcome"]
    if how == "abandoned":
        how += f" after {call['waited_s']:.0f} s"
    elif how != "answered":
        how = f"{how} {call['cause'] or ''}".strip()
    return {
        **call,
        "began": f"{began:%Y-%m-%d %H:%M:%S}",
        "caller": " ".join(filter(None, (call["caller"] or "withheld", call["caller_name"]))),
        "how": how + mark,
        "talk": "" if talk is None else f"{int(talk) // 60}:{int(talk) % 60:02d}",
        "mos": "" if call["mos"] is None else f"{call['mos']:.2f}",
    }


def _print(call: Json) -> None:
    row = _row(call)
    print_facts(
        {
            "Call": call["id"],
            "Began": row["began"],
            "Caller": row["caller"],
            "Dialled": call["dialled"],
            "Led to": call["called"],
            "Answered by": call["answered_by"],
            "Direction": call["direction"],
            "Outcome": row["how"],
            "Ended by": call["ended_by"],
            "Reason": " ".join(filter(None, (call["reason"], call["words"]))),
            "Talk": row["talk"],
            "Waited in queues": None if call["waited_s"] is None else f"{call['waited_s']:.1f} s",
            "Trunks": " ".join(call["trunks"]),
            "Recorded": "yes" if call["recorded"] else None,
            "Quality": None if call["quality"] is None else f"{call['quality']} (MOS {row['mos']})",
        }
    )
    print()
    columns = {
        "LEG": "who", "DEVICE": "device", "BY": "by", "CODEC": "sent", "SRTP": "encryption", "LOSS %": "loss",
        "JITTER": "jitter", "RTT": "rtt", "MOS": "mos", "THERE": "there",
    }  # fmt: skip
    print_table([_leg_row(leg) for leg in call["legs"]], columns, "It had no legs.")
    print()
    for line in call["story"]:
        print(line)


def _leg_row(leg: Json) -> Json:
    line = leg["line"] or {}

    def shown(name: str, digits: int) -> str:
        value = line.get(name)
        return "" if value is None else f"{value:.{digits}f}"

    return {
        **leg,
        "who": leg["extension"] or leg["number"] or "withheld",
        "by": " ".join(filter(None, (leg["trunk"], leg["transport"], leg["family"]))),
        "sent": " ".join(leg["sent"]),
        "loss": shown("lost_percent", 2),
        "jitter": shown("jitter_ms", 1),
        "rtt": shown("round_trip_ms", 0),
        "mos": shown("mos", 2),
        "there": shown("remote_mos", 2),
    }
