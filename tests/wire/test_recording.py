"""Recording by policy with real calls: who is told, who is in the files, who may play them, what stays."""

from __future__ import annotations

import asyncio
import sqlite3
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringback.agent import Call, Station, UserAgent
from ringback.governance.wav import HEADER_BYTES
from ringback.quality.tones import make_tones, tone_levels
from tests.wire.baresip import Baresip
from tests.wire.in_clear import found_in, voice_forms
from tests.wire.recorded_office import NOTICE, WHY, RecordedOffice, Samples, wait_for
from tests.wire.server import RingbackServer

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.calm]

RATE = 16_000


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedOffice]:
    folder = tmp_path_factory.mktemp("recording")
    settings = {"RINGBACK_SECURITY__VAULT_KEY_FILE": str(folder / "vault.key")}
    server = RingbackServer(folder, settings=settings).start()
    yield RecordedOffice(server)
    server.kill_all()


async def eventually(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_for, condition)


def likeness(heard: Samples, spoken: Samples) -> float:
    """How much of what was heard is what was spoken, wherever it begins: 1 is all of it."""
    size = 1 << (len(heard) + len(spoken)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(spoken, size)), size)
    at = int(np.argmax(product[: len(heard)]))
    piece = heard[at : at + len(spoken)]
    norm = float(np.linalg.norm(piece) * np.linalg.norm(spoken[: len(piece)]))
    # In a piece that is silent the product is what the transform rounds.
    floor = 0.01 * float(np.linalg.norm(heard) * np.linalg.norm(spoken))
    return float(product[at]) / max(norm, floor, 1e-9)


def notice_in(office: RecordedOffice, heard: Samples) -> float:
    with wave.open(str(office.notice_file)) as file:
        assert file.getframerate() == RATE
        spoken = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    return likeness(heard, spoken)


THERE = 0.25
"""A likeness that no other sound has; a busy machine takes some of it away."""


async def notices(office: RecordedOffice, calls: list[Call], until: list[int]) -> list[float]:
    """How much of the notice each of them hears, until those have heard it or ten seconds are over."""
    heard: list[list[Samples]] = [[] for _ in calls]
    found = [0.0]
    for _ in range(10):
        for pieces, one in zip(heard, await asyncio.gather(*(call.record(1) for call in calls)), strict=True):
            pieces.append(one.samples)
        found = [notice_in(office, np.concatenate(pieces)) for pieces in heard]
        if all(found[place] > THERE for place in until):
            break
    return found


def has(samples: Samples, frequency: float) -> bool:
    return bool(tone_levels(samples, RATE, [frequency])[0] > -30)


def tone(frequency: float, seconds: float) -> Any:
    return make_tones(RATE, seconds, [frequency], -14.0)


@asynccontextmanager
async def agents(office: RecordedOffice, *numbers: str) -> AsyncIterator[list[UserAgent]]:
    passwords = [await asyncio.to_thread(office.add_extension, number) for number in numbers]
    async with AsyncExitStack() as stack:
        station = await stack.enter_async_context(Station(bind="127.0.0.1", verify=False))
        found = []
        for number, password in zip(numbers, passwords, strict=True):
            agent = UserAgent(office.server.uri(number), password=password, station=station, codecs=["PCMU"])
            found.append(await stack.enter_async_context(agent))
            await agent.register()
        yield found


async def connect(caller: UserAgent, called: UserAgent) -> tuple[Call, Call]:
    call = await caller.call(called.account.username)
    other = await called.next_call(timeout_s=10)
    await asyncio.gather(other.answer(), call.answered())
    return call, other


async def speak_both(one: Call, other: Call, seconds: float) -> None:
    await asyncio.gather(one.play(tone(600, seconds)), other.play(tone(1090, seconds)))


