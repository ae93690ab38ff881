"""What URLs do not hold: searches are bodies, and extensions have identifiers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import Web

REFUSED = (
    ("/people?search=Ada", "/api/v1/people/search"),
    ("/extensions?search=1001", "/api/v1/extensions/search"),
    ("/extensions?after=1001", "/api/v1/extensions/search"),
    ("/devices?search=Desk", "/api/v1/devices/search"),
    ("/devices/export?search=Desk", "/api/v1/devices/export"),
    ("/plan/answering?search=1001", "/api/v1/plan/KIND/search"),
    ("/plan/answering?after=1001", "/api/v1/plan/KIND/search"),
    ("/plan/history?name=1001", "/api/v1/plan/history/search"),
    ("/history?name=1001", "/api/v1/history/search"),
    ("/holdings?extension=1001", "/api/v1/holdings/search"),
    ("/recordings?extension=1001", "/api/v1/recordings/search"),
)


@pytest.fixture
async def office(web: Web) -> dict[str, Any]:
    """Ada with 1001, which forwards; and 1002."""
    ada = (await web.owner.post("/api/v1/people", json={"name": "Ada"})).json()
    body = {"number": "1001", "display_name": "Ada", "person_id": ada["id"]}
    made: dict[str, Any] = (await web.owner.post("/api/v1/extensions", json=body)).json()
    await web.owner.post("/api/v1/extensions", json={"number": "1002"})
    return made


@pytest.mark.parametrize(("path", "instead"), REFUSED)
async def test_what_was_asked_for_by_url_is_refused_with_where_to_ask(web: Web, path: str, instead: str):
    answer = await web.owner.get(f"/api/v1{path}")
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith(f"send the same as JSON: POST {instead}")
    for private in ("Ada", "1001", "Desk"):
        assert private not in answer.text


async def test_the_same_is_found_by_a_body(web: Web, office: dict[str, Any]):
    async def search(path: str, **body: Any) -> Any:
        answer = await web.owner.post(f"/api/v1{path}/search", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert [one["name"] for one in (await search("/people", search="ada"))["items"]] == ["Ada"]
    first = await search("/extensions", limit=1)
    assert ([one["number"] for one in first["items"]], first["total"]) == (["1001"], 2)
    rest = await search("/extensions", after=first["next"])
    assert ([one["number"] for one in rest["items"]], rest["next"]) == (["1002"], None)
    assert (await search("/devices", firmware="behind"))["total"] == 0
    assert (await search("/holdings", extension="1001"))["total"] == 1
    assert (await search("/recordings", extension="1001"))["items"] == []
    assert (await web.owner.post("/api/v1/extensions/search", json={"serach": "1"})).status_code == 422


async def test_an_extension_has_a_name_for_urls_that_tells_nothing(web: Web, office: dict[str, Any]):
    path = f"/api/v1/extensions/{office['id']}"
    assert (await web.owner.get(path)).json()["number"] == "1001"
    assert (await web.owner.patch(path, json={"display_name": "Ada E."})).json()["display_name"] == "Ada E."
    answering = f"/api/v1/plan/answering/{office['id']}"
    made = (await web.owner.put(answering, json={"do_not_disturb": True})).json()
    assert (made["name"], made["key"]) == ("1001", office["id"])
    assert (await web.owner.get("/api/v1/plan/answering/1001")).json() == made
    asked = {"kind": "answering", "name": office["id"]}
    (change,) = (await web.owner.post("/api/v1/history/search", json=asked)).json()
    assert change["name"] == "1001"
    assert (await web.owner.get("/api/v1/extensions/0123456789abcdef")).status_code == 404
    assert (await web.owner.delete(path)).status_code == 204
