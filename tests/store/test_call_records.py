"""Call records in a real database: found by what people know, sealed against whoever reads the file."""

from __future__ import annotations

import random
import sqlite3
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from ringback.config import Settings
from ringback.governance.private import Private
from ringback.store.call_query import CallQuery, Held
from ringback.store.call_record import (
    QUALITIES,
    CallLeg,
    CallRecord,
    Happening,
    Line,
    Passed,
    call_id_of,
    call_name,
    first_id_at,
)
from ringback.store.errors import DatabaseUnusableError, NotFoundError
from ringback.store.reassignments import Reassignment
from ringback.store.store import Store

BEGAN = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
_numbers = count(1)


def record(at: datetime = BEGAN, **changes: Any) -> CallRecord:
    """A call of 1001 to a number outside, a minute long."""
    legs = changes.pop("legs", None)
    legs = legs if legs is not None else (
        CallLeg(number="1001", name="Ada Example", extension="1001", incoming=True, transport="udp",
                answered_ms=2000, ended_ms=62_000, ended_by="peer", sent=("PCMU",),
                line=Line(received=3000, expected=3000, mos=4.41)),
        CallLeg(number="+14155550100", trunk="carrier", transport="tls", began_ms=10, answered_ms=2000,
                ended_ms=62_000, ended_by="us", encryption="sdes", sent=("OPUS",)),
    )  # fmt: skip
    values: dict[str, Any] = {
        "direction": "outbound",
        "outcome": "answered",
        "caller": "1001",
        "caller_name": "Ada Example",
        "extension": "1001",
        "dialled": "+14155550100",
        "called": "outside:+14155550100",
        "answered_ms": 2000,
        "ended_ms": 62_000,
        "answered_by": 1,
        "ended_by": "caller",
        "cause": 200,
        "mos": 4.3,
        "quality": "high",
        "path": (Passed("route", "abroad", "to +14155550100"),),
        "happenings": (Happening(at_ms=500, kind="forwarded", by="1001", to="+14155550100"),),
    }
    return CallRecord(id=first_id_at(at) + next(_numbers), legs=legs, **{**values, **changes})


async def keep(store: Store, *records: CallRecord) -> None:
    await store.call_records.add(store.call_records.rows(records))


async def found(store: Store, **query: Any) -> list[CallRecord]:
    return list((await store.call_records.find(CallQuery(**query))).records)


async def test_a_record_comes_back_as_it_was_and_only_once(store: Store) -> None:
    made = record()
    await keep(store, made, record())
    await keep(store, made)
    assert await store.call_records.get(call_name(made.id)) == made
    assert made.began_at == BEGAN
    assert len(await found(store)) == 2
    for name in ("", "nonsense", "-000000000000001", call_name(5), "F" * 16):
        with pytest.raises(NotFoundError):
            await store.call_records.get(name)
    assert call_id_of(call_name(made.id)) == made.id


async def test_each_thing_that_is_known_finds_its_calls_newest_first(store: Store) -> None:
    out, later = record(), record(BEGAN + timedelta(days=2))
    inside = record(
        BEGAN + timedelta(days=1),
        direction="internal", outcome="busy", cause=486, caller="1002", extension="1002", dialled="1003",
        called="group:sales", answered_ms=None, mos=2.2, quality="poor", emergency=True, recorded=True,
        legs=(
            CallLeg(number="1002", extension="1002", incoming=True), CallLeg(number="1003", extension="1003")
        ),
    )  # fmt: skip
    await keep(store, out, later, inside)
    assert await found(store) == [later, inside, out]
    for query, expected in (
        ({"number": Private("+1 415 555-0100")}, [later, out]),
        ({"number": Private("14155550100")}, [later, out]),
        ({"number": Private("1003")}, [inside]),
        ({"number": Private("4155550100")}, []),
        ({"extension": Private("1001")}, [later, out]),
        ({"extension": Private("+14155550100")}, []),
        ({"target": "group:sales"}, [inside]),
        ({"trunk": "carrier"}, [later, out]),
        ({"direction": "internal"}, [inside]),
        ({"outcome": "busy"}, [inside]),
        ({"cause": 200}, [later, out]),
        ({"quality": "medium"}, [inside]),
        ({"quality": "high"}, [later, inside, out]),
        ({"emergency": True}, [inside]),
        ({"emergency": False}, [later, out]),
        ({"recorded": True}, [inside]),
        ({"since": BEGAN + timedelta(hours=1)}, [later, inside]),
        ({"until": BEGAN + timedelta(days=2)}, [inside, out]),
        ({"number": Private("1001"), "trunk": "carrier", "until": BEGAN + timedelta(days=1)}, [out]),
        ({"trunk": "carrier", "outcome": "answered", "direction": "outbound"}, [later, out]),
        ({"cause": 486, "extension": Private("1003"), "quality": "poor"}, [inside]),
        ({"cause": 486, "extension": Private("1001")}, []),
    ):
        assert await found(store, **query) == expected, query


