"""Meetings over HTTP: who is in them now, those that were, and what a deleted one comes back with."""

from __future__ import annotations

from datetime import timedelta

from ringback.web.operations import Participant
from ringback.web.past_meetings import past_meetings
from ringback.web.record_views import Reader
from tests.store.test_call_records import BEGAN, keep, record
from tests.web.conftest import Web


def visit(minute: float, *, minutes: float = 10, number: str = "481516234", **more: object):
    """A call to a meeting, answered at once."""
    values = {
        "called": f"meeting:{number}",
        "answered_ms": 0,
        "ended_ms": int(minutes * 60_000),
        "caller_name": "Ada Example",
        **more,
    }
    return record(BEGAN + timedelta(minutes=minute), **values)


async def test_a_list_tells_who_is_in_to_those_who_may_know(web: Web):
    made = (await web.owner.post("/api/v1/meetings", json={"name": "Weekly"})).json()
    assert made["now"] == {"people": 0, "waiting": 0, "locked": False}
    web.operations.people[made["number"]] = [
        Participant("1", "host", "in"),
        Participant("2", "guest", "lobby"),
        Participant("3", "guest", "prompt"),
    ]
    web.operations.locks[made["number"]] = True
    (listed,) = (await web.owner.get("/api/v1/meetings")).json()
    assert listed["now"] == {"people": 1, "waiting": 1, "locked": True}
    async with await web.client("user") as user:
        (listed,) = (await user.get("/api/v1/meetings")).json()
        assert (listed["now"], listed["link"], listed["guest_pin"]) == (None, None, None)


async def test_a_meeting_is_reached_by_its_id_so_that_no_url_needs_its_number(web: Web):
    made = (await web.owner.post("/api/v1/meetings", json={"name": "Weekly"})).json()
    web.operations.people[made["number"]] = [Participant("1", "guest", "in")]
    path = f"/api/v1/meetings/{made['id']}"
    assert (await web.owner.get(path)).json()["number"] == made["number"]
    assert [one["id"] for one in (await web.owner.get(f"{path}/participants")).json()] == ["1"]
    assert (await web.owner.put(f"{path}/lock", json={"locked": True})).json() == {"locked": True}
    assert (await web.owner.post(f"{path}/participants/mute", json={"all": True})).json() == {"count": 1}
    assert (await web.owner.get(f"{path}/participants/1/quality")).status_code == 200


async def test_a_deleted_meeting_comes_back_by_the_history(web: Web):
    made = (await web.owner.post("/api/v1/meetings", json={"name": "Weekly"})).json()
    await web.owner.delete(f"/api/v1/meetings/{made['id']}")
    (revision,) = (await web.owner.get("/api/v1/history", params={"kind": "meeting"})).json()
    assert revision["name"] == made["id"]
    async with await web.client("helpdesk") as helpdesk:
        undoing = {"revision_id": revision["revision_id"]}
        assert (await helpdesk.post("/api/v1/history/undo", json=undoing)).status_code == 403
    await web.owner.post("/api/v1/history/undo", json=undoing)
    assert (await web.owner.get(f"/api/v1/meetings/{made['number']}")).json() == made


def test_calls_at_the_same_time_were_one_meeting():
    calls = [visit(0), visit(5), visit(15.5, minutes=1), visit(60), visit(62, answered_ms=None)]
    later, earlier = past_meetings(reversed(calls), Reader(all_numbers=True))
    # The third came within a minute after the second had gone.
    assert [len(later.people), len(earlier.people)] == [1, 3]
    assert earlier.began_at == calls[0].began_at
    assert earlier.ended_at == calls[2].began_at + timedelta(minutes=1)
    # Who stays while others come and go holds a meeting together.
    assert len(past_meetings([visit(0, minutes=60), visit(5, minutes=1), visit(40)], Reader(True))) == 1
    assert past_meetings([], Reader(True)) == []


async def test_past_meetings_are_those_of_one_number_and_masked_by_role(web: Web):
    meeting = await web.store.meetings.add("Weekly")
    await keep(
        web.store, visit(0, number=meeting.number), visit(1), visit(99, number=meeting.number, ended_ms=None)
    )
    path = f"/api/v1/meetings/{meeting.id}/past"
    found = (await web.owner.get(path)).json()
    assert [[one["name"] for one in each["people"]] for each in found["items"]] == [["Ada Example"]] * 2
    assert found["items"][0]["people"][0]["left_at"] is None
    page = (await web.owner.get(path, params={"limit": 1})).json()
    assert len(page["items"]) == 1
    rest = (await web.owner.get(path, params={"limit": 1, "after": page["next"]})).json()
    assert rest["items"] == found["items"][1:]
    async with await web.client("auditor") as auditor:
        (person,) = (await auditor.get(path)).json()["items"][1]["people"]
        assert person["name"] == ""
        assert "•" in person["number"]
    async with await web.client("user") as user:
        assert (await user.get(path)).status_code == 403
