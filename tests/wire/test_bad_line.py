"""Calls over bad lines: what is heard, both ways, and whether what the server counts is what was on the wire.

All lines are used at the same time, in one server: see `bad_line_calls`.
"""

from __future__ import annotations

import contextlib
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import sync_playwright

from ringback.quality.tones import tone_levels, tone_track
from ringback.rtp.sequence import MAX_PER_UPDATE
from tests.wire.bad_line import Capture, Recorded, Stream, skip_without_wire
from tests.wire.bad_line_calls import SERVER, TONE_DBFS, TONES_HZ, Evening, Line, Person, Site
from tests.wire.chirps import delays_ms
from tests.wire.namespaces import Network, skip_without_namespaces
from tests.wire.rtp_stream import RATE
from tests.wire.server import RingbackServer

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.alone]

HEARD_DBFS = TONE_DBFS - 12
"""A tone is missing where it is quieter than this."""
BLOCK_MS = 20
SETTLE_S = 6
"""Until prompts are over and jitter buffers have seen their line."""
TALK_S = 14
STALLED_MS, HEAPS_MS = 150, 120
TICK_S = 0.02
EARLY_S = 0.5
"""From an ACK on the wire to the first packet that counts, at most."""

LINES = (
    Line("loss1", {"loss": 1}, 100),
    Line("loss3", {"loss": 3}, 100),
    Line("loss10", {"loss": 10}, 100),
    Line("bursts", {"ge": [1, 25, 100]}, 100),
    Line("jitter", {"delay": 50, "jitter": 30}, 250),
    Line("reorder", {"delay": 5, "reorder": [5, 30]}, 140),
    Line("twice", {"dup": 10}, 100),
    Line("slow", {}, 250, kbit=320),
    Line("web", {"delay": 10, "loss": 3, "reorder": [3, 30], "dup": 3}, 250, phones=("browser",)),
)


@dataclass
class Verdict:
    """What was found, for people, and what of it is not as it should be."""

    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def check(self, good: bool, what: str) -> None:
        """Write down what does not hold."""
        if not good:
            self.faults.append(what)


def stream_of(streams: list[Stream], person: Person, *, sent: bool) -> Stream:
    """Of all streams the one from a person to the server, or with `sent` to the person."""
    found = []
    for stream in streams:
        here, there = (stream.source, stream.destination) if sent else (stream.destination, stream.source)
        if (here[0], there[0]) == (SERVER, person.address) and there[1] in person.ports:
            found.append(stream)
    assert len(found) == 1, f"streams of {person.name}: {found}"
    return found[0]


COLUMNS = ("expected", "received", "lost", "duplicates", "reordered", "refused")
Counts = dict[str, int]


def on_the_wire(came: Stream, repeated_reports: int, *, replays_refused: bool, unread: int = 0) -> Counts:
    """What the server's columns should be for this stream, by docs/statistics.md; `unread` packets were
    refused as a flood."""
    again = len(came.sequences) - came.unique
    return {
        "expected": came.expected,
        "received": came.unique - unread,
        "lost": came.expected - came.unique + unread,
        "duplicates": 0 if replays_refused else again,
        "reordered": came.reordered,
        "refused": (again + repeated_reports if replays_refused else 0) + unread,
    }


def judge_counts(person: Person, recorded: Recorded, verdict: Verdict) -> Stream:
    """The server's columns against the packets on its wire; the stream that came, as far as it counts."""
    came, went = (stream_of(recorded.streams, person, sent=sent) for sent in (False, True))
    secure = person.kind == "browser"
    repeated = recorded.repeated_reports[came.source]
    assert person.sums is not None
    told = person.sums.sums
    ours = {name: told[f"received.{name}"] for name in COLUMNS}
    # What came before the media was negotiated, which for a guest is the ACK, is not counted.
    early = bisect_left(came.times, recorded.acknowledged.get(person.name, 0.0) + EARLY_S)
    ways = [came.without(first) for first in range(early + 1)]
    # After a stall of the whole machine more may come at once than a tick takes of one leg.
    floods = range(max(came.beyond(MAX_PER_UPDATE, TICK_S), 0) + 1)
    counted = next(
        (
            way
            for way, unread in product(ways, floods)
            if ours == on_the_wire(way, repeated, replays_refused=secure, unread=unread)
        ),
        None,
    )
    if counted is None:
        theirs = on_the_wire(came, repeated, replays_refused=secure)
        verdict.faults.append(f"{person.name}: counted {ours}, on the wire {theirs}")
        return came
    packets = ours["received"] + ours["duplicates"] + ours["refused"] - (repeated if secure else 0)
    # tshark takes the packet that came first for the first that was sent, and the last for the last.
    outside = counted.expected - (counted.sequences[-1] - counted.sequences[0] + 1)
    tshark = (counted.tshark_packets, counted.tshark_lost)
    wanted = (packets, ours["expected"] - packets - outside)
    verdict.check(tshark == wanted, f"{person.name}: tshark says {tshark}, the columns {wanted}")
    sent, octets = told["sent.packets"], told["sent.octets"]
    if secure:
        # This stream goes on: the frame of the moment is on one side or the other.
        until = bisect_left(went.times, person.sums.told_at)
        verdict.check(abs(sent - until) <= 1, f"{person.name}: sent {sent}, on the wire {until} by then")
    else:
        wire = (went.tshark_packets, went.octets, went.tshark_lost)
        verdict.check((sent, octets, 0) == wire, f"{person.name}: sent {sent, octets}, on the wire {wire}")
    return counted


