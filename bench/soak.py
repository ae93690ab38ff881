"""Long runs: by itself `python -m bench soak` lets two phones with skewed clocks talk for half an hour; with
`--load 0.8 --hours 4` it keeps the server at a load, and watches its memory and its clock."""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import capacity, rig
from bench.memory import own_kb
from bench.metrics import total
from ringback.quality.silence import FRAME_MS, gaps
from tests.wire.chirps import chirps_of, delays_ms, ruler, spoken_at
from tests.wire.line_sums import LineSums
from tests.wire.rtp_stream import FRAME, RATE, RtpStream
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone

SKEWS_PPM = (200.0, -200.0)
LATELY_S = 1.0
SENT_FRAME_MS = 1000 * FRAME / RATE
SETTLE_S = 8
"""Until "you are the only person" is over."""
LOOK_EVERY_S = 60
HOLD_ROW_S = 50.0
"""With what the rig does between, a row a minute."""
FILLED_S = 600.0
"""By then the statistics of five minutes, which are remembered, are all there."""
TONE_HZ, TONE_DBFS = 500.0, -30.0
SILENT_DBFS = -46.0
"""Quieter than this for 10 ms is a gap: what is spoken never falls below the tone."""
SETTINGS = {"RINGBACK_MEDIA__PORT_RANGE": "20000-29999"}


def skewed_call(server: RingbackServer, minutes: float) -> Iterator[str]:
    """Two PCMU phones, one clock fast and one slow, in one meeting: gaps and delay from beginning to end."""
    meeting = server.add_meeting("Soak")
    target = f"{meeting['number']}*{meeting['guest_pin']}"
    # The phones keep every packet: to look through them all for garbage, once in the half hour, takes longer
    # than a buffer holds, and what the phones then send late would be counted as a gap.
    gc.disable()
    phones = [SipPhone(server.udp, f"skew{ppm:+.0f}", clock_ppm=ppm) for ppm in SKEWS_PPM]
    try:
        calls = [phone.dial(target) for phone in phones]
        people = server.wait_participants(meeting["number"], 2)
        lines = [LineSums(server, meeting["number"], str(one["id"])) for one in people]
        time.sleep(SETTLE_S)
        for call in calls:
            call.media.speak(ruler(RATE, TONE_HZ, TONE_DBFS))
        ends = time.monotonic() + minutes * 60
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_EVERY_S))
            for line in lines:
                line.look()
        ended = time.monotonic()
        for call in calls:
            assert not call.ended.is_set(), f"the call ended: {call.end_reason}"
            # What follows takes seconds of the interpreter that the phones speak with.
            call.hang_up()
            call.media.stop()
        skews = " and ".join(f"{ppm:+.0f}" for ppm in SKEWS_PPM)
        yield f"{minutes:g} minutes, PCMU, one meeting, clocks {skews} ppm"
        for ppm, call, other, line in zip(SKEWS_PPM, calls, calls[::-1], lines, strict=True):
            yield f"spoken at {ppm:+.0f} ppm: {_heard(call.media, other.media, ended)}; {_counted(line)}"
    finally:
        gc.enable()
        for phone in phones:
            phone.close()


