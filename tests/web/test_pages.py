"""The pages, and what every answer carries: no third parties, no secret without its token."""

import re

import pytest

from ringback.web.bundle import bundle


async def test_the_start_page_says_what_runs_and_links_to_the_api(web):
    page = (await web.stranger.get("/")).text
    assert "Ready for calls." in page
    web.operations.waiting_for = ("a media process",)
    assert "Not ready yet: a media process." in (await web.stranger.get("/")).text
    assert 'href="/docs"' in page


async def test_the_api_page_lists_every_route_without_third_parties(web):
    page = (await web.stranger.get("/docs")).text
    for path in (await web.stranger.get("/openapi.json")).json()["paths"]:
        assert path in page
    assert "//cdn" not in page


@pytest.mark.parametrize("path", ["/", "/docs", "/m/481516234", "/setup", "/static/page.css"])
async def test_pages_load_nothing_from_elsewhere(web, path):
    answer = await web.stranger.get(path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    for source in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        assert source.startswith(("/", "sip:", "data:,")), source
    assert not re.search(r"<script>|\son[a-z]+=|style=", answer.text)


async def test_static_files_are_only_those_named(web):
    assert (await web.stranger.get("/static/setup.js")).headers["content-type"].startswith("text/javascript")
    for path in ("/static/start.html", "/static/..%2fapp.py", "/static/nothing"):
        assert (await web.stranger.get(path)).status_code == 404


async def test_a_meeting_page_says_how_to_dial_in_and_not_whether_the_meeting_exists(web):
    meeting = await web.store.meetings.add("Secret plans")
    page = (await web.stranger.get(f"/m/{meeting.number}")).text
    assert f"sip:{meeting.number}@127.0.0.1:5060" in page
    assert "Secret plans" not in page
    assert meeting.guest_pin.reveal() not in page
    other = "123456789"
    unknown = (await web.stranger.get(f"/m/{other}")).text
    number, spaced = meeting.number, f"{meeting.number[:3]} {meeting.number[3:6]} {meeting.number[6:]}"
    assert unknown.replace(other, number).replace("123 456 789", spaced) == page
    assert (await web.stranger.get("/m/12345")).status_code == 422


async def test_the_token_of_a_link_opens_the_pin_of_its_role(web):
    meeting = await web.store.meetings.add("Weekly")
    path = f"/m/{meeting.number}/welcome"
    guest = await web.stranger.post(path, json={"token": meeting.link_token.reveal()})
    assert guest.json() == {"name": "Weekly", "role": "guest", "pin": meeting.guest_pin.reveal()}
    host = await web.stranger.post(path, json={"token": meeting.host_link_token.reveal()})
    assert host.json() == {"name": "Weekly", "role": "host", "pin": meeting.host_pin.reveal()}
    wrong = await web.stranger.post(path, json={"token": "guess"})
    unknown = await web.stranger.post("/m/123456789/welcome", json={"token": "guess"})
    assert (wrong.status_code, wrong.json()) == (404, unknown.json())


async def test_guessing_tokens_of_links_is_throttled(web):
    for _ in range(30):
        answer = await web.stranger.post("/m/123456789/welcome", json={"token": "guess"})
    assert answer.status_code == 429


async def test_the_one_time_link_sets_a_password_once(web):
    link = (await web.owner.post("/api/v1/administrators/link", json={})).json()["link"]
    address, _, token = link.partition("#")
    assert address == f"{web.url}/setup"
    assert "Choose a password" in (await web.stranger.get("/setup")).text
    short = await web.stranger.post("/setup", json={"token": token, "password": "short"})
    assert (short.status_code, short.json()["detail"]) == (422, "the password needs at least 12 characters")
    chosen = {"token": token, "password": "a long enough one"}
    assert (await web.stranger.post("/setup", json=chosen)).json() == {"name": "admin"}
    again = await web.stranger.post("/setup", json=chosen)
    assert again.status_code == 404
    assert "ringback admin link" in again.json()["detail"]
    assert "a long enough one" not in again.text


async def test_the_meeting_page_comes_compressed_and_is_kept_by_browsers(web):
    answer = await web.stranger.get("/m/123456789")
    assert answer.headers["cache-control"] == "no-cache"
    assert "microphone=(self)" in answer.headers["permissions-policy"]
    sizes = []
    assets = re.findall(r'(?:src|href)="(/static/ui/[^"]+)"', answer.text)
    for asset in assets:
        plain = await web.stranger.get(asset, headers={"Accept-Encoding": "identity"})
        packed = await web.stranger.get(asset, headers={"Accept-Encoding": "gzip"})
        assert "immutable" in plain.headers["cache-control"]
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content
        sizes.append(int(packed.headers["content-length"]))
    assert {asset.rpartition(".")[2] for asset in assets} == {"js", "css"}
    assert sum(sizes) < 150_000
    assert (await web.stranger.get("/static/ui/index.html")).status_code == 404


async def test_the_console_is_one_page_at_all_of_its_addresses(web):
    answers = [await web.stranger.get(path) for path in ("/console", "/console/plan/group/sales", "/phone")]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert "media-src 'self' blob:" in answers[0].headers["content-security-policy"]
    assert "script-src 'self';" in answers[0].headers["content-security-policy"]


def test_the_console_begins_with_little():
    built = bundle()
    assert built is not None
    begins = re.search(r"/static/ui/(console-[^\"]+[.]js)", built.templates["console"])
    assert begins is not None
    first = built.assets[begins[1]]
    assert len(first.compressed) < 16_000
    # No page is in it, and above all not the phone.
    assert b"JsSIP" not in first.plain
    assert b"Make one and verify it" not in first.plain
