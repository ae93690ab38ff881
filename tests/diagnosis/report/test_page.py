"""The report as a file: what stands in it, in which order, and what never may."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.diagnosis.causes.verdict import Counter
from ringback.diagnosis.diagnosed import Diagnosis
from ringback.diagnosis.report.ladder import ladder
from ringback.diagnosis.report.markup import Markup, tag
from ringback.diagnosis.report.page import report_html
from ringback.diagnosis.report.timeline import axis_of, slot_times, stream_figures
from ringback.governance.private import Private
from tests.diagnosis import made

VOID = {"meta", "input", "br", "hr"}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=y>"


class Outline(HTMLParser):
    """Elements in order, those still open, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(name)
        if name not in VOID:
            self.open.append(name)
        for key, value in attributes:
            assert not key.startswith("on")
            assert key != "style", "the page's own policy would refuse it"
            if key == "id":
                self.ids.append(value or "")
            if key in {"href", "src"}:
                self.links.append(value or "")

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"style", "script"}:
            self.text += data


def page(diagnosis: Diagnosis, **options: bool) -> tuple[str, Outline]:
    text = "".join(report_html(diagnosis, zone=UTC, **options))
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    return text, outline


def only(verdict: object = made.BAD) -> Diagnosis:
    return replace(made.diagnosis(verdict), unsignalled=())  # type: ignore[arg-type]


def test_the_verdict_is_the_title_and_its_evidence_follows() -> None:
    text, outline = page(only())
    assert f"<h1>{made.BAD.summary}</h1>" in text
    order = [
        made.BAD.summary, "congestion", "91 %, sure enough to act on", "Delay grew by 140 ms", "Against",
        "The other direction lost nothing.", "Missing", "Next step: ", "Would not help", "Less likely",
        "qos-marking-missing-at-source", "55 %, likely", "Over time", "Numbers", "Signalling",
        "How this was found", "the file ends inside a packet",
    ]  # fmt: skip
    places = [outline.text.index(words) for words in order]
    assert places == sorted(places)


def test_curves_say_in_words_what_they_show() -> None:
    text, _ = page(only())
    labels = re.findall(r'aria-label="([^"]*over time[^"]*)"', text)
    assert len(labels) == 8
    assert labels[0].startswith("Lost over time, 51 (1.7 %), most about 14:00:2")
    assert re.match(r"Delay over time, above the smallest: half below \d+ ms, at most \d+ ms", labels[1])
    assert labels[3] == "MOS over time, narrowband, of each 10 s: 2.9 at the lowest"
    assert labels[4] == "Lost over time, 0"


def test_several_calls_begin_with_a_table_of_the_worst_first() -> None:
    text, outline = page(made.diagnosis())
    assert "<h1>1 of 2 calls and conversations have trouble: congestion (1).</h1>" in text
    assert [link for link in outline.links if link.startswith("#call-")] == ["#call-0", "#call-1"]
    assert {"call-0", "call-1", "overview", "verdict"} <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.text.index("Cause found") < outline.text.index("Nothing wrong")


@pytest.mark.parametrize("private", ["15550123401", "1555012", "Alice", made.CALL_ID, "a84b4c", "1001@"])
def test_numbers_are_masked(private: str) -> None:
    assert private not in page(made.diagnosis())[0]


def test_who_asks_sees_them() -> None:
    text, _ = page(made.diagnosis(), show_numbers=True)
    assert made.NUMBER in text
    assert made.CALL_ID in text
    assert "Nothing is masked." in text


def test_nothing_is_loaded_from_anywhere() -> None:
    text, outline = page(made.diagnosis())
    assert all(link.startswith("#") for link in outline.links)
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_its_policy_knows_its_own_style_and_script_and_nothing_else() -> None:
    text, _ = page(made.diagnosis())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ".replace("'", "&#x27;"))
    for element in ("style", "script"):
        (inside,) = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{element}-src &#x27;sha256-{digest}&#x27;" in policy[1]


