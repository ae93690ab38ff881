"""Logging in to the pages: the cookie, what it opens, and what pages of others cannot do with it."""

import httpx

from ringback.governance.private import Private
from ringback.governance.roles import Role

PASSWORD = "a long enough one"
OURS = {"X-Ringback": "1"}


async def make_login(web, name="ada", role=Role.USER, person_id=None):
    _, link = await web.store.logins.add(name, role, person_id)
    await web.store.logins.choose_password(link, Private(PASSWORD))


async def log_in(web, name="ada", password=PASSWORD) -> httpx.Response:
    return await web.stranger.post(
        "/api/v1/session", json={"name": name, "password": password}, headers={**OURS, "Origin": web.url}
    )


async def test_a_session_is_a_cookie_that_scripts_cannot_read(web):
    person = await web.store.people.add("Ada Example")
    await web.store.extensions.add("1001", person_id=person.id)
    await make_login(web, person_id=person.id)
    answer = await log_in(web)
    assert answer.status_code == 201
    assert answer.json()["role"] == "user"
    assert answer.json()["extensions"] == ["1001"]
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/"))
    assert "secure" not in cookie, "plain HTTP is on loopback only"
    me = await web.stranger.get("/api/v1/session")
    assert me.json() == answer.json()
    assert (await web.stranger.get("/api/v1/people")).status_code == 200
    assert (await web.stranger.get("/api/v1/status")).status_code == 403
    assert (await web.stranger.delete("/api/v1/session", headers=OURS)).status_code == 204
    assert (await web.stranger.get("/api/v1/session")).status_code == 401


async def test_a_page_of_somebody_else_changes_nothing(web):
    await make_login(web, role=Role.ADMIN)
    assert (await log_in(web)).status_code == 201
    body = {"name": "Mallory"}
    for headers in ({}, {"Origin": web.url}, {**OURS, "Origin": "https://evil.example.com"}):
        answer = await web.stranger.post("/api/v1/people", json=body, headers=headers)
        assert answer.status_code == 403, headers
    answer = await web.stranger.post("/api/v1/people", json=body, headers={**OURS, "Origin": web.url})
    assert answer.status_code == 201
    foreign = await web.stranger.post("/api/v1/session", json={"name": "ada", "password": PASSWORD})
    assert foreign.status_code == 403, "nobody is logged in as somebody else by a page of others"


async def test_guesses_are_refused_after_a_while(web):
    await make_login(web)
    web.app.state.context.guard.__init__(allow=frozenset())
    statuses = {(await log_in(web, name=f"n{n}", password="wrong")).status_code for n in range(11)}
    assert statuses == {401}
    answer = await log_in(web)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_administrators_decide_who_logs_in(web):
    person = await web.store.people.add("Ada Example")
    made = await web.owner.post("/api/v1/logins", json={"name": "Ada@example.com", "person_id": person.id})
    assert made.status_code == 201
    token = made.json()["link"].partition("#")[2]
    chosen = await web.stranger.post("/setup", json={"token": token, "password": PASSWORD})
    assert chosen.json() == {"name": "ada@example.com"}
    assert (await log_in(web, "ada@example.com")).status_code == 201
    login = made.json()["id"]
    changed = await web.owner.patch(f"/api/v1/logins/{login}", json={"role": "helpdesk"})
    assert changed.json()["role"] == "helpdesk"
    assert (await web.stranger.get("/api/v1/session")).json()["role"] == "helpdesk"
    assert (await web.stranger.get("/api/v1/logins")).status_code == 403
    assert (await web.owner.delete(f"/api/v1/logins/{login}/sessions")).status_code == 204
    assert (await web.stranger.get("/api/v1/session")).status_code == 401


async def test_a_person_sees_and_ends_own_sessions_and_changes_the_password(web):
    await make_login(web)
    other = httpx.AsyncClient(base_url=web.url, headers={"User-Agent": "Firefox/1 Linux", **OURS})
    async with other:
        await other.post("/api/v1/session", json={"name": "ada", "password": PASSWORD})
        await log_in(web)
        sessions = (await web.stranger.get("/api/v1/session/all")).json()
        assert sorted(one["browser"] for one in sessions) == ["A program", "Firefox on Linux"]
        (theirs,) = [one["id"] for one in sessions if not one["this"]]
        ended = await web.stranger.delete(f"/api/v1/session/all/{theirs}", headers=OURS)
        assert ended.status_code == 204
        assert (await other.get("/api/v1/session")).status_code == 401
    path = "/api/v1/session/password"
    wrong = await web.stranger.put(path, json={"old": "x", "new": "a longer one yet"}, headers=OURS)
    assert wrong.status_code == 422
    right = await web.stranger.put(path, json={"old": PASSWORD, "new": "a longer one yet"}, headers=OURS)
    assert right.status_code == 204
    assert (await web.stranger.get("/api/v1/session")).status_code == 401
    assert (await log_in(web, password="a longer one yet")).status_code == 201


async def test_nobody_takes_the_place_of_somebody_unseen(web):
    ada, bob = await web.store.people.add("Ada"), await web.store.people.add("Bob")
    await make_login(web, "root", Role.ADMIN)
    await log_in(web, "root")
    mine = web.store.logins.all()[0]
    headers = {**OURS, "Origin": web.url}
    seen = []
    told = web.operations.events.subscribe()
    first = await web.stranger.patch(f"/api/v1/logins/{mine.id}", json={"person_id": ada.id}, headers=headers)
    seen.append((await anext(told)).details)
    assert (first.status_code, first.json()["person_id"]) == (200, ada.id)
    other = await web.stranger.patch(f"/api/v1/logins/{mine.id}", json={"person_id": bob.id}, headers=headers)
    assert other.status_code == 403
    assert web.store.logins.need(mine.id).person_id == ada.id
    made = await web.stranger.post(
        "/api/v1/logins", json={"name": "bob", "person_id": bob.id}, headers=headers
    )
    seen.append((await anext(told)).details)
    await web.stranger.post(f"/api/v1/logins/{made.json()['id']}/link", headers=headers)
    seen.append((await anext(told)).details)
    assert [(one["by"], one["person"], one["what"]) for one in seen] == [
        ("root", ada.id, "person"),
        ("root", bob.id, "added"),
        ("root", bob.id, "link"),
    ]
    await told.aclose()
