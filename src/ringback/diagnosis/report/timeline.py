"""Time lines of a call's streams as SVG: loss, delay, level and score, on one axis for both directions.

Shapes are stretched to the width of the page; words are not, so that they can be read on a phone too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.causes.verdict import Counter, Mark, Window
from ringback.diagnosis.diagnosed import DiagnosedStream
from ringback.diagnosis.report.markup import Markup, joined, number, tag
from ringback.diagnosis.shown import clock, percent, place
from ringback.diagnosis.stream.measured import Measured, Series

COLUMNS: Final = 600
"""Into so many a curve's packets are gathered; a page hardly has pixels for more."""

FAIR, POOR = 4.0, 3.1
"""Below these some users are dissatisfied, and nearly all (ITU-T G.107, annex B: R of 80 and 60)."""

_STEPS_S: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
_DELAYS_MS: Final = (
    10,
    20,
    30,
    50,
    100,
    150,
    200,
    250,
    300,
    400,
    500,
    750,
    1000,
    1500,
    2000,
    3000,
    5000,
    10_000,
)
_QUIETEST_DBOV: Final = -80.0
_HEIGHT: Final = 1000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Axis:
    """From when to when, and what is marked there."""

    window: Window
    zone: tzinfo | None
    complaint: Window | None = None
    marks: tuple[Mark, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it is, never zero."""
        return max((self.window.ended_ns - self.window.began_ns) / 1e9, 0.001)

    def part(self, at_ns: int) -> float:
        """Where a time lies: 0 at the left, 1 at the right."""
        return (at_ns - self.window.began_ns) / 1e9 / self.seconds

    def columns(self, at_ns: NDArray[np.int64]) -> NDArray[np.intp]:
        """In which column times lie."""
        parts = (at_ns - self.window.began_ns) / 1e9 / self.seconds
        return np.clip(parts * COLUMNS, 0, COLUMNS - 1).astype(np.intp)


def axis_of(
    streams: Sequence[DiagnosedStream],
    zone: tzinfo | None,
    complaint: Window | None = None,
    marks: Sequence[Mark] = (),
) -> Axis:
    """The time of all these streams; marks outside of it are left out, and a complaint."""
    began = min(stream.measured.began_ns for stream in streams)
    ended = max(stream.measured.ended_ns for stream in streams)
    meets = complaint is not None and complaint.began_ns <= ended and began <= complaint.ended_ns
    inside = tuple(mark for mark in marks if began <= mark.at_ns <= ended)
    return Axis(Window(began, ended), zone, complaint if meets else None, inside)


@dataclass(frozen=True, slots=True)
class Panel:
    """One curve: what it says in words is its text alternative and stands beside it. `inside` is SVG."""

    name: str
    said: str
    size: Literal["high", "low", "strip"]
    inside: Markup

    def html(self) -> Markup:
        """For a page, whose style gives it its height."""
        alternative = f"{self.name} over time, {self.said}"
        drawing = tag("svg", self.inside, role="img", aria_label=alternative, class_=self.size, width="100%")
        said = tag("p", tag("strong", self.name), " ", self.said, class_="said")
        return tag("div", said, drawing, class_="panel")


def stream_figures(streams: Mapping[str, DiagnosedStream], axis: Axis) -> list[Markup]:
    """All curves of the streams, by name, for a page."""
    figures = []
    for name, panels in stream_panels(streams, axis).items():
        key = streams[name].measured.key
        ends = f"{place(key.src, key.sport)} → {place(key.dst, key.dport)}"
        caption = tag("figcaption", tag("strong", name), " ", tag("span", ends, class_="soft ends"))
        figures.append(tag("figure", caption, *(panel.html() for panel in panels), class_="stream"))
    return figures


def stream_panels(streams: Mapping[str, DiagnosedStream], axis: Axis) -> dict[str, list[Panel]]:
    """All curves of the streams, by name; their delays are on one scale."""
    series = {name: stream.series() for name, stream in streams.items()}
    highest = max((_highest(one.transit_ms) for one in series.values()), default=0.0)
    top_ms = next((step for step in _DELAYS_MS if step >= highest), _DELAYS_MS[-1])
    return {name: _panels(stream.measured, series[name], axis, top_ms) for name, stream in streams.items()}


def _highest(transit_ms: Floats) -> float:
    return float(np.nanmax(transit_ms)) if np.isfinite(transit_ms).any() else 0.0


def _panels(measured: Measured, series: Series, axis: Axis, top_ms: int) -> list[Panel]:
    at_ns = slot_times(series, measured)
    panels = [_loss_panel(series, at_ns, measured, axis)]
    if np.isfinite(series.transit_ms).any():
        panels.append(_delay_panel(series, at_ns, axis, top_ms))
    if np.isfinite(series.level_dbov).any():
        panels.append(_level_panel(series, at_ns, axis))
    panels.append(_score_panel(measured, axis))
    return panels


def slot_times(series: Series, measured: Measured) -> NDArray[np.int64]:
    """When each packet came; a lost one, when those beside it came."""
    at_ns = series.arrived_ns.astype(np.float64)
    came = ~series.lost
    places = np.arange(len(at_ns))
    if not came.any():
        return np.full(len(at_ns), measured.began_ns, np.int64)
    # Relative to the beginning, where doubles are exact to less than a microsecond.
    since = np.interp(places, places[came], at_ns[came] - measured.began_ns)
    return measured.began_ns + since.astype(np.int64)


def time_axis(axis: Axis) -> Markup:
    """The times below the curves, for a page."""
    height = 40 if axis.marks else 20
    drawing = tag("svg", ticks(axis), height=height, width="100%", aria_hidden="true")
    return tag("div", drawing, class_="panel times")


def ticks(axis: Axis) -> Markup:
    """Times, and what is marked, as SVG."""
    step = next((step for step in _STEPS_S if axis.seconds / step <= 8), _STEPS_S[-1])
    step_ns = step * 10**9
    first = -(-axis.window.began_ns // step_ns)
    last = axis.window.ended_ns // step_ns
    found = []
    for tick in range(first, min(last, first + 20) + 1):
        part = axis.part(tick * step_ns)
        if not 0.0 <= part <= 1.0:
            continue
        anchor = "start" if part < 0.04 else "end" if part > 0.96 else "middle"
        text = clock(tick * step_ns, axis.zone)
        # On a phone every other one is left out.
        odd = "tick odd" if (tick - first) % 2 else "tick"
        found.append(tag("text", text, x=_percent(part), y=14, text_anchor=anchor, class_=odd))
    for mark in axis.marks:
        found.append(
            tag("text", f"▲ {mark.text}", x=_percent(axis.part(mark.at_ns)), y=32, class_="mark-text",
                text_anchor="end" if axis.part(mark.at_ns) > 0.6 else "start")
        )  # fmt: skip
    return joined(*found)


def _loss_panel(series: Series, at_ns: NDArray[np.int64], measured: Measured, axis: Axis) -> Panel:
    columns = axis.columns(at_ns)
    lost = np.bincount(columns[series.lost], minlength=COLUMNS)
    there = np.maximum(np.bincount(columns, minlength=COLUMNS), 1)
    # One lost packet must be seen as well as half a second without any.
    height = np.where(lost, 200 + 800 * np.sqrt(lost / there), 0).astype(int)
    bars = "".join(
        f"M{column} {_HEIGHT}v-{high}h1v{high}z" for column, high in enumerate(height.tolist()) if high
    )
    said = percent(measured.lost, measured.expected)
    if measured.lost:
        worst = int(np.argmax(lost))
        worst_ns = axis.window.began_ns + int((worst + 0.5) / COLUMNS * axis.seconds * 1e9)
        said += f", most about {clock(worst_ns, axis.zone)}"
        if measured.bursts.longest_lost > 1:
            said += f"; {measured.bursts.longest_lost} in a row at most"
    return _panel("Lost", said, axis, tag("path", d=bars, class_="loss"), size="low")


def _delay_panel(series: Series, at_ns: NDArray[np.int64], axis: Axis, top_ms: int) -> Panel:
    known = np.isfinite(series.transit_ms)
    columns, values = axis.columns(at_ns[known]), series.transit_ms[known]
    low, middle, high = _envelope(columns, values)
    band = _band(_scaled(low, 0, top_ms), _scaled(high, 0, top_ms))
    line = _line(_scaled(middle, 0, top_ms))
    shapes = joined(tag("path", d=band, class_="band"), tag("path", d=line, class_="curve"))
    said = f"above the smallest: half below {np.median(values):.0f} ms, at most {np.nanmax(high):.0f} ms"
    return _panel("Delay", said, axis, shapes, top=f"{top_ms:,} ms", bottom="0")


def _level_panel(series: Series, at_ns: NDArray[np.int64], axis: Axis) -> Panel:
    known = np.isfinite(series.level_dbov)
    columns, values = axis.columns(at_ns[known]), series.level_dbov[known].astype(np.float64)
    _, _, high = _envelope(columns, values)
    area = _band(np.where(np.isfinite(high), 0.0, np.nan), _scaled(high, _QUIETEST_DBOV, 0))
    said = f"at most {np.max(values):.0f} dBov"
    return _panel("Level", said, axis, tag("path", d=area, class_="level"), size="low", top="0 dBov")


def _score_panel(measured: Measured, axis: Axis) -> Panel:
    cells, words = [], []
    for interval in measured.intervals:
        left = max(axis.part(interval.began_ns), 0.0)
        width = min(interval.seconds / axis.seconds, 1.0 - left)
        if width <= 0:
            continue
        value = interval.mos.value
        title = f"{clock(interval.began_ns, axis.zone)}: " + (
            "no score"
            if value is None
            else f"MOS {value:.1f}, lost {percent(interval.lost, interval.expected)}"
        )
        kind = f"cell {grade(value)}"
        cells.append(
            tag(
                "rect",
                tag("title", title),
                x=_percent(left),
                width=_percent(width),
                y=1,
                height=22,
                class_=kind,
            )
        )
        # Below a ninetieth of the width the words would run into each other.
        if value is not None and width > 1 / 24:
            words.append(
                tag("text", f"{value:.1f}", x=_percent(left + width / 2), y=17,
                    text_anchor="middle", class_="in-cell")
            )  # fmt: skip
    scores = [i.mos.value for i in measured.intervals if i.mos.value is not None]
    said = f"{measured.mos.scale}, of each 10 s: "
    said += f"{min(scores):.1f} at the lowest" if scores else f"none; {measured.mos.why_not}".rstrip("; ")
    return _panel("MOS", said, axis, None, *cells, *words, size="strip")


def counter_figure(counters: Sequence[Counter], axis: Axis) -> Markup:
    """What was counted beside the capture, for a page."""
    panels = [panel.html() for panel in counter_panels(counters, axis)]
    if not panels:
        return Markup("")
    caption = tag("figcaption", tag("strong", "Counters"))
    return tag("figure", caption, *panels, class_="stream")


def counter_panels(counters: Sequence[Counter], axis: Axis) -> list[Panel]:
    """What was counted beside the capture, each on a scale of its own."""
    panels = []
    for counter in counters:
        at_ns = np.asarray(counter.at_ns, np.int64)
        values = np.asarray(counter.values, np.float64)
        inside = (at_ns >= axis.window.began_ns) & (at_ns <= axis.window.ended_ns) & np.isfinite(values)
        if not inside.any():
            continue
        columns = axis.columns(at_ns[inside])
        low, high = float(values[inside].min()), float(values[inside].max())
        drawn = np.full(COLUMNS, np.nan)
        drawn[columns] = 20 + (values[inside] - low) / ((high - low) or 1.0) * (_HEIGHT - 40)
        # Between two values a counter is not unknown: its line goes on.
        places = np.flatnonzero(np.isfinite(drawn))
        drawn[places[0] : places[-1] + 1] = np.interp(
            np.arange(places[0], places[-1] + 1), places, drawn[places]
        )
        panels.append(
            _panel(counter.name, f"from {low:g} to {high:g}", axis,
                   tag("path", d=_line(drawn), class_="curve"), top=f"{high:g}", bottom=f"{low:g}")
        )  # fmt: skip
    return panels


def grade(value: float | None) -> str:
    """The class of a score: good, fair, poor, or none."""
    if value is None:
        return "none"
    return "good" if value >= FAIR else "fair" if value >= POOR else "poor"


def _panel(
    name: str,
    said: str,
    axis: Axis,
    shapes: Markup | None,
    *over: Markup,
    size: Literal["high", "low", "strip"] = "high",
    top: str = "",
    bottom: str = "",
) -> Panel:
    """A curve with what is shaded behind it and written over it."""
    inner = None
    if shapes is not None:
        box = f"0 0 {COLUMNS} {_HEIGHT}"
        inner = tag("svg", shapes, viewBox=box, preserveAspectRatio="none", width="100%", height="100%")
    words = [
        tag("text", text, x="0.3%", y=where, class_="scale")
        for text, where in ((top, "12"), (bottom, "98%"))
        if text
    ]
    return Panel(name, said, size, joined(*_shades(axis), inner, *over, *words))


def _shades(axis: Axis) -> list[Markup]:
    """The complaint's time, and lines where something is marked."""
    found = []
    if axis.complaint is not None:
        left = max(axis.part(axis.complaint.began_ns), 0.0)
        right = min(axis.part(axis.complaint.ended_ns), 1.0)
        found.append(
            tag("rect", x=_percent(left), width=_percent(max(right - left, 0.001)),
                y=0, height="100%", class_="complaint")
        )  # fmt: skip
    for mark in axis.marks:
        where = _percent(axis.part(mark.at_ns))
        found.append(tag("line", x1=where, x2=where, y1=0, y2="100%", class_="mark"))
    return found


def _envelope(columns: NDArray[np.intp], values: Floats) -> tuple[Floats, Floats, Floats]:
    """Smallest, mean and largest of each column; NaN where there is nothing."""
    low = np.full(COLUMNS, np.inf)
    high = np.full(COLUMNS, -np.inf)
    np.minimum.at(low, columns, values)
    np.maximum.at(high, columns, values)
    counts = np.bincount(columns, minlength=COLUMNS)
    sums = np.bincount(columns, weights=values, minlength=COLUMNS)
    empty = counts == 0
    low[empty] = high[empty] = np.nan
    with np.errstate(invalid="ignore"):
        return low, np.where(empty, np.nan, sums / np.maximum(counts, 1)), high


def _scaled(values: Floats, bottom: float, top: float) -> Floats:
    """Heights of 0 to _HEIGHT."""
    return np.clip((values - bottom) / (top - bottom), 0.0, 1.0) * _HEIGHT


def _runs(known: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches of columns with something in them; one or two empty ones are only between packets."""
    places = np.flatnonzero(known)
    if not len(places):
        return []
    cuts = np.flatnonzero(np.diff(places) > 3)
    starts = places[np.r_[0, cuts + 1]]
    ends = places[np.r_[cuts, len(places) - 1]]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _line(heights: Floats) -> str:
    return "".join(_edge(heights, first, last, "M") for first, last in _runs(np.isfinite(heights)))


def _band(low: Floats, high: Floats) -> str:
    parts = []
    for first, last in _runs(np.isfinite(high)):
        below = _edge(low[::-1], COLUMNS - 1 - last, COLUMNS - 1 - first, "L", back=True)
        parts.append(_edge(high, first, last, "M") + below + "z")
    return "".join(parts)


def _edge(heights: Floats, first: int, last: int, begin: str, *, back: bool = False) -> str:
    """A path along columns, in whole numbers and relative ones, which are the shortest (SVG 2, 9.3)."""
    places = first + np.flatnonzero(np.isfinite(heights[first : last + 1]))
    down = np.round(_HEIGHT - heights[places]).astype(int)
    steps = zip(np.diff(places).tolist(), np.diff(down).tolist(), strict=True)
    sign = "-" if back else ""
    start = COLUMNS - int(places[0]) if back else int(places[0])
    width = "h-1" if back else "h1"
    drawn = " ".join(f"{sign}{right}{rise:+d}" for right, rise in steps)
    return f"{begin}{start} {down[0]}{'l' + drawn if drawn else width}"


def _percent(part: float) -> str:
    return f"{number(100 * part)}%"
