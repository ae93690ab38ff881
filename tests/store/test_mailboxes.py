"""Mailboxes in the store: what is kept, what a crash leaves, what time and reassignment take away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringback.config import Settings
from ringback.governance.private import Private
from ringback.store.errors import InvalidError, NotFoundError
from ringback.store.mailbox_upkeep import RESTORABLE, MailboxUpkeep
from ringback.store.mailboxes import Counts, Greeting, StoredMailbox
from ringback.store.store import Store, open_store
from ringback.store.voices import HeldError

RATE = 8000
CALLER = "5550142"
PIN = "907162"
SAID = b"\x12\x34" * (RATE * 4)
"""Four seconds."""


def write(store: Store, voice: str, key: Private[bytes], said: bytes = SAID, *, whole: bool = True) -> None:
    writer = store.voices.vault.write(voice, key, "mix")
    writer.write(said)
    if whole:
        writer.close()
    else:
        writer.leave()


async def mailbox(store: Store, number: str = "1001", person: str | None = None) -> StoredMailbox:
    return await store.mailboxes.ensure(number, f"x{number}", person)


async def left(store: Store, box: StoredMailbox, *, urgent: bool = False, days: int | None = None) -> str:
    """A message that was left in a mailbox; its id."""
    made = await store.mailboxes.begin_message(box, RATE, Private(CALLER))
    write(store, made.id, made.data_key)
    await store.voices.finish(made.id, len(SAID))
    until = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    await store.mailboxes.deliver(made.id, 4000, urgent=urgent, keep_until=until)
    return made.id


def upkeep(store: Store) -> MailboxUpkeep:
    return MailboxUpkeep(store.database, store.mailboxes, store.voices)


def files(settings: Settings) -> list[Path]:
    return list(settings.voices_dir.rglob("*.rbv"))


async def test_a_message_is_there_after_a_restart_with_its_number_and_its_state(
    store: Store, settings: Settings
) -> None:
    box = await mailbox(store)
    message = await left(store, box, urgent=True)
    other = await left(store, box)
    assert store.mailboxes.of("1001").counts == Counts(2, 0, 1, 0)  # type: ignore[union-attr]
    assert await store.mailboxes.mark(other, "saved") == "1001"
    await store.close()
    again = await open_store(settings)
    await again.mailboxes.load()
    found = again.mailboxes.of("1001")
    assert found is not None
    assert found.counts == Counts(1, 1, 1, 0)
    kept = await again.mailboxes.message("1001", message)
    assert kept.caller.reveal() == CALLER
    with await again.voices.open(message, "mix") as reader:
        assert reader.read(0, len(SAID)) == SAID
    await again.close()


async def test_neither_number_nor_pin_nor_audio_is_readable_on_the_disk(
    store: Store, settings: Settings
) -> None:
    box = await mailbox(store)
    await store.mailboxes.set_pin("1001", Private(PIN), 6)
    await left(store, box)
    secrets = (CALLER.encode(), PIN.encode(), SAID[:64], b"$argon2id$")
    for path in settings.data_dir.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(secret in data for secret in secrets), path


async def test_pins_are_chosen_well_checked_and_forgotten(store: Store) -> None:
    await mailbox(store)
    assert not await store.mailboxes.is_pin("1001", Private(PIN))
    for bad in ("12345", "123456", "111111", "121212", "100123", "271001", "abcdef", "1" * 13):
        with pytest.raises(InvalidError):
            await store.mailboxes.set_pin("1001", Private(bad), 6)
    await store.mailboxes.set_pin("1001", Private(PIN), 6)
    assert store.mailboxes.of("1001").has_pin  # type: ignore[union-attr]
    assert await store.mailboxes.is_pin("1001", Private(PIN))
    assert not await store.mailboxes.is_pin("1001", Private("907163"))
    assert not await store.mailboxes.is_pin("1002", Private(PIN))
    await store.mailboxes.clear_pin("1001")
    assert not await store.mailboxes.is_pin("1001", Private(PIN))
    with pytest.raises(NotFoundError):
        await store.mailboxes.clear_pin("1001")


async def test_a_crash_leaves_what_was_said_and_no_orphan(store: Store, settings: Settings) -> None:
    box = await mailbox(store)
    good = await store.mailboxes.begin_message(box, RATE, Private(CALLER))
    write(store, good.id, good.data_key, whole=False)
    review = await store.mailboxes.begin_message(box, RATE, Private(CALLER))
    write(store, review.id, review.data_key)
    await store.voices.finish(review.id, len(SAID))
    short = await store.mailboxes.begin_message(box, RATE, Private(CALLER))
    write(store, short.id, short.data_key, SAID[: RATE // 2], whole=False)
    empty = await store.mailboxes.begin_message(box, RATE, Private(CALLER))
    greeting = await store.mailboxes.begin_greeting(box, RATE)
    write(store, greeting.id, greeting.data_key, whole=False)
    stray = await store.voices.begin("message", RATE, extension="1001")
    write(store, stray.id, stray.data_key)
    lost = await left(store, box)
    store.voices.vault.remove(lost)
    (settings.voices_dir / ("0" * 16)).mkdir()
    (settings.voices_dir / ("0" * 16) / "mix.rbv").write_bytes(b"RBV1")
    await store.close()
    again = await open_store(settings)
    recovered = await upkeep(again).recover()
    assert {one.id for one in recovered} == {good.id, review.id}
    assert {one.extension for one in recovered} == {"1001"}
    kept = await again.mailboxes.messages(box.id)
    assert {one.id for one in kept} == {good.id, review.id, lost}
    assert next(one for one in kept if one.id == good.id).length_ms == 3072
    assert {path.parent.name for path in files(settings)} == {good.id, review.id}
    for gone in (short.id, empty.id, greeting.id, stray.id):
        with pytest.raises(NotFoundError):
            await again.mailboxes.message("1001", gone)
    await again.close()


async def test_what_is_deleted_can_be_had_back_for_a_while_and_then_never(
    store: Store, settings: Settings
) -> None:
    box = await mailbox(store)
    message = await left(store, box)
    await store.mailboxes.mark(message, "deleted")
    assert store.mailboxes.of("1001").counts.all == 0  # type: ignore[union-attr]
    assert await store.mailboxes.messages(box.id) == []
    await upkeep(store).sweep(datetime.now(UTC), 30)
    await store.mailboxes.mark(message, "new")
    assert store.mailboxes.of("1001").counts.all == 1  # type: ignore[union-attr]
    await store.mailboxes.mark(message, "deleted")
    await upkeep(store).sweep(datetime.now(UTC) + RESTORABLE + timedelta(seconds=1), 30)
    assert files(settings) == []
    with pytest.raises(NotFoundError):
        await store.mailboxes.message("1001", message)


async def test_retention_deletes_for_real_and_a_hold_is_stronger(store: Store, settings: Settings) -> None:
    box = await mailbox(store)
    old, held, new = await left(store, box, days=1), await left(store, box, days=1), await left(store, box)
    await store.voices.hold(held, "auditor", "a case")
    changed = await upkeep(store).sweep(datetime.now(UTC) + timedelta(days=2), 30)
    assert changed == {"1001"}
    assert store.mailboxes.of("1001").counts.all == 2  # type: ignore[union-attr]
    assert {path.parent.name for path in files(settings)} == {held, new}
    with pytest.raises(NotFoundError):
        await store.voices.open(old, "mix")
    await store.mailboxes.purge(held, "extension 1001")
    with pytest.raises(HeldError):
        await store.voices.delete(held, "extension 1001")


async def test_the_next_holder_gets_nothing_of_the_former_and_the_former_keeps_nothing(
    store: Store, settings: Settings
) -> None:
    box = await mailbox(store, person="p1")
    await store.mailboxes.set_pin("1001", Private(PIN), 6)
    message = await left(store, box)
    made = await store.mailboxes.begin_greeting(box, RATE)
    write(store, made.id, made.data_key)
    await store.voices.finish(made.id, len(SAID))
    await store.mailboxes.greet(box, "busy", Greeting(made.id, RATE, 4000))
    await store.mailboxes.archive("1001")
    fresh = await mailbox(store, person="p2")
    assert fresh.id != box.id
    assert fresh.counts == Counts()
    assert dict(fresh.greetings) == {}
    assert not await store.mailboxes.is_pin("1001", Private(PIN))
    with pytest.raises(NotFoundError):
        await store.mailboxes.message("1001", message)
    assert await store.mailboxes.mark(message, "deleted") is None
    (archive,) = await store.mailboxes.archives()
    assert (archive.id, archive.messages) == (box.id, 1)
    assert {path.parent.name for path in files(settings)} == {message}
    await upkeep(store).sweep(datetime.now(UTC) + timedelta(days=29), 30)
    assert len(await store.mailboxes.archives()) == 1
    await upkeep(store).sweep(datetime.now(UTC) + timedelta(days=31), 30)
    assert await store.mailboxes.archives() == []
    assert files(settings) == []


async def test_another_greeting_takes_the_place_of_the_one_before(store: Store, settings: Settings) -> None:
    box = await mailbox(store)
    for _ in range(2):
        made = await store.mailboxes.begin_greeting(box, RATE)
        write(store, made.id, made.data_key)
        await store.voices.finish(made.id, len(SAID))
        await store.mailboxes.greet(box, "name", Greeting(made.id, RATE, 4000))
    assert store.mailboxes.of("1001").greetings["name"].voice_id == made.id  # type: ignore[union-attr]
    assert [path.parent.name for path in files(settings)] == [made.id]
    await store.mailboxes.greet(box, "name", None)
    assert files(settings) == []
