"""Captures diagnosed by the web: uploaded, worked on by a process, answered, limited, and deleted."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ringback.config import load_settings
from ringback.server import diagnoses
from ringback.server.diagnoses import Diagnoses
from ringback.store.store import Store, open_store
from ringback.testing.captures import make
from ringback.testing.fake_operations import FakeOperations
from ringback.web.app import create_app
from ringback.web.serving import WebServer

PATH = "/api/v1/diagnoses"
SECRET_NAME = "call of 15550123401.pcap"


@dataclass
class House:
    diagnoses: Diagnoses
    folder: Path
    store: Store
    client: httpx.AsyncClient

    async def other(self, role: str = "admin", name: str = "") -> dict[str, str]:
        _, token = await self.store.tokens.add(role, name=name)
        return {"Authorization": f"Bearer {token.reveal()}"}

    async def ended(self, diagnosis: str) -> dict[str, object]:
        while True:
            state = (await self.client.get(f"{PATH}/{diagnosis}")).json()
            if state["stage"] in {"done", "failed"}:
                return state
            await asyncio.sleep(0.05)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    environ = {"RINGBACK_WEB__PORT": "0", "RINGBACK_WEB__UPLOAD_LIMIT_MB": "3"}
    settings = load_settings(environ=environ, data_dir=tmp_path / "data")
    store = await open_store(settings)
    found = Diagnoses(tmp_path / "diagnoses", 3_000_000)
    await found.start()
    server = WebServer(create_app(store, FakeOperations(), settings, diagnosing=found), settings)
    await server.start()
    _, token = await store.tokens.add("admin", name="Ada")
    url, headers = f"http://127.0.0.1:{server.address[1]}", {"Authorization": f"Bearer {token.reveal()}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        yield House(found, tmp_path / "diagnoses", store, client)
    await found.stop()
    await server.stop()
    await store.close()


@pytest.fixture(scope="module")
def capture() -> bytes:
    return make("congestion", 1).pcap


async def test_a_capture_is_diagnosed_and_answered_as_json_and_as_a_page(
    house: House, capture: bytes
) -> None:
    names = {"X-File-Name": "bad%20call.pcap"}
    begun = await house.client.post(PATH, content=capture, headers=names)
    assert begun.status_code == 202, begun.text
    diagnosis = begun.json()["id"]
    stages = []
    async with house.client.stream("GET", f"{PATH}/{diagnosis}/events") as events:
        async for line in events.aiter_lines():
            if line.startswith("data: "):
                stages.append(line)
    assert '"stage":"done"' in stages[-1]
    result = (await house.client.get(f"{PATH}/{diagnosis}/result")).json()
    assert result["captures"][0]["files"] == ["bad call.pcap"]
    assert result["numbers_masked"] is True
    assert len(result["calls"]) == 1
    report = await house.client.get(f"{PATH}/{diagnosis}/report")
    assert report.headers["content-type"] == "text/html; charset=utf-8"
    policy = report.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert "<h1>" in report.text
    assert not (house.folder / diagnosis / "capture").exists(), "it is deleted once it is read"
    assert (await house.client.delete(f"{PATH}/{diagnosis}")).status_code == 204
    assert (await house.client.get(f"{PATH}/{diagnosis}")).status_code == 404
    assert not (house.folder / diagnosis).exists()


async def test_only_administrators_may(house: House, capture: bytes) -> None:
    nobody = await house.client.post(PATH, content=capture, headers={"Authorization": ""})
    assert nobody.status_code == 401
    for role in ("helpdesk", "auditor", "user"):
        answer = await house.client.post(PATH, content=capture, headers=await house.other(role))
        assert answer.status_code == 403
    assert not house.folder.exists() or not list(house.folder.iterdir())


async def test_what_is_no_capture_fails_with_a_reason(house: House) -> None:
    begun = await house.client.post(PATH, content=b"GIF89a" * 100)
    state = await house.ended(begun.json()["id"])
    assert state["stage"] == "failed"
    assert "no capture" in str(state["problem"])
    answer = await house.client.get(f"{PATH}/{state['id']}/result")
    assert answer.status_code == 409
    assert "no capture" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "body", "status", "said"),
    [
        ({"complaint": "yesterday"}, b"x", 422, "say it as 14:02:10-14:02:40"),
        ({"time_zone": "Mars"}, b"x", 422, "take UTC or a name like Europe/Berlin"),
        ({}, b"", 422, "the capture is empty"),
        ({}, b"x" * 3_000_001, 413, "larger than 3000000 bytes"),
    ],
)
async def test_what_cannot_be_taken_is_refused_with_what_to_do(
    house: House, query: dict[str, str], body: bytes, status: int, said: str
) -> None:
    answer = await house.client.post(PATH, params=query, content=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True)
    assert not house.folder.exists() or not list(house.folder.iterdir())


async def test_a_body_that_does_not_say_how_large_it_is_is_stopped_at_the_limit(house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    # Who goes on sending may find the connection closed before there is time to read why.
    with contextlib.suppress(httpx.TransportError):
        assert (await house.client.post(PATH, content=endless())).status_code == 413
    for _ in range(100):
        if not list(house.folder.iterdir()):
            break
        await asyncio.sleep(0.02)
    assert not list(house.folder.iterdir())


async def test_one_at_a_time_for_each_and_few_for_all(
    house: House, capture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.diagnoses._turn.acquire()
    assert (await house.client.post(PATH, content=capture)).json()["stage"] == "waiting"
    again = await house.client.post(PATH, content=capture)
    assert again.status_code == 409
    assert "wait for it, or remove it" in again.json()["detail"]
    monkeypatch.setattr(diagnoses, "MOST_GOING", 2)
    assert (await house.client.post(PATH, content=capture, headers=await house.other(name="b"))).is_success
    full = await house.client.post(PATH, content=capture, headers=await house.other(name="c"))
    assert full.status_code == 503
    house.diagnoses._turn.release()


async def test_who_cancels_ends_the_process(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnoses, "COMMAND", ("/bin/sleep", "60"))
    begun = await house.client.post(PATH, content=b"x")
    job = house.diagnoses._jobs[begun.json()["id"]]
    for _ in range(200):
        if job.process is not None:
            break
        await asyncio.sleep(0.02)
    process = job.process
    assert process is not None
    assert (await house.client.delete(f"{PATH}/{begun.json()['id']}")).status_code == 204
    assert process.returncode == -9
    assert not list(house.folder.iterdir())


async def test_a_process_that_dies_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnoses, "COMMAND", ("/bin/false",))
    begun = await house.client.post(PATH, content=b"x")
    state = await house.ended(begun.json()["id"])
    assert (state["stage"], "ended before its end" in str(state["problem"])) == ("failed", True)


async def test_all_of_it_is_deleted_after_an_hour_and_at_a_restart(
    house: House, capture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnoses, "KEPT", diagnoses.timedelta(seconds=0.3))
    begun = await house.client.post(PATH, content=b"x")
    for _ in range(100):
        if (await house.client.get(f"{PATH}/{begun.json()['id']}")).status_code == 404:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("it is still there")
    left = house.folder / "left behind"
    left.mkdir(parents=True)
    await Diagnoses(house.folder, 1).start()
    assert not left.exists()


async def test_files_are_for_the_owner_alone_and_their_names_harmless(house: House, capture: bytes) -> None:
    await house.diagnoses._turn.acquire()
    names = {"X-File-Name": "..%2F..%2F%00etc%2Fpasswd"}
    begun = await house.client.post(PATH, content=capture, headers=names)
    job = house.diagnoses._jobs[begun.json()["id"]]
    assert job.capture.name == "_.._etc_passwd"
    assert job.capture.is_file()
    assert os.stat(house.folder).st_mode & 0o077 == 0
    house.diagnoses._turn.release()


async def test_the_page_may_show_reports_and_nothing_else(house: House) -> None:
    page = await house.client.get("/diagnose")
    assert "at most 3 MB" in page.text
    policy = page.headers["content-security-policy"]
    style, script = house.diagnoses.report_sources
    assert f"style-src 'self' {style};" in policy
    assert f"script-src 'self' {script};" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
