"""The API over real sockets: what each role gets, and errors that say what to do."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

import ringback.web.api
from ringback.governance.private import Private
from ringback.governance.roles import Permission
from ringback.testing.fake_operations import NOTHING_MEASURED
from ringback.web.api import API
from ringback.web.app import create_app
from ringback.web.context import Needs
from ringback.web.operations import Call, Participant, Registration, SentSeries
from ringback.web.subjects import SUBJECTS, routes_of


async def test_a_meeting_is_made_with_a_token_as_the_documentation_says(web):
    async with await web.client("admin") as admin:
        answer = await admin.post("/api/v1/meetings", json={"name": "Weekly", "admission": "lobby"})
    assert answer.status_code == 201
    made = answer.json()
    meeting = web.store.meetings.get(made["number"])
    assert made["guest_pin"] == meeting.guest_pin.reveal()
    assert made["host_pin"] == meeting.host_pin.reveal()
    assert made["dial_in"] == f"sip:{meeting.number}@127.0.0.1:5060"
    assert made["link"] == f"{web.url}/m/{meeting.number}#{meeting.link_token.reveal()}"
    assert (made["name"], made["admission"]) == ("Weekly", "lobby")


async def test_admission_is_direct_unless_said_otherwise(web):
    assert (await web.owner.post("/api/v1/meetings", json={"name": "X"})).json()["admission"] == "direct"


async def test_the_life_of_a_meeting(web):
    number = (await web.owner.post("/api/v1/meetings", json={"name": "Weekly"})).json()["number"]
    path = f"/api/v1/meetings/{number}"
    before = (await web.owner.get(path)).json()
    changed = (await web.owner.patch(path, json={"name": "Monthly"})).json()
    assert changed == {**before, "name": "Monthly"}
    rotated = (await web.owner.post(f"{path}/rotate-pin", json={"which": "host"})).json()
    assert rotated["guest_pin"] == before["guest_pin"]
    assert rotated["host_pin"] != before["host_pin"]
    assert (await web.owner.post(f"{path}/rotate-pin")).json()["guest_pin"] != before["guest_pin"]
    assert [m["number"] for m in (await web.owner.get("/api/v1/meetings")).json()] == [number]
    assert (await web.owner.delete(path)).status_code == 204
    gone = await web.owner.get(path)
    assert gone.headers["content-type"] == "application/problem+json"
    assert gone.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": f"there is no meeting {number}",
    }


async def test_the_life_of_an_extension(web):
    person = (await web.owner.post("/api/v1/people", json={"name": "Ada Example"})).json()
    body = {"number": "1001", "display_name": "Ada", "person_id": person["id"]}
    made = (await web.owner.post("/api/v1/extensions", json=body)).json()
    assert len(made["password"]) >= 16
    assert made["sip_address"] == "sip:1001@127.0.0.1:5060"
    path = "/api/v1/extensions/1001"
    assert "password" not in (await web.owner.get(path)).json()
    assert (await web.owner.patch(path, json={"enabled": False})).json()["person_id"] == person["id"]
    assert (await web.owner.patch(path, json={"person_id": None})).json()["person_id"] is None
    again = (await web.owner.post(f"{path}/password", json={"password": "chosen by hand"})).json()
    assert again["password"] == "chosen by hand"
    assert (await web.owner.post("/api/v1/extensions", json=body)).status_code == 409
    assert [e["number"] for e in (await web.owner.get("/api/v1/extensions")).json()] == ["1001"]
    assert (await web.owner.delete(path)).status_code == 204
    assert (await web.owner.delete(path)).status_code == 404


async def test_people(web):
    person = (await web.owner.post("/api/v1/people", json={"name": "Ada Example"})).json()
    path = f"/api/v1/people/{person['id']}"
    assert (await web.owner.get(path)).json() == person
    assert (await web.owner.patch(path, json={"name": "Ada B."})).json()["name"] == "Ada B."
    assert (await web.owner.delete(path)).status_code == 204
    assert (await web.owner.get("/api/v1/people")).json() == {"items": [], "total": 0, "next": None}


async def test_tokens_are_shown_once_and_can_be_revoked(web):
    made = (await web.owner.post("/api/v1/tokens", json={"role": "auditor", "name": "x"})).json()
    listed = (await web.owner.get("/api/v1/tokens")).json()
    assert [token["id"] for token in listed] == [made["id"]]
    assert "token" not in listed[0]
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert (await web.stranger.get("/api/v1/status", headers=headers)).status_code == 200
    assert (await web.owner.delete(f"/api/v1/tokens/{made['id']}")).status_code == 204
    assert (await web.stranger.get("/api/v1/status", headers=headers)).status_code == 401


def ada(**changes) -> Participant:
    return Participant(
        **{"id": "7", "role": "guest", "state": "in", "name": "Ada", "number": Private("15551234567")}
        | changes
    )


async def test_a_host_at_a_desk_admits_mutes_and_removes(web):
    meeting = await web.store.meetings.add("Weekly", "lobby")
    web.operations.people[meeting.number] = [
        ada(id="1", role="host"),
        ada(id="2", state="lobby"),
        ada(id="3"),
    ]
    path = f"/api/v1/meetings/{meeting.number}"

    async def post(act, body):
        return (await web.owner.post(f"{path}/participants/{act}", json=body)).json()

    assert await post("admit", {"all": True}) == {"count": 1}
    assert await post("mute", {"all": True}) == {"count": 2}
    assert await post("unmute", {"id": "3"}) == {"count": 1}
    assert await post("remove", {"id": "2"}) == {"count": 1}
    listed = (await web.owner.get(f"{path}/participants")).json()
    assert [(p["id"], p["state"], p["muted"]) for p in listed] == [("1", "in", False), ("3", "in", False)]
    unknown = await web.owner.post(f"{path}/participants/mute", json={"id": "9"})
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "nobody with the id 9 is in this meeting")
    for neither in ({}, {"id": "1", "all": True}):
        answer = await web.owner.post(f"{path}/participants/mute", json=neither)
        assert answer.status_code == 422
        assert '{"id": "..."}' in answer.json()["detail"]
    assert (await web.owner.put(f"{path}/lock", json={"locked": True})).json() == {"locked": True}
    assert (await web.owner.get(f"{path}/lock")).json() == {"locked": True}
    empty = await web.store.meetings.add("Empty")
    assert (await web.owner.put(f"/api/v1/meetings/{empty.number}/lock", json={})).status_code == 409
    assert (await web.owner.get("/api/v1/meetings/123456789/participants")).status_code == 404


async def test_numbers_and_pins_are_masked_by_role(web):
    meeting = await web.store.meetings.add("Weekly")
    web.operations.people[meeting.number] = [ada()]
    now = datetime.now(UTC)
    web.operations.calls_now = [Call("1", "answered", now, Private("15551234567"), Private("102"))]
    web.operations.devices = [Registration("101", "udp", Private("sip:101@192.0.2.7"), "baresip", now)]
    seen = {}
    for role in ("admin", "helpdesk", "auditor"):
        async with await web.client(role) as client:
            person = (await client.get(f"/api/v1/meetings/{meeting.number}/participants")).json()[0]
            call = (await client.get("/api/v1/calls")).json()[0]
            device = (await client.get("/api/v1/registrations")).json()[0]
            pin = (await client.get(f"/api/v1/meetings/{meeting.number}")).json()["guest_pin"]
        seen[role] = (person["number"], call["from_number"], device["contact"], pin is not None)
    assert seen["admin"] == ("15551234567", "15551234567", "sip:101@192.0.2.7", True)
    assert seen["helpdesk"] == ("15551234567", "15551234567", "sip:101@192.0.2.7", False)
    assert seen["auditor"] == ("•••••••••67", "•••••••••67", None, False)


async def test_a_number_that_stands_where_the_name_belongs_is_masked_too(web):
    """Carriers and phones say so: "15551234567" <sip:15551234567@…>."""
    meeting = await web.store.meetings.add("Weekly")
    now = datetime.now(UTC)
    web.operations.people[meeting.number] = [replace(ada(), name="+1 (555) 123-4567 Ada")]
    number = Private("15551234567")
    web.operations.calls_now = [Call("1", "answered", now, number, Private("102"), from_name="15551234567")]
    for role, name, caller in (
        ("helpdesk", "+1 (555) 123-4567 Ada", "15551234567"),
        ("auditor", "•••••••••••••••67 Ada", ""),
    ):
        async with await web.client(role) as client:
            person = (await client.get(f"/api/v1/meetings/{meeting.number}/participants")).json()[0]
            call = (await client.get("/api/v1/calls")).json()[0]
        assert (person["name"], call["from_name"]) == (name, caller), role


async def test_without_a_token_and_with_too_little_role_the_cure_is_named(web):
    answer = await web.stranger.get("/api/v1/meetings")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "ringback token add" in answer.json()["detail"]
    async with await web.client("user") as user:
        refused = await user.post("/api/v1/meetings", json={"name": "X"})
    assert refused.status_code == 403
    assert refused.json()["detail"] == "the role user lacks the permission meetings:write"


OWN_THINGS = tuple(f"{API}/{name}" for name in ("session", "voicemail", "call-records"))
"""Routes that ask who it is, and show everybody what is theirs."""


OTHER_PROOF = ("visits", "phone")
"""Subjects for whoever has a meeting's link, or is logged in."""


