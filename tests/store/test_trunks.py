"""Trunks as they are kept: checked, sealed, there after a restart; what was called, by day."""

import pytest

from ringback.governance.private import Private
from ringback.store.errors import ConflictError, InvalidError, NotFoundError
from ringback.store.store import open_store
from ringback.store.tolls import StoredToll

ACCOUNT = {"host": "sip.example.com", "username": "alice", "register": True}


async def test_a_trunk_is_there_after_a_restart_with_all_that_was_said_of_it(store, settings):
    details = {
        **ACCOUNT,
        "port": 5070,
        "networks": ["192.0.2.1/24"],
        "codecs": ["pcma", "G.722"],
        "prefixes": ["0", ""],
        "dids": {"+15550100": "101", "+15550101": "group:sales", "+15550102": "busy"},
        "transit": True,
    }
    made = await store.trunks.add("carrier", details, Private("pass word"))
    assert (made.networks, made.codecs) == (("192.0.2.0/24",), ("PCMA", "G722"))
    await store.close()
    again = await open_store(settings)
    assert again.directory.trunks == {"carrier": made}
    assert again.trunks.get("carrier").password == Private("pass word")
    await again.close()


async def test_a_password_is_not_readable_in_the_files(store, settings):
    await store.trunks.add("carrier", ACCOUNT, Private("find-this-one"))
    await store.close()
    for path in settings.data_dir.iterdir():
        if path.is_file():
            assert b"find-this-one" not in path.read_bytes(), path


async def test_what_is_changed_is_changed_and_the_rest_stays(store):
    made = await store.trunks.add("carrier", ACCOUNT, Private("secret"))
    changed = await store.trunks.change("carrier", {"max_calls": 2})
    assert (changed.max_calls, changed.password, changed.host) == (2, made.password, made.host)
    changed = await store.trunks.change("carrier", {"port": None}, Private(""))
    assert changed.password is None
    assert store.directory.trunks["carrier"] == changed
    await store.trunks.remove("carrier")
    with pytest.raises(NotFoundError):
        store.trunks.get("carrier")


async def test_a_name_is_given_once(store):
    await store.trunks.add("carrier", ACCOUNT)
    with pytest.raises(ConflictError):
        await store.trunks.add("carrier", ACCOUNT)


@pytest.mark.parametrize(
    ("details", "complaint"),
    [
        ({}, "needs a host"),
        ({"host": "sip:example.com"}, "the host is a name"),
        ({"host": "a b"}, "the host is a name"),
        ({"host": "example.com", "port": 70_000}, "a port is"),
        ({"host": "example.com", "transport": "wss"}, "the transport is"),
        ({"host": "example.com", "networks": ["example.com"]}, "networks are"),
        ({"host": "example.com", "prefixes": ["12a"]}, "a prefix is"),
        ({"host": "example.com", "dids": {"+15550100": "reception"}}, "leads to a number"),
        ({"host": "example.com", "dids": {"+15550100": "group:"}}, "leads to a number"),
        ({"host": "example.com", "codecs": ["GSM"]}, "codecs are"),
        ({"host": "example.com", "caller_id": "Ada"}, "the caller ID is a number"),
        ({"host": "example.com", "realm": "a\nb"}, "printable"),
        ({"host": "example.com", "max_calls": 0}, "calls at once"),
        ({"host": "example.com", "colour": "red"}, "a trunk has no colour"),
        ({"host": "example.com", "register": True}, "needs a username"),
        ({"host": "example.com", "inbound": "digest", "username": "alice"}, "and a password"),
    ],
)
async def test_wrong_values_are_refused_in_words(store, details, complaint):
    with pytest.raises(InvalidError, match=complaint):
        await store.trunks.add("carrier", details)
    assert not store.directory.trunks


@pytest.mark.parametrize("name", ["", "Carrier", "a b", "-a", "x" * 33])
async def test_a_trunks_name_is_fit_for_a_label(store, name):
    with pytest.raises(InvalidError):
        await store.trunks.add(name, ACCOUNT)


async def test_tolls_are_kept_for_their_day(store):
    first = StoredToll("2026-01-01", "101", "national", 2, 60)
    await store.tolls.save([first, StoredToll("2026-01-01", "102", "premium", 1, 5)])
    await store.tolls.save([StoredToll("2026-01-01", "101", "national", 3, 90)])
    assert {(toll.account, toll.calls) for toll in await store.tolls.load("2026-01-01")} == {
        ("101", 3),
        ("102", 1),
    }
    assert await store.tolls.load("2026-01-02") == []
    assert await store.tolls.load("2026-01-01") == []
