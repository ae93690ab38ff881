"""SIP messages as a ladder: we in the middle, who calls us on the left, whom we call on the right."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, Final, Literal

from ringback.governance.shown import fit_to_show

NARROWEST: Final = 60
_MARGIN: Final = 13
"""Columns for the number of the call and the time."""

_MOST_CALLS: Final = 1_000
_OURS: Final = "ringback"
_LINE, _DASH, _RULE = "│", "─", "─"

Side = Literal["left", "right"]
Part = tuple[str, str]
"""Text and its style, empty for plain."""

Line = list[Part]


@dataclass(slots=True)
class _Call:
    number: int
    began: datetime
    side: Side


class Ladder:
    """Draws line after line, for a terminal of `width` columns, what the trace tells as JSON objects."""

    def __init__(self, width: int) -> None:
        self._span = (max(NARROWEST, width) - _MARGIN - 4) // 2
        self._width = _MARGIN + 2 * self._span + 3
        self._calls: OrderedDict[str, _Call] = OrderedDict()
        self._numbers = count(1)
        self._peers: dict[Side, str] = {}

    def draw(self, message: Mapping[str, Any]) -> Iterator[Line]:
        """The lines of one message; of a new call or of another peer a heading before."""
        at = datetime.fromisoformat(message["at"])
        known = self._calls.get(message["call_id"])
        call = known or self._begin(message, at)
        peer = f"{_address(message['remote'])} {message['transport']}"
        if known is None:
            yield self._rule(call, message)
        if known is None or self._peers.get(call.side) != peer:
            self._peers[call.side] = peer
            yield self._heading()
        yield self._arrow(call, message, (at - call.began).total_seconds())
        if message.get("fault"):
            yield [(" " * _MARGIN, ""), (f"malformed: {message['fault']}"[: self._width - _MARGIN], "red")]

    def missed(self, number: int) -> Line:
        """What is said of messages that are not shown."""
        return [(f"{number} messages are missing here: they came faster than they could be shown", "red")]

    def _begin(self, message: Mapping[str, Any], at: datetime) -> _Call:
        ours = message["direction"] == "out"
        # Of a call seen from its middle on a response tells who asked.
        asked = ours if message.get("status") is None else not ours
        call = _Call(next(self._numbers), at, "right" if asked else "left")
        self._calls[message["call_id"]] = call
        if len(self._calls) > _MOST_CALLS:
            self._calls.popitem(last=False)
        return call

    def _rule(self, call: _Call, message: Mapping[str, Any]) -> Line:
        who = f"{message['from_user'] or '?'} → {message['to_user'] or '?'}"
        told = f" #{call.number} · {fit_to_show(who, 60)} · {message['call_id'] or 'no Call-ID'} "
        told = _cut(told, self._width - 4)
        return [(f"{_RULE * 2}{told}{_RULE * (self._width - 2 - len(told))}", "bold")]

    def _heading(self) -> Line:
        room = self._span - len(_OURS) // 2
        left = _cut(self._peers.get("left", ""), room)
        right = _cut(self._peers.get("right", ""), room)
        ours = _MARGIN + 1 + self._span - len(_OURS) // 2
        text = (" " * _MARGIN + left).ljust(ours - 1) + " " + _OURS
        return [(_put_right(text, right, self._width).rstrip(), "dim")]

    def _arrow(self, call: _Call, message: Mapping[str, Any], since_s: float) -> Line:
        outward = (call.side == "left") == (message["direction"] == "out")
        label = _label(message, self._span - 5)
        dashes = max(0, self._span - len(label) - 5)
        if outward:
            arrow = f"◀{_DASH * (dashes + 1)} {label} {_DASH}"
        else:
            arrow = f"{_DASH} {label} {_DASH * (dashes + 1)}▶"
        arrow = f"{arrow[: self._span]:<{self._span}}"
        empty = " " * self._span
        left, right = (arrow, empty) if call.side == "left" else (empty, arrow)
        style = _style(message)
        margin = f"{'#' + str(call.number):<5}{_since(since_s):>7} "
        return [
            (margin[:_MARGIN], "dim"),
            (_LINE, "dim"),
            (left, style if call.side == "left" else ""),
            (_LINE, "dim"),
            (right, style if call.side == "right" else ""),
            (_LINE, "dim"),
        ]


def _label(message: Mapping[str, Any], room: int) -> str:
    """Method or status with the CSeq, and as much else as there is room for."""
    method = message["method"]
    cseq = f" {message['cseq']}" if message.get("cseq") is not None else ""
    marks = "".join(
        text
        for key, text in (("described", " SDP"), ("again", " again"), ("fault", " malformed"))
        if message.get(key)
    )
    if message.get("status") is None:
        return _cut(f"{method}{cseq}{marks}".lstrip(), room)
    ending = f"{' · ' if method else ''}{method}{cseq}{marks}"
    status = str(message["status"])
    reason = _cut(f" {message['reason']}", max(0, room - len(status) - len(ending)))
    return _cut(f"{status}{reason.rstrip()}{ending}", room)


def _style(message: Mapping[str, Any]) -> str:
    """One colour a kind; what came or went again is dim."""
    status = message.get("status")
    if message.get("fault"):
        return "red reverse"
    if status is None:
        style = "bold cyan" if message["method"] == "INVITE" else "cyan"
    elif status in (401, 407) or status < 200:
        style = "yellow"
    else:
        style = "green" if status < 300 else "magenta" if status < 400 else "red"
    return f"dim {style}" if message.get("again") else style


def _since(seconds: float) -> str:
    if abs(seconds) < 1000:
        return f"{seconds:.3f}"
    return f"{seconds:.0f}"


def _address(address: list[Any]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(0, room - 1)] + "…"[:room]


def _put_right(text: str, ending: str, width: int) -> str:
    """`ending` at the right margin, after at least one space."""
    return f"{text} {ending}" if len(text) + len(ending) >= width else text + ending.rjust(width - len(text))
