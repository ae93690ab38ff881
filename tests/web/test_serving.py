"""Serving: sockets, limits, health, metrics and events as clients meet them."""

import asyncio
import contextlib
import json
import socket
import stat
import time
from functools import partial

import httpx
import pytest

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.governance.roles import Role
from ringback.store.store import open_store
from ringback.testing.fake_operations import FakeOperations
from ringback.web import server_sent, serving
from ringback.web.app import create_app
from ringback.web.control_socket import AlreadyRunningError
from ringback.web.events import Event, EventHub
from ringback.web.limits import Limits
from ringback.web.operations import Metric, Participant
from ringback.web.serving import WebServer, bind_next_free


async def test_health_and_readiness(web):
    assert (await web.stranger.get("/healthz")).json() == {"status": "ok"}
    assert (await web.stranger.get("/readyz")).json() == {"ready": True, "waiting_for": []}
    web.operations.waiting_for = ("SIP", "a media process")
    waiting = await web.stranger.get("/readyz")
    assert (waiting.status_code, waiting.json()["waiting_for"]) == (503, ["SIP", "a media process"])


async def test_answers_are_not_held_back_by_the_network_stack(web):
    # Nagle's algorithm would hold each of them for the other side's delayed acknowledgement, 40 ms.
    took_s = []
    for _ in range(20):
        began = time.monotonic()
        await web.stranger.get("/healthz")
        took_s.append(time.monotonic() - began)
    assert min(took_s) < 0.035


async def test_metrics_count_requests_by_route_and_carry_no_number(web):
    meeting = await web.store.meetings.add("Weekly")
    await web.owner.get(f"/api/v1/meetings/{meeting.number}")
    await web.stranger.get("/5551234567")
    web.operations.counted = (Metric("ringback_frames", "counter", "Frames.", (({"codec": "PCMU"}, 3.0),)),)
    text = (await web.stranger.get("/metrics")).text
    route = 'ringback_http_requests_total{method="GET",route="/api/v1/meetings/{number}",status="200"} 1.0'
    assert route in text
    assert 'ringback_frames_total{codec="PCMU"} 3.0' in text
    assert "ringback_ready 1.0" in text
    assert "process_resident_memory_bytes" in text
    assert meeting.number not in text
    assert "5551234567" not in text


