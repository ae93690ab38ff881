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
    await store.objects.put("group", "sales", {}, "ada")
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


NOWHERE = [
    ("group:nosuch", "there is no group nosuch; there are sales, support"),
    ("queue:nosuch", "there is no queue nosuch$"),
    ("menu:nosuch", "there is no menu nosuch; there is main"),
    ("hours:nosuch", "there is no hours nosuch$"),
    ("announcement:nosuch", "there is no announcement nosuch$"),
    ("mailbox:1001", "there is no mailbox 1001$"),
    ("extension:1009", "there is no extension 1009$"),
    ("meeting:481516234", "there is no meeting 481516234$"),
    ("room:nosuch", "leads to a number, or to a target"),
    ("outside:abc", "outside: takes a number of digits"),
    ("911", "is an emergency number"),
    ("outside:112", "is an emergency number"),
    ("outside:9911", "leads to the emergency number 911"),
]


@pytest.mark.parametrize(("leads_to", "complaint"), NOWHERE)
async def test_a_number_leads_to_what_is_there(store, leads_to, complaint):
    for group in ("sales", "support"):
        await store.objects.put("group", group, {}, "ada")
    await store.objects.put("menu", "main", {"words": "Hello", "keys": {}}, "ada")
    details = {"host": "sip.example.com"}
    with pytest.raises(InvalidError, match=complaint):
        await store.trunks.add("carrier", {**details, "dids": {"+15550100": leads_to}})
    assert not store.directory.trunks
    await store.trunks.add("carrier", {**details, "dids": {"+15550100": "group:sales", "911": "911"}})
    with pytest.raises(InvalidError, match=complaint):
        await store.trunks.change("carrier", {"dids": {"+15550100": leads_to}})
    assert store.directory.trunks["carrier"].dids["+15550100"] == "group:sales"


async def test_numbers_of_ours_are_ours_whatever_they_end_with(store):
    await store.extensions.add("9110")
    details = {"host": "sip.example.com", "transit": True}
    await store.trunks.add("carrier", {**details, "dids": {"+15550100": "9110"}})
    with pytest.raises(InvalidError, match="9911 leads to the emergency number 911"):
        await store.trunks.change("carrier", {"dids": {"+15550100": "9911"}})


async def test_what_a_number_leads_to_is_not_taken_away(store):
    await store.extensions.add("1001")
    meeting = await store.meetings.add("Weekly")
    put, remove = store.objects.put, store.objects.remove
    await put("group", "sales", {"number": "200"}, "ada")
    await put("mailbox", "1001", {}, "ada")
    dids = {
        "+15550100": "group:sales",
        "+15550101": "extension:1001",
        "+15550102": f"meeting:{meeting.number}",
        "+15550103": "mailbox:1001",
    }
    await store.trunks.add("carrier", {"host": "sip.example.com", "dids": dids})
    for attempt in (
        remove("group", "sales", "ada"),
        store.objects.apply("[mailbox.1001]", "ada", prune=True),
        store.extensions.remove("1001"),
        store.meetings.remove(meeting.number),
        remove("mailbox", "1001", "ada"),
    ):
        with pytest.raises(ConflictError, match=r"needed by trunk carrier \(dids\)"):
            await attempt
    await store.trunks.change("carrier", {"dids": {}})
    (back, *_) = await store.history.page(("trunk",))
    await remove("group", "sales", "ada")
    with pytest.raises(ConflictError, match="cannot lead to group:sales: there is no group sales"):
        await store.history.undo(back.id, "ada")
    await store.trunks.remove("carrier")


async def test_a_trunk_is_not_put_back_to_where_nothing_is(store):
    await store.objects.put("group", "sales", {}, "ada")
    await store.trunks.add("carrier", {"host": "sip.example.com", "dids": {"+15550100": "group:sales"}})
    await store.trunks.remove("carrier", "ada")
    (gone, *_) = await store.history.page(("trunk",))
    await store.objects.remove("group", "sales", "ada")
    with pytest.raises(ConflictError, match="there is no group sales"):
        await store.history.undo(gone.id, "ada")
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
