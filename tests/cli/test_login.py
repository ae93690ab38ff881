"""`ringback login`: the same from a running and a stopped system."""

from datetime import UTC, datetime

import pytest

from ringback.governance import totp

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture(params=["stopped", "running"])
def system(request, data_dir):
    """Both kinds of system; the verbs must not care."""
    return request.getfixturevalue("server") if request.param == "running" else None


def test_the_life_of_a_login(ringback, system):
    person = ringback("person", "add", "Ada Example", "--json").json
    made = ringback("login", "add", "Ada@example.com", "--person", "Ada Example", "--json").json
    assert (made["name"], made["role"], made["person_id"]) == ("ada@example.com", "user", person["id"])
    assert "/setup#" in made["link"]
    other = ringback("login", "link", "ADA@example.com").out.strip()
    assert other.startswith(made["link"].partition("#")[0])
    assert other != made["link"]
    assert ringback("login", "set", "ada@example.com", "--role", "auditor").out == (
        "ada@example.com logs in as auditor.\n"
    )
    roles = {one["name"]: one["role"] for one in ringback("login", "list", "--json").json}
    assert roles["ada@example.com"] == "auditor"
    assert ringback("login", "end-sessions", "ada@example.com").code == 0
    assert ringback("login", "remove", "ada@example.com").code == 0
    gone = ringback("login", "link", "ada@example.com")
    assert (gone.code, gone.err) == (
        1,
        "ringback: nobody logs in as ada@example.com; see: ringback login list\n",
    )


def test_who_has_lost_the_app_is_let_in_by_the_password_alone(ringback, server):
    ringback("login", "add", "ada@example.com")
    (login,) = server.store.logins.all()

    async def set_up():
        secret = await server.store.second_factors.begin(login.id)
        code = totp.code_at(secret, totp.step_of(NOW.timestamp()))
        await server.store.second_factors.confirm(login.id, code, NOW)

    server.do(set_up())
    assert ringback("login", "list", "--json").json[0]["second_factor"] is True
    reset = ringback("login", "totp", "reset", "Ada@example.com")
    assert reset.out == "Ada@example.com logs in by the password alone.\n"
    assert ringback("login", "list", "--json").json[0]["second_factor"] is False
    again = ringback("login", "totp", "reset", "ada@example.com")
    assert (again.code, again.err) == (1, "ringback: there is no second factor\n")