async def test_metrics_can_be_closed_to_strangers(tmp_path):
    environ = {"RINGBACK_WEB__PORT": "0", "RINGBACK_WEB__METRICS_PUBLIC": "false"}
    settings = load_settings(environ=environ, data_dir=tmp_path / "data")
    store = await open_store(settings)
    app = create_app(store, FakeOperations(), settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert (await client.get("/metrics")).status_code == 401
    await store.close()


async def lines_until(answer, wanted: str) -> list[str]:
    seen = []
    async for line in answer.aiter_lines():
        seen.append(line)
        if wanted in line:
            return seen
    raise AssertionError(seen)


async def test_events_arrive_as_they_happen_with_numbers_masked(web):
    ada = Participant("7", "guest", "in", name="Ada", number=Private("15551234567"))
    async with await web.client("auditor") as auditor, auditor.stream("GET", "/api/v1/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert await anext(lines) == ": connected"
        await asyncio.sleep(0.05)
        web.operations.events.publish(Event("participant.joined", meeting="481516234", participant=ada))
        seen = [await anext(lines) for _ in range(3)]
    assert seen[1] == "event: participant.joined"
    data = json.loads(seen[2].removeprefix("data: "))
    assert (data["meeting"], data["participant"]["name"]) == ("481516234", "Ada")
    assert data["participant"]["number"] == "•••••••••67"


async def test_who_may_not_see_events_any_more_hears_no_more(web, monkeypatch):
    monkeypatch.setattr(server_sent, "LOOKS_EVERY_S", 0.05)

    async def ended(client, path, end):
        async with client.stream("GET", path) as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == ": connected"
            await end()
            async with asyncio.timeout(5):
                assert [line async for line in lines if line] == []

    token, secret = await web.store.tokens.add("auditor")
    headers = {"Authorization": f"Bearer {secret.reveal()}"}
    async with httpx.AsyncClient(base_url=web.url, headers=headers, trust_env=False) as auditor:
        await ended(auditor, "/api/v1/events", lambda: web.store.tokens.revoke(token.id))
    login, link = await web.store.logins.add("ada", Role.HELPDESK, None)
    await web.store.logins.choose_password(link, Private("a long enough one"))
    ours = {"X-Ringback": "1"}
    given = {"name": "ada", "password": "a long enough one"}
    assert (await web.stranger.post("/api/v1/session", json=given, headers=ours)).status_code == 201

    async def silence():
        await asyncio.Event().wait()
        yield

    web.operations.tell = silence
    less = partial(web.store.logins.change, login.id, role=Role.USER)
    for path, end in (
        ("/api/v1/events", less),
        ("/api/v1/sip/trace", partial(web.store.sessions.end_all, login.id)),
    ):
        await ended(web.stranger, path, end)
        await web.store.logins.change(login.id, role=Role.HELPDESK)


async def test_events_of_one_meeting_only(web):
    async with web.owner.stream("GET", "/api/v1/events?meeting=481516234") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        await asyncio.sleep(0.05)
        for meeting in ("999999999", "481516234"):
            web.operations.events.publish(Event("meeting.started", meeting=meeting))
        seen = [await anext(lines) for _ in range(3)]
    assert "481516234" in seen[2]


async def test_a_listener_that_went_away_is_forgotten(web):
    async with web.owner.stream("GET", "/api/v1/events") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        await asyncio.sleep(0.05)
        assert len(web.operations.events) == 1
    for _ in range(50):
        await asyncio.sleep(0.02)
    assert len(web.operations.events) == 0


async def test_stopping_ends_event_streams_at_once(web):
    async with web.owner.stream("GET", "/api/v1/events") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        await asyncio.sleep(0.05)
        async with asyncio.timeout(1.5):
            await web.server.stop()
        assert [line async for line in lines if line] == []


async def test_a_slow_listener_is_told_how_much_it_missed():
    hub = EventHub(backlog=3)
    stream = hub.subscribe()
    for number in range(10):
        hub.publish(Event("tick", details={"number": number}))
    kept = [await anext(stream) for _ in range(4)]
    assert [event.details.get("number") for event in kept[:3]] == [0, 1, 2]
    assert (kept[3].kind, kept[3].details) == ("events.missed", {"count": 7})
    hub.close()
    assert [event async for event in stream] == []
    assert len(hub) == 0


async def test_a_large_body_is_refused(web):
    answer = await web.owner.post("/api/v1/meetings", content=b"x" * 300_000)
    assert answer.status_code == 413
    assert "larger than" in answer.json()["detail"]

    async def chunks():
        for _ in range(40):
            yield b"x" * 10_000

    assert (await web.owner.post("/api/v1/meetings", content=chunks())).status_code == 413


async def raw(web, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.server.address[1])
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


async def test_a_huge_header_ends_its_connection_and_nothing_else(web):
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 10_000_000
    with contextlib.suppress(ConnectionError):
        assert b" 400 " in await raw(web, head)
    assert (await web.stranger.get("/healthz")).status_code == 200


async def test_garbage_and_half_requests_end_their_connection(web, monkeypatch):
    assert b" 400 " in await raw(web, bytes(range(256)) + b"\r\n\r\n")
    monkeypatch.setattr(serving, "HEADER_PATIENCE_S", 0.2)
    for sent in (b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"):
        assert await raw(web, sent) == b""
    assert (await web.stranger.get("/healthz")).status_code == 200


async def test_one_source_cannot_take_the_places_of_all_others(web):
    address = web.server.address
    opened = [await asyncio.open_connection(*address, local_addr=("127.0.0.66", 0)) for _ in range(1_100)]
    for _, writer in opened:
        writer.write(b"GET / HTTP/1.1\r\n")
    await asyncio.sleep(0.3)
    try:
        assert (await web.stranger.get("/healthz")).status_code == 200
        assert sum(not reader.at_eof() for reader, _ in opened) == serving.CONNECTIONS_PER_SOURCE
    finally:
        for _, writer in opened:
            writer.close()
    await asyncio.sleep(0.3)
    again, writer = await asyncio.open_connection(*address, local_addr=("127.0.0.66", 0))
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b" 200 " in await asyncio.wait_for(again.read(), 5)
    writer.close()


async def test_a_body_that_never_comes_is_given_up(web):
    app = Limits(web.app, patience_s=0.1)

    async def receive():
        await asyncio.sleep(10)

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/setup", "raw_path": b"/setup", "query_string": b""}
    scope |= {"headers": [(b"content-type", b"application/json")], "client": ("192.0.2.1", 1), "server": None}
    scope |= {"scheme": "http", "root_path": "", "http_version": "1.1"}
    await app(scope, receive, send)
    assert sent[0]["status"] == 408


async def test_the_control_socket_is_for_its_owner(web):
    mode = web.settings.control_socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert (await web.owner.get("/api/v1/tokens")).status_code == 200
    spoofed = {"X-Forwarded-For": "unix", "ringback.identity": "local administrator"}
    assert (await web.stranger.get("/api/v1/tokens", headers=spoofed)).status_code == 401


async def test_a_second_server_on_the_same_folder_is_refused_and_a_stale_socket_is_not_in_the_way(web):
    second = WebServer(web.app, web.settings)
    with pytest.raises(AlreadyRunningError, match="ringback status"):
        await second.start()
    await web.server.stop()
    assert not web.settings.control_socket.exists()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(web.settings.control_socket))
    dead.close()
    third = WebServer(web.app, web.settings)
    await third.start()
    assert (await web.owner.get("/healthz")).status_code == 200
    await third.stop()


async def test_a_folder_with_a_very_long_name_has_a_control_socket_too(tmp_path):
    folder = tmp_path / ("long" * 30)
    settings = load_settings(environ={"RINGBACK_WEB__PORT": "0"}, data_dir=folder)
    store = await open_store(settings)
    server = WebServer(create_app(store, FakeOperations(), settings), settings)
    await server.start()
    assert settings.control_socket.is_socket()
    with pytest.raises(AlreadyRunningError):
        await WebServer(create_app(store, FakeOperations(), settings), settings).start()
    await server.stop()
    await store.close()


def test_a_taken_port_gives_the_next_free_one():
    first = bind_next_free("127.0.0.1", 0)
    port = first.getsockname()[1]
    second = bind_next_free("127.0.0.1", port)
    assert second.getsockname()[1] > port
    first.close()
    second.close()