QUESTIONS = {
    (f"{API}/route/simulate", "POST"),
    (f"{API}/recordings/{{recording}}/verify", "POST"),
    (f"{API}/devices/export", "POST"),
}
"""What changes nothing and is no GET; searches, too."""


def test_every_subject_has_the_paths_for_which_it_is_loaded():
    files = Path(ringback.web.api.__file__).parent.glob("[a-z]*.py")
    assert SUBJECTS.keys() == {file.stem for file in files}
    for subject, beginnings in SUBJECTS.items():
        paths = {route.path for route in routes_of(subject) if isinstance(route, APIRoute)}
        assert all(path.startswith(f"{API}/") for path in paths)
        assert {path.split("/")[3] for path in paths} == set(beginnings), subject


async def test_the_description_is_the_same_whatever_was_asked_for_before(web):
    assert (await web.owner.get("/api/v1/status")).status_code == 200
    late = (await web.stranger.get("/openapi.json")).json()
    early = create_app(web.store, web.operations, web.settings).openapi()
    assert json.dumps(late) == json.dumps(early)
    assert late["components"]["schemas"]["Problem"]["properties"]["detail"]


def test_every_route_names_its_permission():
    named = {}
    for route in (
        route for subject in SUBJECTS if subject not in OTHER_PROOF for route in routes_of(subject)
    ):
        assert isinstance(route, APIRoute)
        if route.path.startswith(OWN_THINGS):
            continue
        permissions = [d.call.permission for d in route.dependant.dependencies if isinstance(d.call, Needs)]
        assert len(permissions) == 1, route.path
        (named[route.path, *route.methods],) = permissions
    assert len(named) > 25
    acts = (":write", ":control", ":hold", ":delete", ":approve")
    for (path, method), permission in named.items():
        if method != "GET" and (path, method) not in QUESTIONS and not path.endswith("/search"):
            assert permission.value.endswith(acts), (path, method)
    assert named[f"{API}/tokens", "POST"] is Permission.TOKENS_WRITE