NUMBERS = ("1001", "1002", "1003", "+14155550100", "+442079460000")


def any_call(chance: random.Random) -> CallRecord:
    def leg(*, incoming: bool) -> CallLeg:
        number = chance.choice(NUMBERS)
        extension = "" if number.startswith("+") else number
        trunk = chance.choice(("carrier", "spare")) if not extension else ""
        return CallLeg(number=number, extension=extension, trunk=trunk, incoming=incoming)

    legs = (leg(incoming=True), *(leg(incoming=False) for _ in range(chance.randrange(3))))
    return record(
        BEGAN + timedelta(hours=chance.randrange(2_000)),
        direction=chance.choice(("internal", "inbound", "outbound")),
        outcome=chance.choice(("answered", "busy", "failed")),
        cause=chance.choice((200, 486, 503)),
        quality=chance.choice((None, *QUALITIES)),
        dialled=chance.choice(NUMBERS),
        called=chance.choice(("group:sales", "extension:1001", "extension:1003", "outside:+14155550100")),
        emergency=chance.random() < 0.2,
        recorded=chance.random() < 0.2,
        legs=legs,
    )


def any_query(chance: random.Random) -> CallQuery:
    since, until = sorted(BEGAN + timedelta(hours=chance.randrange(2_000)) for _ in range(2))
    own = tuple(Held(one, since, chance.choice((None, until))) for one in chance.sample(NUMBERS[:3], 2))
    choices: dict[str, Any] = {
        "since": since,
        "until": until,
        "number": Private(chance.choice(NUMBERS)),
        "extension": Private(chance.choice(NUMBERS[:3])),
        "target": chance.choice(("group:sales", "extension:1001", "menu:main")),
        "trunk": chance.choice(("carrier", "spare")),
        "direction": chance.choice(("internal", "inbound")),
        "outcome": chance.choice(("answered", "busy")),
        "cause": chance.choice((200, 486)),
        "quality": chance.choice(QUALITIES),
        "emergency": chance.random() < 0.5,
        "recorded": chance.random() < 0.5,
        "own": own,
    }
    return CallQuery(**{name: choices[name] for name in chance.sample(sorted(choices), chance.randrange(4))})


def fits(call: CallRecord, query: CallQuery) -> bool:
    """The same, said plainly."""
    number = query.number.reveal() if query.number else None
    extension = query.extension.reveal() if query.extension else None
    parties = {leg.extension or leg.number for leg in call.legs}
    led_to = {call.called.removeprefix("extension:"), call.called.removeprefix("outside:")} - {call.called}
    rank = QUALITIES.index(call.quality) if call.quality is not None else 9
    return all(
        (
            query.since is None or call.began_at >= query.since,
            query.until is None or call.began_at < query.until,
            number is None or number in parties | led_to | {call.dialled},
            extension is None or extension in parties or call.called == f"extension:{extension}",
            query.target in (None, call.called),
            query.trunk is None or query.trunk in {leg.trunk for leg in call.legs},
            query.direction in (None, call.direction),
            query.outcome in (None, call.outcome),
            query.cause in (None, call.cause),
            query.quality is None or rank <= QUALITIES.index(query.quality),
            query.emergency in (None, call.emergency),
            query.recorded in (None, call.recorded),
            query.own is None or any(held.has(call) for held in query.own),
        )
    )


