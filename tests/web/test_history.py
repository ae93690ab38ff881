"""History and undo in the API, and the inventory of devices: who sees and does what."""

import csv
from datetime import UTC, datetime

import pytest

from ringback.config import Settings, load_settings


@pytest.fixture
def settings(tmp_path) -> Settings:
    firmware = '{"Yealink T46U": "108.86.0.70"}'
    given = {"RINGBACK_WEB__PORT": "0", "RINGBACK_PROVISIONING__FIRMWARE": firmware}
    return load_settings(environ=given, data_dir=tmp_path / "data")


async def furnished(web):
    """An administrator; Ada with 1001 and a phone, a trunk."""
    admin = await web.client("admin")
    ada = (await admin.post("/api/v1/people", json={"name": "Ada", "e_mail": "ada@example.com"})).json()
    await admin.post("/api/v1/extensions", json={"number": "1001", "person_id": ada["id"]})
    body = {"name": "=Desk", "extension": "1001", "model": "Yealink T46U"}
    desk = (await admin.post("/api/v1/devices", json=body)).json()
    trunk = {"name": "carrier", "host": "sip.example.com", "username": "u", "password": "secret-of-it"}
    await admin.post("/api/v1/trunks", json=trunk)
    return admin, ada, desk


async def test_what_was_deleted_comes_back(web):
    admin, ada, desk = await furnished(web)
    paths = {
        "device": f"/api/v1/devices/{desk['id']}",
        "extension": "/api/v1/extensions/1001",
        "person": f"/api/v1/people/{ada['id']}",
        "trunk": "/api/v1/trunks/carrier",
    }
    before = {kind: (await admin.get(path)).json() for kind, path in paths.items()}
    for path in paths.values():
        assert (await admin.delete(path)).status_code == 204
        assert (await admin.get(path)).status_code == 404
    history = await admin.get("/api/v1/history")
    assert [each["kind"] for each in history.json()] == ["trunk", "person", "extension", "device"]
    assert "secret-of-it" not in history.text
    for kind in ("person", "extension", "device", "trunk"):
        (deleted,) = (await admin.get("/api/v1/history", params={"kind": kind, "limit": 1})).json()
        undone = await admin.post("/api/v1/history/undo", json={"revision_id": deleted["revision_id"]})
        assert (undone.status_code, undone.json()["notes"]) == (200, [])
    after = {kind: (await admin.get(path)).json() for kind, path in paths.items()}
    assert after == before
    again = await admin.post("/api/v1/history/undo", json={"revision_id": deleted["revision_id"]})
    assert again.status_code == 409
    assert "there is another trunk" in again.json()["detail"]
    nothing = await admin.post("/api/v1/history/undo", json={"revision_id": 10_000})
    assert (nothing.status_code, nothing.json()["detail"]) == (404, "there is no revision 10000")


async def test_who_may_only_look_takes_nothing_back(web):
    admin, ada, _ = await furnished(web)
    await admin.patch(f"/api/v1/people/{ada['id']}", json={"site": "Paris"})
    await admin.put("/api/v1/plan/group/sales", json={"members": ["1001"]})
    helpdesk, user = await web.client("helpdesk"), await web.client("user")
    assert (await user.get("/api/v1/history")).status_code == 403
    found = (await helpdesk.get("/api/v1/history")).json()
    assert [each["kind"] for each in found] == ["group", "person"]
    for each in found:
        answer = await helpdesk.post("/api/v1/history/undo", json={"revision_id": each["revision_id"]})
        assert answer.status_code == 403
        answer = await user.post("/api/v1/history/undo", json={"revision_id": each["revision_id"]})
        assert answer.status_code == 403
        answer = await admin.post("/api/v1/history/undo", json={"revision_id": each["revision_id"]})
        assert answer.status_code == 200
    assert (await admin.get("/api/v1/plan/group/sales")).status_code == 404
    assert (await admin.get(f"/api/v1/people/{ada['id']}")).json()["site"] == ""


