"""Records of calls reach the database exactly once: through its absence, a full disk, and power cuts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ringback.call.application import Application
from ringback.call.effects import Notice
from ringback.call.leg import Leg
from ringback.call.party import Party
from ringback.call.records import CallLog
from ringback.config import Settings, load_settings
from ringback.governance.private import Private
from ringback.governance.sealing import Sealer, read_key
from ringback.routing.steps import Rule
from ringback.server import record_spool, records
from ringback.server.record_spool import Entry, Spool, SpoolFullError
from ringback.server.records import RecordKeeper
from ringback.sip.effects import Ended
from ringback.sip.flow import Flow
from ringback.store.call_query import CallQuery
from ringback.store.call_record import CallRecord
from ringback.store.call_records import CallRecords
from ringback.store.database import Database
from ringback.store.store import Store, open_store

NUMBER = "+14155550100"
FLOW = Flow("udp", ("192.0.2.254", 5060), ("192.0.2.1", 5060))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(environ={}, data_dir=tmp_path / "data")


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    opened = await open_store(settings)
    yield opened
    await opened.close()


@dataclass
class KeptRecords:
    """Of a store what keeps records."""

    sealer: Sealer
    call_records: CallRecords


class Exchange:
    """A call log whose calls begin and end as told, and the keeper of their records."""

    def __init__(self, store: Store | KeptRecords, settings: Settings, most_bytes: int = 10_000_000) -> None:
        self.now = 100.0
        self.calls = CallLog(lambda: 1_700_000_000 + self.now)
        self.spool = Spool(settings.data_dir / "records", store.sealer, most_bytes)
        self.told: list[Notice] = []
        self.keeper = RecordKeeper(self.calls, self.spool, store.call_records, self.told.append)
        self.store = store
        self.folder = settings.data_dir / "records"

    async def start(self) -> Exchange:
        """As the server does, with a clock of our own."""
        await self.keeper.start()
        for task in self.keeper._tasks:
            task.cancel()
        return self

    def begin(self) -> Leg:
        application = Application()
        call = application.call = self.calls.begin(self.now)
        leg = Leg(call.id, None, Party(Private(NUMBER)), application, FLOW, self.now, call)  # type: ignore[arg-type]
        leg.incoming, leg.dialled = True, Private("1001")
        self.calls.joins(leg, call)
        return leg

    def end(self, leg: Leg) -> int:
        leg.end, leg.ended_at = Ended(None, "peer", 487, "cancelled"), self.now  # type: ignore[arg-type]
        self.calls.ended(leg, self.now)
        return leg.call.id

    def one(self) -> int:
        return self.end(self.begin())

    async def step(self, seconds: float = 1.0) -> None:
        self.now += seconds
        await self.keeper.step(self.now)

    async def kept(self) -> dict[int, CallRecord]:
        found = (await self.store.call_records.find(CallQuery(), limit=100_000)).records
        assert len({record.id for record in found}) == len(found)
        return {record.id: record for record in found}

    def kinds(self) -> list[str]:
        return [notice.kind for notice in self.told]

    def files(self) -> list[int]:
        return [path.stat().st_size for path in sorted(self.folder.glob("*.spool"))]


@contextlib.contextmanager
def away(settings: Settings) -> Any:
    """Somebody else holds the database."""
    other = sqlite3.connect(settings.data_dir / "ringback.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def test_records_go_into_the_database_and_the_spool_stays_small(
    store: Store, settings: Settings
) -> None:
    exchange = await Exchange(store, settings).start()
    ids = [exchange.one() for _ in range(50)]
    await exchange.step()
    kept = await exchange.kept()
    assert list(kept) == ids[::-1]
    assert kept[ids[0]].outcome == "cancelled"
    assert exchange.files() == [0]
    assert exchange.kinds() == []
    assert exchange.keeper.stored == 50


async def test_nothing_is_lost_while_the_database_is_away_for_a_minute(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MOST_IN_MEMORY", 100)
    monkeypatch.setattr(record_spool, "FILE_BYTES", 20_000)
    exchange = await Exchange(store, settings).start()
    before = exchange.begin()
    ids: list[int] = []
    with away(settings):
        for _ in range(6):
            # Ten seconds each, in which 60 calls end.
            ids += [exchange.one() for _ in range(60)]
            await exchange.step(10.0)
    assert exchange.kinds() == ["records.database_away"]
    assert await exchange.kept() == {}
    assert len(exchange.files()) > 2
    assert sum(exchange.files()) > 20_000
    ids.append(exchange.end(before))
    await exchange.step(3.0)
    assert set(await exchange.kept()) == set(ids)
    assert exchange.kinds() == ["records.database_away", "records.database_back"]
    assert exchange.files() == [0]


async def test_a_restart_while_the_database_is_away_loses_nothing(store: Store, settings: Settings) -> None:
    exchange = await Exchange(store, settings).start()
    with away(settings):
        ids = [exchange.one() for _ in range(20)]
        going_on = exchange.begin().call.id
        await exchange.step()
        await exchange.step()
    # The process is gone: what it had in memory is, too.
    again = await Exchange(store, settings).start()
    new = again.one()
    await again.step()
    kept = await again.kept()
    assert set(kept) == {*ids, going_on, new}
    interrupted = kept[going_on]
    assert (interrupted.outcome, interrupted.caller, interrupted.ended_ms) == ("interrupted", NUMBER, None)
    assert again.kinds() == ["records.interrupted"]
    third = await Exchange(store, settings).start()
    await third.step()
    assert await third.kept() == kept
    assert third.kinds() == []


async def test_a_call_that_outlives_a_file_of_the_spool_is_noted_in_the_next(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_SMALL_BYTES", 1_000)
    exchange = await Exchange(store, settings).start()
    long = exchange.begin()
    for _ in range(5):
        for _ in range(10):
            exchange.one()
        await exchange.step()
    assert len(exchange.files()) == 1
    again = await Exchange(store, settings).start()
    await again.step()
    assert (await again.kept())[long.call.id].outcome == "interrupted"


async def test_a_call_that_outlives_the_absence_of_the_database_stays_noted(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_spool, "FILE_BYTES", 2_000)
    exchange = await Exchange(store, settings).start()
    long = exchange.begin()
    with away(settings):
        for _ in range(5):
            for _ in range(10):
                exchange.one()
            await exchange.step()
    assert len(exchange.files()) > 2
    await exchange.step(3.0)
    assert len(await exchange.kept()) == 50
    assert len(exchange.files()) == 1
    again = await Exchange(store, settings).start()
    await again.step()
    assert (await again.kept())[long.call.id].outcome == "interrupted"


async def test_a_full_disk_keeps_records_in_memory_and_is_told(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MOST_LOOSE", 40)
    exchange = await Exchange(store, settings).start()
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    with away(settings):
        first = exchange.one()
        await exchange.step()
        monkeypatch.setattr(os, "write", full)
        ids = [exchange.one() for _ in range(30)]
        await exchange.step()
        await exchange.step()
        assert exchange.kinds() == ["records.database_away", "records.spool_failed"]
        monkeypatch.setattr(os, "write", write)
        ids += [exchange.one() for _ in range(5)]
        await exchange.step()
        assert exchange.kinds()[2:] == ["records.spool_back"]
    # The half lines are gone: another run reads all of it.
    again = await Exchange(store, settings).start()
    await again.step()
    assert set(await again.kept()) == {first, *ids}
    assert again.spool.damaged == 0
    monkeypatch.setattr(os, "write", full)
    with away(settings):
        for _ in range(50):
            again.one()
        await again.step()
    assert again.keeper.lost == 10
    assert "records.lost" in again.kinds()


async def test_the_spool_is_bounded(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_SMALL_BYTES", 1_000)
    exchange = await Exchange(store, settings, most_bytes=5_000).start()
    exchange.begin()
    with away(settings):
        for _ in range(30):
            exchange.one()
            await exchange.step(0.1)
    assert exchange.spool.total <= 5_000
    (failed,) = [notice for notice in exchange.told if notice.kind == "records.spool_failed"]
    assert failed.facts == {"reason": "records.spool_mb is reached"}
    await exchange.step(10)
    assert len(await exchange.kept()) == 30, "what did not fit was kept in memory"
    assert exchange.spool.total < 1_000


async def test_a_call_whose_record_cannot_be_made_costs_no_other(store: Store, settings: Settings) -> None:
    exchange = await Exchange(store, settings).start()
    strange = exchange.begin()
    strange.dialled = Private("1001\udcff")
    strange.call.passed([Rule("route", Private("out\udc80"), Private("to \udcff"))])
    strange.call.note("forwarded", exchange.now, to="\udcff")
    exchange.end(strange)
    broken = exchange.begin()
    broken.party = None  # type: ignore[assignment]
    exchange.end(broken)
    ids = [exchange.one(), strange.call.id]
    await exchange.step()
    kept = await exchange.kept()
    assert set(kept) == set(ids)
    assert kept[strange.call.id].dialled == "1001\N{REPLACEMENT CHARACTER}"
    assert exchange.keeper.lost == 1


async def test_a_stop_waits_for_the_thread_that_is_at_the_spool(store: Store, settings: Settings) -> None:
    exchange = Exchange(store, settings)
    removing = asyncio.Event()
    remove, loop = exchange.spool.remove, asyncio.get_running_loop()

    def slow(number: int) -> None:
        exchange.spool._path(number).unlink()
        if not removing.is_set():
            loop.call_soon_threadsafe(removing.set)
            time.sleep(0.3)
        remove(number)

    exchange.spool.remove = slow  # type: ignore[method-assign]
    await exchange.keeper.start()
    first = exchange.one()
    await removing.wait()
    second = exchange.one()
    await exchange.keeper.stop()
    assert set(await exchange.kept()) == {first, second}
    assert exchange.spool.damaged == 0


async def test_a_file_that_somebody_removed_holds_up_no_other(store: Store, settings: Settings) -> None:
    exchange = await Exchange(store, settings).start()
    with away(settings):
        exchange.one()
        await exchange.step()
        exchange.spool.begin_anew()
        kept = exchange.one()
        await exchange.step()
    again = await Exchange(store, settings).start()
    min(exchange.folder.glob("*.spool")).unlink()
    await again.step()
    assert set(await again.kept()) == {kept}
    assert again.spool.damaged == 1


def test_damaged_lines_are_left_out_and_nothing_else(store: Store, settings: Settings) -> None:
    spool = Spool(settings.data_dir / "records", store.sealer, 1_000_000)
    assert spool.open() == []
    for n in range(1, 6):
        spool.append([Entry(over=True, record=CallRecord(id=n, caller=NUMBER))])
    path = settings.data_dir / "records" / "000000000001.spool"
    lines = path.read_bytes().split(b"\n")
    lines[1] = lines[1][:-9] + b"AAAAAAAA="
    lines[2] = b"\x00" * 50
    path.write_bytes(b"\n".join(lines)[:-20])
    assert [entry.record.id for entry in spool.entries(1)] == [1, 4]
    assert spool.damaged == 3
    assert NUMBER.encode() not in path.read_bytes()
    path.rename(path.with_name("000000000007.spool"))
    assert spool.entries(7) == [], "a line belongs to its file"
    with pytest.raises(SpoolFullError):
        Spool(settings.data_dir / "records", store.sealer, 10).append(
            [Entry(over=True, record=CallRecord(id=9))]
        )


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Exchange]:
    """What keeps records, and no more of a store: it is opened a hundred times."""
    sealer = read_key(settings.key_file)
    database = await Database.open(settings.database_url)
    exchange = Exchange(KeptRecords(sealer, CallRecords(database, sealer)), settings)
    exchange.now = time.time() - 1_700_000_000
    yield await exchange.start()
    await database.close()


async def run_until_killed(settings: Settings, acknowledged: int, seed: int) -> None:
    """Keep records as fast as it goes, and write down which are safe."""
    chance = random.Random(seed)
    async with opened(settings) as exchange:
        os.write(acknowledged, b"0\n")
        while True:
            ids = [exchange.one() for _ in range(chance.randrange(1, 6))]
            await exchange.step(chance.choice((0.0, 0.1, 1.0)))
            os.write(acknowledged, b"".join(b"%d\n" % one for one in ids))


async def everything_kept(settings: Settings) -> dict[int, CallRecord]:
    async with opened(settings) as exchange:
        await exchange.step()
        assert exchange.spool.damaged == 0
        return await exchange.kept()


def cut_short(settings: Settings, chance: random.Random) -> set[int]:
    """One run, killed at a random moment; what it had said to be safe by then."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            asyncio.run(run_until_killed(settings, writing, chance.randrange(1 << 30)))
        os._exit(1)
    os.close(writing)
    with open(reading, "rb") as told:
        said = [told.readline() for _ in range(chance.randrange(1, 4))]
        time.sleep(chance.uniform(0.0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert said[0] == b"0\n"
        said += told.read().split(b"\n")[:-1]
    return set(map(int, said)) - {0}


def test_a_hundred_power_cuts_lose_nothing_that_was_acknowledged(settings: Settings) -> None:
    asyncio.run(made(settings))
    chance = random.Random(7)
    safe: set[int] = set()
    for _ in range(100):
        safe |= cut_short(settings, chance)
    kept = asyncio.run(everything_kept(settings))
    assert len(safe) > 100
    assert safe <= set(kept)


async def made(settings: Settings) -> None:
    await (await open_store(settings)).close()