def _heard(speaker: RtpStream, listener: RtpStream, until: float) -> str:
    """Gaps and delay of what one said and the other heard until then, in words."""
    audio, times = listener.heard_with_times()
    speaker.sent_at[bisect_right(speaker.sent_at, until) :] = []
    # The first second may hold a prompt's end.
    stretch = [speaker.sent_at[0] + 1, until]
    began, ended = np.searchsorted(np.maximum.accumulate(np.nan_to_num(times)), stretch)
    audio, times = audio[began:ended], times[began:ended]
    missing = int(np.isnan(times).sum()) / RATE
    delays = delays_ms(spoken_at(speaker.sent_at, RATE, FRAME), chirps_of(audio, times, RATE))
    minute = max(len(delays) // 10, 1)
    first, last = np.median(delays[:minute]), np.median(delays[-minute:])
    silent = gaps(audio, RATE, SILENT_DBFS, minimum_ms=FRAME_MS)
    gap_ms = 1000 * float((silent[:, 1] - silent[:, 0]).max(initial=0))
    late_ms = _late_ms(speaker)
    ours = sum(not _spoken_late(speaker, late_ms, times[int(begins * RATE)]) for begins, _ in silent)
    return (
        f"spoken up to {late_ms.max():.0f} ms late, heard for {len(audio) / RATE:.0f} s, "
        f"gaps {len(silent)}, longest {gap_ms:.0f} ms, {ours} of them while the speaker was in time, "
        f"not sent {missing:.2f} s, "
        f"delay median {np.median(delays):.1f}, p99 {np.percentile(delays, 99):.1f}, "
        f"worst {delays.max():.1f} ms of {len(delays)} chirps, first tenth {first:.1f}, last {last:.1f} ms"
    )


def _late_ms(speaker: RtpStream) -> NDArray[np.float64]:
    """How late each frame went out, after the speaker's own clock: what a busy machine does to it."""
    frames = np.arange(len(speaker.sent_at)) * speaker.frame_s
    behind = np.asarray(speaker.sent_at) - frames
    late: NDArray[np.float64] = 1000 * (behind - behind.min())
    return late


def _spoken_late(speaker: RtpStream, late_ms: NDArray[np.float64], heard_at: float) -> bool:
    """Whether a frame of the second before something was heard was sent a frame or more late."""
    before, after = np.searchsorted(speaker.sent_at, [heard_at - LATELY_S, heard_at + LATELY_S / 10])
    return bool((late_ms[before:after] >= SENT_FRAME_MS).any())


def _counted(line: LineSums) -> str:
    names = ("lost", "late", "concealed_frames", "discarded_frames", "stretched_frames")
    counts = ", ".join(f"{name.removesuffix('_frames')} {line.sums[f'received.{name}']}" for name in names)
    return f"counted of its line: {counts}, buffer {np.mean(line.buffer_ms):.0f} ms"


def legs_at(server: RingbackServer, load: float) -> Iterator[str | int]:
    """Step up until so much of a core is used; the rows, and in the end how many legs do that."""
    points = [(0.0, 0)]
    for step, clean in capacity.sweep(server, capacity.STEPS):
        yield rig.row(step, clean)
        points.append((float(step["srv_cpu"]), int(step["n"])))
        if not clean or points[-1][0] >= load:
            break
    (less, few), (more, many) = points[-2:]
    yield round(few + (many - few) * min((load - less) / max(more - less, 0.01), 1)) // 10 * 10


def loaded(server: RingbackServer, legs: int, hours: float, one_port: bool = False) -> Iterator[str]:
    """So many legs of the neutral rig: a row of memory and late ticks every minute, then what grew."""
    status = server.ask("status")["pids"]
    pids = {"control": [int(status["control"])], "media": [int(pid) for pid in status["media"]]}
    held: list[tuple[float, int, int]] = []
    before = 0.0
    began = time.monotonic()
    for step in capacity.hold(server, legs, max(round(hours * 60), 1), HOLD_ROW_S, one_port):
        now = time.monotonic()
        kb = {name: sum(own_kb(pid) for pid in of) for name, of in pids.items()}
        late, overdue = (total(server, f"ringback_media_{name}_ticks") for name in ("late", "overdue"))
        if not held:
            began, before = now, overdue
        held.append((now - began, kb["control"], kb["media"]))
        memory = f"control {kb['control'] / 1024:.1f}, media {kb['media'] / 1024:.1f} MB"
        ticks = f"late ticks {late:.0f}, over 40 ms {overdue - before:.0f}"
        yield f"{rig.row(step, rig.is_clean(step))}  {memory}  {ticks}"
        if now - began > hours * 3600:
            break
    if len(held) > 2:
        yield f"{legs} legs held for {held[-1][0] / 3600:.2f} h; {_grown(held)} (aim: no growth)"
        yield f"ticks more than 40 ms late meanwhile: {overdue - before:.0f} (aim: 0)"


def _grown(held: list[tuple[float, int, int]]) -> str:
    """What the memory of each process grew by an hour, by rows of seconds and kB; without the first minutes,
    which fill what the last five are remembered in, if there are others."""
    seconds, *kb = np.array(held, np.float64).T
    settled = seconds >= FILLED_S
    settled |= settled.sum() <= 2
    since = seconds[settled][0]
    slopes = [np.polyfit(seconds[settled] / 3600, each[settled] / 1024, 1)[0] for each in kb]
    said = " and ".join(
        f"{name} {slope:+.2f}" for name, slope in zip(("control", "media"), slopes, strict=True)
    )
    return f"from minute {since / 60:.0f} on memory of {said} MB an hour"


def main(words: Sequence[str]) -> int:
    """Run what the words ask for, and print each line as it is known."""
    parser = argparse.ArgumentParser(prog="python -m bench soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="length of the call with skewed clocks")
    parser.add_argument("--load", type=float, default=0.0, help="share of a core to keep in use instead")
    parser.add_argument(
        "--legs", type=int, default=0, help="or so many legs, without looking for their number"
    )
    parser.add_argument("--hours", type=float, default=4, help="how long to keep that load")
    parser.add_argument(
        "--one-port",
        action="store_true",
        help="one port for all of the generator's legs, a pair each at ours",
    )
    options = parser.parse_args(words)
    with suppress(KeyboardInterrupt):
        if not (options.load or options.legs):
            _run(lambda server: skewed_call(server, options.minutes))
            return 0
        if problem := rig.missing():
            print(f"soak: {problem}")
            return 1
        legs = options.legs
        if not legs:
            legs = _run(lambda server: legs_at(server, options.load)) or 0
        _run(lambda server: loaded(server, legs, options.hours, options.one_port))
    return 0


def _run(measure: Callable[[RingbackServer], Iterator[str | int]]) -> int | None:
    """Measure with a server of its own, and print what is said; the last number."""
    found = None
    with tempfile.TemporaryDirectory(prefix="ringback-soak-") as folder:
        server = RingbackServer(Path(folder), settings=SETTINGS).start()
        try:
            for line in measure(server):
                print(f"soak: {line} legs" if isinstance(line, int) else f"soak: {line}", flush=True)
                found = line if isinstance(line, int) else found
        finally:
            server.stop()
    return found