async def test_every_route_refuses_strangers(web):
    # To come by a link is for whoever has it: its token is the proof (see test_visits). To log in is how
    # strangers become known.
    unasked = {(f"{API}/visits", "post"), (f"{API}/session", "post")}
    for path, operations in web.app.openapi()["paths"].items():
        for method in operations:
            if path.startswith(API) and (path, method) not in unasked:
                answer = await web.stranger.request(method, path.replace("{number}", "123456789"))
                assert answer.status_code == 401, (method, path)


async def test_who_keeps_guessing_tokens_has_to_wait_but_a_right_one_always_passes(web):
    wrong = {"Authorization": "Bearer rb_guess"}
    for _ in range(30):
        answer = await web.stranger.get("/api/v1/status", headers=wrong)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    async with await web.client("admin") as admin:
        assert (await admin.get("/api/v1/status")).status_code == 200


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "name: is missing"),
        ({"name": "X", "admission": "open"}, "admission: must be 'direct' or 'lobby'"),
        ({"name": "X", "colour": "red"}, "colour: is not permitted"),
        ({"name": ""}, "the name must not be empty"),
    ],
)
async def test_wrong_values_are_explained(web, body, detail):
    answer = await web.owner.post("/api/v1/meetings", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)


async def test_bodies_that_are_no_json_and_unknown_addresses(web):
    answer = await web.owner.post(
        "/api/v1/meetings", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["detail"]) == (422, "the body is not valid JSON")
    assert (await web.owner.get("/api/v1/nothing")).json()["status"] == 404
    assert (await web.owner.delete("/api/v1/status")).json()["status"] == 405