def test_both_are_told_then_both_are_in_the_files_and_a_third_is_told_too(office: RecordedOffice) -> None:
    office.write_policy(mode="opt-out", players=["auditor"])

    async def test() -> None:
        async with agents(office, "5101", "5102", "5103") as (alice, bob, carol):
            call, other = await connect(alice, bob)
            # Something is said before anybody could know: it is in no file.
            assert min(await notices(office, [call, other], [0, 1])) > THERE
            assert not office.is_recording(2)
            assert "cannot be spoken" not in office.server.output(), "the first call after the approval"
            await eventually(lambda: office.is_recording(2))
            await speak_both(call, other, 1.5)
            transfer = asyncio.create_task(other.transfer("5103"))
            third = await carol.next_call(timeout_s=10)
            await third.answer()
            at_alice, at_carol = await notices(office, [call, third], [1])
            assert at_carol > THERE
            assert at_alice < THERE, "who was told is not told again"
            await transfer
            await call.hangup()

    asyncio.run(test())
    wait_for(lambda: len(office.recordings("5102")) == 1)
    (found,) = office.recordings("5102")
    assert sorted(track["extension"] for track in found["tracks"]) == ["5101", "5102"]
    parts = {track["extension"]: track["part"] for track in found["tracks"]}
    mix, first, second = (office.track(found["id"], part) for part in ("mix", parts["5101"], parts["5102"]))
    assert len(mix) == len(first) == len(second) == round(found["seconds"] * RATE)
    assert np.abs(mix - first - second).max() < 3 / 32768, "aligned to the sample"
    assert (has(first, 600), has(first, 1090), has(second, 600), has(second, 1090)) == (
        True,
        False,
        False,
        True,
    )
    details = office.ask("carl", "GET", f"/recordings/{found['id']}")
    assert {(one["extension"], one["state"], one["how"]) for one in details["consents"]} >= {
        ("5101", "agreed", "did not refuse"),
        ("5102", "agreed", "did not refuse"),
    }
    assert {one["notice"] for one in details["consents"]} == {NOTICE}
    assert [(one["who"], one["act"]) for one in details["deeds"]] == [("carl", "played")] * 3
    backup = office.server.ask("backup", "create", "--to", str(office.server.folder / "backups"))["file"]
    nothing_in_clear(office, [mix, first, second])
    who_may_play_hold_and_delete(office, found)
    it_does_not_come_back(office, found["id"], backup)


def nothing_in_clear(office: RecordedOffice, tracks: list[Samples]) -> None:
    """No stretch of what was recorded is anywhere in the data folder, nor in what the server has printed."""
    for samples in tracks:
        assert found_in([office.server.folder], voice_forms(samples)) == []


def it_does_not_come_back(office: RecordedOffice, recording: str, backup: str) -> None:
    """From a backup that was made before it was deleted."""
    restored = RingbackServer(office.server.folder / "restored", settings=office.server.environment)
    told = restored.ask("backup", "restore", backup, "--sealing-key", str(office.server.data / "secret.key"))
    assert told["deleted"] == 1
    assert not (restored.data / "voices" / recording).exists()
    with sqlite3.connect(restored.data / "ringback.db") as database:
        row = database.execute("SELECT state, wrapped_key FROM voices WHERE id = ?", (recording,)).fetchone()
    assert row == ("deleted", None)


def who_may_play_hold_and_delete(office: RecordedOffice, found: dict[str, Any]) -> None:
    path = f"/recordings/{found['id']}"
    status, _, data = office.request("ada", "GET", f"{path}/audio", headers=WHY)
    assert (status, b"its policy names: auditor" in data) == (403, True)
    assert office.request("carl", "GET", f"{path}/audio")[0] == 422, "a reason is asked for"
    whole = office.request("carl", "GET", f"{path}/audio", headers=WHY)[2]
    for asked, piece in (
        ("bytes=0-99", whole[:100]),
        ("bytes=30-20000", whole[30:20001]),
        ("bytes=-7", whole[-7:]),
    ):
        status, headers, data = office.request(
            "carl", "GET", f"{path}/audio", headers={**WHY, "Range": asked}
        )
        assert (status, data == piece) == (206, True)
        assert headers["content-range"].endswith(f"/{len(whole)}")
    beyond = {**WHY, "Range": f"bytes={len(whole)}-"}
    assert office.request("carl", "GET", f"{path}/audio", headers=beyond)[0] == 416
    assert office.server.ask("recording", "verify", found["id"])["sound"]
    office.ask("carl", "POST", f"{path}/hold", {"reason": "case 12"})
    assert office.request("carl", "DELETE", path, headers=WHY)[0] == 403
    status, _, data = office.request("ada", "DELETE", path, headers=WHY)
    assert (status, b"legal hold" in data) == (409, True)
    assert (office.voices / found["id"]).is_dir()
    office.ask("carl", "POST", f"{path}/release", {"reason": "case closed"})
    assert office.server.run("recording", "delete", found["id"], "--reason", "asked for").returncode == 0
    assert not (office.voices / found["id"]).exists()
    assert office.recordings("5102") == []
    assert office.request("carl", "GET", f"{path}/audio", headers=WHY)[0] == 404
    deeds = [(one["who"], one["act"]) for one in office.ask("carl", "GET", path)["deeds"]]
    assert deeds == [
        *[("carl", "played")] * 3,
        ("ada", "refused"),
        ("local administrator", "verified"),
        ("carl", "held"),
        ("carl", "released"),
        ("local administrator", "deleted"),
    ], "ranges of one hearing are one line"
    assert office.ask("carl", "GET", path)["tracks"] == []


