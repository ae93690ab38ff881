"""Recordings over HTTP: ranges, roles, what is refused first; what was changed is not heard."""

from datetime import UTC, datetime

import httpx
import pytest

from ringback.governance.private import Private
from ringback.governance.roles import Role
from ringback.governance.wav import HEADER_BYTES
from ringback.store.call_record import call_name
from ringback.store.recordings import StoredTrack

PCM = bytes(range(256)) * 200
WHY = {"X-Reason": "Complaint%20no.%2012"}


async def recorded(web, players=("auditor",)) -> str:
    new = await web.store.recordings.begin(
        call_id=5,
        policy="all",
        mode="always",
        direction="inbound",
        players=players,
        keep_days=90,
        tracks=[StoredTrack("leg-1", None, "carrier", Private("+14155550123"))],
    )
    for part in ("mix", "leg-1"):
        writer = web.store.voices.vault.write(new.id, new.data_key, part)
        writer.write(PCM)
        writer.close()
    await web.store.recordings.finish(new.id, "stopped", keep=True)
    return new.id


RANGES = [
    ("", 200, 0, None),
    ("bytes=0-", 200, 0, None),
    ("bytes=0-0", 206, 0, 1),
    ("bytes=43-46", 206, 43, 47),
    ("bytes=-5", 206, -5, None),
    ("bytes=16000-40000", 206, 16000, 40001),
    ("bytes=-", 200, 0, None),
    ("bytes=0-1,5-6", 200, 0, None),
    ("lines=1-2", 200, 0, None),
    (f"bytes={'9' * 5000}-", 200, 0, None),
    ("bytes=9999999-", 416, 0, 0),
    ("bytes=5-4", 416, 0, 0),
]


async def test_ranges(web):
    voice = await recorded(web)
    auditor = await web.client("auditor")
    path = f"/api/v1/recordings/{voice}/audio"
    whole = (await auditor.get(path, headers=WHY)).content
    assert (whole[:4], whole[HEADER_BYTES:]) == (b"RIFF", PCM)
    for asked, status, first, last in RANGES:
        answer = await auditor.get(path, headers={**WHY, **({"Range": asked} if asked else {})})
        assert answer.status_code == status, asked
        if status != 416:
            assert answer.content == whole[first:last], asked
            assert answer.headers["cache-control"] == "no-store"
    await auditor.aclose()


async def test_roles(web):
    voice = await recorded(web, players=("helpdesk",))
    path = f"/api/v1/recordings/{voice}"
    clients = {role: await web.client(role) for role in ("admin", "helpdesk", "auditor", "user")}
    played = {
        role: (await one.get(f"{path}/audio", headers=WHY)).status_code for role, one in clients.items()
    }
    assert played == {"admin": 403, "helpdesk": 200, "auditor": 403, "user": 403}
    listed = {
        role: len((await one.get("/api/v1/recordings")).json()["items"]) for role, one in clients.items()
    }
    assert listed == {"admin": 1, "helpdesk": 1, "auditor": 1, "user": 0}
    assert (await clients["auditor"].get(path)).json()["tracks"][0]["number"] == "••••••••••23"
    assert (await clients["admin"].get(path)).json()["tracks"][0]["number"] == "+14155550123"
    assert (await clients["user"].get(path)).status_code == 403
    held = {
        role: (await one.post(f"{path}/hold", json={"reason": "case 12"})).status_code
        for role, one in clients.items()
    }
    assert held == {"admin": 200, "helpdesk": 403, "auditor": 200, "user": 403}
    assert (await web.stranger.get(f"{path}/audio", headers=WHY)).status_code == 401
    for one in clients.values():
        await one.aclose()


async def test_the_notice_is_spoken_before_its_policy_counts(web):
    await web.store.objects.put("recording-policy", "all", {"everybody": True, "notice": "Hear!"}, "ada")
    spoken, there = [], [False]

    async def speak(notice: str) -> bool:
        spoken.append((notice, web.store.directory.plan.values["recording-policy"]["all"].approved_by))
        return there[0]

    web.app.state.context.speak = speak
    auditor = await web.client("auditor")
    path = "/api/v1/recordings/policies/all/approve"
    refused = await auditor.post(path)
    assert (refused.status_code, "install espeak-ng" in refused.json()["detail"]) == (503, True)
    assert web.store.directory.plan.values["recording-policy"]["all"].approved_by == ""
    there[0] = True
    assert (await auditor.post(path)).status_code == 200
    assert spoken == [("Hear!", "")] * 2
    assert web.store.directory.plan.values["recording-policy"]["all"].approved_by
    await web.store.objects.put("recording-policy", "all", {"everybody": True, "mode": "off"}, "ada")
    there[0] = False
    assert (await auditor.post(path)).status_code == 200, "nothing is said where nothing is recorded"
    await auditor.aclose()


