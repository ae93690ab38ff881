"""`ringback calls`: the same answers from a running and a stopped system."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ringback.config import load_settings
from ringback.store.call_record import call_name
from ringback.store.store import open_store
from tests.store.test_call_records import BEGAN, record

MADE = [record(BEGAN + timedelta(hours=n)) for n in range(3)]
MADE.append(record(BEGAN + timedelta(hours=9), outcome="busy", cause=486, answered_ms=None, answered_by=None))
MADE.append(record(BEGAN + timedelta(hours=10), outcome="abandoned", answered_by=None, waited_ms=8_250))


@pytest.fixture(params=["stopped", "running"])
def system(request: pytest.FixtureRequest, data_dir: Path) -> None:
    asyncio.run(_kept(data_dir))
    if request.param == "running":
        request.getfixturevalue("server")


async def _kept(data_dir: Path) -> None:
    store = await open_store(load_settings(environ={}, data_dir=data_dir))
    await store.call_records.add(store.call_records.rows(MADE))
    await store.close()


@pytest.mark.usefixtures("system")
def test_calls_are_listed_shown_and_exported(ringback: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [call["id"] for call in ringback("calls", "list", "--json").json] == [
        call_name(one.id) for one in MADE[::-1]
    ]
    assert len(ringback("calls", "list", "--limit", "2", "--json").json) == 2
    listed = ringback(
        "calls", "list", "--since", (BEGAN + timedelta(hours=1)).isoformat(), "--number", "1001"
    )
    assert listed.out.count("Ada Example") == 4
    assert "busy 486" in listed.out
    assert "1:00" in listed.out
    assert "abandoned after 8 s" in listed.out
    left = ringback("calls", "show", call_name(MADE[-1].id))
    assert "the caller left the queue after 8.2 s" in left.out
    assert "8.2 s" in left.out.partition("Waited in queues")[2].splitlines()[0]
    assert json.loads(ringback("calls", "show", call_name(MADE[-1].id), "--json").out)["talk_s"] is None
    assert ringback("calls", "list", "--since", "1m").out == "There are no such calls.\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("+14155550100\n"))
    assert len(ringback("calls", "list", "--number", "-", "--cause", "486", "--json").json) == 1
    shown = ringback("calls", "show", call_name(MADE[0].id))
    assert shown.code == 0
    assert "2.0 s  +14155550100 by trunk carrier answers (OPUS, encrypted)" in shown.out
    assert "4.41" in shown.out
    rows = list(csv.DictReader(io.StringIO(ringback("calls", "export").out)))
    assert [row["outcome"] for row in rows] == ["abandoned", "busy", "answered", "answered", "answered"]
    legs = list(csv.DictReader(io.StringIO(ringback("calls", "export", "--rows", "legs").out)))
    assert len(legs) == 10
    lines = ringback("calls", "export", "--json", "--outcome", "busy").out.splitlines()
    assert [json.loads(line)["cause"] for line in lines] == [486]


@pytest.mark.usefixtures("system")
def test_what_is_asked_wrongly_is_said(ringback: Any) -> None:
    for words, said in (
        (
            ("list", "--since", "yesterday"),
            "as in 2026-11-01T09:00, or 7d, not yesterday",
        ),
        (("list", "--quality", "awful"), "quality"),
        (("export", "--format", "xml"), "--format is csv or jsonl"),
        (("show", "0000000000000001"), "there is no record of such a call"),
    ):
        answer = ringback("calls", *words)
        assert answer.code == 1, words
        assert said in answer.err
