"""Backups over HTTP: who may see and make them, and that a deletion says where it waits."""

import asyncio

from ringback.server.backups import BackupKeeper
from tests.web.test_recordings import WHY, recorded


async def test_who_may_see_make_and_delete_backups(web, settings, tmp_path):
    keeper = web.app.state.context.backups = BackupKeeper(settings, web.store, lambda _: None)
    admin, auditor, helpdesk = [await web.client(role) for role in ("admin", "auditor", "helpdesk")]
    folder = str(tmp_path / "backups")
    for refused in (auditor, helpdesk):
        assert (await refused.post("/api/v1/backups", json={})).status_code == 403
        assert (await refused.delete("/api/v1/backups/0123456789abcdef")).status_code == 403
    assert (await helpdesk.get("/api/v1/backups")).status_code == 403
    answer = await admin.post("/api/v1/backups", json={"folder": folder})
    assert (answer.status_code, "on the machine itself" in answer.text) == (403, True)
    answer = await admin.post("/api/v1/backups", json={})
    assert (answer.status_code, "set backup.folder" in answer.text) == (409, True)
    begun = await web.owner.post("/api/v1/backups", json={"folder": folder})
    assert begun.status_code == 202
    async with asyncio.timeout(20):
        while keeper.progress() is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    shown = (await auditor.get("/api/v1/backups")).json()
    (place,) = shown["folders"]
    assert [one["id"] for one in place["backups"]] == [begun.json()["id"]]
    assert (await auditor.get("/api/v1/backups")).json()["making"] is None
    backup = place["backups"][0]
    assert shown["restore"] == (
        f"ringback backup restore {backup['file']} --data-dir NEW-FOLDER --sealing-key COPY-OF-secret.key"
    )
    assert (backup["verified_at"], backup["damage"]) == (None, "")
    assert (await auditor.post(f"/api/v1/backups/{backup['id']}/verify")).status_code == 403
    reading = await admin.post(f"/api/v1/backups/{backup['id']}/verify")
    assert (reading.status_code, reading.json()["act"]) == (202, "verifying")
    async with asyncio.timeout(20):
        while keeper.progress() is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    (place,) = (await auditor.get("/api/v1/backups")).json()["folders"]
    assert place["backups"][0]["verified_at"] is not None
    assert (await admin.delete("/api/v1/backups/0123456789abcdef")).status_code == 404
    assert (await admin.delete(f"/api/v1/backups/{begun.json()['id']}")).status_code == 204
    assert (await admin.post("/api/v1/backups/lost-folders", json={"folder": folder})).status_code == 204
    deeds = [one["act"] for one in (await auditor.get("/api/v1/backups/deeds")).json()]
    assert deeds == ["gave up", "forgotten", "verified", "made"]
    for client in (admin, auditor, helpdesk):
        await client.aclose()


async def test_a_deletion_says_where_it_waits(web, settings, tmp_path):
    keeper = BackupKeeper(settings, web.store, lambda _: None)
    kept, gone, folder = await recorded(web), await recorded(web), tmp_path / "backups"
    await keeper.make(str(folder), "amy")
    admin = await web.client("admin")
    assert (await admin.delete(f"/api/v1/recordings/{kept}", headers=WHY)).status_code == 204
    folder.rename(tmp_path / "away")
    answer = await admin.delete(f"/api/v1/recordings/{gone}", headers=WHY)
    assert (answer.status_code, answer.json()) == (202, {"still_in_backups": [str(folder)]})
    await admin.aclose()
