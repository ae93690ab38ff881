"""Queues in the API and on the command line's socket, and calls that are made meetings."""

from __future__ import annotations

from datetime import UTC, datetime

from ringback.governance.private import Private
from ringback.web.operations import Call, QueueAgent, QueueCaller, QueueStatus
from tests.web.conftest import Web

SUPPORT = QueueStatus(
    name="support",
    title="Support",
    waiting=(QueueCaller("7", 12.5, True),),
    agents=(QueueAgent("1001", "ringing", 3), QueueAgent("1002", "logged out", 0)),
    answered=3,
    abandoned=1,
    left=2,
    longest_wait_s=12.5,
    average_wait_s=None,
)


async def test_queues_as_they_are_shown(web: Web) -> None:
    assert (await web.owner.get("/api/v1/queues")).json() == []
    web.operations.queues_now.append(SUPPORT)
    (queue,) = (await web.owner.get("/api/v1/queues")).json()
    assert queue["waiting"] == [{"call": "7", "waited_s": 12.5, "ringing": True}]
    assert queue["agents"][1] == {"extension": "1002", "state": "logged out", "calls": 0}
    assert (queue["answered"], queue["abandoned"], queue["left"]) == (3, 1, 2)
    assert queue["average_wait_s"] is None
    async with await web.client("user") as client:
        assert (await client.get("/api/v1/queues")).status_code == 403


async def test_a_call_is_made_a_meeting_by_who_may_control(web: Web) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    web.operations.calls_now.append(Call("7", "answered", now, Private("101"), Private("102")))
    assert (await web.owner.post("/api/v1/calls/7/meeting")).status_code == 202
    assert (await web.owner.post("/api/v1/calls/8/meeting")).status_code == 404
    for role, status in (("helpdesk", 202), ("auditor", 403)):
        async with await web.client(role) as client:
            assert (await client.post("/api/v1/calls/7/meeting")).status_code == status
