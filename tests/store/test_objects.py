"""The plan as it is kept: checked in words, every revision there, put back only where all still agrees."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from ringback.config import load_settings
from ringback.store.errors import ConflictError, DatabaseUnusableError, InvalidValueError, NotFoundError
from ringback.store.plan.document import WORDS, document, read_value
from ringback.store.plan.plan import KINDS, NAMES, Plan
from ringback.store.plan.references import FIELDS
from ringback.store.plan.target import Target, TargetText
from ringback.store.plan.toml import TomlError, read_plan, write_plan
from ringback.store.plan.value import ExtensionNumber
from ringback.store.store import open_store


async def people_of(store, *numbers):
    for number in numbers or ("1001", "1002"):
        await store.extensions.add(number)


def problems(error):
    return {each.field: each.message for each in error.value.problems}


async def test_a_value_is_there_at_once_and_after_a_restart(store, settings):
    await people_of(store)
    made = await store.objects.put("group", "sales", {"number": "200", "members": ["1001", "1002"]}, "ada")
    assert (made.revision, made.changed_by, made.value.members) == (1, "ada", ("1001", "1002"))
    assert store.directory.plan.numbers == {"200": Target("group", "sales")}
    changed = await store.objects.put("group", "sales", {"number": "201", "members": ["1002"]}, "bob")
    assert store.directory.plan.numbers == {"201": Target("group", "sales")}
    again = await store.objects.put("group", "sales", {"number": "201", "members": ["1002"]}, "eve")
    assert (again.revision, again.changed_by) == (changed.revision, "bob")
    await store.close()
    opened = await open_store(settings)
    assert opened.objects.get("group", "sales") == changed
    assert opened.directory.plan == store.directory.plan
    await opened.close()


async def test_all_mistakes_are_said_at_once_by_field_and_in_words(store):
    await people_of(store, "1001")
    fields = {"members": ["1001", "01"], "ring_s": 2, "strategy": "some", "colour": "red", "otherwise": "x"}
    with pytest.raises(InvalidValueError) as error:
        await store.objects.put("group", "sales", fields, "ada")
    found = problems(error)
    assert found["members.1"] == "is an extension's number: 2 to 6 digits, not 0 in front"
    assert found["ring_s"] == "must be 5 to 300"
    assert found["strategy"] == "must be one of: all, in-order, round-robin"
    assert found["colour"] == "is unknown"
    assert "extension:1001, group:sales" in found["otherwise"]
    assert "^" not in str(error.value)
    with pytest.raises(InvalidValueError, match="ring_second: is unknown; did you mean ring_s"):
        await store.objects.put("group", "sales", {"ring_second": 2}, "ada")
    with pytest.raises(InvalidValueError) as error:
        await store.objects.put("menu", "main", {"title": "a\nb", "keys": {"12": "busy"}}, "ada")
    assert problems(error) == {
        "title": "must not contain control characters",
        "words": "is missing",
        "keys.12": "is one key: 0 to 9, * or #",
    }
    for name in ("Sales", "-a", "a\n", "x" * 33, ""):
        with pytest.raises(InvalidValueError):
            await store.objects.put("group", name, {}, "ada")
    assert not store.directory.plan.values


DISAGREEMENTS = (
    ("group", "a", {"members": ["1009"]}, "members.0", "there is no extension 1009"),
    ("group", "a", {"otherwise": "queue:none"}, "otherwise", "there is no queue none"),
    ("group", "a", {"otherwise": "meeting:481516234"}, "otherwise", "there is no meeting 481516234"),
    ("group", "a", {"otherwise": "outside:abc"}, "otherwise", "outside: takes a number"),
    ("group", "a", {"number": "1001"}, "number", "1001 is the number of extension 1001"),
    ("group", "a", {"number": "600"}, "number", "600 is a service number"),
    ("group", "a", {"number": "911"}, "number", "911 is an emergency number"),
    ("group", "a", {"number": "300"}, "number", "300 is the number of menu main"),
    ("answering", "1009", {}, "name", "there is no extension 1009"),
    ("answering", "1001", {"busy": "extension:1001"}, "busy", "leads back"),
    ("answering", "1001", {"always": "outside:911"}, "always", "is an emergency number"),
    ("answering", "1001", {"always": "outside:9911"}, "always", "leads to the emergency number 911"),
    ("answering", "1001", {"busy": "outside:+1911"}, "busy", "leads to the emergency number 911"),
    ("answering", "1001", {"no_answer": "outside:0112"}, "no_answer", "leads to the emergency number 112"),
    ("answering", "1001", {"unreachable": "outside:77911"}, "unreachable", "emergency number 911"),
    ("answering", "1001", {"unreachable": "outside:9 911"}, "unreachable", ""),
    ("group", "a", {"otherwise": "outside:9911"}, "otherwise", "emergency number 911"),
    ("queue", "a", {"otherwise": "outside:911"}, "otherwise", "is an emergency number"),
    ("menu", "a", {"words": "Hi", "keys": {"1": "outside:*67911"}}, "keys.1", "emergency number 911"),
    ("announcement", "a", {"words": "Hi", "then": "outside:00112"}, "then", "emergency number 112"),
    ("hours", "a", {"closed": "outside:999"}, "closed", "is an emergency number"),
    ("mailbox", "1001", {"operator": "outside:+49110"}, "operator", "emergency number 110"),
    ("emergency-test", "a", {"extensions": ["1001"], "target": "9911"}, "target", "calls help"),
    ("mailbox", "1001", {"e_mail": "ada"}, "e_mail", "is not an e-mail address"),
    ("route", "a", {"patterns": ["0."], "trunks": ["x"]}, "trunks.0", "there is no trunk x"),
    ("route", "a", {"patterns": ["0."], "trunks": [], "hours": "x"}, "hours", "there is no hours x"),
    ("role", "a", {"classes": ["moon"]}, "classes.0", "the settings have no class moon"),
    ("hours", "a", {"time_zone": "Mars/Base"}, "time_zone", "is not a time zone"),
    ("hours", "a", {"holidays": [{"date": "2026-02-30"}]}, "holidays.0.date", "there is no such day"),
    ("blocked", "a", {"patterns": ["112"]}, "patterns.0", "cannot be blocked"),
    ("recording-policy", "a", {"groups": ["x"]}, "groups.0", "there is no group or queue x"),
    ("recording-policy", "a", {"players": ["king"]}, "players.0", "king is no role of the system"),
    ("recording-policy", "a", {"approved_by": "ada"}, "approved_by", "is given afterwards"),
)


async def test_what_does_not_agree_with_the_rest_is_refused(store):
    await people_of(store, "1001")
    await store.objects.put("menu", "main", {"number": "300", "words": "Hello", "keys": {}}, "ada")
    line = {"patterns": ["7X[0-9]XX", "8."], "trunks": [], "strip": 2}
    await store.objects.put("route", "line", line, "ada")
    for kind, name, fields, field, complaint in DISAGREEMENTS:
        with pytest.raises(InvalidValueError) as error:
            await store.objects.put(kind, name, fields, "ada")
        assert list(problems(error)) == [field]
        assert complaint in problems(error)[field]


async def test_what_is_needed_is_not_taken_away_and_what_needs_it_is_named(store):
    await people_of(store)
    await store.trunks.add("carrier", {"host": "sip.example.com"})
    meeting = await store.meetings.add("Weekly")
    put = store.objects.put
    await put("location", "hq", {"address": "1 Example Street", "trunks": ["carrier"]}, "ada")
    await put("mailbox", "1001", {}, "ada")
    await put("group", "sales", {"members": ["1001"], "otherwise": "mailbox:1001"}, "ada")
    keys = {"1": "group:sales", "2": f"meeting:{meeting.number}", "3": "group:sales"}
    await put("menu", "main", {"words": "Hello", "keys": keys}, "ada")
    await put("role", "staff", {}, "ada")
    await put("queue", "help", {"number": "300"}, "ada")
    await store.trunks.change("carrier", {"dids": {"+15550100": "1002", "+15550101": "300"}})
    await store.people.add("Ada", role="staff")
    refused = {
        store.objects.remove("group", "sales", "ada"): r"needed by menu main \(keys.1, keys.3\)",
        store.objects.remove("mailbox", "1001", "ada"): r"needed by group sales \(otherwise\)",
        store.objects.remove("role", "staff", "ada"): "role staff is needed by 1 people",
        store.objects.remove("queue", "help", "ada"): r"queue help is needed by trunk carrier \(dids\)",
        store.extensions.remove("1002"): r"extension 1002 is needed by trunk carrier \(dids\)",
        store.extensions.remove("1001"): r"extension 1001 is needed by group sales \(members.0\)",
        store.trunks.remove("carrier"): r"trunk carrier is needed by location hq \(trunks.0\)",
        store.meetings.remove(meeting.number): r"is needed by menu main \(keys.2\)",
    }
    for attempt, complaint in refused.items():
        with pytest.raises(ConflictError, match=complaint):
            await attempt
    await store.objects.remove("menu", "main", "ada")
    await store.objects.remove("group", "sales", "ada")
    await store.extensions.remove("1001")
    # What belonged to the extension went with it, and the history says so.
    assert store.directory.plan.values["mailbox"] == {}
    (last, *_) = await store.objects.history()
    assert (last.kind, last.name, last.after) == ("mailbox", "1001", None)


async def test_numbers_of_the_plan_are_no_extensions(store):
    await store.objects.put("hours", "office", {"number": "200"}, "ada")
    with pytest.raises(ConflictError, match="200 is the number of hours office; choose another number"):
        await store.extensions.add("200")


async def test_history_and_undo(store):
    await people_of(store)
    first = await store.objects.put("group", "sales", {"members": ["1001"]}, "ada")
    second = await store.objects.put("group", "sales", {"members": ["1001", "1002"]}, "bob")
    await store.objects.remove("group", "sales", "eve")
    gone, change, made = await store.objects.history("group", "sales")
    assert (gone.after, gone.before["members"], gone.changed_by) == (None, ["1001", "1002"], "eve")
    assert (change.before["members"], change.after["members"]) == (["1001"], ["1001", "1002"])
    assert (made.before, made.after["members"]) == (None, ["1001"])
    back = await store.objects.undo(gone.id, "ada")
    assert (back.value, back.changed_by) == (second.value, "ada")
    assert (await store.objects.history())[0].undoes == gone.id
    assert (await store.objects.undo(change.id, "ada")).value == first.value
    assert await store.objects.undo(made.id, "ada") is None
    with pytest.raises(ConflictError, match="is as it was before that already"):
        await store.objects.undo(made.id, "ada")
    with pytest.raises(NotFoundError):
        await store.objects.undo(999, "ada")
    assert len(await store.objects.history("group", "sales", limit=2)) == 2
    assert [r.id for r in await store.objects.history("group", "sales", before=change.id)] == [made.id]


async def test_what_would_not_agree_any_more_is_not_put_back(store):
    await people_of(store, "1001")
    put = store.objects.put
    await put("group", "sales", {"number": "200", "members": ["1001"]}, "ada")
    made = (await store.objects.history())[0]
    await store.objects.remove("group", "sales", "ada")
    gone = (await store.objects.history())[0]
    await put("queue", "help", {"number": "200"}, "ada")
    with pytest.raises(ConflictError, match=r"cannot be put back: .*200 is the number of queue help"):
        await store.objects.undo(gone.id, "ada")
    await store.objects.remove("queue", "help", "ada")
    await store.extensions.remove("1001")
    with pytest.raises(ConflictError, match=r"members.0: there is no extension 1001"):
        await store.objects.undo(gone.id, "ada")
    await people_of(store, "1001")
    await store.objects.undo(gone.id, "ada")
    await put("hours", "office", {"open": "group:sales"}, "ada")
    with pytest.raises(ConflictError, match=r"group sales is needed by hours office \(open\)"):
        await store.objects.undo(made.id, "ada")


async def test_two_who_change_the_same_value_do_not_overwrite_each_other_unseen(store):
    first = await store.objects.put("hours", "office", {}, "ada", revision=0)
    await store.objects.put("hours", "office", {"switch": "open"}, "bob", revision=first.revision)
    with pytest.raises(ConflictError, match="was changed meanwhile by bob"):
        await store.objects.put("hours", "office", {"switch": "closed"}, "ada", revision=first.revision)
    with pytest.raises(ConflictError, match="was changed meanwhile by bob"):
        await store.objects.remove("hours", "office", "ada", revision=first.revision)
    with pytest.raises(ConflictError, match="meanwhile"):
        await store.objects.put("hours", "office", {"switch": "closed"}, "ada", revision=0)
    assert store.directory.plan.values["hours"]["office"].switch == "open"


async def test_a_recording_policy_is_approved_by_somebody_else_and_as_it_is(store):
    put = store.objects.put
    await put("recording-policy", "all", {"everybody": True}, "ada")
    for fields, by, complaint in (
        ({"everybody": True, "approved_by": "ada"}, "ada", "has to be somebody else"),
        ({"everybody": True, "approved_by": "eve"}, "bob", "is your own name: bob"),
        ({"everybody": True, "mode": "always", "approved_by": "bob"}, "bob", "is given afterwards"),
    ):
        with pytest.raises(InvalidValueError, match=complaint):
            await put("recording-policy", "all", fields, by)
    approved = await put("recording-policy", "all", {"everybody": True, "approved_by": "bob"}, "bob")
    assert approved.value.approved_by == "bob"
    with pytest.raises(InvalidValueError, match="is given afterwards"):
        await put("recording-policy", "all", {"mode": "always", "approved_by": "bob"}, "ada")
    await put("recording-policy", "all", {"everybody": True, "mode": "always"}, "ada")
    undone = await store.objects.undo((await store.objects.history())[0].id, "ada")
    assert (undone.value.mode, undone.value.approved_by) == ("opt-out", "")


async def test_lists_are_searched_and_paged(store):
    for name in ("zoo", "9", "10", "alpha", "beta"):
        await store.objects.put("hours", name, {"title": f"Title of {name}"}, "ada")
    names = [entry.value.name for entry in store.objects.page("hours").entries]
    assert names == ["9", "10", "alpha", "beta", "zoo"]
    first = store.objects.page("hours", limit=2)
    assert (len(first.entries), first.total, first.next) == (2, 5, "10")
    rest = store.objects.page("hours", after=first.next, limit=9)
    assert ([e.value.name for e in rest.entries], rest.next) == (["alpha", "beta", "zoo"], None)
    assert [e.value.name for e in store.objects.page("hours", search="OF ALPHA").entries] == ["alpha"]
    with pytest.raises(NotFoundError, match="kinds are answering"):
        store.objects.page("colour")


async def test_a_file_is_applied_whole_or_not_at_all(store):
    await people_of(store)
    await store.objects.put("group", "sales", {"members": ["1001"]}, "ada")
    await store.objects.put("hours", "office", {}, "ada")
    text = """
