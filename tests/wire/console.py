"""The console and the phone page as a person uses them: people who may log in, and their logging in."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from tests.wire.browser import Tab
from tests.wire.server import RingbackServer

PASSWORD = "a long enough one"
_names = count(1)


@dataclass(frozen=True)
class Somebody:
    """A person with an extension, who may log in."""

    name: str
    number: str
    phone_password: str
    login: str
    person_id: str


def make_somebody(server: RingbackServer, name: str, number: str, role: str = "user") -> Somebody:
    """A new person with an extension and a login."""
    login = f"{name.lower()}{next(_names)}@example.com"
    person = server.api("POST", "/people", {"name": name})["id"]
    password = f"secret-of-{number}"
    body = {"number": number, "display_name": name, "person_id": person, "password": password}
    server.api("POST", "/extensions", body)
    made = server.api("POST", "/logins", {"name": login, "role": role, "person_id": person})
    server.request("POST", "/setup", {"token": made["link"].partition("#")[2], "password": PASSWORD})
    return Somebody(name, number, password, login, person)


def log_in(tab: Tab, server: RingbackServer, who: Somebody, path: str = "/phone") -> None:
    """Open a page and log in there."""
    tab.page.goto(f"http://127.0.0.1:{server.web_port}{path}", wait_until="domcontentloaded")
    tab.page.get_by_label("Name or e-mail").fill(who.login)
    tab.page.get_by_label("Password").fill(PASSWORD)
    tab.press("Log in")
    tab.page.get_by_role("navigation", name="Pages").wait_for(state="attached")