async def test_whatever_is_asked_finds_just_what_fits(store: Store) -> None:
    chance = random.Random(11)
    calls = sorted((any_call(chance) for _ in range(120)), key=lambda call: -call.id)
    await keep(store, *calls)
    for _ in range(60):
        query = any_query(chance)
        page = await store.call_records.find(query, limit=1_000)
        assert list(page.records) == [call for call in calls if fits(call, query)], query


async def test_pages_follow_each_other_without_gap_or_repetition(store: Store) -> None:
    made = [record(BEGAN + timedelta(days=n)) for n in range(25)]
    await keep(store, *made)
    for query in (CallQuery(), CallQuery(number=Private("1001")), CallQuery(trunk="carrier", cause=200)):
        seen: list[CallRecord] = []
        before = None
        while True:
            page = await store.call_records.find(query, before=before, limit=10)
            seen += page.records
            before = page.next
            if before is None:
                break
        assert seen == made[::-1]


async def test_who_holds_an_extension_sees_the_calls_of_that_time_only(store: Store) -> None:
    before, during, after = (record(BEGAN + timedelta(days=n)) for n in (0, 10, 20))
    other = record(BEGAN, extension="1002", caller="1002", legs=(CallLeg(number="1002", extension="1002"),))
    await keep(store, before, during, after, other)
    former = Held("1001", BEGAN - timedelta(days=1), BEGAN + timedelta(days=5))
    now = Held("1001", BEGAN + timedelta(days=5))
    assert await found(store, own=(former,)) == [before]
    assert await found(store, own=(now,)) == [after, during]
    assert await found(store, own=(now,), trunk="carrier", until=BEGAN + timedelta(days=11)) == [during]
    assert await found(store, own=()) == []


async def test_nothing_of_people_is_readable_in_the_database(store: Store, settings: Settings) -> None:
    await keep(store, record(), record(called="extension:1001"))
    await store.close()
    content = b"".join(path.read_bytes() for path in settings.data_dir.glob("ringback.db*"))
    for text in (b"4155550100", b"Ada Example", b"1001"):
        assert text not in content, text
    assert b"carrier" in content


async def test_old_records_go_a_few_at_a_time(store: Store, settings: Settings) -> None:
    made = [record(BEGAN + timedelta(days=n)) for n in range(10)]
    await keep(store, *made)
    limit = BEGAN + timedelta(days=7)
    assert [await store.call_records.forget(limit, 4) for _ in range(3)] == [4, 3, 0]
    assert await found(store) == made[:6:-1]
    with sqlite3.connect(settings.data_dir / "ringback.db") as raw:
        assert raw.execute("SELECT count(*) FROM call_legs").fetchone() == (6,)
        assert raw.execute("SELECT count(*) FROM call_details").fetchone() == (3,)


async def test_a_database_that_is_locked_is_said_so_soon(store: Store, settings: Settings) -> None:
    other = sqlite3.connect(settings.data_dir / "ringback.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnusableError, match="calls go on"):
        await keep(store, record())
    other.rollback()
    await keep(store, record())
    assert len(await found(store)) == 1
    other.close()


def test_records_show_nothing_when_printed() -> None:
    made = record()
    assert "1001" not in repr(made)
    assert "5550100" not in repr(made) + repr(made.legs) + repr(made.path) + repr(made.happenings)


async def test_an_extension_that_changes_hands_begins_anew_for_its_holder(store: Store) -> None:
    async def follow(told: Reassignment) -> None:
        await store.call_records.reassigned(told.number, told.at)

    store.on_reassigned(follow)
    ada, ben = [await store.people.add(name) for name in ("Ada Example", "Ben Example")]
    await store.extensions.add("1001", person_id=ada.id)
    before = record(datetime.now(UTC) - timedelta(hours=1))
    await keep(store, before)
    assert await found(store, own=store.call_records.held(["1001"])) == [before]
    await store.extensions.change("1001", person_id=ben.id)
    await store.reassignments.deliver()
    after = record(datetime.now(UTC) + timedelta(seconds=1))
    await keep(store, after)
    assert await found(store, own=store.call_records.held(["1001"])) == [after]
    await store.extensions.remove("1001")
    await store.extensions.add("1001", person_id=ada.id)
    await store.reassignments.deliver()
    assert await found(store, own=store.call_records.held(["1001"]), until=datetime.now(UTC)) == []
