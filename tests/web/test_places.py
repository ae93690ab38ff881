"""Whom a phone page finds: names of the plan, people and their numbers, for who cannot see the plan."""

from __future__ import annotations

from typing import Any

from tests.web.conftest import Web


async def test_groups_menus_and_people_are_found_by_name_and_number(web: Web):
    async def put(path: str, body: dict[str, Any]) -> None:
        answer = await web.owner.put(f"/api/v1/plan/{path}", json=body)
        assert answer.status_code == 200, answer.text

    ada = (await web.owner.post("/api/v1/people", json={"name": "Ada Salesworth"})).json()
    for number, more in {"1001": {"person_id": ada["id"]}, "1002": {"display_name": "Bob"}}.items():
        await web.owner.post("/api/v1/extensions", json={"number": number, **more})
    await put(
        "group/sales", {"title": "Sales team", "number": "2001", "members": ["1001"], "otherwise": "busy"}
    )
    await put("group/inner", {"title": "Sales, inner", "members": ["1001"], "otherwise": "busy"})
    await put("menu/main", {"title": "Resale", "number": "2002", "words": "Press 1.", "keys": {"1": "busy"}})

    async with await web.client("user") as user:

        async def places(**asked: Any) -> list[Any]:
            answer = await user.post("/api/v1/phone/places", json=asked)
            assert answer.status_code == 200, answer.text
            return list(answer.json())

        # What has no number cannot be dialled; words that begin so come first.
        assert [one["title"] for one in await places(search="sale")] == [
            "Ada Salesworth",
            "Sales team",
            "Resale",
        ]
        assert [one["target"] for one in await places(search="2001")] == ["group:sales"]
        assert await places(target="group:sales") == [
            {"kind": "group", "target": "group:sales", "title": "Sales team", "number": "2001"}
        ]
        assert [one["number"] for one in await places(search="bob")] == ["1002"]
        assert len(await places(limit=2)) == 2
        await web.owner.patch("/api/v1/extensions/1002", json={"enabled": False})
        assert await places(search="bob") == []
    assert (await web.stranger.post("/api/v1/phone/places", json={})).status_code == 401
