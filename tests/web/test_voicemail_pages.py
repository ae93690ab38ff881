"""Mailboxes by web: messages are for who holds the extension; all others see counts, or say why."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pytest

from ringback.config import Settings
from ringback.governance.private import Private
from ringback.governance.roles import Role
from ringback.server.voicemail_desk import VoicemailDesk
from ringback.server.voicemail_pages import VoicemailPages
from ringback.store.store import Store, open_store
from ringback.testing.fake_operations import FakeOperations
from ringback.web.app import announce, create_app
from ringback.web.context import FROM_PAGE, SESSION_COOKIE
from ringback.web.serving import WebServer

RATE = 8000
SAID = b"\x12\x34" * (RATE * 3)
CALLER = "+15550142"
REASON = {"X-Reason": "court order 12-345"}
PATH = "/api/v1/voicemail"


@dataclass
class Office:
    """A server with the mailboxes 1001 (Ada's, with one message) and 1002 (Bob's)."""

    store: Store
    url: str
    owner: httpx.AsyncClient
    message: str
    lamps: list[str]

    async def of(self, name: str) -> httpx.AsyncClient:
        """A page of somebody who is logged in."""
        person = next(one for one in self.store.people.all() if one.name == name)
        login, _ = await self.store.logins.add(f"{name.lower()}@example.com", Role.USER, person.id)
        _, secret = await self.store.sessions.begin(login, "Firefox")
        return self.client({"Cookie": f"{SESSION_COOKIE}={secret.reveal()}", FROM_PAGE: "1"})

    async def bearer(self, role: str) -> httpx.AsyncClient:
        """Somebody with a token."""
        _, token = await self.store.tokens.add(role)
        return self.client({"Authorization": f"Bearer {token.reveal()}"})

    def client(self, headers: dict[str, str]) -> httpx.AsyncClient:
        """Somebody with these headers."""
        return httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False)


@pytest.fixture
async def office(settings: Settings) -> AsyncIterator[Office]:
    store = await open_store(settings)
    for number, name in (("1001", "Ada"), ("1002", "Bob")):
        person = await store.people.add(name)
        await store.extensions.add(number, person_id=person.id)
        await store.objects.put("mailbox", number, {}, "a test")
    lamps: list[str] = []
    nobody = cast("Any", None)
    desk = VoicemailDesk(store, nobody, nobody, 6, changed=lamps.append, received=nobody)
    pages = VoicemailPages(store, desk, 6, lamps.append)
    box = await desk.mailbox("1001")
    made = await store.mailboxes.begin_message(box, RATE, Private(CALLER))
    writer = store.voices.vault.write(made.id, made.data_key, "mix")
    writer.write(SAID)
    writer.close()
    await store.voices.finish(made.id, len(SAID))
    await store.mailboxes.deliver(made.id, 3000, urgent=False, keep_until=None)
    operations = FakeOperations()
    app = create_app(store, operations, settings, voicemail=pages)
    server = WebServer(app, settings)
    await server.start()
    announce(app, web_port=server.address[1], sip_port=5060)
    transport = httpx.AsyncHTTPTransport(uds=str(settings.control_socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://local", trust_env=False) as owner:
        yield Office(store, f"http://127.0.0.1:{server.address[1]}", owner, made.id, lamps)
    operations.events.close()
    await server.stop()
    await store.close()


async def test_the_holder_hears_keeps_deletes_and_has_back(office: Office) -> None:
    async with await office.of("Ada") as ada:
        (message,) = (await ada.get(f"{PATH}/1001/messages")).json()
        assert (message["id"], message["caller"], message["seconds"]) == (office.message, CALLER, 3.0)
        heard = await ada.get(f"{PATH}/1001/messages/{office.message}/audio")
        assert heard.headers["content-type"] == "audio/wav"
        assert heard.headers["cache-control"] == "no-store"
        with wave.open(io.BytesIO(heard.content)) as sound:
            assert (sound.getframerate(), sound.getnframes()) == (RATE, 3 * RATE)
            assert sound.readframes(3 * RATE) == SAID
        assert (await ada.patch(f"{PATH}/1001/messages/{office.message}", json={"state": "old"})).json()[
            "state"
        ] == "old"
        assert (await ada.delete(f"{PATH}/1001/messages/{office.message}")).status_code == 204
        assert (await ada.get(f"{PATH}/1001/messages")).json() == []
        assert (await ada.get(f"{PATH}/1001/messages/{office.message}/audio")).status_code == 404
        back = await ada.post(f"{PATH}/1001/messages/{office.message}/restore")
        assert back.json()["state"] == "old"
        assert office.lamps == ["1001"] * 3
        assert [box["extension"] for box in (await ada.get(PATH)).json()] == ["1001"]
        assert (await ada.put(f"{PATH}/1001/pin", json={"pin": "111111"})).status_code == 422
        assert (await ada.put(f"{PATH}/1001/pin", json={"pin": "907162"})).status_code == 204
    deeds = await office.store.voices.deeds(office.message)
    assert [(deed.act, deed.who) for deed in deeds] == [("played", "ada@example.com")]


async def test_parts_of_a_message_are_served(office: Office) -> None:
    async with await office.of("Ada") as ada:
        path = f"{PATH}/1001/messages/{office.message}/audio"
        whole = (await ada.get(path)).content
        for asked, start, end in (
            ("bytes=0-99", 0, 100),
            ("bytes=70-20000", 70, 20001),
            ("bytes=40000-", 40000, len(whole)),
            ("bytes=-10", len(whole) - 10, len(whole)),
        ):
            part = await ada.get(path, headers={"Range": asked})
            assert part.status_code == 206
            assert part.content == whole[start:end]
            assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(whole)}"
        beyond = await ada.get(path, headers={"Range": f"bytes={len(whole)}-"})
        assert beyond.status_code == 416
        assert (await ada.get(path, headers={"Range": "lines=1-2"})).content == whole


async def test_nobody_else_hears_or_changes_anything(office: Office) -> None:
    path = f"{PATH}/1001/messages"
    async with await office.of("Bob") as bob, office.client({}) as stranger:
        assert (await stranger.get(path)).status_code == 401
        for asked in (
            await bob.get(path, headers=REASON),
            await bob.get(f"{path}/{office.message}/audio", headers=REASON),
            await bob.patch(f"{path}/{office.message}", json={"state": "old"}),
            await bob.delete(f"{path}/{office.message}"),
            await bob.get(f"{PATH}/1001"),
            await bob.put(f"{PATH}/1001/pin", json={"pin": "907162"}),
            await bob.delete(f"{PATH}/1001/pin"),
            await bob.get("/api/v1/voicemail-archives"),
        ):
            assert asked.status_code == 403
        # By way of the own mailbox neither.
        assert (await bob.get(f"{PATH}/1002/messages/{office.message}/audio")).status_code == 404
        assert [box["extension"] for box in (await bob.get(PATH)).json()] == ["1002"]
    assert await office.store.voices.deeds(office.message) == []


async def test_administrators_see_counts_and_hear_only_with_a_reason_that_is_written_down(
    office: Office,
) -> None:
    async with await office.bearer("admin") as admin, await office.bearer("auditor") as auditor:
        assert (await admin.get(f"{PATH}/1001")).json()["new"] == 1
        path = f"{PATH}/1001/messages"
        audio = f"{path}/{office.message}/audio"
        assert (await admin.get(audio)).status_code == 403
        assert (await admin.get(path, headers={"X-Reason": "why"})).status_code == 403
        assert (await auditor.get(audio, headers=REASON)).status_code == 403
        assert (await auditor.get(f"{PATH}/1001")).json()["new"] == 1
        assert (await admin.get(path, headers=REASON)).json()[0]["id"] == office.message
        assert (await admin.get(audio, headers=REASON)).status_code == 200
        assert (await admin.delete(f"{path}/{office.message}", headers=REASON)).status_code == 403
        deeds = await office.store.voices.deeds(office.message)
        assert [(deed.act, deed.reason) for deed in deeds] == [
            ("listed", "break-glass: court order 12-345"),
            ("played", "break-glass: court order 12-345"),
        ]


async def test_only_the_auditor_deletes_what_a_former_holder_left(office: Office) -> None:
    await office.store.mailboxes.archive("1001")
    async with (
        await office.bearer("admin") as admin,
        await office.bearer("auditor") as auditor,
        await office.of("Ada") as ada,
    ):
        assert (await ada.get(f"{PATH}/1001/messages")).json() == []
        assert (await ada.get(f"{PATH}/1001/messages/{office.message}/audio")).status_code == 404
        assert (await office.owner.get("/api/v1/voicemail-archives")).status_code == 403
        assert (await admin.get("/api/v1/voicemail-archives")).status_code == 403
        (archive,) = (await auditor.get("/api/v1/voicemail-archives")).json()
        assert (archive["extension"], archive["messages"]) == ("1001", 1)
        gone = await auditor.delete(f"/api/v1/voicemail-archives/{archive['id']}", headers=REASON)
        assert gone.status_code == 204
        assert (await auditor.get("/api/v1/voicemail-archives")).json() == []
    assert list(office.store.voices.vault.voices()) == []
