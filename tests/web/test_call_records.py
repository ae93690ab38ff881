"""Call records over HTTP: who sees which calls and which numbers, pages, and files."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from ringback.governance.roles import Identity, Role
from ringback.store.call_record import CallLeg, CallRecord, Happening, Passed, call_name
from ringback.web import context as web_context
from tests.store.test_call_records import BEGAN, keep, record
from tests.web.conftest import Web

URL = "/api/v1/call-records"
NUMBERS = ("4155550100", "1001", "Ada Example")


@pytest.fixture
async def calls(web: Web) -> list[CallRecord]:
    made = [record(BEGAN + timedelta(days=n)) for n in range(5)]
    made[3] = record(
        BEGAN + timedelta(days=3),
        outcome="busy",
        cause=486,
        answered_ms=None,
        answered_by=None,
        reason="Q.850;cause=17",
    )
    await keep(web.store, *made)
    return made


def people(monkeypatch: pytest.MonkeyPatch, identity: Identity) -> None:
    """Whoever asks is this person."""
    monkeypatch.setattr(web_context.LocalIdentity, "__call__", _as(identity))


def _as(identity: Identity) -> Any:
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await self._app({**scope, web_context._IDENTITY: identity}, receive, send)

    return call


async def test_calls_are_listed_searched_and_shown(web: Web, calls: list[CallRecord]) -> None:
    page = (await web.owner.get(URL, params={"limit": 2})).json()
    assert [item["id"] for item in page["items"]] == [call_name(one.id) for one in calls[:2:-1]]
    rest = (await web.owner.get(URL, params={"after": page["next"], "limit": 10})).json()
    assert [item["id"] for item in rest["items"]] == [call_name(one.id) for one in calls[2::-1]]
    assert rest["next"] is None
    busy = (await web.owner.get(URL, params={"cause": 486, "trunk": "carrier"})).json()["items"]
    assert [(one["outcome"], one["talk_s"], one["reason"]) for one in busy] == [
        ("busy", None, "Q.850;cause=17")
    ]
    asked = {"number": "+1 415 555 0100", "until": calls[1].began_at.isoformat(), "legs": True}
    (found,) = (await web.owner.post(f"{URL}/search", json=asked)).json()["items"]
    assert (found["duration_s"], found["talk_s"], found["answered_by"]) == (62.0, 60.0, "+14155550100")
    assert [leg["sent"] for leg in found["legs"]] == [["PCMU"], ["OPUS"]]
    assert found["legs"][0]["line"]["lost_percent"] == 0.0
    shown = (await web.owner.get(f"{URL}/{call_name(calls[0].id)}")).json()
    assert shown["path"] == [{"kind": "route", "name": "abroad", "said": "to +14155550100"}]
    assert shown["story"] == [
        "0.0 s  1001 dials +14155550100",
        "0.0 s    route abroad: to +14155550100",
        "0.0 s  leads to outside:+14155550100",
        "0.0 s  +14155550100 by trunk carrier is called",
        "0.5 s  forwarded by 1001 to +14155550100",
        "2.0 s  1001 is answered (PCMU)",
        "2.0 s  +14155550100 by trunk carrier answers (OPUS, encrypted)",
        "62.0 s  1001 hangs up",
        "62.0 s  +14155550100 by trunk carrier is hung up",
        "62.0 s  over, ended by the caller",
    ]


async def test_what_is_asked_wrongly_is_said(web: Web, calls: list[CallRecord]) -> None:
    for words in ({"quality": "awful"}, {"limit": 501}, {"cause": 4}, {"since": "2026-11-01T00:00"}):
        assert (await web.owner.get(URL, params=words)).status_code == 422, words
    assert (await web.owner.post(f"{URL}/search", json={"nummer": "1"})).status_code == 422
    assert (await web.owner.get(f"{URL}/0000000000000005")).status_code == 404
    assert (await web.stranger.get(URL)).status_code == 401


async def test_who_may_not_see_numbers_sees_none_anywhere(web: Web, calls: list[CallRecord]) -> None:
    async with await web.client("auditor") as client:
        texts = [
            (await client.get(URL, params={"legs": True})).text,
            (await client.get(f"{URL}/{call_name(calls[0].id)}")).text,
            *[
                (await client.post(f"{URL}/export", json={"format": form, "rows": rows})).text
                for form, rows in (("csv", "calls"), ("csv", "legs"), ("jsonl", "calls"))
            ],
        ]
        for name in ("number", "extension"):
            refused = await client.post(f"{URL}/search", json={name: "1001"})
            assert refused.status_code == 403
            assert "numbers" in refused.json()["detail"]
        found = (await client.post(f"{URL}/search", json={"trunk": "carrier"})).json()["items"]
    assert len(found) == 5
    assert found[0]["caller"] == "••01"
    for text in texts:
        assert "carrier" in text
        assert not [number for number in NUMBERS if number in text]
    async with await web.client("helpdesk") as client:
        assert NUMBERS[0] in (await client.get(URL)).text
    async with await web.client("user") as client:
        assert (await client.get(URL)).status_code == 403


async def test_people_see_the_calls_of_their_extensions_since_they_have_them(
    web: Web, calls: list[CallRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = record(BEGAN, caller="1002", extension="1002", called="extension:1003", answered_by=None, legs=())
    await keep(web.store, other)
    ada = Identity("Ada", Role.USER, "p1", ("1001",))
    people(monkeypatch, ada)
    mine = (await web.owner.get(URL)).json()["items"]
    assert [item["id"] for item in mine] == [call_name(one.id) for one in calls[::-1]]
    assert mine[0]["dialled"] == "+14155550100"
    assert (await web.owner.get(f"{URL}/{call_name(other.id)}")).status_code == 404
    (found,) = (await web.owner.post(f"{URL}/search", json={"cause": 486, "number": "1001"})).json()["items"]
    assert found["id"] == call_name(calls[3].id)
    # The extension is given to somebody else, who holds another one already.
    await web.store.call_records.reassigned("1001", BEGAN + timedelta(days=2, hours=1))
    people(monkeypatch, replace(ada, name="Ben", extensions=("1001", "1003")))
    theirs = (await web.owner.get(URL)).json()["items"]
    assert [item["id"] for item in theirs] == [
        *(call_name(one.id) for one in calls[:2:-1]),
        call_name(other.id),
    ]
    assert (await web.owner.get(f"{URL}/{call_name(calls[0].id)}")).status_code == 404
    exported = (await web.owner.post(f"{URL}/export", json={"format": "jsonl"})).text
    assert len(exported.splitlines()) == 3
    await web.store.call_records.load()
    assert web.store.call_records.held(["1001"])[0].since == BEGAN + timedelta(days=2, hours=1)


async def test_where_a_colleague_forwards_to_is_the_colleagues_own(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, beyond = record().legs
    mobile = "+14155550177"
    forwarded = record(
        BEGAN,
        dialled="1002",
        called=f"outside:{mobile}",
        legs=(
            caller,
            CallLeg(number="1002", extension="1002"),
            msgspec.structs.replace(beyond, number=mobile),
        ),
        path=(Passed("extension", "1002", f"forwards to outside:{mobile}"),),
        happenings=(Happening(at_ms=1, kind="forwarded", by="1002", to=f"outside:{mobile}"),),
    )
    prefixed = record(BEGAN, dialled="94155550100")
    await keep(web.store, forwarded, prefixed)
    for extension, sees in (("1001", False), ("1002", True)):
        people(monkeypatch, Identity("Ada", Role.USER, "p1", (extension,)))
        detail = (await web.owner.get(f"{URL}/{call_name(forwarded.id)}")).text
        found = (await web.owner.post(f"{URL}/search", json={"legs": True})).text
        files = [
            (await web.owner.post(f"{URL}/export", json={"format": form, "rows": "legs"})).text
            for form in ("csv", "jsonl")
        ]
        assert {"4155550177" in text for text in (detail, found, *files)} == {sees}
    people(monkeypatch, Identity("Ada", Role.USER, "p1", ("1001",)))
    mine = (await web.owner.get(f"{URL}/{call_name(prefixed.id)}")).json()
    assert (mine["called"], mine["legs"][1]["number"]) == ("outside:+14155550100", "+14155550100")


async def test_files_have_a_row_a_call_or_a_row_a_leg(web: Web, calls: list[CallRecord]) -> None:
    async def export(**asked: Any) -> str:
        answer = await web.owner.post(f"{URL}/export", json=asked)
        assert answer.status_code == 200
        return answer.text

    rows = list(csv.DictReader(io.StringIO(await export())))
    assert len(rows) == 5
    assert (rows[0]["caller"], rows[0]["dialled"], rows[0]["talk_s"]) == ("1001", "+14155550100", "60.0")
    legs = list(csv.DictReader(io.StringIO(await export(rows="legs", cause=486))))
    assert [(leg["call"], leg["leg"], leg["number"], leg["received"]) for leg in legs] == [
        (call_name(calls[3].id), "0", "1001", "3000"),
        (call_name(calls[3].id), "1", "+14155550100", ""),
    ]
    events = web.operations.events.subscribe()
    lines = [json.loads(line) for line in (await export(format="jsonl")).splitlines()]
    told = await anext(events)
    assert (told.kind, dict(told.details)) == (
        "records.exported",
        {"by": "local administrator", "numbers": True},
    )
    assert [len(line["legs"]) for line in lines] == [2] * 5
    assert lines[0]["began_at"] == (await web.owner.get(URL)).json()["items"][0]["began_at"]


async def test_a_name_that_a_spreadsheet_would_run_is_only_text(web: Web) -> None:
    await keep(web.store, record(caller_name='=HYPERLINK("https://example.com")', caller="-2+3"))
    (row,) = csv.DictReader(io.StringIO((await web.owner.post(f"{URL}/export", json={})).text))
    assert row["caller_name"].startswith("'=")
    assert row["caller"].startswith("'-")


async def test_an_export_of_many_calls_comes_in_pieces(web: Web) -> None:
    await keep(web.store, *(record(datetime(2026, 10, 1, tzinfo=UTC)) for _ in range(1_203)))
    async with web.owner.stream("POST", f"{URL}/export", json={"format": "csv"}) as answer:
        text = "".join([part async for part in answer.aiter_text()])
    assert len({line.split(",")[0] for line in text.splitlines()}) == 1_204
