"""The stream of SIP messages as clients of the API meet it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from ringback.web.operations import Missed, SipMessage, TraceFilter

MESSAGE = SipMessage(
    at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    direction="in",
    transport="udp",
    local=("192.0.2.1", 5060),
    remote=("192.0.2.20", 5062),
    call_id="a84b4c76e66710",
    method="BYE",
    status=None,
    reason="",
    cseq=2,
    from_user="xx01",
    to_user="xx02",
    data=b"BYE sip:xx02@192.0.2.1 SIP/2.0\r\n\r\n",
)


async def telling(*messages: SipMessage | Missed) -> AsyncIterator[SipMessage | Missed]:
    for message in messages:
        yield message


def told(text: str) -> list[tuple[str, dict]]:
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("event: ")]
    return [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for kind, data in blocks]


async def test_messages_come_as_events(web):
    binary = SipMessage(**{**fields(MESSAGE), "data": b"\xff\xfe", "fault": "empty datagram"})
    web.operations.tell = lambda: telling(MESSAGE, Missed(3), binary)
    answer = await web.owner.get("/api/v1/sip/trace")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith(": connected\n\n")
    (first, one), missed, (_, other) = told(answer.text)
    assert first == "message"
    assert one["at"] == "2026-01-02T03:04:05.000678Z"
    assert one["message"] == "BYE sip:xx02@192.0.2.1 SIP/2.0\r\n\r\n"
    assert (one["remote"], one["cseq"], one["method"]) == (["192.0.2.20", 5062], 2, "BYE")
    assert "status" not in one
    assert missed == ("missed", {"count": 3})
    assert (other["message_base64"], other["fault"]) == ("//4=", "empty datagram")
    assert "message" not in other


def fields(message: SipMessage) -> dict:
    return {name: getattr(message, name) for name in SipMessage.__slots__}


async def test_what_is_asked_for(web):
    web.operations.tell = telling
    wanted = {"call": "a84b", "source": "192.0.2.20", "method": "BYE", "last_s": 300, "follow": "false"}
    await web.owner.get("/api/v1/sip/trace", params=wanted, headers={"X-Number": "1001"})
    ((found, last_s, follow, reveal),) = web.operations.traces
    assert (found.call, found.source, found.method) == ("a84b", "192.0.2.20", "BYE")
    assert found.number.reveal() == "1001"
    assert "1001" not in repr(found)
    assert (last_s, follow, reveal) == (300.0, False, False)


async def test_who_may_watch(web):
    web.operations.tell = telling
    assert (await web.stranger.get("/api/v1/sip/trace")).status_code == 401
    for role, status in (("user", 403), ("auditor", 403), ("helpdesk", 200), ("admin", 200)):
        async with await web.client(role) as client:
            assert (await client.get("/api/v1/sip/trace")).status_code == status, role


async def test_only_administrators_see_what_is_private_and_all_hear_of_it(web):
    web.operations.tell = telling
    events = web.operations.events.subscribe()
    async with await web.client("helpdesk") as helpdesk:
        refused = await helpdesk.get("/api/v1/sip/trace?reveal=true")
    assert refused.status_code == 403
    assert refused.json()["detail"] == "the role helpdesk may see messages masked only"
    assert web.operations.traces == []
    assert (await web.owner.get("/api/v1/sip/trace?reveal=true")).status_code == 200
    assert web.operations.traces == [(TraceFilter(), 0.0, True, True)]
    event = await anext(events)
    assert (event.kind, event.details) == ("sip.trace.revealed", {"by": "local administrator"})
