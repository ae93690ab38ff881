"""Trunks in the API: made, changed, asked, removed; who may, and what is never shown."""

from ringback.web.operations import TollUsage

NEW = {
    "name": "carrier",
    "host": "sip.example.com",
    "username": "alice",
    "password": "never shown",
    "register": True,
    "prefixes": ["0"],
    "dids": {"+15550100": "101"},
}


async def test_the_life_of_a_trunk(web):
    made = await web.owner.post("/api/v1/trunks", json=NEW)
    assert made.status_code == 201
    trunk = made.json()
    assert {key: trunk[key] for key in NEW if key != "password"} == {
        key: value for key, value in NEW.items() if key != "password"
    }
    assert trunk["has_password"] is True
    assert trunk["up"] is None
    assert (await web.owner.get("/api/v1/trunks")).json() == [trunk]
    changed = await web.owner.patch("/api/v1/trunks/carrier", json={"register": False, "port": 5070})
    assert (changed.json()["register"], changed.json()["port"]) == (False, 5070)
    assert (await web.owner.patch("/api/v1/trunks/carrier", json={"port": None})).json()["port"] is None
    asked = (await web.owner.post("/api/v1/trunks/carrier/test")).json()
    assert asked["up"] is True
    status = (await web.owner.get("/api/v1/status")).json()
    assert [(each["name"], each["up"]) for each in status["trunks"]] == [("carrier", True)]
    assert (await web.owner.delete("/api/v1/trunks/carrier")).status_code == 204
    assert (await web.owner.get("/api/v1/trunks/carrier")).status_code == 404


async def test_wrong_values_are_explained_and_passwords_not_repeated(web):
    wrong = await web.owner.post("/api/v1/trunks", json={**NEW, "host": "a b"})
    assert (wrong.status_code, wrong.json()["detail"][:8]) == (422, "the host")
    unknown = await web.owner.post("/api/v1/trunks", json={**NEW, "colour": "red"})
    assert unknown.status_code == 422
    assert "never shown" not in wrong.text + unknown.text
    await web.owner.post("/api/v1/trunks", json=NEW)
    assert "never shown" not in (await web.owner.get("/api/v1/trunks")).text


async def test_who_may_see_trunks_and_who_may_change_them(web):
    await web.owner.post("/api/v1/trunks", json=NEW)
    for role, read, write in (("helpdesk", 200, 403), ("auditor", 200, 403), ("user", 403, 403)):
        async with await web.client(role) as client:
            assert (await client.get("/api/v1/trunks")).status_code == read
            assert (await client.get("/api/v1/tolls")).status_code == read
            assert (await client.post("/api/v1/trunks/carrier/test")).status_code == write
            assert (await client.delete("/api/v1/tolls/101")).status_code == write


async def test_what_was_called_is_seen_and_begins_anew(web):
    web.operations.outside.counts = [
        TollUsage("101", "international", 3, 12.5, 20, 60),
        TollUsage("102", "national", 1, 0.5, None, None),
    ]
    usage = (await web.owner.get("/api/v1/tolls")).json()
    assert usage[0] == {
        "account": "101",
        "call_class": "international",
        "calls": 3,
        "minutes": 12.5,
        "most_calls": 20,
        "most_minutes": 60,
    }
    assert (await web.owner.delete("/api/v1/tolls/101")).status_code == 204
    assert [each["account"] for each in (await web.owner.get("/api/v1/tolls")).json()] == ["102"]
    assert (await web.owner.delete("/api/v1/tolls")).status_code == 204
    assert (await web.owner.get("/api/v1/tolls")).json() == []


async def test_a_number_that_leads_nowhere_is_explained(web):
    await web.store.objects.put("group", "sales", {}, "ada")
    wrong = await web.owner.post("/api/v1/trunks", json={**NEW, "dids": {"+15550100": "group:nosuch"}})
    assert wrong.status_code == 422
    assert wrong.json()["detail"] == (
        "+15550100 cannot lead to group:nosuch: there is no group nosuch; there is sales"
    )
    await web.owner.post("/api/v1/trunks", json=NEW)
    changed = await web.owner.patch("/api/v1/trunks/carrier", json={"dids": {"+15550100": "queue:nosuch"}})
    assert (changed.status_code, changed.json()["detail"][-24:]) == (422, "there is no queue nosuch")
    good = await web.owner.patch("/api/v1/trunks/carrier", json={"dids": {"+15550100": "group:sales"}})
    assert good.status_code == 200
    gone = await web.owner.delete("/api/v1/plan/group/sales")
    assert (gone.status_code, "needed by trunk carrier (dids)" in gone.text) == (409, True)
