"""`ringback sip trace`: the SIP messages of the running server, as a ladder, as JSON, as a capture file."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ringback.cli.errors import USAGE, CliError
from ringback.cli.ladder import Ladder, Line
from ringback.cli.pcap import CaptureFile
from ringback.cli.system import Json
from ringback.cli.verbs import Options, verb
from ringback.governance.private import Private
from ringback.governance.shown import fit_to_show

app = typer.Typer(help="The SIP edge.", no_args_is_help=True, rich_markup_mode=None)

PIPE_WIDTH: Final = 100
"""Columns where there is no terminal; COLUMNS says otherwise."""

_LONGEST_LINE: Final = 1_000
_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

Show = Callable[[Json], None]


@verb(app, "trace")
def trace(
    options: Options,
    call: Annotated[
        str, typer.Option("--call", metavar="ID", help="Only the call whose Call-ID begins so.")
    ] = "",
    number: Annotated[
        str, typer.Option("--number", metavar="NUMBER", help="Only messages from or to this number.")
    ] = "",
    source: Annotated[
        str,
        typer.Option("--source", metavar="ADDRESS", help="Only this peer: an address, with or without port."),
    ] = "",
    method: Annotated[
        str,
        typer.Option("--method", metavar="METHOD", help="Only this method's requests and responses."),
    ] = "",
    last: Annotated[
        str,
        typer.Option("--last", metavar="TIME", help="What is kept of the last 30s, 5m or 1h."),
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", help="After --last go on with what comes.")] = False,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="SECONDS", min=0, help="End after so long.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", metavar="COUNT", min=1, help="End after so many messages.")
    ] = None,
    pcap: Annotated[
        Path | None,
        typer.Option("--pcap", metavar="FILE", help="Write a capture file for Wireshark, too."),
    ] = None,
    messages: Annotated[bool, typer.Option("--messages", help="Print every message whole.")] = False,
    reveal: Annotated[
        bool,
        typer.Option("--reveal", help="Mask nothing, neither numbers nor PINs. It is logged."),
    ] = False,
) -> None:
    """Show SIP messages as they come and go, with numbers, names and secrets masked."""
    if not (number.isascii() and number.isprintable()):
        raise CliError("--number wants the digits of a number", USAGE)
    query = {
        "call": call,
        "source": source,
        "method": method,
        "last_s": f"{_seconds(last):g}",
        "follow": str(follow or not last).lower(),
        "reveal": str(reveal).lower(),
    }
    shown = 0
    with contextlib.ExitStack() as opened, contextlib.suppress(KeyboardInterrupt):
        server = opened.enter_context(options.server())
        with _writing(pcap):
            capture = opened.enter_context(CaptureFile(pcap)) if pcap is not None else None
        show, say_missed = _as_json() if options.json else _as_ladder(messages)
        for kind, data in server.trace(query, Private(number) if number else None, seconds):
            if kind == "connected" and query["follow"] == "true":
                # Also for programs: from here on nothing is missed.
                _remark("watching; Ctrl-C ends it")
            elif kind == "missed":
                say_missed(data)
            elif kind == "message":
                if capture is not None:
                    with _writing(pcap):
                        _write(capture, data)
                show(data)
                shown += 1
                if shown == count:
                    break
    if pcap is not None and not options.json:
        _remark(f"{shown} messages, {'with private data' if reveal else 'masked'}, in {pcap}")


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,6})([smh]?)", text or "0")
    if match is None:
        raise CliError("--last wants a time such as 30s, 5m or 1h", USAGE)
    return int(match[1]) * _UNITS[match[2]]


def _remark(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _writing(path: Path | None) -> Iterator[None]:
    """Say what is wrong with the file, and not with anything else."""
    try:
        yield
    except OSError as error:
        raise CliError(f"{path}: {error.strerror or error}") from None


def _write(capture: CaptureFile, message: Json) -> None:
    local, remote = ((str(host), int(port)) for host, port in (message["local"], message["remote"]))
    source, target = (local, remote) if message["direction"] == "out" else (remote, local)
    capture.write(
        datetime.fromisoformat(message["at"]), message["transport"], source, target, _bytes_of(message)
    )


def _bytes_of(message: Json) -> bytes:
    if "message" in message:
        return str(message["message"]).encode()
    return base64.b64decode(message["message_base64"])


def _as_json() -> tuple[Show, Show]:
    def show(data: Json) -> None:
        print(json.dumps(data, ensure_ascii=False), flush=True)

    return show, lambda data: show({"missed": data["count"]})


def _as_ladder(whole: bool) -> tuple[Show, Show]:
    from rich.console import Console  # noqa: PLC0415 - not loaded for JSON
    from rich.text import Text  # noqa: PLC0415

    ladder = Ladder(shutil.get_terminal_size((PIPE_WIDTH, 24)).columns)
    console = Console(highlight=False, soft_wrap=True)

    def put(line: Line) -> None:
        console.print(Text.assemble(*line, no_wrap=True))

    def show(message: dict[str, Any]) -> None:
        for line in ladder.draw(message):
            put(line)
        if whole:
            for text in _bytes_of(message).decode("utf-8", "replace").rstrip().splitlines():
                put([(f"    {fit_to_show(text, _LONGEST_LINE)}".rstrip(), "")])
            put([])

    return show, lambda data: put(ladder.missed(int(data["count"])))