def judge_sound(person: Person, near: Person, came: Stream, began: float, verdict: Verdict) -> None:
    """What the near phone heard of a person, and the person of it."""
    tones = [TONES_HZ[kind] for kind in person.line.phones]
    own = tones.index(TONES_HZ[person.kind])
    level = tone_levels(near.ear, RATE, tones)[own]
    track = tone_track(near.ear, RATE, tones, BLOCK_MS)[:, own]
    gap_ms = longest(track < HEARD_DBFS) * BLOCK_MS
    back = tone_levels(person.ear, person.ear_rate, [TONES_HZ["near"]])[0]
    lost_ms = came.longest_loss * BLOCK_MS
    text = f"{person.name:14} heard at {level:6.1f} dBFS, gap {gap_ms:3.0f} ms ({lost_ms} ms lost at once)"
    verdict.check(abs(level - TONE_DBFS) <= 3, text)
    # No line here is silent for so long: then the machine was too busy to speak, and what it held back comes
    # in more than one heap.
    pause_ms = came.longest_pause_ms(began)
    stalled_ms = pause_ms + HEAPS_MS if pause_ms > STALLED_MS else 0
    verdict.check(gap_ms <= max(lost_ms + 40, stalled_ms), text)
    # What its own jitter buffer makes of it is the phone's affair.
    verdict.check(abs(back - TONE_DBFS) <= 6, f"{person.name} hears at {back:.1f} dBFS")
    text += f", hears at {back:6.1f}"
    if person.mouth_chirps:
        for way, mouth, ear in (("to", person, near), ("from", near, person)):
            delays = delays_ms(mouth.mouth_chirps, ear.ear_chirps)
            worst = delays.max() if len(delays) else float("nan")
            said = f"{way} the server's end {np.median(delays):.0f} ms, worst {worst:.0f} of {len(delays)}"
            verdict.check(len(delays) >= TALK_S / 2, f"{person.name}: few chirps {said}")
            verdict.check(float(np.median(delays)) <= person.line.delay_ms, f"{person.name}: {said}")
            text += f"; {said}"
    names = ("late", "concealed_frames", "discarded_frames", "stretched_frames")
    assert person.sums is not None
    text += "; " + ", ".join(f"{name} {person.sums.sums['received.' + name]}" for name in names)
    verdict.lines.append(text)


def longest(holds: NDArray[np.bool_]) -> int:
    """The longest run of what holds."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], holds, [False])).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return int(runs.max()) if len(runs) else 0


@pytest.mark.timeout(400)
def test_all_bad_lines_at_once(tmp_path: Path, measured: Callable[[str], None]) -> None:
    skip_without_namespaces()
    skip_without_wire()
    with Network() as network, contextlib.ExitStack() as ends:
        site = Site(network, LINES)
        settings = {"RINGBACK_WEB__BIND": "0.0.0.0", "RINGBACK_SECURITY__ALLOW_SOURCES": "10.0.0.0/8"}
        settings |= {f"RINGBACK_{part}__BIND": SERVER for part in ("MEDIA", "SIP")}
        server = RingbackServer(tmp_path / "server", settings=settings, host=site.server.host)
        ends.callback(server.kill_all)
        server.start()
        capture = Capture(site.server, tmp_path / "wire.pcapng")
        evening = Evening(tmp_path, site, LINES, server, ends)
        evening.dial_in()
        evening.go_online(ends.enter_context(sync_playwright()))
        evening.talk()
        time.sleep(SETTLE_S)
        began = time.time()
        time.sleep(TALK_S)
        evening.listen(began)
        evening.hold()
        evening.cut()
        recorded = capture.stop()
    verdict = Verdict()
    near = {person.line.name: person for person in evening.people if person.kind == "near"}
    for person in sorted(evening.people, key=lambda one: (LINES.index(one.line), one.kind)):
        came = judge_counts(person, recorded, verdict)
        if person.kind != "near":
            judge_sound(person, near[person.line.name], came, began, verdict)
    for text in verdict.lines:
        measured(text)
    assert not verdict.faults, "\n".join(verdict.faults)
