"""Voicemail joined with the store: notices by mail, holders that change, what a crash interrupted."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.call.effects import Notice
from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.server.voicemail import Voicemail
from ringback.sip.effects import Effect
from ringback.sip.message_summary import Mailbox
from ringback.store.store import Store, open_store
from tests.server.smtp_server import SmtpServer

RATE = 8_000
SAID = b"\x12\x34" * (RATE * 3)
CALLER = "5550142"


class Quiet:
    """Everything that voicemail tells when nobody calls."""

    def __init__(self) -> None:
        self.mailboxes = self
        self.find: Callable[[str], Mailbox | None] = lambda _: None
        self.legs: dict[int, object] = {}
        self.lamps: list[str] = []
        self.news: list[str] = []

    def perform(self, act: Callable[[float], list[Effect]]) -> None:
        act(0.0)

    def act(self, act: Callable[[float], int]) -> int:
        return act(0.0)

    def mailbox_changed(self, extension: str, _now: float) -> list[Effect]:
        self.lamps.append(extension)
        return []

    def publish(self, notice: Notice) -> None:
        self.news.append(notice.kind)


class Town:
    """A store and voicemail on it, with a mail server."""

    def __init__(self, store: Store, voicemail: Voicemail, quiet: Quiet, post: SmtpServer) -> None:
        self.store, self.voicemail, self.quiet, self.post = store, voicemail, quiet, post

    async def begin(self) -> str:
        """A message that is being left."""
        box = await self.voicemail.desk.mailbox("1001")
        made = await self.store.mailboxes.begin_message(box, RATE, Private(CALLER))
        writer = self.store.voices.vault.write(made.id, made.data_key, "mix")
        writer.write(SAID)
        writer.close()
        return made.id

    async def leave(self) -> str:
        """A message that was left, and told of."""
        message = await self.begin()
        await self.store.voices.finish(message, len(SAID))
        await self.store.mailboxes.deliver(message, 3_000, urgent=False, keep_until=None)
        self.voicemail.changed("1001")
        self.voicemail._received("1001", message)
        return message

    async def settle(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.fixture
async def town(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Town]:
    async with SmtpServer() as post:
        settings = load_settings(
            environ={
                "RINGBACK_MAIL__HOST": "127.0.0.1",
                "RINGBACK_MAIL__PORT": str(post.port),
                "RINGBACK_MAIL__TLS": "none",
                "RINGBACK_MAIL__SENDER": "pbx@example.com",
                "RINGBACK_VOICEMAIL__AFTER_REASSIGNMENT": getattr(request, "param", "archive"),
            },
            data_dir=tmp_path / "data",
        )
        store = await open_store(settings)
        await store.extensions.add("1001")
        await store.objects.put("mailbox", "1001", {"e_mail": "ada@example.com"}, "a test")
        quiet: Any = Quiet()
        voicemail = Voicemail(settings, store, quiet, quiet, quiet, quiet.publish)
        store.on_change(voicemail.follow)
        await voicemail.start()
        yield Town(store, voicemail, quiet, post)
        await voicemail.stop()
        await store.close()


async def test_a_notice_holds_neither_voice_nor_number(town: Town) -> None:
    await town.leave()
    await town.settle(lambda: town.post.mails)
    (mail,) = town.post.mails
    assert mail["To"] == "ada@example.com"
    assert not mail.is_multipart()
    assert CALLER not in mail.as_string()
    assert "1001" not in mail.as_string()


async def test_the_voice_itself_goes_by_mail_only_where_the_plan_says_so(town: Town) -> None:
    values = {"e_mail": "ada@example.com", "tell": "audio"}
    await town.store.objects.put("mailbox", "1001", values, "a test")
    message = await town.leave()
    await town.settle(lambda: town.post.mails)
    (sound,) = town.post.mails[0].iter_attachments()
    with wave.open(io.BytesIO(sound.get_content())) as opened:
        assert opened.readframes(opened.getnframes()) == SAID
    assert CALLER not in town.post.mails[0].as_string()
    assert [deed.act for deed in await town.store.voices.deeds(message)] == ["exported"]


async def test_nobody_is_told_of_what_was_heard_meanwhile(town: Town) -> None:
    message = await town.leave()
    await town.store.mailboxes.mark(message, "old")
    await town.voicemail._notice("1001", message)
    assert await town.voicemail._notice("1001", message) is None
    assert await town.voicemail._notice("1001", "0" * 16) is None


async def test_the_lamp_is_of_who_holds_the_extension(town: Town) -> None:
    store, lamp = town.store, town.quiet.find
    assert lamp("1002") is None
    assert lamp("1001") == Mailbox()
    await town.leave()
    assert lamp("1001") == Mailbox(new=1)
    ada, bob = await store.people.add("Ada"), await store.people.add("Bob")
    await store.extensions.change("1001", person_id=ada.id)
    assert lamp("1001") == Mailbox(new=1)
    await town.settle(lambda: store.mailboxes.of("1001").person_id == ada.id)  # type: ignore[union-attr]
    await store.extensions.change("1001", person_id=bob.id)
    # At once, not only when the archive is made.
    assert lamp("1001") == Mailbox()
    await town.settle(lambda: store.mailboxes.of("1001") is None)
    assert [archive.messages for archive in await store.mailboxes.archives()] == [1]
    assert town.quiet.lamps[-1] == "1001"


@pytest.mark.parametrize("town", ["delete"], indirect=True)
async def test_what_is_to_be_deleted_at_once_is(town: Town) -> None:
    store = town.store
    ada = await store.people.add("Ada")
    await store.extensions.change("1001", person_id=ada.id)
    await town.leave()
    await store.extensions.change("1001", no_person=True)
    async with asyncio.timeout(10):
        while list(store.voices.vault.voices()) or await store.mailboxes.archives():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_who_was_cut_off_by_a_crash_is_told_of_at_the_start(town: Town) -> None:
    await town.begin()
    await town.voicemail.start()
    await town.settle(lambda: town.post.mails)
    assert "voicemail.received" in town.quiet.news
    assert town.quiet.find("1001") == Mailbox(new=1)