def test_what_strangers_wrote_stays_text() -> None:
    record = made.record(
        from_=Private(f"sip:{EVIL}@x"), user_agents={"caller": EVIL}, reason=EVIL,
        findings=(replace(made.record().findings[0], text=EVIL),),
        messages=(replace(made.message(0, "INVITE"), label=EVIL, note=EVIL),),
    )  # fmt: skip
    diagnosis = made.diagnosis(replace(made.BAD, summary=EVIL))
    diagnosis = replace(diagnosis, calls=(replace(diagnosis.calls[0], record=record),))
    problems = (replace(made.CUT, file=EVIL, problem=EVIL),)
    diagnosis = replace(diagnosis, captures=(made.capture(problems=problems),))
    for options in ({}, {"show_numbers": True}):
        _, outline = page(diagnosis, **options)
        assert outline.names.count("script") == 1
        assert "img" not in outline.names
        assert EVIL in outline.text


@given(st.text(), st.text())
def test_text_never_becomes_markup(text: str, value: str) -> None:
    made_up = tag("p", text, title=value)
    assert made_up.count("<") == 2
    assert made_up.count('"') == 2 + text.count('"')
    assert isinstance(made_up, Markup)


def test_the_size_of_a_curve_does_not_grow_with_the_call() -> None:
    diagnosis = only()
    long = made.packets(3600)
    call = diagnosis.calls[0]
    source = replace(call.streams[0].source, stored=long)  # type: ignore[type-var]
    measured = replace(call.streams[0].measured, ended_ns=int(long.arrived_ns[-1]), intervals=())
    stream = replace(call.streams[0], source=source, measured=measured)
    (figure,) = stream_figures({"From the caller": stream}, axis_of([stream], UTC))
    assert len(figure) < 60_000


def test_a_lost_packet_stands_where_it_was_due() -> None:
    stream = only().calls[0].streams[0]
    series = stream.series()
    at_ns = slot_times(series, stream.measured)
    assert np.all(np.diff(at_ns) >= 0)
    where = int(np.flatnonzero(series.lost)[0])
    assert series.arrived_ns[where - 1] < at_ns[where] < series.arrived_ns[where + 1]


def test_counters_are_on_the_same_time_line() -> None:
    times = [made.BEGAN + second * made.SECOND for second in range(0, 60, 5)]
    counter = Counter("Drops of uplink", times, [float(n) for n in range(12)])
    text, outline = page(replace(only(), counters=(counter,)))
    assert "Drops of uplink" in outline.text
    assert 'aria-label="Drops of uplink over time, from 1 to 11"' in text


def test_many_messages_are_cut_with_their_count() -> None:
    messages = tuple(made.message(n, "INVITE") for n in range(250))
    drawn = ladder(made.record(messages=messages))
    assert drawn.count("<tr") == 201
    assert "50 more messages are not shown." in drawn


def test_an_arrow_points_to_where_the_message_went() -> None:
    drawn = ladder(made.record())
    assert re.search(r'class="arrow to-right request"><span class="label">INVITE <small>SDP', drawn)
    assert re.search(r'class="arrow to-left success"><span class="label">200 OK', drawn)
    assert "from 192.0.2.17:5060 to 192.0.2.1:5060" in drawn


def test_with_many_hosts_each_row_names_them() -> None:
    messages = tuple(
        replace(made.message(n, "INVITE"), endpoints=made.Endpoints(f"192.0.2.{n}", 5060, "192.0.2.99", 5060))
        for n in range(8)
    )
    assert "192.0.2.3:5060 → 192.0.2.99:5060" in ladder(made.record(messages=messages))


def test_a_refusal_says_why() -> None:
    _, outline = page(only(made.REFUSED))
    assert "Cannot be told" in outline.text
    assert "Why there is no answer: The complaint is of a time" in outline.text


def test_a_capture_with_nothing_in_it() -> None:
    empty = replace(
        made.diagnosis(), captures=(made.capture(packets=0),), calls=(), unsignalled=(), complaint=None
    )
    text, _ = page(empty)
    assert "There is neither a call nor a voice stream in this capture." in text