def test_a_phone_that_refuses_is_in_no_file(
    office: RecordedOffice, make_baresip: Callable[..., Baresip]
) -> None:
    office.write_policy(mode="opt-out", players=["auditor"])
    password = office.add_extension("5111")
    phone = make_baresip(
        "5111", server=office.server.udp, password=password, tone_hz=1090, answer="auto", codec="pcmu"
    )
    phone.register()

    async def test() -> None:
        async with agents(office, "5112") as (alice,):
            call = await alice.call("5111")
            await call.answered()
            await asyncio.to_thread(phone.wait_event, "CALL_ESTABLISHED")
            # With the star it counts whenever it comes.
            await asyncio.to_thread(phone.press, "*9")
            await eventually(lambda: office.is_recording(1))
            await call.play(tone(600, 1.5))
            assert has((await call.record(0.5)).samples, 1090), "the call goes on"
            await call.hangup()

    asyncio.run(test())
    wait_for(lambda: len(office.recordings("5112")) == 1)
    (found,) = office.recordings("5112")
    assert [track["extension"] for track in found["tracks"]] == ["5112"]
    for part in ("mix", found["tracks"][0]["part"]):
        samples = office.track(found["id"], part)
        assert has(samples[-RATE:], 600)
        assert not has(samples, 1090)
    details = office.ask("carl", "GET", f"/recordings/{found['id']}")
    refused = [(one["extension"], one["how"]) for one in details["consents"] if one["state"] == "refused"]
    assert refused in ([("5111", "pressed 9")], [("5111", "pressed *9")])
    office.ask("ada", "DELETE", f"/recordings/{found['id']}", **WHY)


def test_a_meeting_that_the_servers_end_ends_is_recorded_whole(
    office: RecordedOffice, tmp_path: Path
) -> None:
    office.write_policy(mode="always", players=["auditor", "admin"])
    meeting = office.ask("ada", "POST", "/meetings", {"name": "Weekly"})

    async def test() -> None:
        async with agents(office, "5121", "5122") as phones:
            dialled = f"{meeting['number']}*{meeting['guest_pin']}"
            calls = [await phone.call(dialled) for phone in phones]
            await asyncio.gather(*(call.answered() for call in calls))
            await eventually(lambda: office.is_recording(2))
            await speak_both(calls[0], calls[1], 1.5)
            await asyncio.to_thread(office.server.stop)
            await asyncio.to_thread(office.server.start)

    asyncio.run(test())
    wait_for(lambda: len(office.recordings("5121")) == 1)
    (found,) = office.recordings("5121")
    assert (found["cut"], found["direction"]) == (False, "internal")
    assert sorted(track["extension"] for track in found["tracks"]) == ["5121", "5122"]
    mix = office.track(found["id"])
    assert (has(mix[-RATE:], 600), has(mix[-RATE:], 1090)) == (True, True)
    out = tmp_path / "mix.wav"
    words = ("recording", "play", found["id"], "--reason", "as agreed", "--out", str(out))
    assert office.server.ask(*words) == {"bytes": HEADER_BYTES + 2 * len(mix), "file": str(out)}
    assert (out.stat().st_size, out.stat().st_mode & 0o777) == (HEADER_BYTES + 2 * len(mix), 0o600)
    office.ask("ada", "DELETE", f"/recordings/{found['id']}", **WHY)
