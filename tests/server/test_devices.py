"""Phones with credentials of their own: they register and call as their extension, beside those without."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ringback.config import load_settings
from ringback.governance.identity import SIP_REALM
from ringback.server.registrations import RegistrationKeeper
from ringback.sip.digest import make_ha1
from ringback.sip.effects import Effect, IncomingCall
from ringback.sip.message import SipUri
from ringback.sip.registration import Registrar
from ringback.store.directory import Device, Digest, Directory
from ringback.store.store import open_store
from tests.server.door import SERVER, Door, Visitor, extension
from tests.server.test_digests import algorithms
from tests.server.test_digests import register as ask_to_register
from tests.sip.phones import Phone


def device(username: str, number: str = "101", password: str = "own", digest: Digest = "md5") -> Device:
    return Device(
        id=f"d{username}",
        name=f"Desk {username}",
        extension=number,
        username=username,
        ha1_md5=make_ha1(username, SIP_REALM, password),
        ha1_sha256=make_ha1(username, SIP_REALM, password, "SHA-256"),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        digest=digest,
    )


def directory(*devices: Device) -> Directory:
    return Directory.of([extension("101"), extension("102")], devices=devices)


@pytest.fixture
def door() -> Door:
    made = Door()
    made.directory = directory(device("desk-7"), device("desk-8"))
    return made


def register(visitor: Visitor, username: str, password: str, *, as_: str = "101") -> int:
    """REGISTER for an extension with a device's credentials."""
    uri = f"sip:{SERVER}"
    headers = visitor.credentials(visitor.challenged("101"), username, password, uri, "REGISTER")
    host, port = visitor.phone.address
    headers.add("Contact", f"<sip:{as_}@{host}:{port}>")
    return visitor.ask("REGISTER", SipUri(host=SERVER), as_, headers)


@pytest.mark.parametrize("as_", ["101", "desk-7"])
def test_a_device_registers_for_its_extension_by_either_name(door: Door, as_: str) -> None:
    assert register(Visitor(door, "192.0.2.1"), "desk-7", "own", as_=as_) == 200
    assert door.registrar.users() == ["101"]
    (binding,) = door.registrar.bindings("101", door.phone.now)
    assert binding.device == "desk-7"


@pytest.mark.parametrize(
    ("username", "password", "as_", "status"),
    [
        ("desk-7", "wrong", "101", 401),
        ("desk-7", "secret", "101", 401),
        ("101", "own", "101", 401),
        ("desk-9", "own", "101", 401),
        ("desk-7", "own", "102", 403),
        ("desk-7", "own", "desk-8", 403),
    ],
)
def test_with_wrong_credentials_or_for_somebody_else_it_does_not(
    door: Door, username: str, password: str, as_: str, status: int
) -> None:
    assert register(Visitor(door, "192.0.2.1"), username, password, as_=as_) == status
    assert door.registrar.users() == []


def test_all_devices_of_an_extension_ring_whatever_they_log_in_with(door: Door) -> None:
    rung: list[str] = []

    def rings(phone: Phone, event: Effect) -> list[Effect]:
        if not isinstance(event, IncomingCall):
            return []
        rung.append(phone.address[0])
        return event.session.ring(phone.now)

    phones = [Visitor(door, f"192.0.2.{last}") for last in (1, 2, 3)]
    for phone in phones:
        phone.phone.on_event = rings
    assert register(phones[0], "desk-7", "own") == 200
    assert register(phones[1], "desk-8", "own", as_="desk-8") == 200
    assert phones[2].register("101") == 200
    Visitor(door, "192.0.2.9").authorized_call("101", "102")
    assert sorted(rung) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert len(door.switchboard.legs_of("101")) == 3, "one lamp shows them all"


@pytest.mark.parametrize("from_", ["101", "desk-7"])
def test_a_device_calls_as_its_extension(door: Door, from_: str) -> None:
    caller = Visitor(door, "192.0.2.1")
    caller.authorized_call("*43", "desk-7", "own", from_=from_)
    assert caller.status() == 200
    (leg,) = door.switchboard.legs.values()
    assert (leg.party.account, leg.party.number.reveal()) == ("101", "101")
    caller.authorized_call("*43", "desk-7", "own", from_="102")
    assert caller.status() == 403


@pytest.mark.parametrize(
    "changed",
    [
        {"devices": ()},
        {"devices": (replace(device("desk-7"), enabled=False),)},
        {"devices": (device("desk-7", "102"),)},
        {"devices": (device("desk-7", password="other"),)},
        {"extensions": (extension("101", enabled=False),), "devices": (device("desk-7"),)},
    ],
)
async def test_a_device_that_may_not_register_any_more_is_unreachable_at_once(
    tmp_path: Path, changed: dict[str, tuple[object, ...]]
) -> None:
    store = await open_store(load_settings(environ={}, data_dir=tmp_path / "data"))
    door = Door()
    door.directory = directory(device("desk-7"))
    keeper = RegistrationKeeper(door.registrar, store.registrations)
    assert register(Visitor(door, "192.0.2.1"), "desk-7", "own") == 200
    keeper.follow(door.directory, directory(device("desk-7"), device("desk-8")))
    keeper.follow(door.directory, replace(door.directory, extensions=directory().extensions))
    assert door.registrar.users() == ["101"], "nothing of its own has changed"
    after = Directory.of(**{"extensions": (extension("101"), extension("102")), **changed})  # type: ignore[arg-type]
    keeper.follow(door.directory, after)
    assert door.registrar.users() == []
    await store.close()


async def test_after_a_restart_it_is_known_by_its_own_name(tmp_path: Path) -> None:
    store = await open_store(load_settings(environ={}, data_dir=tmp_path / "data"))
    door = Door()
    # The keeper lives in real time.
    door.network.clock.now = time.monotonic()
    door.directory = directory(device("desk-7"))
    keeper = RegistrationKeeper(door.registrar, store.registrations)
    assert register(Visitor(door, "192.0.2.1"), "desk-7", "own") == 200
    keeper.changed("101")
    await keeper.stop()
    assert await RegistrationKeeper(Registrar(), store.registrations).restore(directory()) == 0
    again = Registrar()
    assert await RegistrationKeeper(again, store.registrations).restore(door.directory) == 1
    assert [saved.device for saved in again.snapshot(time.monotonic())] == ["desk-7"]
    await store.close()


def test_each_is_asked_for_its_own_digest_and_the_extension_for_all_of_them(door: Door) -> None:
    door.directory = directory(device("desk-7", digest="sha-256"))
    assert algorithms(ask_to_register(Visitor(door, "192.0.2.1"), "desk-7")) == ["SHA-256"]
    assert algorithms(ask_to_register(Visitor(door, "192.0.2.2"), "101")) == ["SHA-256", "MD5"]
    assert algorithms(ask_to_register(Visitor(door, "192.0.2.3"), "102")) == ["MD5"]
