"""Plan, people, holdings and devices in the API: who may, what is wrong by field, phones' files."""

import json
import time

import pytest
import structlog.testing
from sqlalchemy import insert

from ringback.governance.private import Private
from ringback.governance.roles import Role
from ringback.store import schema
from ringback.store.directory import Person
from ringback.store.people import row_of


@pytest.fixture
async def office(web):
    for number in ("1001", "1002"):
        await web.store.extensions.add(number, display_name=f"Name {number}")
    return web


async def test_kinds_say_what_a_form_needs(web):
    kinds = {kind["kind"]: kind for kind in (await web.owner.get("/api/v1/plan/kinds")).json()}
    assert len(kinds) == 14
    group = kinds["group"]
    assert (group["title"], group["plural"], group["has_number"]) == ("Group", "Groups", True)
    assert kinds["answering"]["has_number"] is False
    assert group["schema"]["$defs"]["Group"]["properties"]["ring_s"]["maximum"] == 300
    busy = kinds["answering"]["schema"]["$defs"]["Answering"]["properties"]["busy"]
    assert "extension:1001" in busy["description"]


async def test_numbers_outside_are_masked_by_role_wherever_the_plan_is_read(office):
    own = {"always": "outside:+14155550123"}
    await office.owner.put("/api/v1/plan/answering/1001", json=own)
    keys = {"1": "outside:+14155550199", "2": "extension:1002"}
    await office.owner.put("/api/v1/plan/menu/main", json={"words": "Press 1.", "keys": keys})
    paths = ("answering/1001", "answering", "menu", "history", "export", "and of all that is set up")
    for role, seen in (("admin", True), ("helpdesk", True), ("auditor", False)):
        async with await office.client(role) as client:
            texts = [(await client.get(f"/api/v1/plan/{path}")).text for path in paths[:-1]]
            texts.append((await client.get("/api/v1/history")).text)
            assert [("4155550" in text) for text in texts] == [seen] * len(paths), role
            found = (await client.post("/api/v1/plan/answering/search", json={"search": "55550123"})).json()
            assert (len(found["items"]), found["total"]) == ((1, 1) if seen else (0, 0))
            assert (await client.post("/api/v1/plan/menu/search", json={"search": "1002"})).json()[
                "total"
            ] == 1
    # One's own is one's own.
    person = await office.store.people.add("Ada")
    await office.store.extensions.change("1001", person_id=person.id)
    _, link = await office.store.logins.add("ada", Role.USER, person.id)
    await office.store.logins.choose_password(link, Private("a long enough one"))
    ours = {"X-Ringback": "1"}
    given = {"name": "ada", "password": "a long enough one"}
    assert (await office.stranger.post("/api/v1/session", json=given, headers=ours)).status_code == 201
    path = "/api/v1/plan/answering/1001"
    assert (await office.stranger.get(path)).json()["value"]["always"] == own["always"]
    assert (await office.stranger.put(path, json=own, headers=ours)).json()["value"]["always"] == own[
        "always"
    ]


async def test_the_life_of_a_value(office):
    path = "/api/v1/plan/group/sales"
    made = await office.owner.put(path, json={"members": ["1001"], "number": "200"})
    assert (made.status_code, made.headers["etag"]) == (200, '"1"')
    value = made.json()
    assert value["value"]["ring_s"] == 20
    assert (await office.owner.get(path)).json() == value
    page = (await office.owner.post("/api/v1/plan/group/search", json={"search": "SALES", "limit": 1})).json()
    assert page == {"items": [value], "total": 1, "next": None}
    old = await office.owner.put(path, json={}, headers={"If-Match": "7"})
    assert (old.status_code, "meanwhile" in old.json()["detail"]) == (409, True)
    changed = await office.owner.put(path, json={"members": ["1002"]}, headers={"If-Match": '"1"'})
    assert changed.json()["revision"] == 2
    history = (
        await office.owner.post("/api/v1/plan/history/search", json={"kind": "group", "name": "sales"})
    ).json()
    assert [each["revision_id"] for each in history] == [2, 1]
    assert (history[0]["before"]["members"], history[1]["before"]) == (["1001"], None)
    back = (await office.owner.post("/api/v1/plan/undo", json={"revision_id": 2})).json()
    assert (back["value"], back["revision"]) == (value["value"], 3)
    assert (await office.owner.delete(path)).status_code == 204
    assert (await office.owner.delete(path)).status_code == 404
    assert (await office.owner.get("/api/v1/plan/colours")).status_code == 404
    # No number of any length is too much for the database.
    for huge in (1 << 63, 10**40):
        assert (await office.owner.get(f"/api/v1/plan/history?before={huge}")).status_code == 422
        undone = await office.owner.post("/api/v1/plan/undo", json={"revision_id": huge})
        assert undone.status_code == 422