[group.sales]
members = ["1001", "1002"]
otherwise = "queue:help"

[queue.help]
number = "300"
otherwise = "group:sales"
"""
    seen = await store.objects.apply(text, "bob", dry_run=True)
    assert [(each.act, each.kind, each.name) for each in seen] == [
        ("change", "group", "sales"),
        ("add", "queue", "help"),
    ]
    assert "queue" not in store.directory.plan.values
    assert await store.objects.apply(text, "bob") == seen
    assert store.directory.plan.values["queue"]["help"].otherwise == "group:sales"
    assert await store.objects.apply(text, "bob") == []
    pruned = await store.objects.apply(text, "bob", prune=True)
    assert [(each.act, each.kind, each.name) for each in pruned] == [("remove", "hours", "office")]
    before = store.directory.plan
    wrong = text.replace('"queue:help"', '"queue:none"').replace("[queue.help]", "[queue.hilfe]")
    with pytest.raises(InvalidValueError) as error:
        await store.objects.apply(wrong, "bob", prune=True)
    assert problems(error) == {
        "group.sales.otherwise": "there is no queue none; there is hilfe",
    }
    for text in (
        "x = 1",
        "[colour.red]",
        "[group]\nsales = 1",
        "[[",
        "[group.sales]\nring_s = 1",
        "[group.A]",
    ):
        with pytest.raises(InvalidValueError, match="the file: "):
            await store.objects.apply(text, "bob")
    assert store.directory.plan is before


async def test_the_calls_go_on_and_changes_are_refused_while_the_database_is_away(store, settings):
    await people_of(store)
    await store.objects.put("group", "sales", {"members": ["1001"]}, "ada")
    await store.database.close()
    file = settings.data_dir / "ringback.db"
    file.rename(settings.data_dir / "away.db")
    file.mkdir()
    for attempt in (
        store.objects.put("group", "sales", {"members": ["1002"]}, "ada"),
        store.objects.remove("group", "sales", "ada"),
        store.extensions.change("1001", display_name="Ada"),
        store.people.add("Ada"),
        store.devices.add("Desk", "1001"),
    ):
        with pytest.raises(DatabaseUnusableError, match="calls go on"):
            await attempt
    assert store.directory.plan.values["group"]["sales"].members == ("1001",)
    assert store.objects.page("group").total == 1
    file.rmdir()
    (settings.data_dir / "away.db").rename(file)
    await store.objects.put("group", "sales", {"members": ["1002"]}, "ada")
    assert store.directory.plan.values["group"]["sales"].members == ("1002",)


def _types(kind):
    found = []

    def walk(each):
        if isinstance(each, inspect.Metadata):
            walk(each.type)
        elif isinstance(each, inspect.VarTupleType):
            walk(each.item_type)
        elif isinstance(each, inspect.DictType):
            walk(each.key_type)
            walk(each.value_type)
        elif isinstance(each, inspect.StructType):
            for field in each.fields:
                walk(field.type)
        elif isinstance(each, inspect.StrType):
            found.append(each.pattern)

    walk(inspect.type_info(kind))
    return found


def test_every_pattern_has_words_and_every_reference_is_known():
    target, extension = _types(TargetText)[0], _types(ExtensionNumber)[0]
    for kind in KINDS.values():
        for pattern in _types(kind):
            assert pattern is None or pattern in WORDS or pattern == target
        for field in msgspec.structs.fields(kind):
            patterns = _types(field.type)
            if target in patterns or extension in patterns:
                assert field.name in FIELDS[kind], f"say in references.py what {kind}.{field.name} names"


def test_a_change_leaves_the_other_kinds_as_they_are():
    many = [read_value("answering", str(number), {}) for number in range(1000, 1500)]
    plan = Plan.of([*many, read_value("group", "sales", {"number": "200"})])
    changed = plan.with_value(read_value("group", "sales", {"number": "201"}))
    assert changed.values["answering"] is plan.values["answering"]
    assert changed.numbers == {"201": Target("group", "sales")}
    assert plan.without("answering", "1000").numbers is plan.numbers
    assert plan.without("group", "sales").numbers == {}
    assert plan.without("group", "none") == plan


NAME = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=("C", "Zl", "Zp", "Zs")), max_size=30)


@st.composite
def values(draw):
    kind = draw(st.sampled_from(["group", "menu", "hours", "announcement", "blocked", "location", "role"]))
    fields = {}
    match kind:
        case "group":
            number = st.integers(10, 999_999).map(str)
            fields = {"members": draw(st.lists(number, max_size=30)), "ring_s": draw(st.integers(5, 300))}
        case "menu":
            words = draw(TEXT) + draw(st.sampled_from(["", "\nand more\t\\ \" '''"]))
            key = st.sampled_from("0123456789*#")
            target = st.sampled_from(["", "busy", "outside:+15550100", "extension:1001"])
            fields = {"words": words, "keys": draw(st.dictionaries(key, target)), "dial_extensions": True}
        case "hours":
            span = {"days": ["mon", "sun"], "from": "09:00", "to": "24:00"}
            holiday = {"date": "12-25", "title": draw(TEXT)}
            fields = {"spans": [span] * draw(st.integers(0, 3)), "holidays": [holiday], "switch": "open"}
        case "announcement":
            fields = {"words": draw(TEXT)}
        case "blocked":
            fields = {"patterns": draw(st.lists(st.sampled_from(["+1900.", "[2-5]XX", "*#"]), max_size=5))}
        case "location":
            fields = {"address": draw(TEXT), "country": "DE"}
    return read_value(kind, draw(NAME), {"title": draw(TEXT), **fields})


@given(st.lists(values(), max_size=8))
@settings(max_examples=20, deadline=None)
def test_the_plan_goes_through_toml_and_comes_back(some):
    plan = Plan.of(some)
    everything = [value for of_kind in plan.values.values() for value in of_kind.values()]
    text = write_plan(everything)
    back = Plan.of(read_value(*key, fields) for key, fields in read_plan(text).items())
    assert back == plan
    assert write_plan(value for kind in back.values.values() for value in kind.values()) == text
    for value in everything:
        assert read_value(NAMES[type(value)], value.name, document(value)) == value


@given(st.text(max_size=200))
@settings(max_examples=25, deadline=None)
def test_any_text_is_a_plan_or_refused_in_words(text):
    with contextlib.suppress(TomlError):
        read_plan(text)


@given(st.lists(st.tuples(st.sampled_from(["put", "remove", "undo"]), st.integers(0, 30)), max_size=12))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_changes_and_undos_the_plan_is_what_a_restart_finds(tmp_path_factory, acts):
    def groups(store):
        found = store.directory.plan.values.get("group", {})
        for group in found.values():
            assert not group.otherwise or group.otherwise.removeprefix("group:") in found
        return {name: document(group) for name, group in found.items()}

    async def act(store, what, number):
        name, other = "abc"[number % 3], "abc"[number // 3 % 3]
        if what == "put":
            fields = {"ring_s": 5 + number, "otherwise": f"group:{other}" if number % 2 else ""}
            await store.objects.put("group", name, fields, "ada")
        elif what == "remove":
            await store.objects.remove("group", name, "ada")
        else:
            await undo(store, *await store.objects.history("group", before=number + 2, limit=1))

    async def undo(store, *revisions):
        for revision in revisions:
            await store.objects.undo(revision.id, "ada")
            assert groups(store).get(revision.name) == revision.before

    async def run():
        chosen = load_settings(environ={}, data_dir=tmp_path_factory.mktemp("undo"))
        store = await open_store(chosen)
        for what, number in acts:
            before = groups(store)
            try:
                await act(store, what, number)
            except (ConflictError, NotFoundError, InvalidValueError):
                assert groups(store) == before
        await store.close()
        again = await open_store(chosen)
        assert groups(again) == groups(store)
        # Undone from the last to the first, each finds what it left.
        for revision in await again.objects.history():
            assert groups(again).get(revision.name) == revision.after
            await undo(again, revision)
        assert groups(again) == {}
        await again.close()

    asyncio.run(run())


CHANGE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from ringback.config import load_settings
from ringback.store.store import open_store

async def main():
    store = await open_store(load_settings(environ={}, data_dir=Path(sys.argv[1])))
    first = len(await store.objects.history(limit=100000))
    print(first, flush=True)
    for number in range(first, 100000):
        await store.objects.put("announcement", f"a{number % 7}", {"words": str(number)}, "ada")
        print(number, flush=True)

asyncio.run(main())
"""


def test_what_was_acknowledged_is_there_after_a_kill(settings):
    async def found():
        store = await open_store(settings)
        history = await store.objects.history(limit=100_000)
        newest = {revision.name: revision.after for revision in reversed(history)}
        entries = store.objects.page("announcement").entries
        assert {entry.value.name: document(entry.value) for entry in entries} == newest
        await store.close()
        return int(history[0].after["words"]) if history else -1

    process = subprocess.Popen(
        [sys.executable, "-c", CHANGE_UNTIL_KILLED, str(settings.data_dir)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    first = int(process.stdout.readline())
    time.sleep(random.uniform(0.0, 0.3))
    process.send_signal(signal.SIGKILL)
    said = process.stdout.read().split("\n")
    process.wait()
    acknowledged = int(said[-2]) if len(said) > 1 else first - 1
    assert asyncio.run(found()) in (acknowledged, acknowledged + 1)
