"""Backups at the real command: made while people talk, nothing in clear, and nothing deleted comes back."""

from __future__ import annotations

import asyncio
import io
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringback.agent import Call
from tests.wire.in_clear import found_in, texts, voice_forms
from tests.wire.mailboxes import ask, give_mailbox
from tests.wire.recorded_office import RecordedOffice, Samples, wait_for
from tests.wire.server import RingbackServer
from tests.wire.test_call_records import masked_export
from tests.wire.test_recording import agents, connect, eventually, has, tone
from tests.wire.test_voicemail import CODES, codes_in, leave_message, spoken, until

pytestmark = [pytest.mark.wire, pytest.mark.slow]

PIN = "735162"
RATE = 16_000
ALICE, BOB, CAROL = "6101", "6102", "6103"


class Site:
    """Servers one after the other on the same keys and the same folder of backups."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backups = folder / "backups"
        self.settings = {
            "RINGBACK_SECURITY__VAULT_KEY_FILE": str(folder / "keys" / "vault.key"),
            "RINGBACK_BACKUP__FOLDER": str(self.backups),
        }
        self.servers: list[RingbackServer] = []

    def server(self, name: str) -> RingbackServer:
        self.servers.append(RingbackServer(self.folder / name, settings=self.settings))
        return self.servers[-1]

    def restored(self, name: str, file: str, sealing_key: Path) -> tuple[RecordedOffice, dict[str, Any]]:
        """A new server with what is in a backup, and what the command said."""
        server = self.server(name)
        told = server.ask("backup", "restore", file, "--sealing-key", str(sealing_key))
        return RecordedOffice(server.start()), told


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    for server in made.servers:
        server.kill_all()


async def until_heard(call: Call, frequency: float) -> None:
    """Listen until a tone is heard."""
    async with asyncio.timeout(20):
        while not has((await call.record(0.5)).samples, frequency):
            pass


async def goes_on(call: Call, frequency: float, until_done: asyncio.Task[Any]) -> None:
    """Listen until something is done: a tone is heard meanwhile, and afterwards."""
    heard = []
    while not until_done.done():
        heard.append(has((await call.record(0.5)).samples, frequency))
    # How much of it is for the tests of loss: a busy machine takes away a lot.
    assert any(heard)
    await until_heard(call, frequency)


def message_of(office: RecordedOffice) -> tuple[Samples, int]:
    """The one message for Carol, and its rate."""
    (message,) = office.ask("ada", "GET", f"/voicemail/{CAROL}/messages", **{"X-Reason": "as%20agreed"})
    path = f"/voicemail/{CAROL}/messages/{message['id']}/audio"
    status, _, data = office.request("ada", "GET", path, headers={"X-Reason": "as%20agreed"})
    assert status == 200
    with wave.open(io.BytesIO(data)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.astype(np.float32) / 32768, file.getframerate()


@pytest.mark.long
def test_an_old_backup_holds_nothing_in_clear_and_does_not_bring_back_what_was_deleted(site: Site) -> None:
    server = site.server("first").start()
    office = RecordedOffice(server)
    office.write_policy(mode="always", players=["auditor"])
    made: dict[str, Any] = {}

    async def test() -> None:
        async with agents(office, ALICE, BOB, CAROL) as (alice, bob, carol):
            await asyncio.to_thread(give_mailbox, server, CAROL)
            chooses = await carol.call("*97")
            await chooses.answered()
            await chooses.send_dtmf(f"{PIN}#")
            await chooses.send_dtmf(f"{PIN}#")
            await until(lambda: bool(ask(server, "GET", f"/voicemail/{CAROL}")["has_pin"]))
            await chooses.hangup()
            await carol.unregister()
            call, other = await connect(alice, bob)
            await eventually(lambda: office.is_recording(2))
            await asyncio.gather(call.play(spoken()), other.play(tone(1090, 1.0)))
            await call.hangup()
            await eventually(lambda: len(office.recordings(ALICE)) == 1)
            await leave_message(alice, CAROL)
            await eventually(lambda: ask(server, "GET", f"/voicemail/{CAROL}")["new"] == 1)
            call, other = await connect(alice, bob)
            await asyncio.gather(
                call.play(tone(600, 1.0), loop=True, wait=False),
                other.play(tone(1090, 1.0), loop=True, wait=False),
            )
            await eventually(lambda: office.is_recording(2))
            await asyncio.gather(until_heard(other, 600), until_heard(call, 1090))
            backup = asyncio.create_task(asyncio.to_thread(server.ask, "backup", "create"))
            await asyncio.gather(goes_on(other, 600, backup), goes_on(call, 1090, backup))
            made.update(await backup)
            await call.hangup()

    asyncio.run(test())
    wait_for(lambda: len(office.recordings(ALICE)) == 2)
    recording = office.recordings(ALICE)[-1]["id"]
    track = office.track(recording)
    assert codes_in(track) == list(CODES)
    secrets = texts(PIN, *(f"secret-of-{number}" for number in (ALICE, BOB, CAROL)))
    voices = {**voice_forms(spoken()), **voice_forms(track), **voice_forms(message_of(office)[0])}
    shown = server.fetch("/metrics") + masked_export(server)
    (site.folder / "shown").write_text(shown)
    assert found_in([site.folder], {**voices, **secrets}) == []
    assert "ringback_backup_failed 0.0" in shown
    # Here nothing at all can be read.
    assert found_in([site.backups], texts(ALICE, BOB, CAROL, "extensions", "SQLite format")) == []
    assert server.ask("backup", "verify", made["file"])["audible"] == 2

    again, told = site.restored("second", made["file"], server.data / "secret.key")
    assert (told["voices"], told["deleted"]) == (2, 0)
    assert codes_in(again.track(recording)) == list(CODES)
    assert codes_in(*message_of(again)) == list(CODES)
    out = site.folder / "out.wav"
    words = ("recording", "play", recording, "--reason", "as agreed", "--out", str(out))
    assert again.server.run(*words).returncode == 1, "the restored policy knows who may play it"
    out.write_bytes((again.track(recording) * 32768).astype("<i2").tobytes())
    assert found_in([out], voices) != [], "the search finds what is there"
    again.server.stop()

    assert server.run("recording", "delete", recording, "--reason", "asked for").stderr == ""
    later, told = site.restored("third", made["file"], server.data / "secret.key")
    assert (told["voices"], told["deleted"]) == (1, 1)
    assert later.recordings() == []
    assert (
        later.request("carl", "GET", f"/recordings/{recording}/audio", headers={"X-Reason": "why"})[0] == 404
    )
    assert not (later.voices / recording).exists()
    assert codes_in(*message_of(later)) == list(CODES)


@pytest.mark.long
def test_kill_9_while_a_backup_is_written_leaves_none_that_counts(site: Site) -> None:
    server = site.server("first").start()
    first = server.ask("backup", "create")
    # What takes a moment to be copied.
    tls = server.data / "tls"
    tls.mkdir(exist_ok=True)
    with (tls / "large").open("wb") as file:
        file.truncate(400_000_000)
    server.api("POST", "/backups", {})
    deadline = time.monotonic() + 20
    while not list(site.backups.glob(".ringback-*.part")):
        assert time.monotonic() < deadline, "none was begun"
        time.sleep(0.01)
    server.kill_all()
    (tls / "large").unlink()
    server.start()
    assert [one["id"] for one in server.ask("backup", "list")["folders"][0]["backups"]] == [first["id"]]
    assert not list(server.data.glob("backup-work"))
    second = server.ask("backup", "create")
    assert not list(site.backups.glob(".ringback-*.part"))
    found = server.ask("backup", "list")["folders"][0]["backups"]
    assert [(one["id"], one["problem"]) for one in found] == [(second["id"], ""), (first["id"], "")]
    assert server.ask("backup", "verify", second["file"])["sound"]
