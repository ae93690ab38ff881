"""The numbers of a report as tables: streams, their intervals of ten seconds, loss runs, offers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final

from ringback.diagnosis.diagnosed import DiagnosedStream
from ringback.diagnosis.report.markup import Child, Markup, tag
from ringback.diagnosis.report.timeline import grade
from ringback.diagnosis.shown import clock, percent, place, score
from ringback.diagnosis.signalling.call import MediaOffer
from ringback.diagnosis.stream.measured import Late, Measured

MOST_INTERVALS: Final = 400
_DSCP: Final = {
    0: "0 (best effort)",
    46: "46 (EF)",
    34: "34 (AF41)",
    26: "26 (AF31)",
    24: "24 (CS3)",
    40: "40 (CS5)",
}


def table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[Child]], *, first_is_head: bool = False
) -> Markup:
    """A table that scrolls within itself where it is too wide; columns with nothing in them are left out."""
    used = [place for place in range(len(head)) if any(row[place] not in {None, ""} for row in rows)]
    head = [head[place] for place in used]
    rows = [[row[place] for place in used] for row in rows]
    heads = tag("tr", *(tag("th", name, scope="col") for name in head))
    body = []
    for row in rows:
        cells = [tag("td", cell) for cell in row]
        if first_is_head and row:
            cells[0] = tag("th", row[0], scope="row")
        body.append(tag("tr", *cells))
    made = tag("table", tag("thead", heads), tag("tbody", *body))
    return scrolling(made, title)


def scrolling(made: Markup, title: str) -> Markup:
    """Something wide in a box of its own, which the keyboard can scroll too."""
    return tag("div", made, class_="scroll", tabindex=0, role="region", aria_label=title)


def stream_table(names: Mapping[str, DiagnosedStream]) -> Markup:
    """All numbers of the streams of a call, one beside the other."""
    return table("Numbers of the streams", ["", *names], stream_rows(names), first_is_head=True)


def stream_rows(names: Mapping[str, DiagnosedStream]) -> list[list[Child]]:
    """These numbers, a row each, what they are first."""
    found = [stream.measured for stream in names.values()]
    rows: list[list[Child]] = []

    def row(title: str, *values: Child) -> None:
        if any(value not in {None, "", "0"} for value in values) or title in _ALWAYS:
            rows.append([title, *values])

    row("From", *(place(m.key.src, m.key.sport) for m in found))
    row("To", *(place(m.key.dst, m.key.dport) for m in found))
    row("SDP wanted it at", *("" if s.expected_at is None else place(*s.expected_at) for s in names.values()))
    row("SSRC", *(f"0x{m.key.ssrc:08X}" for m in found))
    row("Codec", *(_codec(m) for m in found))
    row("Packet every", *(f"{m.ptime_ms:g} ms" if m.ptime_ms else "" for m in found))
    row("Expected", *(f"{m.expected:,}" for m in found))
    row("Received", *(f"{m.received:,}" for m in found))
    row("Lost", *(percent(m.lost, m.expected) for m in found))
    row("Longest loss", *(str(m.bursts.longest_lost) for m in found))
    row("Losses in a row", *(_runs(m.bursts.runs) for m in found))
    row("Bursts (RFC 3611)", *(_bursts(m) for m in found))
    row("Duplicates", *(f"{m.duplicates:,}" for m in found))
    row("Reordered", *(percent(m.reordered, m.expected) for m in found))
    row("Too late: 50 / 200 ms / adaptive", *(_late(m.late) for m in found))
    row("Jitter, mean / highest", *(f"{_ms(m.jitter_ms.mean)} / {_ms(m.jitter_ms.max)}" for m in found))
    row("Longest gap between packets", *(_ms(m.max_delta_ms) for m in found))
    row("MOS", *(score(m.mos) for m in found))
    row("Ie and Bpl from", *(m.mos.source if m.mos.value is not None else m.mos.why_not for m in found))
    row("DSCP", *(_shares({_DSCP.get(k, str(k)): n for k, n in m.dscp.items()}) for m in found))
    row("TTL", *(_shares({str(k): n for k, n in m.ttl.items()}) for m in found))
    row("Sender's clock", *(_skew(m.skew_ppm) for m in found))
    row("Level when speaking", *(_level(m) for m in found))
    row("Silent", *("" if m.sound is None else f"{100 * m.sound.silent_share:.0f} %" for m in found))
    row("Clipped", *(_clipped(m) for m in found))
    row("Keys (telephone-event)", *(str(m.event_packets) for m in found))
    return rows


_ALWAYS: Final = frozenset({"Lost", "Expected", "Received", "Duplicates"})


def interval_table(measured: Measured, zone: tzinfo | None) -> Markup:
    """The ten seconds of one stream, each with its numbers."""
    rows = [
        [
            clock(i.began_ns, zone),
            f"{i.expected:,}",
            percent(i.lost, i.expected),
            str(i.longest_lost),
            _late(i.late),
            f"{_ms(i.jitter_ms.mean)} / {_ms(i.jitter_ms.max)}",
            _ms(i.max_delta_ms),
            _grade(i.mos.value),
            "" if i.level_dbov is None or not math.isfinite(i.level_dbov) else f"{i.level_dbov:.0f}",
        ]
        for i in measured.intervals[:MOST_INTERVALS]
    ]
    head = ["From", "Expected", "Lost", "In a row", "Late 50 / 200 / adaptive", "Jitter", "Longest gap"]
    head += ["MOS", "dBov"]
    return table("Numbers of each ten seconds", head, rows, first_is_head=True)


def _grade(value: float | None) -> Markup:
    return tag("span", "none" if value is None else f"{value:.1f}", class_=f"grade {grade(value)}")


def offer_table(offers: Sequence[MediaOffer], began_ns: int) -> Markup:
    """What SDP said: who wanted which codecs, and where."""
    rows: list[list[Child]] = [
        [
            f"{(o.at_ns - began_ns) / 1e9:.3f}",
            f"{o.by}, {'answer' if o.answers else 'offer'}{' in the call' if o.in_dialog else ''}",
            place(o.address, o.port),
            "" if o.signalled_from in {"", o.address} else o.signalled_from,
            o.direction,
            ", ".join(o.formats[number].name for number in o.order if number in o.formats),
            f"{o.ptime_ms:g} ms" if o.ptime_ms else "",
        ]
        for o in offers
    ]
    head = ["s", "By", "Media to", "Sent from", "Direction", "Codecs", "Packet every"]
    return table("Offers and answers", head, rows)


def _codec(m: Measured) -> str:
    if not m.codec.name:
        return "unknown"
    guessed = " (guessed)" if m.codec.source == "guessed" else ""
    numbers = ", ".join(map(str, sorted(m.payload_types)))
    return f"{m.codec.name}{guessed}, payload type {numbers}"


def _late(late: Late) -> str:
    return f"{late.fixed_50:,} / {late.fixed_200:,} / {late.adaptive:,}"


def _runs(runs: Mapping[int, int]) -> str:
    """`1 × 20, 2 × 6`: how often how many in a row; the longest six."""
    shown = [f"{length} × {times}" for length, times in sorted(runs.items())]
    return ", ".join(shown[:6]) + (f", … {shown[-1]}" if len(shown) > 6 else "")


def _bursts(m: Measured) -> str:
    b = m.bursts
    if not b.count:
        return ""
    return f"{b.count} of {b.burst_ms / 1000:.1f} s, {100 * b.burst_density:.0f} % lost in them"


def _ms(value: float) -> str:
    return f"{value:.1f} ms" if math.isfinite(value) else ""


def _shares(counts: Mapping[str, int]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    whole = sum(counts.values()) or 1
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name}: {100 * n / whole:.0f} %" for name, n in ranked[:4])


def _skew(ppm: float | None) -> str:
    if ppm is None or not math.isfinite(ppm):
        return ""
    return f"{abs(ppm):.0f} ppm {'fast' if ppm > 0 else 'slow'}"


def _clipped(m: Measured) -> str:
    return f"{100 * m.sound.clipped_share:.2f} %" if m.sound and m.sound.clipped_share else ""


def _level(m: Measured) -> str:
    return "" if m.sound is None else f"{m.sound.level_dbov:.0f} dBov"