async def test_status_shows_the_processes(web):
    status = (await web.owner.get("/api/v1/status")).json()
    assert status["pids"] == {"control": 1, "media": [2]}
    assert status["media"] == [{"pid": 2, "legs": 4, "busy_fraction": 0.25}]
    assert status["takeovers"] == 3
    assert status["ready"] is True


async def test_openapi_describes_every_route_with_an_example_or_description(web):
    openapi = (await web.stranger.get("/openapi.json")).json()
    for path, operations in openapi["paths"].items():
        for operation in operations.values():
            assert operation["tags"], path
            assert operation["description"], path
    tags = {tag["name"] for tag in openapi["tags"]}
    assert tags >= {t for o in openapi["paths"].values() for m in o.values() for t in m["tags"]}
    assert "secretly" not in json.dumps(openapi)


async def test_the_quality_of_a_line_second_by_second(web):
    meeting = (await web.owner.post("/api/v1/meetings", json={"name": "Weekly"})).json()["number"]
    web.operations.people[meeting] = [Participant("7", "guest", "in")]
    web.operations.calls_now.append(
        Call("7", "answered", datetime(2026, 1, 2, tzinfo=UTC), Private("101"), Private(meeting))
    )
    web.operations.lines["7"] = replace(
        NOTHING_MEASURED,
        at=[datetime(2026, 1, 2, tzinfo=UTC)],
        seconds=[1.0],
        sent=SentSeries([50], [8000], [None]),
    )
    of_participant = await web.owner.get(f"/api/v1/meetings/{meeting}/participants/7/quality?seconds=10")
    assert of_participant.status_code == 200
    assert of_participant.json()["sent"] == {"packets": [50], "octets": [8000], "level_dbfs": [None]}
    assert of_participant.json()["at"] == ["2026-01-02T00:00:00Z"]
    of_call = await web.owner.get("/api/v1/calls/7/quality")
    assert of_call.json() == of_participant.json()
    assert (await web.owner.get(f"/api/v1/meetings/{meeting}/participants/8/quality")).status_code == 404
    assert (await web.owner.get("/api/v1/meetings/999/participants/7/quality")).status_code == 404
    assert (await web.owner.get("/api/v1/calls/8/quality")).status_code == 404
    assert (await web.owner.get("/api/v1/calls/7/quality?seconds=301")).status_code == 422
    assert (await web.stranger.get("/api/v1/calls/7/quality")).status_code == 401


async def test_bans_are_seen_by_auditors_and_lifted_by_administrators(web):
    async with await web.client("auditor") as auditor, await web.client("admin") as admin:
        assert (await auditor.get("/api/v1/bans")).json() == []
        assert (await auditor.post("/api/v1/bans", json={"source": "192.0.2.7"})).status_code == 403
        made = await admin.post("/api/v1/bans", json={"source": "2001:db8::/64", "minutes": 5})
        assert made.status_code == 201
        assert made.json()["reason"] == "operator"
        assert [ban["source"] for ban in (await auditor.get("/api/v1/bans")).json()] == ["2001:db8::/64"]
        assert (await admin.delete("/api/v1/bans/2001:db8::/64")).status_code == 204
        assert (await admin.delete("/api/v1/bans/2001:db8::/64")).status_code == 404
    async with await web.client("user") as user:
        assert (await user.get("/api/v1/bans")).status_code == 403


async def test_an_extension_says_how_its_devices_log_in(web):
    made = await web.owner.post("/api/v1/extensions", json={"number": "1001", "digest": "sha-256"})
    assert made.json()["digest"] == "sha-256"
    changed = await web.owner.patch("/api/v1/extensions/1001", json={"digest": "both"})
    assert changed.json()["digest"] == "both"
    kept = await web.owner.patch("/api/v1/extensions/1001", json={"display_name": "Ada"})
    assert kept.json()["digest"] == "both"
    wrong = await web.owner.patch("/api/v1/extensions/1001", json={"digest": "sha-1"})
    assert wrong.status_code == 422
