"""The web's side of a visit, on real sockets; what runs behind it is put in by the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from ringback.governance.private import Private
from ringback.web.operations import OperationError, Participant
from ringback.web.visiting import NewVisit, NotAllowedError, RoomPicture, TooManyError, VisitState, You


class FakeVisiting:
    """One visit, whose room the test fills."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, str, str | None]] = []
        self.acts: list[tuple[str, str | None]] = []
        self.you = You("Ada", "guest", "in", "7")
        self.room = RoomPicture()
        self.over = False
        self.full = False
        self.event = asyncio.Event()

    def open(self, meeting, role, name, source, seat):
        if self.full:
            raise TooManyError("too many people are on their way in")
        self.opened.append((role, name, seat.reveal() if seat else None))
        return NewVisit("v-1", Private("secret"), Private("sip password"), "ringback", 600.0, name or "Ada")

    def knows(self, visit, secret):
        return visit == "v-1" and secret == Private("secret")

    def renew(self, visit):
        return 600.0

    def state(self, visit):
        return None if self.over else VisitState(self.you, self.room)

    def changed(self, visit):
        return self.event

    def act(self, visit, act, participant):
        if act == "lock":
            raise NotAllowedError("only a host in the meeting may do this")
        if act == "hand":
            raise OperationError("you are not in the meeting")
        self.acts.append((act, participant))

    def show(self, *present: Participant, waiting: tuple[Participant, ...] = ()) -> None:
        self.room = RoomPicture(present=present, waiting=waiting)
        before, self.event = self.event, asyncio.Event()
        before.set()


@pytest.fixture
def visiting(web) -> FakeVisiting:
    fake = FakeVisiting()
    web.app.state.context.visiting = fake
    return fake


@pytest.fixture
async def meeting(web):
    return await web.store.meetings.add("Weekly")


OWN = {"Authorization": "Bearer secret"}


async def come(web, meeting, **changes):
    body = {"meeting": meeting.number, "token": meeting.link_token.reveal(), "name": "Ada", **changes}
    return await web.stranger.post("/api/v1/visits", json=body)


async def test_a_link_gives_an_account_and_the_way_in_by_phone(web, visiting, meeting):
    answer = await come(web, meeting)
    assert answer.status_code == 201
    visit = answer.json()
    assert (visit["visit"], visit["secret"], visit["role"]) == ("v-1", "secret", "guest")
    assert visit["sip"] == {
        "uri": "sip:v-1@127.0.0.1",
        "username": "v-1",
        "password": "sip password",
        "realm": "ringback",
        "expires_in_s": 600.0,
        "target": f"sip:{meeting.number}@127.0.0.1",
        "echo_target": f"sip:{web.settings.routing.echo_number}@127.0.0.1",
    }
    assert visit["meeting"]["guest_pin"] == meeting.guest_pin.reveal()
    assert visit["meeting"]["host_pin"] is None
    assert answer.headers["cache-control"] == "no-store"


async def test_the_host_link_makes_a_host(web, visiting, meeting):
    visit = (await come(web, meeting, token=meeting.host_link_token.reveal())).json()
    assert visit["role"] == "host"
    assert visit["meeting"]["host_pin"] == meeting.host_pin.reveal()


async def test_a_name_is_made_fit_to_show_and_has_to_be_given_the_first_time(web, visiting, meeting):
    assert (await come(web, meeting, name="A\u202eda\x1b[31m")).status_code == 201
    assert visiting.opened[-1] == ("guest", "Ada[31m", None)
    assert (await come(web, meeting, name="  ")).status_code == 422
    assert (await come(web, meeting, name="", seat="earlier")).status_code == 201
    assert visiting.opened[-1] == ("guest", "", "earlier")


async def test_wrong_links_look_the_same_and_are_limited(web, visiting, meeting):
    wrong = await come(web, meeting, token="guess")
    missing = await come(web, replace(meeting, number="999999999"))
    assert (wrong.status_code, wrong.json()) == (missing.status_code, missing.json())
    assert wrong.status_code == 404
    for _ in range(30):
        last = await come(web, meeting, token="guess")
    assert last.status_code == 429
    assert not visiting.opened


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("voice.example.com", "voice.example.com"),
        ("[::1]:8080", "[::1]"),
        ("[::1", "localhost"),
        ("a;b", "localhost"),
    ],
)
async def test_the_account_is_at_the_host_that_the_page_came_from(web, visiting, meeting, host, named):
    body = {"meeting": meeting.number, "token": meeting.link_token.reveal(), "name": "Ada"}
    answer = await web.stranger.post("/api/v1/visits", json=body, headers={"Host": host})
    assert answer.status_code == 201
    assert answer.json()["sip"]["uri"] == f"sip:v-1@{named}"