async def test_who_may_play_is_approved_like_the_rest(web):
    voice = await recorded(web, players=("auditor", "helpdesk"))
    admin = await web.client("admin")
    steps = [
        ({"players": ["auditor", "admin"]}, "ada", ["auditor"]),
        ({"players": ["auditor", "admin"], "approved_by": "bob"}, "bob", ["auditor", "admin"]),
        ({"players": ["admin", "helpdesk"]}, "ada", ["helpdesk"]),
    ]
    for fields, by, players in steps:
        await web.store.objects.put("recording-policy", "all", fields, by)
        (shown,) = (await admin.get("/api/v1/recordings")).json()["items"]
        assert shown["players"] == players
        heard = await admin.get(f"/api/v1/recordings/{voice}/audio", headers=WHY)
        assert heard.status_code == (200 if "admin" in players else 403)
    await web.store.objects.remove("recording-policy", "all", "ada")
    (shown,) = (await admin.get("/api/v1/recordings")).json()["items"]
    assert shown["players"] == ["auditor", "helpdesk"]
    await admin.aclose()


async def test_what_was_changed_is_not_heard(web):
    voice = await recorded(web)
    auditor = await web.client("auditor")
    path = web.store.voices.vault.path(voice, "mix")
    sealed = bytearray(path.read_bytes())
    sealed[24 + 20_000] ^= 1
    path.write_bytes(sealed)
    with pytest.raises(httpx.HTTPError):
        await auditor.get(f"/api/v1/recordings/{voice}/audio", headers=WHY)
    verdict = (await auditor.post(f"/api/v1/recordings/{voice}/verify")).json()
    assert [(part["part"], bool(part["problem"])) for part in verdict["parts"]] == [
        ("mix", True),
        ("leg-1", False),
    ]
    path.unlink()
    gone = await auditor.get(f"/api/v1/recordings/{voice}/audio", headers=WHY)
    assert gone.status_code == 409
    await auditor.aclose()


async def test_a_recording_is_found_by_the_name_of_its_call(web):
    voice = await recorded(web)
    auditor = await web.client("auditor")
    (shown,) = (await auditor.get("/api/v1/recordings")).json()["items"]
    assert shown["call"] == call_name(5)
    found = {}
    for call in (shown["call"], call_name(6), "5", "what?"):
        items = (await auditor.get("/api/v1/recordings", params={"call": call})).json()["items"]
        found[call] = [one["id"] for one in items]
    assert found == {call_name(5): [voice], call_name(6): [], "5": [], "what?": []}
    await auditor.aclose()


async def test_reasons_and_names_that_are_no_recordings(web):
    voice = await recorded(web)
    auditor = await web.client("auditor")
    for reason in ("", "%20%20%20", "a%00b%0a"):
        answer = await auditor.get(f"/api/v1/recordings/{voice}/audio", headers={"X-Reason": reason})
        assert answer.status_code == 422
    for name in ("0" * 16, "..%2f..%2fsecret.key", "x" * 300):
        assert (await auditor.get(f"/api/v1/recordings/{name}/audio", headers=WHY)).status_code == 404
    bad = await auditor.get(f"/api/v1/recordings/{voice}/audio?track=../x", headers=WHY)
    assert bad.status_code == 422
    await auditor.aclose()


async def test_users_play_what_has_their_own_voice(web):
    people = [await web.store.people.add(name) for name in ("Ada", "Bob")]
    for number, person in zip(("1001", "1002"), people, strict=True):
        await web.store.extensions.add(number, person_id=person.id)
    new = await web.store.recordings.begin(
        call_id=6,
        policy="all",
        mode="always",
        direction="internal",
        players=("user",),
        keep_days=90,
        tracks=[StoredTrack("leg-1", "1001", None, Private("1001"))],
    )
    writer = web.store.voices.vault.write(new.id, new.data_key, "mix")
    writer.write(PCM)
    writer.close()
    await web.store.recordings.finish(new.id, "stopped", keep=True)
    ours = {"X-Ringback": "1"}

    async def seen(name, person):
        login, link = await web.store.logins.add(name, Role.USER, person.id)
        await web.store.logins.choose_password(link, Private("a long enough one"))
        given = {"name": name, "password": "a long enough one"}
        async with httpx.AsyncClient(base_url=web.url, trust_env=False) as page:
            assert (await page.post("/api/v1/session", json=given, headers=ours)).status_code == 201
            listed = (await page.get("/api/v1/recordings")).json()["items"]
            heard = await page.get(f"/api/v1/recordings/{new.id}/audio", headers=WHY)
        await web.store.logins.remove(login.id)
        return len(listed), heard.status_code

    assert await seen("ada", people[0]) == (1, 200)
    assert await seen("bob", people[1]) == (0, 403)
    # Who gets the extension gets nothing of before.
    await web.store.extensions.change("1001", person_id=people[1].id)
    await web.store.call_records.reassigned("1001", datetime.now(UTC))
    assert await seen("bob", people[1]) == (0, 403)
