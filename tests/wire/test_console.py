"""The console in Chromium: the first run, people, a group with its undo, by keyboard; and who can use it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from ringback.governance import totp
from ringback.governance.private import Private
from ringback.quality.tones import make_tones, tone_levels
from tests.wire.browser import Browser, serious
from tests.wire.console import PASSWORD, Somebody, log_in, make_somebody
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.test_transfer import hears, wait_for

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBrowser = Callable[..., Browser]
MakePhone = Callable[..., SipPhone]

DECODE = """
async () => {
  const player = document.querySelector("audio");
  const moment = (ms) => new Promise((then) => setTimeout(then, ms));
  const within = (what, promise) => Promise.race([promise, moment(10_000).then(() => {
    const { readyState, networkState, currentTime, duration, paused, seeking, ended, error } = player;
    const state = { readyState, networkState, currentTime, duration, paused, seeking, ended, error };
    throw new Error(`${what} does not end: ${JSON.stringify(state)}`);
  })]);
  // From its beginning, whether it has begun, or ended, by now or not: each stop and seek ends a track.
  const event = (name) => new Promise((then) => player.addEventListener(name, then, { once: true }));
  if (player.readyState < HTMLMediaElement.HAVE_FUTURE_DATA) await within("loading", event("canplay"));
  player.pause();
  const sought = event("seeked");
  player.currentTime = 0;
  await within("seek", sought);
  const stream = player.captureStream();
  await within("play", player.play());
  const samples = [];
  let rate = 0;
  const until = Date.now() + 20_000;
  while (samples.length === 0 && Date.now() < until) {
    const track = stream.getAudioTracks().find((one) => one.readyState === "live");
    if (!track) {
      await moment(20);
      continue;
    }
    const frames = new MediaStreamTrackProcessor({ track }).readable.getReader();
    while (rate === 0 || samples.length < rate * 2) {
      const { value, done } = await Promise.race([frames.read(), moment(3_000).then(() => ({ done: true }))]);
      if (done) break;
      rate = value.sampleRate;
      const piece = new Float32Array(value.numberOfFrames);
      value.copyTo(piece, { planeIndex: 0, format: "f32-planar" });
      samples.push(...piece);
      value.close();
    }
  }
  return [rate, samples];
}
"""
"""Two seconds of what the player of a page plays, as samples."""

PAGES = (
    "/phone",
    "/console/plan/hours/new",
    "/console/people/new",
    "/console/setup",
    "/console/logins",
    "/console/devices",
    "/console/meetings/new",
    "/console/devices/firmware",
    "/console/backups",
)
"""Those with the most that is not on others."""

TABLE = "name,extension,e_mail\nHedy Example,5311,hedy@example.com\nAlan Example,{second},alan@example.com\n"


@pytest.fixture(scope="module")
def admin(server: RingbackServer) -> Somebody:
    """An administrator with an extension."""
    return make_somebody(server, "Root", "5301", role="admin")


def go(browser: Browser, server: RingbackServer, path: str) -> None:
    """Open another page of the console."""
    browser.page.goto(f"http://127.0.0.1:{server.web_port}{path}", wait_until="domcontentloaded")


def found(server: RingbackServer, path: str, search: str) -> list[dict[str, Any]]:
    """What a list of the API has with that text in it."""
    items: list[dict[str, Any]] = server.api("POST", f"{path}/search", {"search": search})["items"]
    return items


def test_the_first_run_leads_to_a_call(
    server: RingbackServer, make_browser: MakeBrowser, admin: Somebody, tmp_path: Path
) -> None:
    browser = make_browser("Root", tone_hz=440)
    page = browser.page
    log_in(browser, server, admin, "/console/setup")
    table = tmp_path / "people.csv"
    table.write_text(TABLE.format(second="5311"))
    page.get_by_label("CSV file").set_input_files(table)
    page.get_by_text("Nothing was stored").wait_for()
    assert page.get_by_role("button", name="Add 2 people").count() == 0
    table.write_text(TABLE.format(second="5312"))
    page.get_by_label("CSV file").set_input_files(table)
    browser.press("Add 2 people")
    page.get_by_text("2 people were added").wait_for()
    assert {one["number"] for one in found(server, "/extensions", "531")} == {"5311", "5312"}

    page.get_by_role("link", name="Next: A way outside").click()
    page.get_by_label("Name", exact=True).fill("carrier")
    page.get_by_label("Server").fill("192.0.2.10")
    browser.press("Add")
    page.get_by_label("Number", exact=True).fill("+15550100")
    page.get_by_label("Leads to").fill("5311")
    browser.press("Add")
    page.get_by_text("leads to 5311").wait_for()
    trunk = server.api("GET", "/trunks/carrier")
    assert (trunk["dids"], trunk["prefixes"]) == ({"+15550100": "5311"}, [""])
    for number in ("+14155550123", "911"):
        asked = {"from": "5311", "to": number}
        assert server.api("POST", "/route/simulate", asked)["nodes"][0]["step"]["kind"] == "go-out", number

    page.get_by_role("link", name=re.compile("A test call$")).first.click()
    browser.press("Call the echo test")
    page.get_by_role("button", name="Hang up").wait_for()
    browser.press("Keys")
    browser.press("Send #")  # ends the announcement
    deadline = time.monotonic() + 10
    while True:
        sound = browser.heard(time.time() - 0.6)
        if len(sound.audio) > 0.4 * sound.rate and tone_levels(sound.audio, sound.rate, [440.0])[0] > -35:
            break
        assert time.monotonic() < deadline, "the page does not hear itself"
        time.sleep(0.2)
    browser.press("Hang up")
    server.request("DELETE", "/api/v1/trunks/carrier")


def test_a_person_is_added_found_and_changed_by_keyboard_alone(
    server: RingbackServer, make_browser: MakeBrowser, admin: Somebody
) -> None:
    browser = make_browser("Root")
    page, keyboard = browser.page, browser.page.keyboard
    log_in(browser, server, admin, "/console/people")
    page.get_by_role("heading", name="People", level=1).wait_for()
    keyboard.press("n")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    keyboard.type("Katherine Example")
    keyboard.press("Tab")
    keyboard.type("katherine@example.com")
    keyboard.press("Tab")
    keyboard.type("5301")
    keyboard.press("Control+s")
    problem = page.locator("#field-number-error")
    problem.wait_for()
    expect(page.get_by_label("Extension", exact=True)).to_be_focused()
    keyboard.press("Control+a")
    keyboard.type("5321")
    keyboard.press("Control+s")
    page.get_by_text("Shown this once.").wait_for()
    assert server.api("GET", "/extensions/5321")["display_name"] == "Katherine Example"

    keyboard.press("Escape")
    page.get_by_role("heading", name="People", level=1).wait_for()
    keyboard.press("/")
    keyboard.type("katherine")
    expect(page.locator("tbody tr")).to_have_count(1)
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    page.get_by_role("heading", name="Katherine Example").wait_for()
    page.get_by_label("Site").fill("Main office")
    keyboard.press("Control+s")
    page.get_by_text("Katherine Example is saved").wait_for()
    (person,) = found(server, "/people", "katherine")
    assert (person["site"], person["extensions"]) == ("Main office", ["5321"])


def test_a_group_is_made_refused_at_its_field_deleted_and_brought_back(
    server: RingbackServer, make_browser: MakeBrowser, admin: Somebody
) -> None:
    browser = make_browser("Root")
    page = browser.page
    log_in(browser, server, admin, "/console/plan/group/new")
    page.get_by_label("Title").fill("Night shift")
    expect(page.get_by_label("Name in the plan")).to_have_value("night-shift")
    page.get_by_label("Number").fill("5301")
    members = page.get_by_label("Add to Members")
    members.fill("5301")
    page.get_by_role("option", name=re.compile("5301")).wait_for()
    members.press("Enter")
    page.get_by_label("Otherwise: kind").select_option("extension")
    other = page.get_by_label("Otherwise: Extension")
    other.fill("5301")
    page.get_by_role("option", name=re.compile("5301")).wait_for()
    other.press("Enter")
    browser.press("Add")
    page.locator("#field-number-error").wait_for()
    page.get_by_label("Number").fill("5331")
    browser.press("Add")
    page.get_by_role("heading", name="Night shift").wait_for()
    value = server.api("GET", "/plan/group/night-shift")["value"]
    assert (value["number"], value["members"], value["otherwise"]) == ("5331", ["5301"], "extension:5301")

    browser.press("Delete")
    page.get_by_text("Night shift is deleted").wait_for()
    assert found(server, "/plan/group", "night") == []
    browser.press("Undo")
    page.get_by_text("Night shift is back").wait_for()
    assert server.api("GET", "/plan/group/night-shift")["value"] == value
    go(browser, server, "/console/history/group/night-shift")
    page.get_by_text("was deleted").wait_for()


def test_an_extension_with_its_phone_is_deleted_and_had_back(
    server: RingbackServer, make_browser: MakeBrowser, make_phone: MakePhone, admin: Somebody
) -> None:
    server.add_extension("5361")
    desk = {"name": "Night desk", "extension": "5361", "model": "Yealink T46U"}
    made = server.api("POST", "/devices", desk)
    phone = make_phone(server, made["username"], made["password"])
    assert phone.register(more=("User-Agent: Yealink SIP-T46U 108.86.0.45",)).status == 200
    caller = make_phone(server, "5362", server.add_extension("5362"))

    browser = make_browser("Root")
    page = browser.page
    page.on("dialog", lambda dialog: dialog.accept())
    log_in(browser, server, admin, "/console/devices")
    page.get_by_label("Firmware").select_option("behind")
    row = page.get_by_role("row", name=re.compile("Night desk"))
    expect(row).to_contain_text("108.86.0.45 behind")
    go(browser, server, "/console/extensions")
    page.get_by_label("Search extensions").fill("5361")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.keyboard.press("Enter")
    browser.press("Delete")
    page.get_by_text("Extension 5361 is deleted").wait_for()
    assert found(server, "/devices", "Night") == []
    page.keyboard.press("Control+z")
    page.get_by_text("Extension 5361 is back").wait_for()
    # The phone has done nothing meanwhile, and rings.
    with ThreadPoolExecutor(1) as pool:
        dialled = pool.submit(caller.dial, "5361")
        phone.answer()
        dialled.result().hang_up()
    page.keyboard.press("Control+k")
    page.get_by_label("Go to a page, a person or an extension").fill("5361")
    page.get_by_role("option", name=re.compile("5361")).wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Extension 5361").wait_for()
    page.get_by_role("link", name="Mailbox", exact=True).click()
    page.get_by_role("heading", name="New mailbox of 5361").wait_for()
    page.go_back()
    page.get_by_label("Extension 5361").get_by_role("link", name="History", exact=True).click()
    page.get_by_text("was deleted").wait_for()
    # What was typed and seen is in no address, of the page's own or of what it asked.
    asked = [url for url in (page.url, *browser.requests) if re.search("5361|Night|desk", url)]
    assert asked == []


def test_wanted_firmware_is_changed_and_taken_back(
    server: RingbackServer, make_browser: MakeBrowser, make_phone: MakePhone, admin: Somebody
) -> None:
    server.add_extension("5391")
    desk = {"name": "Porch", "extension": "5391", "model": "Snom D785"}
    made = server.api("POST", "/devices", desk)
    phone = make_phone(server, made["username"], made["password"])
    assert phone.register(more=("User-Agent: snomD785/10.1.135.0",)).status == 200
    browser = make_browser("Root")
    page = browser.page
    log_in(browser, server, admin, "/console/devices/firmware")
    page.get_by_label("Make and model").fill("Snom D785")
    page.get_by_label("Version").fill("newest")
    browser.press("Add")
    page.locator("#firmware-version-error").wait_for()
    page.get_by_label("Version").fill("10.1.140.0")
    browser.press("Add")
    page.get_by_text("Snom D785 should run 10.1.140.0").wait_for()
    row = page.get_by_role("row", name=re.compile("Porch"))
    expect(row).to_contain_text("10.1.135.0 behind")
    browser.press("Undo")
    page.get_by_text("Snom D785 is as it was").wait_for()
    expect(row).not_to_contain_text("behind")
    assert server.api("POST", "/plan/firmware/search", {})["items"] == []


def test_a_meeting_is_made_shown_live_and_held_in_hand(
    server: RingbackServer, make_browser: MakeBrowser, make_phone: MakePhone, admin: Somebody
) -> None:
    browser = make_browser("Root", context={"permissions": ["clipboard-read", "clipboard-write"]})
    page = browser.page
    page.on("dialog", lambda dialog: dialog.accept())
    log_in(browser, server, admin, "/console/meetings/new")
    page.get_by_label("Name").fill(" ")
    browser.press("Add")
    page.locator("#field-name-error").wait_for()
    page.get_by_label("Name").fill("Standup")
    page.keyboard.press("Control+s")
    page.get_by_role("heading", name="Standup").wait_for()
    page.get_by_text("Nobody.").wait_for()
    (made,) = [one for one in server.api("GET", "/meetings") if one["name"] == "Standup"]
    browser.press("Copy: Link for guests")
    assert page.evaluate("() => navigator.clipboard.readText()") == made["link"]
    assert made["guest_pin"] not in browser.words()
    browser.press("Show the PINs")
    page.get_by_text(made["guest_pin"]).wait_for()

    speaker, hearer = (make_phone(server, who, server.add_extension(who)) for who in ("5381", "5382"))
    spoken, heard = (phone.dial(f"{made['number']}*{made['guest_pin']}") for phone in (speaker, hearer))
    people = page.get_by_role("list", name="Who is in it").get_by_role("listitem")
    expect(people).to_have_count(2)
    expect(page.get_by_role("row", name=re.compile("Standup"))).to_contain_text("2 people")
    spoken.media.speak(make_tones(8000, 30, [600]))
    wait_for(lambda: hears(heard, [600]))
    browser.press("Mute 5381")
    wait_for(lambda: not hears(heard, [600]))
    browser.press("Unmute 5381")
    wait_for(lambda: hears(heard, [600]))
    browser.press("Lock")
    page.get_by_role("button", name="Unlock").wait_for()
    browser.press("Remove 5382")
    heard.wait_ended(10)
    expect(people).to_have_count(1)
    browser.press("End for everybody")
    spoken.wait_ended(10)
    page.get_by_text("Nobody.").wait_for()
    assert made["number"] not in page.url

    browser.press("Delete")
    page.get_by_text("Standup is deleted").wait_for()
    browser.press("Undo")
    page.get_by_text("Standup is back").wait_for()
    assert server.api("GET", f"/meetings/{made['number']}")["link"] == made["link"]


def test_a_message_is_played_by_its_owner_and_refused_to_others(
    server: RingbackServer, make_browser: MakeBrowser, make_phone: MakePhone, admin: Somebody
) -> None:
    owner = make_somebody(server, "Olga", "5341")
    other = make_somebody(server, "Otto", "5342")
    server.api("PUT", "/plan/mailbox/5341", {})
    call = make_phone(server, "5343", server.add_extension("5343")).dial("5341")
    call.press("#")  # past the greeting
    wait_for(lambda: hears(call, [1000]), 20)
    wait_for(lambda: not hears(call, [1000]))
    call.media.speak(make_tones(8000, 3, [600]))
    time.sleep(2.5)
    call.hang_up()
    wait_for(lambda: server.api("GET", "/voicemail/5341")["new"] == 1)

    browser = make_browser("Olga")
    page = browser.page
    log_in(browser, server, owner, "/console/voicemail")
    page.get_by_text("5343").first.wait_for()
    page.get_by_role("button", name=re.compile("^Play the message of 5343")).click()
    page.locator("audio").wait_for()
    rate, samples = page.evaluate(DECODE)
    assert tone_levels(np.asarray(samples, np.float32), rate, [600.0])[0] > -35
    wait_for(lambda: server.api("GET", "/voicemail/5341")["new"] == 0)

    page.get_by_role("link", name=owner.login).click()
    browser.press("Log out here")
    log_in(browser, server, other, "/console/voicemail")
    page.get_by_text("You have no mailbox").wait_for()
    assert page.evaluate("() => fetch('/api/v1/voicemail/5341/messages').then((a) => a.status)") == 403


def test_a_login_gets_a_second_factor_and_needs_it(server: RingbackServer, make_browser: MakeBrowser) -> None:
    who = make_somebody(server, "Trudi", "5371")
    browser = make_browser("Trudi")
    page = browser.page
    log_in(browser, server, who, "/console/account")
    page.get_by_label("Your password").fill(PASSWORD)
    browser.press("Set it up")
    link = page.get_by_role("link", name=re.compile("^otpauth:")).inner_text()
    secret = Private(re.search("secret=([A-Z2-7]+)", link)[1])  # type: ignore[index]
    step = totp.step_of(time.time())
    page.get_by_label("Code of the app").fill(totp.code_at(secret, step))
    browser.press("Turn it on")
    page.get_by_text("Each of these recovery codes").wait_for()
    assert page.locator(".codes li").count() == 10
    assert serious(browser) == []

    browser.press("Log out here")
    page.get_by_label("Name or e-mail").fill(who.login)
    page.get_by_label("Password").fill(PASSWORD)
    browser.press("Log in")
    code = page.get_by_label("Code of your authenticator app")
    expect(code).to_be_focused()
    code.fill("000000")
    page.keyboard.press("Enter")
    page.get_by_text("This code is not right").wait_for()
    code.fill(totp.code_at(secret, max(step + 1, totp.step_of(time.time()))))
    page.keyboard.press("Enter")
    page.get_by_role("navigation", name="Pages").wait_for(state="attached")


@pytest.mark.long
def test_a_backup_is_made_and_verified_by_one_button(
    make_server: Callable[..., RingbackServer], make_browser: MakeBrowser, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    server = make_server(settings={"RINGBACK_BACKUP__FOLDER": str(folder)})
    browser = make_browser("Root")
    page = browser.page
    log_in(browser, server, make_somebody(server, "Root", "5301", role="admin"), "/console/backups")
    page.get_by_text("There is no backup to restore.").wait_for()
    browser.press("Make one and verify it")
    page.get_by_role("progressbar").wait_for()
    row = page.get_by_role("row").filter(has_text="verified").filter(has_not_text="not verified")
    row.wait_for()
    (file,) = folder.glob("*.rbb")
    page.get_by_text(f"ringback backup restore {file}").wait_for()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    page.get_by_role("button", name="Verify that of").click()
    page.get_by_text("damaged", exact=True).wait_for()
    assert serious(browser) == []


def test_axe_finds_nothing_serious(
    server: RingbackServer, make_browser: MakeBrowser, admin: Somebody
) -> None:
    browser = make_browser("Root", context={"reduced_motion": "reduce"})
    page = browser.page
    page.goto(f"http://127.0.0.1:{server.web_port}/console")
    page.get_by_label("Password").wait_for()
    wrong = serious(browser)
    log_in(browser, server, admin, "/console/status")
    for number, path in enumerate(PAGES):
        go(browser, server, path)
        page.get_by_role("heading", level=1).first.wait_for()
        page.get_by_role("navigation", name="Pages").get_by_text("Menus").wait_for()
        for scheme in ("light", "dark") if number < 2 else ("light",):
            page.emulate_media(color_scheme=scheme)
            wrong += [f"{path}, {scheme}: {one}" for one in serious(browser)]
    assert wrong == []
