"""Who holds an extension when, people in detail, devices, and people from a table."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.governance.private import Private
from ringback.store.devices import is_password, plain_mac
from ringback.store.errors import ConflictError, InvalidError, InvalidValueError, NotFoundError
from ringback.store.holdings import Holding, from_today, holder_on, planned
from ringback.store.importing import read_table
from ringback.store.store import open_store

DAYS = [f"2026-01-{day:02}" for day in range(1, 21)]


@pytest.fixture
async def team(store):
    store.holdings.today = lambda: "2026-01-10"
    people = {name: await store.people.add(name) for name in ("Ada", "Bob", "Eve")}
    await store.extensions.add("1001", person_id=people["Ada"].id)
    return {name: person.id for name, person in people.items()}


def holder(store):
    return store.extensions.get("1001").person_id


async def test_an_extension_goes_from_hand_to_hand_when_the_day_comes(store, team, settings):
    told = []

    async def listen(reassignment):
        told.append((reassignment.number, reassignment.from_person, reassignment.to_person))

    store.on_reassigned(listen)
    await store.holdings.add("1001", team["Bob"], "2026-01-15", "2026-01-18")
    await store.holdings.add("1001", team["Eve"], "2026-01-19")
    assert [(each.first_day, each.last_day) for _, each in store.holdings.of("1001")] == [
        ("2026-01-10", "2026-01-14"),
        ("2026-01-15", "2026-01-18"),
        ("2026-01-19", None),
    ]
    assert (holder(store), told) == (team["Ada"], [])
    assert await store.holdings.settle() == 0
    seen = []
    for day in ("2026-01-14", "2026-01-15", "2026-01-18", "2026-01-19"):
        store.holdings.today = lambda day=day: day
        await store.holdings.settle()
        seen.append(holder(store))
    assert seen == [team["Ada"], team["Bob"], team["Bob"], team["Eve"]]
    assert told == [("1001", team["Ada"], team["Bob"]), ("1001", team["Bob"], team["Eve"])]
    await store.close()
    again = await open_store(settings)
    assert again.directory.extension("1001").person_id == team["Eve"]
    assert again.holdings.of() == store.holdings.of()
    await again.close()


async def test_days_are_nobody_elses(store, team):
    add = store.holdings.add
    await add("1001", team["Bob"], "2026-01-15", "2026-01-18")
    for first, last in (("2026-01-18", None), ("2026-01-14", "2026-01-15"), ("2026-01-16", "2026-01-17")):
        with pytest.raises(ConflictError, match="somebody holds the extension from"):
            await add("1001", team["Eve"], first, last)
    with pytest.raises(InvalidError, match="before the first"):
        await add("1001", team["Eve"], "2026-02-02", "2026-02-01")
    for day in ("tomorrow", "2026-02-30", "1.2.2026"):
        with pytest.raises(InvalidError, match="2026-12-24"):
            await add("1001", team["Eve"], day)
    with pytest.raises(InvalidError, match="there is no person nobody"):
        await add("1001", "nobody")
    with pytest.raises(NotFoundError):
        await add("1009", team["Eve"])
    (_, first), (_, second) = store.holdings.of("1001")
    await store.holdings.end(second.id, "2026-01-16")
    await store.holdings.end(first.id, "2026-01-10")
    assert holder(store) == team["Ada"]
    await store.holdings.remove(first.id)
    assert holder(store) is None
    with pytest.raises(NotFoundError):
        await store.holdings.remove(first.id)


async def test_whoever_is_given_an_extension_has_it_from_today_and_the_former_keeps_nothing(store, team):
    told = []

    async def fails_once(reassignment):
        told.append(reassignment)
        if len(told) == 1:
            raise RuntimeError

    store.on_reassigned(fails_once)
    store.holdings.today = lambda: "2026-01-12"
    await store.extensions.change("1001", person_id=team["Bob"])
    assert [(each.person_id, each.first_day, each.last_day) for _, each in store.holdings.of("1001")] == [
        (team["Ada"], "2026-01-10", "2026-01-11"),
        (team["Bob"], "2026-01-12", None),
    ]
    # What failed is told again.
    await store.reassignments.deliver()
    assert told[0] == told[1]
    assert (told[1].from_person, told[1].to_person) == (team["Ada"], team["Bob"])
    await store.people.remove(team["Bob"])
    assert (holder(store), told[2].to_person) == (None, None)
    await store.extensions.change("1001", person_id=team["Eve"])
    await store.extensions.remove("1001")
    assert (told[-1].from_person, told[-1].to_person) == (team["Eve"], None)
    assert store.holdings.of() == []
    await store.reassignments.deliver()
    assert len(told) == 5


async def test_what_nobody_was_told_before_a_crash_is_told_after_it(store, team, settings):
    await store.extensions.change("1001", person_id=team["Bob"])
    await store.close()
    again = await open_store(settings)
    told = []

    async def listen(reassignment):
        told.append(reassignment.to_person)

    again.on_reassigned(listen)
    await again.reassignments.deliver()
    await again.reassignments.deliver()
    assert told == [team["Bob"]]
    await again.close()


SPANS = st.lists(
    st.tuples(st.sampled_from(DAYS), st.one_of(st.none(), st.sampled_from(DAYS)), st.sampled_from("abc")),
    max_size=6,
)


@given(SPANS, st.sampled_from(DAYS), st.sampled_from([None, "x"]))
@settings(max_examples=40, deadline=None)
def test_on_every_day_at_most_one_holds_an_extension(spans, day, taker):
    holdings = []
    for number, (first, last, person) in enumerate(spans):
        if last is not None and last < first:
            continue
        try:
            holdings = planned(holdings, Holding(str(number), "e", person, first, last))
        except ConflictError:
            continue
    before = {each: holder_on(holdings, each) for each in DAYS}
    taken = from_today(holdings, "e", taker, day)
    for each in DAYS:
        for some in (holdings, taken):
            assert sum(holding.on(each) for holding in some) <= 1
        if each < day:
            assert holder_on(taken, each) == before[each]
    assert holder_on(taken, day) == taker


async def test_people_are_checked_found_and_paged(store):
    with pytest.raises(InvalidValueError) as error:
        await store.people.add("", role="king", e_mail="ada", site="x" * 81)
    assert {each.field for each in error.value.problems} == {"name", "role", "e_mail", "site"}
    await store.objects.put("role", "staff", {}, "ada")
    ada = await store.people.add("Ada", role="staff", e_mail="ada@example.com", site="Berlin")
    for name in ("eve", "Bob", "Zoe"):
        await store.people.add(name)
    await store.extensions.add("1001", person_id=ada.id)
    page = store.people.page(limit=2)
    assert [person.name for person, _ in page.people] == ["Ada", "Bob"]
    assert page.people[0][1] == ("1001",)
    rest = store.people.page(after=page.next, limit=2)
    assert ([person.name for person, _ in rest.people], rest.next) == (["eve", "Zoe"], None)
    for search in ("100", "BERLIN", "staff", "@example"):
        assert [person for person, _ in store.people.page(search).people] == [ada]
    await store.people.change(ada.id, site="Paris")
    assert store.people.page("berlin").total == 0
    with pytest.raises(InvalidError, match="begin it anew"):
        store.people.page(after="gone")


async def test_a_device_has_an_account_of_its_own(store, settings):
    await store.extensions.add("1001")
    device, password = await store.devices.add("Desk", "1001", mac="00-15-65-AB-CD-EF", model=" T46U ")
    assert (device.mac, device.model) == ("001565abcdef", "T46U")
    text = f"{device.username}:ringback:{password.reveal()}".encode()
    assert device.ha1_sha256.reveal() == hashlib.sha256(text).hexdigest()
    assert is_password(device, password)
    assert not is_password(device, Private("wrong"))
    assert store.directory.devices == {device.username: device}
    with pytest.raises(ConflictError, match="another device has this MAC"):
        await store.devices.add("Other", "1001", mac="001565abcdef")
    with pytest.raises(ConflictError, match="a device with the name Desk"):
        await store.devices.add("Desk", "1001")
    with pytest.raises(InvalidValueError) as error:
        await store.devices.add("", "1009", mac="1", location="moon")
    assert {each.field for each in error.value.problems} == {"name", "extension", "mac", "location"}
    await store.objects.put("location", "hq", {"address": "1 Example Street"}, "ada")
    changed = await store.devices.change("Desk", location="hq", enabled=False)
    assert (changed.username, changed.enabled) == (device.username, False)
    with pytest.raises(ConflictError, match="location hq is needed by 1 devices"):
        await store.objects.remove("location", "hq", "ada")
    _, other = await store.devices.set_password(device.id)
    assert other != password
    await store.close()
    for path in settings.data_dir.iterdir():
        if path.is_file():
            assert changed.ha1_sha256.reveal().encode() not in path.read_bytes()
    again = await open_store(settings)
    assert again.directory == store.directory
    await again.extensions.remove("1001")
    assert again.directory.devices == {}
    await again.close()


def test_mac_addresses_are_understood_as_they_are_written():
    for text in ("00:15:65:ab:cd:ef", "0015.65AB.CDEF", "00-15-65-ab-cd-ef", " 001565ABCDEF "):
        assert plain_mac(text) == "001565abcdef"
    assert [plain_mac(text) for text in ("", "001565abcde", "001565abcdeg")] == ["", None, None]


TABLE = """\
Name;Extension;Role;E-Mail;Device model;MAC
Ada Example;1001;;ada@example.com;Yealink T46U;00:15:65:AB:CD:EF
"Bob; the Builder";1002;;;;