async def test_what_is_wrong_is_said_by_field(office):
    fields = {"members": ["1001", "1009"], "otherwise": "queue:none"}
    wrong = await office.owner.put("/api/v1/plan/group/sales", json=fields)
    assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")
    assert wrong.json()["errors"] == [
        {"field": "members.1", "message": "there is no extension 1009"},
        {"field": "otherwise", "message": "there is no queue none"},
    ]
    for body in (b"[]", b"1", b"{", b'{"ring_s": 1e999}', b"[" * 50_000):
        headers = {"Content-Type": "application/json"}
        answer = await office.owner.put("/api/v1/plan/group/sales", content=body, headers=headers)
        assert answer.status_code in (400, 422), body[:20]
    for fields in ({"\ud800": 1}, {"members": ["\x1b[31m"]}, {"title": "\ud800"}, {"\x1b[31m": 1}):
        answer = await office.owner.put(
            "/api/v1/plan/group/sales",
            content=json.dumps(fields),
            headers={"Content-Type": "application/json"},
        )
        assert (answer.status_code, "\x1b" in answer.text) == (422, False)
    bad = {"If-Match": "soon"}
    assert (await office.owner.put("/api/v1/plan/group/x", json={}, headers=bad)).status_code == 422


async def test_the_whole_plan_as_a_file(office):
    file = '[group.sales]\nnumber = "200"\nmembers = ["1001"]\n'
    seen = (await office.owner.post("/api/v1/plan/apply?dry_run=true", content=file)).json()
    assert (seen["dry_run"], [each["act"] for each in seen["changes"]]) == (True, ["add"])
    assert (await office.owner.get("/api/v1/plan/export")).text == ""
    await office.owner.post("/api/v1/plan/apply", content=file)
    assert (await office.owner.get("/api/v1/plan/export")).text == file
    wrong = await office.owner.post("/api/v1/plan/apply", content=file.replace("1001", "1009"))
    assert wrong.json()["errors"][0]["message"] == "there is no extension 1009"
    assert (await office.owner.post("/api/v1/plan/apply", content=b"\xff")).status_code == 422


async def test_who_may_change_what(office):
    person = (
        await office.owner.post("/api/v1/people", json={"name": "Ada", "e_mail": "a@example.com"})
    ).json()
    await office.store.extensions.change("1001", person_id=person["id"])
    for role, read, write in (("helpdesk", 200, 403), ("auditor", 200, 403), ("user", 403, 403)):
        async with await office.client(role) as client:
            assert (await client.get("/api/v1/plan/group")).status_code == read
            assert (await client.get("/api/v1/plan/history")).status_code == read
            assert (await client.get("/api/v1/devices")).status_code == read
            assert (await client.get("/api/v1/holdings")).status_code == read
            assert (await client.put("/api/v1/plan/group/x", json={})).status_code == write
            assert (await client.put("/api/v1/plan/answering/1001", json={})).status_code == write
            assert (await client.post("/api/v1/plan/undo", json={"revision_id": 1})).status_code == write
            assert (await client.post("/api/v1/people/import", content="name\n")).status_code == write
            assert (await client.post("/api/v1/devices", json={})).status_code == write
            (seen,) = (await client.get("/api/v1/people")).json()["items"]
            assert seen["e_mail"] == ("" if role == "user" else "a@example.com")
            found = (await client.post("/api/v1/people/search", json={"search": "a@example"})).json()
            assert found["total"] == (0 if role == "user" else 1)
            assert (await client.post("/api/v1/people/search", json={"search": "ada"})).json()["total"] == 1
    assert (await office.stranger.get("/api/v1/plan/group")).status_code == 401


async def test_people_change_how_their_own_extension_answers(office):
    ada = await office.store.people.add("Ada")
    await office.store.extensions.change("1001", person_id=ada.id)
    login, link = await office.store.logins.add("ada", Role.USER, ada.id)
    await office.store.logins.choose_password(link, Private("correct horse battery"))
    page = {"X-Ringback": "1"}
    async with await office.client("user") as client:
        del client.headers["Authorization"]
        entered = await client.post(
            "/api/v1/session", json={"name": login.name, "password": "correct horse battery"}, headers=page
        )
        assert entered.status_code in (200, 201)
        own = "/api/v1/plan/answering/1001"
        changed = await client.put(own, json={"do_not_disturb": True}, headers=page)
        assert (changed.status_code, changed.json()["changed_by"]) == (200, "ada")
        assert (await client.get(own)).json()["value"]["do_not_disturb"] is True
        for path in ("/api/v1/plan/answering/1002", "/api/v1/plan/mailbox/1001"):
            assert (await client.put(path, json={}, headers=page)).status_code == 403


