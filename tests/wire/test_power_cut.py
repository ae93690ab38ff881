"""kill -9 of control, media and writer at random moments, with work going on: nothing acknowledged is lost.

`RINGBACK_CUTS` says how many cuts the long test makes (100), `RINGBACK_CUTS_SEED` with which seed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringback.agent import AgentError, Call, Station, UserAgent
from ringback.governance.vault import Vault, WrappedKey, read_vault_key
from ringback.quality.tones import make_tones, tone_levels
from tests.wire.mailboxes import give_mailbox
from tests.wire.recorded_office import RecordedOffice
from tests.wire.server import RingbackServer
from tests.wire.test_voicemail import BEEP_HZ, until_tone

pytestmark = [pytest.mark.wire, pytest.mark.slow]

RATE = 16_000
PAIRS = (("6101", "6102"), ("6103", "6104"), ("6105", "6106"))
"""Who calls whom, one call after the other; the last two are not recorded."""
LEAVERS = ("6107", "6108")
MAILBOX = "6109"
NOTICE = "Hm."
TONE_HZ = 600.0
SPOKEN_S = 3.2
KEPT_S = 2.7
"""Of a message of 1.5 s or more all but the last second is kept whatever happens."""
SETTLED_S = 1.5
"""A call whose end was told so long before a cut has been in the journal for long."""
KNOWN_S = 2.0
"""So does a call that has gone on for so long: docs/records.md says half a second."""


@dataclass
class Dialled:
    """A call that was tried; its caller's name is its own."""

    name: str
    answered: float | None = None
    ended: float | None = None
    """When the called side had been told that it was over."""


@dataclass
class Spoken:
    """A message that was being left: from when to when somebody spoke."""

    caller: str
    began: float
    ended: float | None = None


@dataclass
class Known:
    """All that the server has acknowledged, and of which it may do either."""

    plan: dict[str, str | None] = field(default_factory=dict)
    calls: list[Dialled] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)
    recordings: dict[str, bool] = field(default_factory=dict)
    """Those that were listed, and whether they are held."""
    deleted: set[str] = field(default_factory=set)
    unsure: dict[str, set[Any]] = field(default_factory=dict)
    """What was asked for when the power went: what each may be now."""
    owed: int = 0
    """Messages that have to lie in the mailbox, of those that a cut has not spared too."""