Eve;;;;;
"""


async def test_people_come_from_a_table_all_or_none(store):
    content = TABLE.encode("utf-8-sig")
    rows = await store.importing.run(content, dry_run=True)
    assert [(row.row, row.cells["name"], row.problems) for row in rows] == [
        (2, "Ada Example", ()),
        (3, "Bob; the Builder", ()),
        (5, "Eve", ()),
    ]
    assert not any(row.password or row.device_username or row.device_password for row in rows)
    assert not store.directory.people
    rows = await store.importing.run(content, dry_run=False)
    (ada,) = [person for person in store.people.all() if person.name == "Ada Example"]
    assert store.people.numbers(ada.id) == ("1001",)
    assert [each.first_day for _, each in store.holdings.of("1001")] == [store.holdings.today()]
    device = store.devices.get("1001 Yealink T46U")
    assert device.username == rows[0].device_username
    assert is_password(device, rows[0].device_password)
    assert [row.cells["name"] for row in await store.importing.run(b"site,name\nBerlin\n", dry_run=True)] == [
        ""
    ]
    assert list(read_table(TABLE.encode("utf-16"))) == list(read_table(content))
    before = store.directory
    again = await store.importing.run(content + b"Mallory;911;king;x;;\n", dry_run=False)
    problems = [(row.row, problem.field, problem.message) for row in again for problem in row.problems]
    assert (2, "extension", "1001 is the number of extension 1001") in problems
    assert (2, "mac", "another device has this MAC address") in problems
    assert {(row, field) for row, field, _ in problems if row == 6} == {
        (6, "extension"),
        (6, "role"),
        (6, "e_mail"),
    }
    assert store.directory is before


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "has to name the columns"),
        (b"colour,name\n", "there is no column 'colour'"),
        (b"extension\n1001\n", "the column name is missing"),
        (b"name,name\n", "there twice"),
        (b"name\n\xff\n", "not UTF-8"),
        (b"\xff\xfen\x00a", "the column name is missing|not UTF-8|there is no column"),
        (b'name\n"Ada\n', "is not CSV"),
        (b"name\nAda,1001\n", "row 2 has more cells"),
        (b"name\n" + b"Ada\n" * 4, "more than 3 rows"),
    ],
)
def test_what_is_no_table_is_refused_in_words(content, complaint, monkeypatch):
    monkeypatch.setattr("ringback.store.importing.MOST_ROWS", 3)
    with pytest.raises(InvalidValueError, match=complaint):
        list(read_table(content))


@given(st.binary(max_size=300))
@settings(max_examples=30, deadline=None)
def test_any_bytes_are_a_table_or_refused(content):
    try:
        rows = list(read_table(content))
    except InvalidValueError:
        return
    assert all(isinstance(cells, dict) for _, cells in rows)
