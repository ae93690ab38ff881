"""Devices of accounts that are changed, removed, or were removed while the server was not running."""

from __future__ import annotations

import time
from pathlib import Path

from ringback.config import load_settings
from ringback.server.registrations import RegistrationKeeper
from ringback.sip.registration import Registrar
from ringback.store.directory import Directory
from ringback.store.store import open_store
from tests.server.door import Door, Visitor, extension


async def test_devices_go_with_their_account_and_with_its_password(tmp_path: Path) -> None:
    store = await open_store(load_settings(environ={}, data_dir=tmp_path / "data"))
    door = Door()
    # The keeper lives in real time.
    door.network.clock.now = time.monotonic()
    door.directory = door.directory.with_extension(extension("103"))
    keeper = RegistrationKeeper(door.registrar, store.registrations)
    for host, user in enumerate(("101", "102", "103"), 1):
        assert Visitor(door, f"192.0.2.{host}").register(user) == 200
        keeper.changed(user)
    await keeper.stop()

    changed = Directory.of([extension("101"), extension("102", enabled=False), extension("103", "other")])
    keeper.follow(door.directory, changed)
    assert door.registrar.users() == ["101"]
    await keeper.stop()

    again = Registrar()
    restored = RegistrationKeeper(again, store.registrations)
    assert await restored.restore(Directory.of([extension("103")])) == 0
    assert await restored.restore(changed) == 1
    assert again.users() == ["101"]
    assert restored.hosts == {"192.0.2.1"}
    await store.close()


async def test_a_new_account_with_an_old_number_does_not_ring_the_old_phone(tmp_path: Path) -> None:
    store = await open_store(load_settings(environ={}, data_dir=tmp_path / "data"))
    door = Door()
    keeper = RegistrationKeeper(door.registrar, store.registrations)
    assert Visitor(door, "192.0.2.1").register("101") == 200
    gone = door.directory.without_extension("101")
    keeper.follow(door.directory, gone)
    keeper.follow(gone, gone.with_extension(extension("101", "another")))
    assert door.registrar.users() == []
    await keeper.stop()
    await store.close()


async def test_a_phone_is_reached_again_at_once_when_its_account_is_back_as_it_was(tmp_path: Path) -> None:
    store = await open_store(load_settings(environ={}, data_dir=tmp_path / "data"))
    door = Door()
    # The keeper lives in real time, which is little where the machine has just started.
    door.network.clock.now = time.monotonic()
    keeper = RegistrationKeeper(door.registrar, store.registrations)
    assert Visitor(door, "192.0.2.1").register("101") == 200
    assert Visitor(door, "192.0.2.2").register("102") == 200
    before = door.registrar.bindings("101", door.phone.now)
    gone = door.directory.without_extension("101").without_extension("102")
    keeper.follow(door.directory, gone)
    assert door.registrar.users() == []
    # One comes back as it was, the other with another password.
    back = gone.with_extensions([extension("101"), extension("102", "another")])
    keeper.follow(gone, back)
    assert door.registrar.users() == ["101"]
    assert door.registrar.bindings("101", door.phone.now) == before
    await keeper.stop()
    assert [row.number for row in await store.registrations.load()] == ["101"]
    await store.close()