async def test_for_good_keeps_nothing(web):
    admin, ada, _ = await furnished(web)
    await admin.patch(f"/api/v1/people/{ada['id']}", json={"site": "Paris"})
    assert (await admin.delete(f"/api/v1/people/{ada['id']}?for_good=true")).status_code == 204
    assert (await admin.get("/api/v1/history?kind=person")).json() == []


async def test_the_inventory_tells_what_is_behind(web):
    admin, _, desk = await furnished(web)
    await admin.post("/api/v1/devices", json={"name": "Other", "extension": "1001", "model": "Yealink T46U"})
    assert (await admin.get(f"/api/v1/devices/{desk['id']}")).json()["firmware_state"] == "unknown"
    web.store.sightings.note(desk["id"], "Yealink SIP-T46U 108.86.0.45", "192.0.2.7", datetime.now(UTC))
    found = (await admin.get(f"/api/v1/devices/{desk['id']}")).json()
    assert found["firmware"] == "108.86.0.45"
    assert (found["wanted_firmware"], found["firmware_state"]) == ("108.86.0.70", "behind")
    assert (found["address"], found["user_agent"]) == ("192.0.2.7", "Yealink SIP-T46U 108.86.0.45")
    for state, names in (("behind", ["=Desk"]), ("unknown", ["Other"]), ("as-wanted", [])):
        page = (await admin.get("/api/v1/devices", params={"firmware": state})).json()
        assert ([each["name"] for each in page["items"]], page["total"]) == (names, len(names))
    auditor = await web.client("auditor")
    assert (await auditor.get(f"/api/v1/devices/{desk['id']}")).json()["address"] is None
    answer = await auditor.get("/api/v1/devices/export", params={"firmware": "behind"})
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(answer.text.splitlines())
    # What a spreadsheet would run is shown.
    assert (row["name"], row["firmware_state"], row["address"]) == ("'=Desk", "behind", "")
    assert (await (await web.client("user")).get("/api/v1/devices/export")).status_code == 403
    assert (await admin.get("/api/v1/devices", params={"firmware": "old"})).status_code == 422


async def test_wanted_firmware_is_said_while_the_server_runs_and_taken_back(web):
    admin, _, desk = await furnished(web)
    web.store.sightings.note(desk["id"], "Yealink SIP-T46U 108.86.0.75", "192.0.2.7", datetime.now(UTC))

    async def state():
        return (await admin.get(f"/api/v1/devices/{desk['id']}")).json()["firmware_state"]

    assert await state() == "as-wanted"
    body = {"title": "Yealink T46U", "version": "108.86.0.80"}
    made = (await admin.put("/api/v1/plan/firmware/yealink-t46u", json=body)).json()
    assert await state() == "behind"
    found = (await admin.get("/api/v1/devices/firmware")).json()
    assert found["models"] == ["Yealink T46U"]
    assert found["wanted"] == [
        {
            "name": "yealink-t46u",
            "model": "Yealink T46U",
            "version": "108.86.0.80",
            "by_settings": False,
            "devices": 1,
            "behind": 1,
        }
    ]
    await admin.post("/api/v1/history/undo", json={"revision_id": made["revision"]})
    assert await state() == "as-wanted"
    assert (await admin.get("/api/v1/devices/firmware")).json()["wanted"][0]["by_settings"] is True
    wrong = await admin.put("/api/v1/plan/firmware/yealink-t46u", json={"version": "newest"})
    assert wrong.json()["errors"][0]["field"] == "version"
    helpdesk = await web.client("helpdesk")
    assert (await helpdesk.get("/api/v1/devices/firmware")).status_code == 200
    refused = await helpdesk.put("/api/v1/plan/firmware/yealink-t46u", json=body)
    assert refused.status_code == 403


async def test_wanted_firmware_is_checked(tmp_path):
    for wrong in ('{"T46U": "newest"}', '{"": "1.2"}', '{"T46U": "1"}', "T46U=1.2"):
        with pytest.raises(Exception, match="firmware"):
            load_settings(environ={"RINGBACK_PROVISIONING__FIRMWARE": wrong}, data_dir=tmp_path)