async def test_when_there_are_too_many_it_is_said(web, visiting, meeting):
    visiting.full = True
    assert (await come(web, meeting)).status_code == 503


async def test_a_visit_answers_to_its_secret_alone(web, visiting):
    for path, method in (("renew", "POST"), ("events", "GET"), ("actions", "POST")):
        for visit, headers in (
            ("v-1", {}),
            ("v-1", {"Authorization": "Bearer guess"}),
            ("v-2", OWN),
        ):
            answer = await web.stranger.request(method, f"/api/v1/visits/{visit}/{path}", headers=headers)
            assert answer.status_code == 401, (path, visit)
    assert (await web.stranger.post("/api/v1/visits/v-1/renew", headers=OWN)).json() == {
        "expires_in_s": 600.0
    }


async def test_acts_are_done_or_refused_in_words(web, visiting):
    async def act(**body: str):
        return await web.stranger.post("/api/v1/visits/v-1/actions", json=body, headers=OWN)

    assert (await act(act="mute")).status_code == 204
    assert (await act(act="admit", participant="9")).status_code == 204
    assert visiting.acts == [("mute", None), ("admit", "9")]
    assert (await act(act="lock")).status_code == 403
    assert (await act(act="hand")).status_code == 409
    assert (await act(act="fly")).status_code == 422


async def states(stream) -> AsyncIterator[dict]:
    async for line in stream.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


ADA = Participant(id="7", role="guest", state="in", name="Ada", via="browser")
BOB = Participant(id="8", role="guest", state="lobby", name="Bob", number=Private("5550123"))


async def test_the_picture_comes_at_once_and_again_when_it_changes_but_not_too_often(web, visiting):
    visiting.show(ADA)
    async with web.stranger.stream("GET", "/api/v1/visits/v-1/events", headers=OWN) as stream:
        told = states(stream)
        first = await anext(told)
        assert first["you"]["id"] == "7"
        assert [p["name"] for p in first["participants"]] == ["Ada"]
        began = asyncio.get_running_loop().time()
        for level in range(20):
            visiting.show(replace(ADA, talking=True, level_dbfs=-40.4 + level))
            await asyncio.sleep(0.02)
        seen = []
        while not seen or seen[-1] != -21:
            seen.append((await anext(told))["participants"][0]["level"])
        assert len(seen) <= 1 + 5 * (asyncio.get_running_loop().time() - began)
        visiting.over = True
        assert [state async for state in told] == []


async def test_visitors_see_no_number_in_the_place_of_a_name(web, visiting):
    visiting.show(replace(BOB, state="in", name="+15550123"))
    async with web.stranger.stream("GET", "/api/v1/visits/v-1/events", headers=OWN) as stream:
        state = await anext(states(stream))
    assert [(p["name"], p["number"]) for p in state["participants"]] == [("•••••••23", "•••••23")]


@pytest.mark.parametrize(
    ("you", "present", "waiting"),
    [
        (You("Ada", "guest", "in", "7"), ["Ada"], []),
        (You("Ada", "host", "in", "7"), ["Ada"], ["Bob"]),
        (You("Ada", "guest", "lobby", "7"), [], []),
        (You("Ada", "host", "outside"), [], []),
    ],
)
async def test_everybody_sees_what_is_theirs_to_see(web, visiting, you, present, waiting):
    visiting.you = you
    visiting.show(ADA, waiting=(BOB,))
    async with web.stranger.stream("GET", "/api/v1/visits/v-1/events", headers=OWN) as stream:
        state = await anext(states(stream))
    assert [p["name"] for p in state["participants"]] == present
    assert [p["name"] for p in state["waiting"]] == waiting
    assert "5550123" not in json.dumps(state)


async def test_a_stream_does_not_hold_up_the_end_of_the_server(web, visiting):
    async with web.stranger.stream("GET", "/api/v1/visits/v-1/events", headers=OWN) as stream:
        told = states(stream)
        await anext(told)
        web.operations.events.close()
        async with asyncio.timeout(3):
            assert [state async for state in told] == []


async def test_the_routes_are_documented(web):
    described = web.app.openapi()["paths"]
    for path in ("", "/{visit}/renew", "/{visit}/events", "/{visit}/actions"):
        (operation,) = described["/api/v1/visits" + path].values()
        assert operation["description"]
        assert operation["tags"] == ["visits"]