class Disaster:
    """A server that is cut off again and again, and everybody who uses it."""

    def __init__(self, office: RecordedOffice, seed: int) -> None:
        self.office, self.server = office, office.server
        self.rng = random.Random(seed)
        self.known = Known()
        self.round = 0
        self.number = 0
        self.verified: dict[Path, tuple[int, int]] = {}
        self.loud: Counter[bool] = Counter()
        """How many files of two seconds and more hold sound; one that was cut at its beginning need not."""
        self.stopped = asyncio.Event()
        self.phones: dict[str, UserAgent] = {}

    # The work

    async def calls(self, caller: str, called: str, station: Station) -> None:
        """One call after the other, each with sound; a name for each."""
        while True:
            self.number += 1
            note = Dialled(f"call {self.round}-{self.number}")
            self.known.calls.append(note)
            uri, password = self.server.uri(caller), f"secret-of-{caller}"
            async with UserAgent(uri, password=password, station=station, display_name=note.name) as phone:
                call = await phone.call(called)
                other = await self.phones[called].next_call(timeout_s=10)
                await asyncio.gather(other.answer(), call.answered())
                note.answered = time.monotonic()
                await call.play(make_tones(RATE, 2, [TONE_HZ], -14.0), loop=True, wait=False)
                await asyncio.sleep(self.rng.choice([0.1, 0.7, 1.5, 2.5]))
                await call.hangup()
                await other.ended(timeout_s=5)
                note.ended = time.monotonic()

    async def messages(self, caller: str, station: Station) -> None:
        """One message after the other."""
        while True:
            uri, password = self.server.uri(caller), f"secret-of-{caller}"
            async with UserAgent(uri, password=password, station=station) as phone:
                call = await phone.call(MAILBOX)
                await call.answered()
                await call.send_dtmf("#")
                await until_tone(call, BEEP_HZ)
                note = Spoken(caller, time.monotonic())
                self.known.spoken.append(note)
                await call.play(make_tones(RATE, SPOKEN_S, [440.0], -14.0))
                note.ended = time.monotonic()
                if self.rng.random() < 0.5:
                    await call.send_dtmf("#")
                await call.hangup()

    async def ask(
        self, who: str, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        status, _, data = await asyncio.to_thread(self.office.request, who, method, path, body, headers)
        return status, json.loads(data) if data else None

    async def changes(self) -> None:
        """Values of the plan come, change and go."""
        while not self.stopped.is_set():
            name, title = f"p{self.rng.randrange(30)}", f"title {self.rng.randrange(1_000)}"
            wanted = title if self.rng.random() < 0.8 else None
            method = "PUT" if wanted is not None else "DELETE"
            before = self.known.plan.get(name)
            self.known.unsure[name] = {before, wanted}
            body = {"title": title, "members": ["6101"]} if wanted is not None else None
            status, answer = await self.ask("ada", method, f"/plan/group/{name}", body)
            del self.known.unsure[name]
            assert status < 300 or (status == 404 and before is None), (status, answer)
            self.known.plan[name] = wanted
            await asyncio.sleep(self.rng.choice([0.0, 0.02, 0.1]))

    async def clerk(self) -> None:
        """Recordings are held, released and deleted; now and then all get another key."""
        while not self.stopped.is_set():
            await asyncio.sleep(0.05)
            status, page = await self.ask("carl", "GET", "/recordings?limit=1000")
            assert status == 200
            for one in page["items"]:
                self.known.recordings.setdefault(one["id"], one["held"])
            if self.rng.random() < 0.05:
                await self.ask("ada", "POST", "/recordings/rotate-key")
            if page["items"]:
                await self._handle(self.rng.choice(page["items"])["id"])

    async def _handle(self, chosen: str) -> None:
        held = self.known.recordings[chosen]
        deed = self.rng.choice(["hold", "release", "delete"])
        if deed == "delete" and self.rng.random() < 0.5:
            deed = "hold"
        self.known.unsure[chosen] = {
            held,
            {"hold": True, "release": False, "delete": held if held else None}[deed],
        }
        if deed == "delete":
            status, _ = await self.ask("ada", "DELETE", f"/recordings/{chosen}", **{"X-Reason": "asked"})
            assert status == (409 if held else 204), status
            if not held:
                del self.known.recordings[chosen]
                self.known.deleted.add(chosen)
        else:
            status, _ = await self.ask("carl", "POST", f"/recordings/{chosen}/{deed}", {"reason": "case"})
            assert status == 200
            self.known.recordings[chosen] = deed == "hold"
        del self.known.unsure[chosen]

    # The cut

    @asynccontextmanager
    async def working(self, station: Station) -> AsyncIterator[list[asyncio.Task[None]]]:
        """Everybody works until the power has gone."""
        self.stopped.clear()
        clerks = [asyncio.create_task(self.changes()), asyncio.create_task(self.clerk())]
        people = [asyncio.create_task(self.calls(*pair, station)) for pair in PAIRS]
        people += [asyncio.create_task(self.messages(one, station)) for one in LEAVERS]
        yield [*clerks, *people]
        self.stopped.set()
        # What they asked for last is answered by nobody, or was answered before the end.
        for clerk in clerks:
            with suppress(OSError, HTTPException):
                await clerk
        for task in people:
            task.cancel()
        for end in await asyncio.gather(*people, return_exceptions=True):
            assert isinstance(end, AgentError | asyncio.CancelledError | TimeoutError | AssertionError), end

    async def cut(self, station: Station) -> str:
        """Work for a while, pull the plug, and say when that was."""
        self.round += 1
        self.known.unsure.clear()
        for number in [called for _, called in PAIRS]:
            await self.phones[number].register()
        await self.heard(station)
        pause = self.rng.uniform(0.05, 2.0) if self.rng.random() < 0.6 else self.rng.uniform(2.0, 5.0)
        async with self.working(station) as tasks:
            done, _ = await asyncio.wait(tasks, timeout=pause, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            doing = self.doing()
            self.server.kill_all()
            at = time.monotonic()
        await self.forget_calls()
        began = datetime.now(UTC) - timedelta(seconds=time.monotonic() - at + pause + 5)
        said = f"cut {self.round}: after {pause:.2f} s, {doing}"
        if self.rng.random() < 0.2:
            # Once more, while it starts.
            soon = self.rng.uniform(0.0, 1.5)
            self.server.start(wait=False)
            await asyncio.sleep(soon)
            self.server.kill_all()
            said += f"; again {soon:.2f} s after the start"
        if self.round == 1:
            self.office.voices.mkdir(exist_ok=True)
            (self.office.voices / "00000000000000aa.rbv").write_bytes(b"RBV1 nobody's")
        await asyncio.to_thread(self.server.start)
        started_s = time.monotonic() - self.server.began
        return f"{said}; started in {started_s:.1f} s; {await self.check(at, began)}"

    async def forget_calls(self) -> None:
        """Phones notice that their calls are over."""
        for phone in self.phones.values():
            for call in phone.calls:
                with suppress(AgentError):
                    await call.hangup()
            with suppress(AgentError):
                while True:
                    await phone.next_call(timeout_s=0)

    def doing(self) -> str:
        """What goes on just now."""
        calls = sum(
            note.ended is None for note in self.known.calls if note.name.startswith(f"call {self.round}-")
        )
        speaking = sum(note.ended is None for note in self.known.spoken)
        writing = 0
        with suppress(FileNotFoundError):  # One is being deleted.
            writing = len(list(self.office.voices.glob("*/leg-*.rbv")))
        return f"{calls} calls, {speaking} messages, {writing} tracks, asked {sorted(self.known.unsure)}"

    def calls_of_this_round(self) -> list[Dialled]:
        return [note for note in self.known.calls if note.name.startswith(f"call {self.round}-")]

    async def heard(self, station: Station, pair: tuple[str, str] = PAIRS[2], seconds: float = 0) -> None:
        """A call with sound works, and goes on for so long after it was heard."""
        caller, called = pair
        uri, password = self.server.uri(caller), f"secret-of-{caller}"
        async with UserAgent(uri, password=password, station=station, display_name="heard") as phone:
            call = await phone.call(called)
            other = await self.phones[called].next_call(timeout_s=10)
            await asyncio.gather(other.answer(), call.answered())
            await call.play(make_tones(RATE, 2, [TONE_HZ], -14.0), loop=True, wait=False)
            await hears_tone(other)
            await asyncio.sleep(seconds)
            await call.hangup()
            await other.ended(timeout_s=5)

    async def play_one(self, station: Station) -> None:
        """What is recorded after the cuts is heard by who may, also by another vault key."""
        # What the cuts left may be nothing, or too short to be judged.
        before = await self.recorded_seconds()
        await self.heard(station, PAIRS[0], seconds=4)  # The notice comes first, and is not recorded.
        deadline = time.monotonic() + 15
        while not (new := (after := await self.recorded_seconds()).keys() - before):
            assert time.monotonic() < deadline, "the recording is not listed"
            await asyncio.sleep(0.1)
        (recording,) = new
        assert after[recording] >= 2
        status, _ = await self.ask("ada", "POST", "/recordings/rotate-key")
        assert status == 200
        samples = await asyncio.to_thread(self.office.track, recording)
        assert tone_levels(samples[-RATE:], RATE, [TONE_HZ])[0] > -40
        await asyncio.to_thread(self.check_vault)

    async def recorded_seconds(self) -> dict[str, float]:
        status, page = await self.ask("carl", "GET", "/recordings?limit=1000")
        assert status == 200
        return {one["id"]: one["seconds"] for one in page["items"]}

    # What has to be so

    async def check(self, cut_at: float, began: datetime) -> str:
        """After a start: all that was acknowledged is there, and nothing else."""
        await self.check_plan()
        records = await self.check_records(cut_at, began)
        await self.check_recordings()
        messages = await self.check_messages(cut_at)
        files = await asyncio.to_thread(self.check_vault)
        return f"{records}, {messages} messages, {files} files"

    async def check_plan(self) -> None:
        status, values = await self.ask("ada", "GET", "/plan/group?limit=1000")
        assert status == 200
        there = {one["name"]: one["value"]["title"] for one in values["items"] if one["name"].startswith("p")}
        for name in {*there, *self.known.plan, *(one for one in self.known.unsure if one.startswith("p"))}:
            found, known = there.get(name), self.known.plan.get(name)
            assert found in self.known.unsure.get(name, {known}), (name, found, known)
            self.known.plan[name] = found

    async def check_records(self, cut_at: float, began: datetime) -> str:
        calls = self.calls_of_this_round()
        ended = {one.name for one in calls if one.ended is not None and cut_at - one.ended >= SETTLED_S}
        there = {one.name for one in calls if cut_at - (one.answered or cut_at) >= KNOWN_S} | ended
        deadline = time.monotonic() + 15
        while True:
            found = await asyncio.to_thread(lambda: list(self.records(began)))
            names = Counter(one["caller_name"] for one in found)
            if not there - set(names) and not [
                one for one in found if one["ended_at"] is None and one["outcome"] != "interrupted"
            ]:
                break
            assert time.monotonic() < deadline, f"not in the records: {there - set(names)}"
            await asyncio.sleep(0.1)
        twice = {name: count for name, count in names.items() if name.startswith("call") and count > 1}
        assert not twice, twice
        whole = {one["caller_name"] for one in found if one["ended_at"] is not None}
        assert not ended - whole, f"their end is lost: {ended - whole}"
        late = [round(cut_at - one.ended, 3) for one in calls if one.ended and one.name not in whole]
        return (
            f"{len(whole)} calls whole, {len(set(names) - whole)} interrupted, ends lost of {late} s before"
        )

    def records(self, since: datetime) -> Iterator[dict[str, Any]]:
        after = None
        while True:
            asked = {"since": since.isoformat(), "limit": 500, "after": after}
            page = self.office.ask("ada", "POST", "/call-records/search", asked)
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    async def check_recordings(self) -> None:
        status, page = await self.ask("carl", "GET", "/recordings?limit=1000")
        assert status == 200
        there = {one["id"]: one["held"] for one in page["items"]}
        for voice in {*self.known.recordings, *self.known.deleted}:
            may = self.known.unsure.get(voice, {self.known.recordings.get(voice)})
            assert there.get(voice) in may, (voice, there.get(voice), may)
            if voice not in there:
                self.known.recordings.pop(voice, None)
                self.known.deleted.add(voice)
        self.known.recordings |= there

    async def check_messages(self, cut_at: float) -> int:
        counts = self.office.ask("ada", "GET", f"/voicemail/{MAILBOX}")
        there = int(counts["new"]) + int(counts["old"])
        for note in self.known.spoken:
            if min(note.ended or cut_at, cut_at) - note.began >= KEPT_S:
                self.known.owed += 1
        tried = self.known.owed
        self.known.spoken.clear()
        assert there >= tried, f"{there} messages, but {tried} were spoken"
        # Some are kept that were shorter than what has to be.
        self.known.owed = there
        return there

    def check_vault(self) -> int:
        """Each row has its files and each file its row, and what a file holds can be read to its end."""
        vault = Vault(
            self.office.voices,
            read_vault_key(Path(self.server.environment["RINGBACK_SECURITY__VAULT_KEY_FILE"])),
        )
        database = sqlite3.connect(f"file:{self.server.data / 'ringback.db'}?mode=ro", uri=True)
        rows = database.execute("SELECT id, kind, state, key_id, wrapped_key, octets FROM voices").fetchall()
        tracks: dict[str, set[str]] = {}
        for voice, part in database.execute("SELECT voice_id, part FROM recording_tracks"):
            tracks.setdefault(voice, set()).add(part)
        recordings = {row[0] for row in database.execute("SELECT voice_id FROM recordings")}
        messages = {row[0] for row in database.execute("SELECT id FROM mailbox_messages")}
        database.close()
        kept = {row[0]: row for row in rows if row[2] in ("whole", "cut")}
        assert not [row for row in rows if row[2] == "writing"]
        assert {path.name.partition(".")[0] for path in self.office.voices.iterdir()} == set(kept)
        for voice, kind, state, key_id, wrapped, octets in kept.values():
            assert voice in (recordings if kind == "recording" else messages), (voice, kind)
            parts = set(vault.parts(voice))
            assert parts == {"mix", *tracks.get(voice, ())}, (voice, parts, tracks.get(voice))
            for part in parts:
                path = vault.path(voice, part)
                stamp = (path.stat().st_size, path.stat().st_mtime_ns)
                if self.verified.get(path) == stamp:
                    continue
                with vault.read(voice, WrappedKey(key_id, wrapped), part, cut=True) as reader:
                    reader.verify()
                    assert reader.whole or state == "cut", (voice, part)
                    # Of what was cut a track may lack the last half second that the mix has.
                    least = 0 if state == "cut" else octets
                    assert least <= reader.size <= octets, (voice, part, reader.size, octets)
                    samples = np.frombuffer(reader.read(0, reader.size), "<i2").astype(np.float32) / 32768
                    if part == "mix" and len(samples) > 2 * RATE:
                        self.loud[bool(np.abs(samples).max() > 0.01)] += 1
                self.verified[path] = stamp
        return sum(len(vault.parts(voice)) for voice in kept)


async def hears_tone(call: Call) -> None:
    deadline = time.monotonic() + 10
    while tone_levels((await call.record(0.2)).samples, RATE, [TONE_HZ])[0] < -30:
        assert time.monotonic() < deadline, "nothing is heard"


async def cut_off(office: RecordedOffice, cuts: int, seed: int) -> None:
    """So many cuts, and what was said by whom is there afterwards."""
    disaster = Disaster(office, seed)
    async with Station(bind="127.0.0.1", verify=False) as station:
        for _, called in PAIRS:
            uri, password = office.server.uri(called), f"secret-of-{called}"
            phone = UserAgent(uri, password=password, station=station, codecs=["PCMU"])
            disaster.phones[called] = phone
            await phone.open()
        for _ in range(cuts):
            print(await disaster.cut(station), flush=True)
        await disaster.heard(station)
        await disaster.play_one(station)
    everything = Counter(one["caller_name"] for one in disaster.records(datetime(2000, 1, 1, tzinfo=UTC)))
    assert not {name for name, count in everything.items() if name.startswith("call") and count > 1}
    assert cuts < 10 or disaster.loud[True] > disaster.loud[False]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[RecordedOffice]:
    settings = {"RINGBACK_SECURITY__VAULT_KEY_FILE": str(tmp_path / "vault.key")}
    server = RingbackServer(tmp_path / "server", settings=settings, own_group=True).start()
    made = RecordedOffice(server)
    for number in {number for pair in PAIRS for number in pair} | {*LEAVERS, MAILBOX}:
        made.add_extension(number)
    give_mailbox(server, MAILBOX, max_messages=1000)
    recorded = [number for pair in PAIRS[:2] for number in pair]
    body = {"extensions": recorded, "notice": NOTICE, "mode": "always", "players": ["auditor"]}
    made.ask("ada", "PUT", "/plan/recording-policy/some", body)
    made.ask("carl", "POST", "/recordings/policies/some/approve")
    yield made
    server.kill_all()


def test_three_power_cuts_lose_nothing_that_was_acknowledged(office: RecordedOffice) -> None:
    asyncio.run(cut_off(office, 3, seed=1))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_hundred_power_cuts_lose_nothing_that_was_acknowledged(office: RecordedOffice) -> None:
    cuts = int(os.environ.get("RINGBACK_CUTS", "100"))
    asyncio.run(cut_off(office, cuts, int(os.environ.get("RINGBACK_CUTS_SEED", "7"))))
