"""Logins and sessions: who may log in, by which password, and for how long."""

from datetime import UTC, datetime, timedelta

import argon2
import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from ringback.config import Settings
from ringback.governance.private import Private
from ringback.governance.roles import Role
from ringback.store import pins
from ringback.store.errors import ConflictError, InvalidError, NotFoundError
from ringback.store.passwords import NOBODY, hash_password
from ringback.store.pins import Pins
from ringback.store.sessions import IDLE, LONGEST
from ringback.store.store import Store, open_store

PASSWORD = Private("a long enough one")


async def test_a_person_logs_in_with_the_password_chosen_by_the_link(store: Store) -> None:
    person = await store.people.add("Ada Example")
    login, link = await store.logins.add("Ada@Example.com", Role.USER, person.id)
    assert (login.name, login.has_password) == ("ada@example.com", False)
    assert await store.logins.check_password("ada@example.com", PASSWORD) is None
    chosen = await store.logins.choose_password(link, PASSWORD)
    assert chosen.has_password
    assert await store.logins.check_password("ADA@example.com ", PASSWORD) == chosen
    assert await store.logins.check_password("ada@example.com", Private("another long one")) is None
    with pytest.raises(NotFoundError, match="used"):
        await store.logins.choose_password(link, PASSWORD)


async def test_an_unknown_name_takes_as_long_as_a_known_one_and_both_are_dear(
    store: Store, dear_hashes: type[PasswordHasher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(argon2, "PasswordHasher", dear_hashes)
    password = extract_parameters(await hash_password(PASSWORD))
    assert password == extract_parameters(NOBODY)
    stored = await Pins(store.sealer).hashed(Private("123456"), "1001")
    pin = store.sealer.open(stored, "mailboxes", "pin", "1001").reveal()
    assert extract_parameters(pin) == extract_parameters(pins.NOBODY) == password
    # RFC 9106 §4: 64 MiB and three passes where memory is short.
    assert (password.type, password.memory_cost, password.time_cost) == (Type.ID, 65536, 3)


async def test_a_name_and_a_person_log_in_once(store: Store) -> None:
    person = await store.people.add("Ada Example")
    await store.logins.add("ada", Role.USER, person.id)
    with pytest.raises(ConflictError, match="already"):
        await store.logins.add("ADA", Role.USER, None)
    with pytest.raises(ConflictError, match="has a login"):
        await store.logins.add("countess", Role.USER, person.id)
    with pytest.raises(InvalidError, match="no person"):
        await store.logins.add("nobody", Role.USER, "0" * 16)


async def test_the_last_administrator_stays(store: Store) -> None:
    await store.logins.administrator_link()
    (admin,) = store.logins.all()
    with pytest.raises(InvalidError, match="only administrator"):
        await store.logins.change(admin.id, role=Role.USER)
    with pytest.raises(InvalidError, match="only administrator"):
        await store.logins.remove(admin.id)
    other, _ = await store.logins.add("grace", Role.ADMIN, None)
    await store.logins.remove(admin.id)
    assert store.logins.all() == [other]


async def test_a_link_of_an_administrator_is_not_made_for_others(store: Store) -> None:
    await store.logins.add("ada", Role.USER, None)
    with pytest.raises(ConflictError, match="no administrator"):
        await store.logins.administrator_link("ada")


async def test_a_session_lives_until_a_limit_or_its_end(store: Store) -> None:
    login, _ = await store.logins.add("ada", Role.HELPDESK, None)
    session, secret = await store.sessions.begin(login, "Firefox on Linux")
    now = datetime.now(UTC)
    found = store.sessions.check(secret, now)
    assert found is not None
    assert found[1] == login
    assert store.sessions.check(Private("guessed"), now) is None
    assert store.sessions.check(secret, now + IDLE) is None
    for hours in range(11, 7 * 24, 11):
        assert store.sessions.check(secret, now + timedelta(hours=hours)), hours
    assert store.sessions.check(secret, now + LONGEST) is None
    await store.sessions.end(session.id, login.id)
    assert store.sessions.check(secret, now) is None
    with pytest.raises(NotFoundError):
        await store.sessions.end(session.id, login.id)


async def test_only_ones_own_session_is_ended(store: Store) -> None:
    ada, _ = await store.logins.add("ada", Role.USER, None)
    grace, _ = await store.logins.add("grace", Role.USER, None)
    session, secret = await store.sessions.begin(ada, "")
    with pytest.raises(NotFoundError):
        await store.sessions.end(session.id, grace.id)
    assert store.sessions.check(secret, datetime.now(UTC))


async def test_sessions_of_one_login_are_bounded(store: Store) -> None:
    login, _ = await store.logins.add("ada", Role.USER, None)
    secrets = [(await store.sessions.begin(login, str(n)))[1] for n in range(22)]
    valid = [store.sessions.check(secret, datetime.now(UTC)) is not None for secret in secrets]
    assert valid == [False, False] + [True] * 20


async def test_a_session_survives_a_restart_and_holds_no_secret(store: Store, settings: Settings) -> None:
    login, _ = await store.logins.add("ada", Role.USER, None)
    _, secret = await store.sessions.begin(login, "")
    again = await open_store(settings)
    try:
        found = again.sessions.check(secret, datetime.now(UTC))
        assert found is not None
        assert found[1] == login
    finally:
        await again.close()
    files = b"".join(path.read_bytes() for path in settings.data_dir.rglob("*") if path.is_file())
    assert secret.reveal().encode() not in files


async def test_removed_logins_are_out_at_once_and_new_passwords_end_sessions(store: Store) -> None:
    login, _ = await store.logins.add("ada", Role.USER, None)
    _, secret = await store.sessions.begin(login, "")
    await store.logins.set_password(login.id, PASSWORD)
    await store.sessions.end_all(login.id)
    assert store.sessions.check(secret, datetime.now(UTC)) is None
    _, secret = await store.sessions.begin(login, "")
    await store.logins.remove(login.id)
    assert store.sessions.check(secret, datetime.now(UTC)) is None
