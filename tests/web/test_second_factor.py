"""The code of an authenticator app beside the password: set up, asked for, refused, recovered from, reset."""

from datetime import UTC, datetime

import httpx
from sqlalchemy import text

from ringback.governance import totp
from ringback.governance.private import Private
from ringback.governance.roles import Role
from tests.web.test_logins import OURS, PASSWORD, make_login

HERE = "/api/v1/session/second-factor"


NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def code_of(secret: str, ahead: int = 0) -> str:
    return totp.code_at(Private(secret), totp.step_of(NOW.timestamp()) + ahead)


async def log_in(web, code="", password=PASSWORD) -> httpx.Response:
    body = {"name": "ada", "password": password, "code": code}
    return await web.stranger.post("/api/v1/session", json=body, headers={**OURS, "Origin": web.url})


async def set_up(web, role=Role.USER) -> tuple[str, list[str]]:
    """Ada with a second factor; its secret, and the recovery codes."""
    web.app.state.context.clock = lambda: NOW
    await make_login(web, role=role)
    assert (await log_in(web)).status_code == 201
    wrong = await web.stranger.post(HERE, json={"password": "wrong"}, headers=OURS)
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "password: the password is not right")
    begun = (await web.stranger.post(HERE, json={"password": PASSWORD}, headers=OURS)).json()
    assert begun["secret"] in begun["uri"]
    # It is needed only once the app has shown that it knows the secret.
    assert (await log_in(web)).status_code == 201
    wrong = await web.stranger.put(HERE, json={"code": "000000"}, headers=OURS)
    assert wrong.status_code == 422
    answer = await web.stranger.put(HERE, json={"code": code_of(begun["secret"], -1)}, headers=OURS)
    assert answer.status_code == 200
    assert (await web.stranger.get(HERE)).json() == {"on": True, "recovery_codes": 10}
    return begun["secret"], answer.json()["codes"]


async def test_the_code_is_asked_for_and_good_once(web):
    secret, _ = await set_up(web)
    needed = await log_in(web)
    assert needed.status_code == 401
    assert needed.json()["errors"][0]["field"] == "code"
    assert (await log_in(web, password="wrong")).json()["detail"] == "name or password is not right"
    assert (await log_in(web, "000000")).status_code == 401
    assert (await log_in(web, code_of(secret, -1))).status_code == 401, "it was used to set this up"
    code = code_of(secret)
    entered = await log_in(web, f"{code[:3]} {code[3:]}")
    assert (entered.status_code, entered.json()["second_factor"]) == (201, True)
    again = await log_in(web, code)
    assert (again.status_code, again.json()["detail"]) == (401, "this code is not right, or was used already")


async def test_recovery_codes_are_good_once_and_hashed(web):
    secret, codes = await set_up(web)
    assert len(set(codes)) == 10
    assert (await log_in(web, codes[0].upper())).status_code == 201
    assert (await log_in(web, codes[0])).status_code == 401
    async with web.store.database.read() as connection:
        stored = str((await connection.execute(text("SELECT * FROM second_factors"))).all())
    for private in (secret, *codes, *(code.replace("-", "") for code in codes)):
        assert private not in stored
    body = {"password": PASSWORD, "code": codes[1]}
    fresh = await web.stranger.post(f"{HERE}/recovery-codes", json=body, headers=OURS)
    assert fresh.status_code == 200
    assert (await log_in(web, codes[2])).status_code == 401
    assert (await log_in(web, fresh.json()["codes"][2])).status_code == 201


async def test_guesses_are_refused_for_a_while(web):
    secret, _ = await set_up(web)
    for _ in range(5):
        assert (await log_in(web, "000000")).status_code == 401
    refused = await log_in(web, code_of(secret))
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    web.app.state.context.code_pause.right(web.store.logins.all()[0].id)
    assert (await log_in(web, code_of(secret))).status_code == 201


async def test_it_is_turned_off_by_password_and_code(web):
    secret, codes = await set_up(web)
    for body in ({"password": "wrong", "code": codes[0]}, {"password": PASSWORD, "code": "000000"}):
        answer = await web.stranger.post(f"{HERE}/off", json=body, headers=OURS)
        assert answer.status_code == 422
    body = {"password": PASSWORD, "code": code_of(secret)}
    assert (await web.stranger.post(f"{HERE}/off", json=body, headers=OURS)).status_code == 204
    assert (await log_in(web)).json()["second_factor"] is False


async def test_an_administrator_resets_it_and_nobody_else(web):
    await set_up(web)
    login = web.store.logins.all()[0]
    path = f"/api/v1/logins/{login.id}/second-factor"
    helpdesk, admin = await web.client("helpdesk"), await web.client("admin")
    assert (await helpdesk.delete(path)).status_code == 403
    (shown,) = (await admin.get("/api/v1/logins")).json()
    assert shown["second_factor"] is True
    assert (await admin.delete(path)).status_code == 204
    assert (await web.stranger.get("/api/v1/session")).status_code == 401, "sessions have ended"
    assert (await log_in(web)).status_code == 201
    assert (await admin.delete(path)).status_code == 404


async def test_another_password_by_link_does_not_take_it_away(web):
    secret, _ = await set_up(web)
    login = web.store.logins.all()[0]
    link = await web.store.logins.link_for(login.id)
    await web.store.logins.choose_password(link, Private("another long one"))
    assert (await log_in(web, password="another long one")).status_code == 401
    entered = await log_in(web, code_of(secret), password="another long one")
    assert entered.status_code == 201
