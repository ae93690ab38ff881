"""The report on paper: what its template is given, and what is said where Typst is missing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from ringback.diagnosis.report.document import MOST_CALLS, PdfMissingError, document, report_pdf
from tests.diagnosis import made


def test_without_the_extra_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(PdfMissingError, match=r"pip install 'ringback\[pdf\]'; or print the report"):
        report_pdf(made.diagnosis())


def test_the_template_is_given_everything_as_data(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}

    def compile_(source: bytes, **options: object) -> bytes:
        given.update(options, source=source)
        return b"%PDF"

    monkeypatch.setitem(sys.modules, "typst", SimpleNamespace(compile=compile_))
    assert report_pdf(made.diagnosis(replace(made.BAD, summary="#panic() $x$ *y*"))) == b"%PDF"
    assert b"#panic()" not in given["source"]
    assert json.loads(given["sys_inputs"]["data"])["calls"][0]["summary"] == "#panic() $x$ *y*"


def test_it_says_what_the_page_says() -> None:
    told = document(replace(made.diagnosis(), unsignalled=()), show_numbers=False, zone=UTC)
    assert told["title"] == made.BAD.summary
    (call,) = told["calls"]
    assert (call["standing"], call["causes"][0]["cause"], call["causes"][0]["sure"]) == (
        "bad",
        "congestion",
        "91 % sure",
    )
    assert call["others"] == "qos-marking-missing-at-source 55 %"
    assert [figure["name"] for figure in call["figures"]] == ["From the caller", "From the called side"]
    assert [panel["name"] for panel in call["figures"][0]["panels"]] == ["Lost", "Delay", "Level", "MOS"]
    assert call["messages"][2] == ["0.500", "192.0.2.17:5060", "192.0.2.1:5060", "INVITE again"]
    assert told["problems"][1] == ["bad-call.pcap", "1,299,000", "the file ends inside a packet"]


def test_its_drawings_are_whole_by_themselves() -> None:
    (call,) = document(replace(made.diagnosis(), unsignalled=()), show_numbers=False, zone=UTC)["calls"]
    drawings = [panel["svg"] for figure in call["figures"] for panel in figure["panels"]]
    for drawing in [*drawings, call["ticks"]]:
        root = ElementTree.fromstring(drawing)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in drawing


@pytest.mark.parametrize("private", ["15550123401", "Alice", made.CALL_ID, "1001@"])
def test_numbers_are_masked(private: str) -> None:
    assert private not in json.dumps(document(made.diagnosis(), show_numbers=False, zone=UTC))
    shown = json.dumps(document(made.diagnosis(), show_numbers=True, zone=UTC))
    assert made.NUMBER in shown


def test_of_many_calls_the_worst_are_printed() -> None:
    diagnosis = made.diagnosis()
    good = replace(diagnosis.calls[0], verdict=made.GOOD, streams=())
    many = replace(diagnosis, calls=(*(good,) * 100, diagnosis.calls[0]))
    told = document(many, show_numbers=False, zone=UTC)
    assert len(told["calls"]) == MOST_CALLS
    assert told["calls"][0]["standing"] == "bad"