async def test_people_hold_extensions(office):
    owner = office.owner
    role = await owner.post("/api/v1/people", json={"name": "Ada", "role": "king", "e_mail": "x"})
    assert [each["field"] for each in role.json()["errors"]] == ["e_mail", "role"]
    ada = (await owner.post("/api/v1/people", json={"name": "Ada"})).json()
    changed = await owner.patch(f"/api/v1/people/{ada['id']}", json={"site": "Berlin"})
    assert (changed.json()["site"], changed.json()["name"]) == ("Berlin", "Ada")
    held = await owner.post("/api/v1/holdings", json={"extension": "1001", "person_id": ada["id"]})
    assert (held.status_code, held.json()["now"]) == (201, True)
    assert (await owner.get(f"/api/v1/people/{ada['id']}")).json()["extensions"] == ["1001"]
    page = (await owner.post("/api/v1/holdings/search", json={"extension": "1001"})).json()
    assert page["items"] == [held.json()]
    path = f"/api/v1/holdings/{held.json()['id']}"
    later = (await owner.patch(path, json={"last_day": "2999-12-31"})).json()
    assert later["last_day"] == "2999-12-31"
    assert (await owner.delete(path)).status_code == 204
    assert (await owner.get(f"/api/v1/people/{ada['id']}")).json()["extensions"] == []


async def test_a_table_of_people(office):
    table = "name,extension\nAda,1001\nBob,1003\n"
    seen = (await office.owner.post("/api/v1/people/import", content=table)).json()
    assert (seen["dry_run"], seen["problems"], seen["imported"]) == (True, 1, 0)
    assert seen["rows"][0]["problems"][0]["field"] == "extension"
    made = await office.owner.post(
        "/api/v1/people/import?dry_run=false", content=table.replace("1001", "1004")
    )
    assert made.json()["imported"] == 2
    assert len(made.json()["rows"][0]["password"]) >= 16
    assert (await office.owner.post("/api/v1/people/search", json={"search": "bob"})).json()["items"][0][
        "extensions"
    ] == ["1003"]


async def test_ten_thousand_people_are_a_quick_list(web):
    some = await web.store.people.add("Nobody")
    rows = [
        row_of(Person(f"{n:016x}", f"Person {n}", some.created_at, site=f"Site {n % 50}"))
        for n in range(10_000)
    ]
    async with web.store.database.write() as connection:
        await connection.execute(insert(schema.people), rows)
    await web.store.reload()
    began = time.process_time()
    page = (await web.owner.post("/api/v1/people/search", json={"search": "site 7"})).json()
    assert (len(page["items"]), page["total"]) == (100, 200)
    everybody = (await web.owner.get("/api/v1/people?limit=10000")).json()
    assert (len(everybody["items"]), everybody["total"]) == (10_000, 10_001)
    print(f"{time.process_time() - began:.3f} s")


async def test_a_phone_fetches_its_own_files_and_nobody_elses(office):
    body = {"name": "Desk", "extension": "1001", "model": "Yealink T46U", "mac": "001565abcdef"}
    made = (await office.owner.post("/api/v1/devices", json=body)).json()
    other = (
        await office.owner.post("/api/v1/devices", json={**body, "name": "B", "mac": "001565000001"})
    ).json()
    path = "/provisioning/001565abcdef.cfg"
    account = (made["username"], made["password"])
    with structlog.testing.capture_logs() as logs:
        fetched = await office.stranger.get(path.replace("abcdef", "ABCDEF"), auth=account)
        assert (fetched.status_code, fetched.headers["cache-control"]) == (200, "no-store")
        assert f"account.1.password = {made['password']}\n" in fetched.text
        asked = await office.stranger.get(path)
        assert (asked.status_code, asked.headers["www-authenticate"][:5]) == (401, "Basic")
        assert (await office.stranger.get(path, auth=(made["username"], "wrong"))).status_code == 401
        assert (await office.stranger.get(path, auth=("1001", "wrong"))).status_code == 401
        stolen = await office.stranger.get(path, auth=(other["username"], other["password"]))
        assert stolen.status_code == 404
    assert [entry["event"] for entry in logs] == [
        "provisioning",
        "provisioning refused",
        "provisioning refused",
        "provisioning",
    ]
    assert logs[0]["device"] == made["id"]
    assert made["password"] not in str(logs)
    provisioned = await office.owner.post("/api/v1/devices/Desk/provision", json={})
    assert provisioned.json()["files"][0]["name"] == "001565abcdef.cfg"
    # It was given another password.
    assert (await office.stranger.get(path, auth=account)).status_code == 401
    await office.owner.patch("/api/v1/devices/B", json={"enabled": False, "mac": "001565000002"})
    account = (other["username"], other["password"])
    assert (await office.stranger.get("/provisioning/001565000002.cfg", auth=account)).status_code == 401
    chosen = await office.owner.post("/api/v1/devices/B/password", json={"password": "chosen by hand"})
    assert chosen.json()["password"] == "chosen by hand"
    assert (await office.owner.delete("/api/v1/devices/B")).status_code == 204
    assert Private(made["password"]) != Private(other["password"])
