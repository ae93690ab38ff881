"""Five million call records: how fast they are kept, and how fast each search finds its page.

`python -m bench records [CALLS]`. The database is made in a temporary folder as the server makes it, but
without waiting for the disk, and with its indexes made at the end, so that it is there in minutes. Searches
are those of the API, with what opens the sealed records; of each the slowest of three runs is told. At the
end a second's worth of calls goes in as the server puts them in.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.schema import CreateIndex

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.store import schema
from ringback.store.call_query import CallQuery, Held
from ringback.store.call_record import CallLeg, CallRecord, Line, Passed, first_id_at
from ringback.store.call_records import CallRecords, _insert
from ringback.store.store import open_store

CALLS = 5_000_000
BEGAN = datetime(2025, 11, 1, tzinfo=UTC)
DAYS = 365
EXTENSIONS = 2_000
OUTSIDE = 200_000
TRUNKS = ("carrier", "second", "spare")
_BATCH = 20_000
_QUALITIES = ((2.2, "poor"), (3.1, "low"), (3.6, "medium"), (5.0, "high"))
_TABLES = (schema.call_records, schema.call_details, schema.call_legs)


def _call(n: int, calls: int, chance: random.Random) -> CallRecord:
    """The n-th call of a year: most are answered, some are bad, a few are emergencies."""
    at = first_id_at(BEGAN + timedelta(seconds=n * DAYS * 86_400 / calls))
    caller = str(1000 + chance.randrange(EXTENSIONS))
    other = f"+1415{chance.randrange(OUTSIDE):07d}"
    trunk = TRUNKS[0] if chance.random() < 0.8 else TRUNKS[1] if n % 1_000 else TRUNKS[2]
    answered = chance.random() < 0.7
    cause = 200 if answered else chance.choice((486, 480, 487, 404))
    mos = round(chance.triangular(1.5, 4.41, 4.3), 2) if answered else None
    quality = (
        None
        if mos is None
        else "poor"
        if mos < 2.2
        else "low"
        if mos < 3.1
        else "medium"
        if mos < 3.6
        else "high"
    )
    length_ms = chance.randrange(3_000, 600_000)
    line = Line(
        received=length_ms // 20, expected=length_ms // 20, sent=length_ms // 20, jitter_ms=1.5, mos=mos
    )
    there: Any = {"answered_ms": 4_000} if answered else {}
    legs = (
        CallLeg(number=caller, name=f"Person {caller}", extension=caller, incoming=True, transport="udp",
                ended_ms=length_ms, ended_by="peer", offered=("OPUS", "G722", "PCMU", "PCMA"),
                negotiated=("PCMU",), sent=("PCMU",), line=line if answered else None, **there),
        CallLeg(number=other, trunk=trunk, device="trunk", transport="udp", began_ms=12, ended_ms=length_ms,
                ended_by="us", offered=("PCMU", "PCMA"), negotiated=("PCMU",), sent=("PCMU",),
                line=line if answered else None, **there),
    )  # fmt: skip
    return CallRecord(
        id=at + n % 1_000, direction="outbound", outcome="answered" if answered else "failed", caller=caller,
        caller_name=f"Person {caller}", extension=caller, dialled=other, called=f"outside:{other}",
        ended_ms=length_ms, ended_by="caller", cause=cause, mos=mos, quality=quality,  # type: ignore[arg-type]
        emergency=n % 50_000 == 7, recorded=n % 400 == 0, legs=legs,
        path=(Passed("route", "out", "by carrier"),), **there,
    )  # fmt: skip


def _fill(path: Path, records: CallRecords, calls: int) -> Iterator[str]:
    chance = random.Random(1)
    began = time.monotonic()
    raw = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
        raw.execute(f"PRAGMA {pragma}")
    indexes = [index for table in _TABLES for index in table.indexes]
    for index in indexes:
        raw.execute(f'DROP INDEX "{index.name}"')
    for at in range(0, calls, _BATCH):
        rows = records.rows(_call(n, calls, chance) for n in range(at, min(at + _BATCH, calls)))
        raw.execute("BEGIN")
        for table, values in zip(_TABLES, (rows.calls, rows.details, rows.legs), strict=True):
            raw.executemany(_insert(table), values)
        raw.execute("COMMIT")
    took = time.monotonic() - began
    yield f"{calls:,} calls made and written in {took:.0f} s"
    began = time.monotonic()
    for index in indexes:
        raw.execute(str(CreateIndex(index).compile(create_engine("sqlite://"))))
    raw.execute("PRAGMA journal_mode = WAL")
    raw.close()
    size = path.stat().st_size
    took = time.monotonic() - began
    yield f"indexes made in {took:.0f} s; {size / 1e9:.1f} GB, {size / calls:.0f} octets a call"


def _searches() -> dict[str, CallQuery]:
    middle = BEGAN + timedelta(days=DAYS / 2)
    day = {"since": middle, "until": middle + timedelta(days=1)}
    return {
        "the newest": CallQuery(),
        "a day": CallQuery(**day),  # type: ignore[arg-type]
        "a number outside": CallQuery(number=Private("+14150000042")),
        "a number that never was": CallQuery(number=Private("+442079460000")),
        "an extension": CallQuery(extension=Private("1042")),
        "an extension on a day": CallQuery(extension=Private("1042"), **day),  # type: ignore[arg-type]
        "own calls of half a year": CallQuery(own=(Held("1042", BEGAN, middle),)),
        "a trunk": CallQuery(trunk="carrier"),
        "a rare trunk": CallQuery(trunk="spare"),
        "a cause": CallQuery(cause=486),
        "a cause that never was": CallQuery(cause=606),
        "poor quality": CallQuery(quality="poor"),
        "low quality or worse": CallQuery(quality="low"),
        "emergency calls": CallQuery(emergency=True),
        "recorded calls": CallQuery(recorded=True),
        "busy by a rare trunk": CallQuery(cause=486, trunk="spare"),
        "poor quality by a trunk, of an extension": CallQuery(
            quality="poor", trunk="carrier", extension=Private("1042")
        ),
        "poor quality by a trunk on a day": CallQuery(quality="poor", trunk="carrier", **day),  # type: ignore[arg-type]
        "inbound (there are none)": CallQuery(direction="inbound"),
        "poor quality, inbound (none)": CallQuery(quality="poor", direction="inbound"),
    }


async def _timed(records: CallRecords, _calls: int) -> list[str]:
    lines = []
    slowest = 0.0
    for name, query in _searches().items():
        times = []
        for _ in range(3):
            began = time.monotonic()
            page = await records.find(query, limit=50)
            times.append(time.monotonic() - began)
        slowest = max(slowest, *times)
        more = ", more to look through" if page.next is not None and len(page.records) < 50 else ""
        lines.append(f"{name}: {1000 * max(times):.0f} ms, {len(page.records)} calls{more}")
    lines.append(f"the slowest search took {1000 * slowest:.0f} ms (aim: below 1,000)")
    return lines


async def _kept(records: CallRecords, calls: int) -> list[str]:
    chance = random.Random(2)
    prepared, stored = [], []
    for batch in range(5):
        made = [_call(calls + 600 * batch + n, calls, chance) for n in range(600)]
        began = time.thread_time()
        rows = records.rows(made)
        prepared.append(time.thread_time() - began)
        at = time.monotonic()
        await records.add(rows)
        stored.append(time.monotonic() - at)
    each = 1e6 * statistics.median(prepared) / 600
    return [
        f"600 calls more, as in a second: sealed in {each:.0f} µs each, stored in "
        f"{1000 * statistics.median(stored):.0f} ms all together (median of 5)"
    ]


def measure(calls: int = CALLS) -> Iterator[str]:
    """Make the records, search them, add to them."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        settings = load_settings(data_dir=Path(folder) / "data", environ={})

        async def opened(work: Any) -> list[str]:
            store = await open_store(settings)
            try:
                return list(await work(store.call_records, calls))
            finally:
                await store.close()

        async def made(records: CallRecords, _: int) -> list[str]:
            kept.append(records)
            return []

        kept: list[CallRecords] = []
        asyncio.run(opened(made))
        yield from _fill(settings.data_dir / "ringback.db", kept[0], calls)
        for work in (_timed, _kept):
            yield from asyncio.run(opened(work))


def main(arguments: list[str]) -> int:
    """Measure with as many calls as are asked for."""
    for line in measure(int(arguments[0]) if arguments else CALLS):
        print(f"records: {line}", flush=True)
    return 0
