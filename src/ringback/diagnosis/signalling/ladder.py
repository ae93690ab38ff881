"""A call's messages as a ladder: who stands where, one row a message, without numbers and names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringback.diagnosis.signalling.call import CallRecord, LadderMessage
from ringback.diagnosis.signalling.exchange import place
from ringback.governance.shown import fit_to_show
from ringback.sip.masking import mask

_MARGIN: Final = 12
_NARROWEST: Final = 22
_WIDEST: Final = 44


@dataclass(frozen=True, slots=True)
class Row:
    """One message: seconds since the call's start, and an arrow from one column to another.

    `note` says what is remarkable; `repeated` is true for what was sent or captured before.
    """

    seconds: float
    source: int
    target: int
    label: str
    note: str
    repeated: bool
    message: LadderMessage


@dataclass(frozen=True, slots=True)
class Ladder:
    """Columns are hosts in the order of the call's way; on one machine each port is a host of its own."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def ladder(call: CallRecord) -> Ladder:
    """The rows of a call in the order of time."""
    columns: dict[str, int] = {}
    rows = []
    # The caller stands at the left, whoever is seen first.
    columns[_place(call.caller.src, call.caller.sport, alone=call.caller.src == call.caller.dst)] = 0
    for message in call.messages:
        ends = message.endpoints
        alone = ends.src == ends.dst
        source, target = _place(ends.src, ends.sport, alone=alone), _place(ends.dst, ends.dport, alone=alone)
        for end in (source, target):
            columns.setdefault(end, len(columns))
        seconds = (message.at_ns - call.start_ns) / 1e9
        repeated = message.retransmission or "twice" in message.note
        label = f"{message.label} SDP" if message.has_sdp else message.label
        rows.append(Row(seconds, columns[source], columns[target], label, message.note, repeated, message))
    return Ladder(tuple(columns), tuple(rows))


def _place(host: str, port: int, *, alone: bool) -> str:
    return place(host, port) if alone else host


def draw(drawn: Ladder, width: int = 100) -> list[str]:
    """The ladder as lines of text; columns that do not fit into `width` make the lines longer."""
    count = max(2, len(drawn.columns))
    span = max(_NARROWEST, min(_WIDEST, (width - _MARGIN) // (count - 1) - 1))
    heading = "".join(f"{column[:span]:<{span + 1}}" for column in drawn.columns)
    lines = [" " * _MARGIN + heading.rstrip()]
    for row in drawn.rows:
        cells = [" " * span] * (count - 1)
        low, high = sorted((row.source, row.target))
        if low != high:
            room = span * (high - low) + (high - low - 1)
            cells[low:high] = [_arrow(row, room)]
        else:
            cells[min(low, count - 2)] = f"({row.label})"[:span].ljust(span)
        line = f"{row.seconds:>{_MARGIN - 2}.3f}  │" + "│".join(cells) + "│"
        lines.append(f"{line} {row.note}".rstrip())
    return lines


def _arrow(row: Row, room: int) -> str:
    told = f"{row.label} (again)" if row.message.retransmission else row.label
    label = f" {told[: room - 5]} "
    rest = "─" * (room - len(label) - 2)
    return f"─{label}{rest}▶" if row.target > row.source else f"◀{rest}{label}─"


def masked_text(message: LadderMessage) -> str:
    """The whole message with numbers, names, keys and credentials masked, for who opens a row."""
    lines = mask(message.packet.data).decode("utf-8", "replace").splitlines()
    return "\n".join(fit_to_show(line, 1_000) for line in lines)
