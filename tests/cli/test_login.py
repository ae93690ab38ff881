"""`ringback login`: the same from a running and a stopped system."""

import pytest


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
