"""The simulator in the API: by the rules in force, for who may, with numbers in the body and masked."""

from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.groups import Group
from ringback.store.plan.voice import MailboxPlan

SIMULATE = "/api/v1/route/simulate"
FAR = "+442079460018"


async def furnish(web, *values):
    for number in ("1001", "1002", "1003"):
        await web.store.extensions.add(number)
    await web.store.trunks.add("carrier", {"host": "192.0.2.1", "prefixes": ("+",)})
    holder = web.store._holder
    plan = holder.current.plan
    for value in values:
        plan = plan.with_value(value)
    holder.replace(
        holder.current.__class__.of(
            holder.current.extensions.values(), (), holder.current.trunks.values(), plan
        )
    )


async def test_a_call_with_all_that_can_become_of_it(web):
    await furnish(
        web,
        Answering(name="1002", busy="group:sales"),
        Group(name="sales", members=("1003",), otherwise="extension:1002"),
        MailboxPlan(name="1002"),
    )
    found = (await web.owner.post(SIMULATE, json={"from": "1001", "to": "10-02"})).json()
    root, *others = found["nodes"]
    assert root["step"]["legs"] == [
        {"round": 1, "for_s": 20.0, "extension": "1002", "trunk": None, "number": None, "caller_id": None}
    ]
    assert root["rules"] == [{"kind": "extension", "name": "1002", "said": "its devices ring for 20 s"}]
    assert [(node["parent"], node["came_by"], node["target"], node["step"]["said"]) for node in others] == [
        (0, ["busy", "declined"], "group:sales", "rings 1003 for 20 s"),
        (
            1,
            ["busy", "no answer", "unreachable", "declined"],
            "extension:1002",
            "refused with 482: the plan leads in a circle: extension:1002 → group:sales → extension:1002",
        ),
        (0, ["no answer", "unreachable"], "mailbox:1002", "leaves a message in the mailbox of 1002"),
    ]
    assert found["loops"] == ["the plan leads in a circle: extension:1002 → group:sales → extension:1002"]


async def test_numbers_outside_are_masked_for_who_may_not_see_them(web):
    forwards = Answering(name="1002", always=f"outside:{FAR}")
    await furnish(web, forwards, Role(name="standard", classes=("international",), forward_outside=True))
    for role, shown in (("helpdesk", FAR), ("auditor", "•" * 11 + "18")):
        async with await web.client(role) as client:
            answer = await client.post(SIMULATE, json={"from": "1001", "to": "1002"})
            assert answer.json()["nodes"][0]["step"]["legs"][0]["number"] == shown
            assert (FAR in answer.text) is (shown == FAR)
    async with await web.client("user") as client:
        assert (await client.post(SIMULATE, json={"to": "1002"})).status_code == 403
    assert (await web.stranger.post(SIMULATE, json={"to": "1002"})).status_code == 401


async def test_the_moment_is_in_the_zone_that_is_said(web):
    asked = {"from": "1001", "to": "1002", "at": "2026-12-24T19:00", "time_zone": "America/New_York"}
    found = (await web.owner.post(SIMULATE, json=asked)).json()
    assert (found["at"], found["time_zone"]) == ("2026-12-24T19:00:00-05:00", "America/New_York")
    elsewhere = (await web.owner.post(SIMULATE, json={**asked, "at": "2026-12-24T19:00+01:00"})).json()
    assert elsewhere["at"] == "2026-12-24T13:00:00-05:00"


async def test_what_cannot_be_asked_is_explained_without_repeating_it(web):
    for field, wrong in (
        ("to", {"to": "a\x00b"}),
        ("to", {"to": ""}),
        ("at", {"to": "1002", "at": "0001-01-01T00:00"}),
        ("at", {"to": "1002", "at": "never"}),
        ("time_zone", {"to": "1002", "time_zone": "../../etc/hosts"}),
        ("to", {"to": "1" * 65}),
        ("to", {"from": "1001"}),
        ("colour", {"to": "1002", "colour": "red"}),
    ):
        answer = await web.owner.post(SIMULATE, json=wrong)
        assert answer.status_code == 422, wrong
        assert f"{field}: " in answer.json()["detail"]
        assert "etc/hosts" not in answer.text
