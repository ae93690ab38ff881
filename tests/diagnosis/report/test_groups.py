"""What a report says of many calls, and of several capture points."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from ipaddress import ip_network

import numpy as np

from ringback.diagnosis.capture.captured import Endpoints
from ringback.diagnosis.diagnosed import DiagnosedCall
from ringback.diagnosis.many.places import Places
from ringback.diagnosis.points.clocks import ClockOffset
from ringback.diagnosis.points.segments import Comparison, Delay, Path, Segment
from ringback.diagnosis.report.groups import groups_section
from ringback.diagnosis.report.page import MOST_SECTIONS, report_html
from ringback.diagnosis.report.segments import segments_section
from tests.diagnosis import made

PLACES = Places(
    (
        (ip_network("192.0.2.0/25"), {"site": "north"}),
        (ip_network("192.0.2.128/25"), {"site": "south"}),
    )
)


def call(number: int, *, bad: bool, host: str) -> DiagnosedCall:
    outcome = {"outcome": "failed", "status": 503} if bad else {}
    caller = Endpoints(host, 5060, "198.51.100.1", 5060)
    record = made.record(f"{number:06x}", caller=caller, **outcome)
    return DiagnosedCall(record, made.BAD if bad else made.GOOD, ())


def test_a_site_that_is_worse_than_the_other_stands_out() -> None:
    calls = [call(n, bad=n % 2 == 0, host="192.0.2.1") for n in range(40)]
    calls += [call(100 + n, bad=False, host="192.0.2.200") for n in range(40)]
    section = groups_section(calls, PLACES, UTC)
    assert section is not None
    assert "site north: 50.0% of 40 calls were bad, of all others 0.0%" in section
    assert "Bad calls by site and hour" in section
    assert '<td class="heat-4">20/40</td>' in section
    assert '<td class="heat-0">40</td>' in section


def test_of_few_calls_nothing_is_said() -> None:
    assert groups_section([call(n, bad=True, host="192.0.2.1") for n in range(19)], PLACES, UTC) is None


def test_the_worst_calls_have_sections_and_all_stand_in_the_table() -> None:
    calls = tuple(call(n, bad=n == 7, host="192.0.2.1") for n in range(MOST_SECTIONS + 5))
    diagnosis = replace(made.diagnosis(), calls=calls, unsignalled=())
    text = "".join(report_html(diagnosis, zone=UTC))
    assert text.count('<section class="call"') == MOST_SECTIONS
    assert text.count("<tr><td>") >= MOST_SECTIONS + 5
    assert "5 more calls, no worse than these, stand in the table alone; JSON has all." in text


def test_segments_are_told_with_loss_delay_and_marks() -> None:
    segment = Segment(
        "phone", "trunk", 1000, 12, np.zeros(12, np.int64), 0, 0, Delay(8.25, 0.5, (1.0, 22.5, 40.0, 60.0)),
        {(46, 0): 988}, 3, True, False, made.FORTH, made.FORTH,
    )  # fmt: skip
    clock = ClockOffset("phone", "trunk", made.BEGAN, 1_250_000_000, 0.0, 500_000, 988)
    path = Path((("phone", made.FORTH), ("trunk", made.FORTH)), (segment,), "ttl")
    section = segments_section(Comparison((path,), (clock,), (("phone", made.BACK),)))
    cells = [
        "phone → trunk", "1,000", "12 (1.2 %)", "8.2 ms ± 0.5", "+22.5 ms", "46 → 0", "3", "addresses",
    ]  # fmt: skip
    assert "".join(f"<td>{cell}</td>" for cell in cells) in section
    assert "The clock of trunk is 1250.0 ms ahead of that of phone, ± 0.5 ms." in section
    assert "Seen at one point only: 1 stream." in section
