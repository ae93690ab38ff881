"""The verbs: the same answers from a running and a stopped system, and errors that say what to do."""

import io

import pytest

from ringback.governance.private import Private
from ringback.store.lock import DataDirLock
from ringback.web.operations import Participant, TollUsage


@pytest.fixture(params=["stopped", "running"])
def system(request, data_dir):
    """Both kinds of system; the verbs under test must not care."""
    return request.getfixturevalue("server") if request.param == "running" else None


def test_the_life_of_a_meeting(ringback, system):
    made = ringback("meeting", "add", "Weekly", "--admission", "lobby", "--json")
    assert made.code == 0
    meeting = made.json
    assert {"number", "guest_pin", "host_pin", "link", "dial_in"} <= meeting.keys()
    port = 5070 if system else 5060
    assert meeting["dial_in"] == f"sip:{meeting['number']}@127.0.0.1:{port}"
    assert f"/m/{meeting['number']}#" in meeting["link"]
    number = meeting["number"]
    assert ringback("meeting", "list", "--json").json == [meeting]
    assert ringback("meeting", "show", number, "--json").json == meeting
    rotated = ringback("meeting", "rotate-pin", number, "--which", "guest", "--json").json
    assert rotated["guest_pin"] != meeting["guest_pin"]
    assert rotated["host_pin"] == meeting["host_pin"]
    changed = ringback("meeting", "set", number, "--name", "Monthly", "--json").json
    assert (changed["name"], changed["admission"]) == ("Monthly", "lobby")
    assert ringback("meeting", "set", number, "--name", " ").err == "ringback: the name must not be empty\n"
    gone = ringback("meeting", "delete", number, "--json").json
    assert ringback("meeting", "list").out == "There are no meetings.\n"
    assert ringback("undo", str(gone["revision_id"])).code == 0
    assert ringback("meeting", "show", number, "--json").json == changed
    assert ringback("meeting", "delete", number, "--for-good").out == f"Meeting {number} is gone.\n"
    assert ringback("meeting", "list").out == "There are no meetings.\n"
    gone = ringback("meeting", "show", number)
    assert (gone.code, gone.err) == (1, f"ringback: there is no meeting {number}\n")


def test_the_life_of_an_extension(ringback, system, monkeypatch):
    made = ringback("extension", "add", "1001", "--name", "Ada", "--json").json
    assert len(made["password"]) >= 16
    listed = ringback("extension", "list", "--json").json
    assert [(e["number"], e["display_name"], "password" in e) for e in listed] == [("1001", "Ada", False)]
    monkeypatch.setattr("sys.stdin", io.StringIO("chosen by hand\n"))
    assert (
        ringback("extension", "add", "1002", "--password-stdin", "--json").json["password"]
        == "chosen by hand"
    )
    changed = ringback("extension", "password", "1001", "--json").json
    assert changed["password"] != made["password"]
    twice = ringback("extension", "add", "1001")
    assert (twice.code, twice.err) == (1, "ringback: extension 1001 exists already\n")
    assert ringback("extension", "remove", "1001").code == 0
    assert ringback("extension", "remove", "1001").err == "ringback: there is no extension 1001\n"


def test_an_extension_is_named_and_switched_off_and_on(ringback, system):
    ringback("extension", "add", "1001", "--name", "Ada", "--json")
    changed = ringback("extension", "set", "1001", "--name", "Ada & Bob", "--disabled", "--json").json
    assert (changed["display_name"], changed["enabled"]) == ("Ada & Bob", False)
    again = ringback("extension", "set", "1001", "--enabled")
    assert (again.code, "Ada & Bob" in again.out) == (0, True)
    nothing = ringback("extension", "set", "1001")
    assert (nothing.code, "--disabled" in nothing.err) == (2, True)


def test_how_the_phones_of_an_extension_log_in(ringback, system):
    made = ringback("extension", "add", "1001", "--digest", "both", "--json").json
    assert made["digest"] == "both"
    assert ringback("extension", "add", "1002", "--json").json["digest"] == "md5"
    assert "sha-256" in ringback("extension", "set", "1001", "--digest", "sha-256").out
    assert [e["digest"] for e in ringback("extension", "list", "--json").json] == ["sha-256", "md5"]
    assert ringback("extension", "set", "1001").code == 2
    assert ringback("extension", "set", "1001", "--digest", "sha-1").code == 2
    assert (
        ringback("extension", "set", "1009", "--digest", "md5").err
        == "ringback: there is no extension 1009\n"
    )


def test_bans(ringback, server):
    assert ringback("ban", "list").out == "Nobody is banned.\n"
    made = ringback("ban", "add", "192.0.2.7", "--minutes", "5", "--json").json
    assert made["source"] == "192.0.2.7"
    ringback("ban", "add", "2001:db8::/64")
    listed = ringback("ban", "list").out
    assert "192.0.2.7" in listed
    assert "operator" in listed
    assert [ban["source"] for ban in ringback("ban", "list", "--json").json] == ["192.0.2.7", "2001:db8::/64"]
    assert ringback("ban", "remove", "2001:db8::/64").out == "2001:db8::/64 is banned no more.\n"
    assert ringback("ban", "remove", "192.0.2.7").code == 0
    gone = ringback("ban", "remove", "192.0.2.7")
    assert (gone.code, gone.err) == (1, "ringback: 192.0.2.7 is not banned\n")


def test_bans_are_of_a_running_server(ringback, data_dir):
    ringback("extension", "add", "1001")
    assert ringback("ban", "list").code == 3


def test_a_weak_password_is_refused_and_not_repeated(ringback, system, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    answer = ringback("extension", "add", "1001", "--password-stdin")
    assert answer.code == 1
    assert "8 characters or more" in answer.err
    assert "hunter2" not in answer.err


def test_tokens(ringback, system):
    made = ringback("token", "add", "--role", "admin", "--name", "ci", "--days", "30", "--json").json
    assert made["token"].startswith("rb_")
    assert made["expires_at"]
    assert ringback("token", "add", "--role", "user").out.startswith("rb_")
    listed = ringback("token", "list", "--json").json
    assert [token["role"] for token in listed] == ["admin", "user"]
    assert made["token"] not in ringback("token", "list").out
    assert ringback("token", "revoke", made["id"]).code == 0
    assert len(ringback("token", "list", "--json").json) == 1
    assert ringback("token", "revoke", made["id"]).code == 1


def test_an_administrator_gets_a_one_time_link(ringback, system):
    port = system.port if system else 8080
    assert ringback("admin", "link").out.startswith(f"http://127.0.0.1:{port}/setup#")


def test_what_was_added_on_a_running_system_is_there_when_it_is_stopped(ringback, data_dir, server):
    number = ringback("meeting", "add", "Weekly", "--json").json["number"]
    assert server.store.directory.meeting(number)
    server.stop()
    assert ringback("meeting", "show", number, "--json").json["name"] == "Weekly"


def people(server, number):
    def someone(id_: str, **changes) -> Participant:
        return Participant(**{"id": id_, "role": "guest", "state": "in", "name": f"P{id_}"} | changes)

    server.operations.people[number] = [
        someone("1", role="host", codec="G722", number=Private("15551234567")),
        someone("2", state="lobby"),
        someone("3"),
    ]


def test_links_of_meetings_are_printed_to_a_terminal_only(ringback, monkeypatch):
    link = ringback("meeting", "add", "Weekly", "--json").json["link"]
    refused = ringback("meeting", "list", "--links")
    assert (refused.code, refused.out) == (2, "")
    assert "--json" in refused.err
    # Where the test's own output goes is no terminal.
    monkeypatch.setattr("ringback.cli.meeting.is_terminal", lambda: True)
    assert link in ringback("meeting", "list", "--links").out
    assert link not in ringback("meeting", "list").out


def test_people_in_a_meeting(ringback, server):
    number = ringback("meeting", "add", "Weekly", "--json").json["number"]
    assert ringback("meeting", "participants", number).out == "Nobody is in this meeting.\n"
    people(server, number)
    table = ringback("meeting", "participants", number).out.splitlines()
    assert table[0].split() == ["ID", "NAME", "NUMBER", "ROLE", "STATE", "MUTED", "HAND", "TALKING", "CODEC"]
    assert table[1].split() == ["1", "P1", "15551234567", "host", "in", "no", "no", "no", "G722"]
    assert ringback("meeting", "admit", number, "2", "--json").json == {"count": 1}
    assert ringback("meeting", "mute", number, "--all", "--json").json == {"count": 2}
    assert ringback("meeting", "unmute", number, "3").out == "1 unmuted.\n"
    assert ringback("meeting", "lock", number).out == f"Meeting {number} is locked.\n"
    assert ringback("meeting", "unlock", number, "--json").json == {"locked": False}
    assert ringback("meeting", "remove", number, "--all").out == "3 removed.\n"
    assert ringback("meeting", "participants", number, "--json").json == []
    assert (
        ringback("meeting", "mute", number, "9").err == "ringback: nobody with the id 9 is in this meeting\n"
    )
    assert ringback("meeting", "lock", number).code == 1


@pytest.mark.parametrize("arguments", [("mute", "123"), ("admit", "123", "1", "--all")])
def test_whom_has_to_be_said(ringback, server, arguments):
    answer = ringback("meeting", *arguments)
    assert answer.code == 2
    assert "an ID, or --all" in answer.err


def test_status_of_a_running_system(ringback, server):
    status = ringback("status", "--json").json
    assert status["pids"] == {"control": 1, "media": [2]}
    shown = ringback("status").out
    assert "ready for calls" in shown
    assert "control 1, media 2" in shown
    assert "4 legs, 25 % busy" in shown
    assert "3 legs after a media process had died" in shown
    server.operations.waiting_for = ("a media process",)
    assert "waiting for a media process" in ringback("status").out


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("meeting", "participants", "481516234"), ("meeting", "mute", "481516234", "--all")],
)
def test_what_needs_a_server_says_how_to_start_it(ringback, data_dir, arguments):
    data_dir.mkdir()
    answer = ringback(*arguments)
    assert answer.code == 3
    assert answer.err.startswith(f"ringback: no server runs on {data_dir}; start it: ringback serve")
    assert ringback(*arguments, "--json").json["error"] == answer.err.removeprefix("ringback: ").strip()


def test_looking_at_a_folder_that_is_not_there_does_not_make_it(ringback, data_dir):
    answer = ringback("meeting", "list")
    assert answer.code == 1
    assert "ringback serve" in answer.err
    assert not data_dir.exists()


def test_a_server_that_is_starting_is_waited_for_and_then_given_up(ringback, data_dir, monkeypatch):
    monkeypatch.setattr("ringback.cli.system.STARTUP_PATIENCE_S", 0.3)
    with DataDirLock(data_dir):
        answer = ringback("meeting", "list")
    assert (answer.code, "try again" in answer.err) == (3, True)


def test_a_second_serve_on_the_same_folder_is_refused(ringback, data_dir, server):
    with DataDirLock(data_dir):
        answer = ringback("serve")
    assert answer.code == 1
    assert "already; ask it: ringback status" in answer.err


@pytest.mark.parametrize("before", [True, False])
def test_shared_options_work_before_and_after_the_verb(ringback, tmp_path, before):
    shared = ("--data-dir", str(tmp_path / "other"), "--json")
    verb = ("meeting", "add", "Weekly")
    made = ringback(*shared, *verb) if before else ringback(*verb, *shared)
    assert made.json["name"] == "Weekly"
    assert (tmp_path / "other" / "ringback.db").exists()
    assert not (tmp_path / "data").exists()


def test_every_verb_takes_the_shared_options(ringback):
    groups = {
        "meeting": "add list show set rotate-pin delete participants admit mute unmute remove end past lock",
        "extension": "add list password remove",
        "token": "add list revoke",
        "plan": "kinds list show set remove history undo export apply",
        "person": "add list show set remove hold holdings release import",
        "device": "add list show set password remove provision",
        "trunk": "add list show set remove test usage",
        "admin": "link",
        "config": "show check docs",
        "": "serve status version",
    }
    for group, verbs in groups.items():
        for verb in verbs.split():
            page = ringback(*([group] if group else []), verb, "--help")
            assert page.code == 0
            for option in ("--data-dir", "--config", "--json"):
                assert option in page.out, (group, verb)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("meeting", "add"), "Missing argument 'name'; see: ringback meeting add --help"),
        (("meeting", "add", "X", "--admission", "open"), "'open' is not one of 'direct', 'lobby'"),
        (("bogus",), "No such command 'bogus'"),
        (("token", "add"), "Missing option '--role'"),
        (("status", "--colour"), "No such option: --colour"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(ringback, arguments, complaint):
    answer = ringback(*arguments)
    assert answer.code == 2
    assert complaint in answer.err
    assert answer.err.count("\n") == 1
    as_json = ringback("--json", *arguments)
    assert (as_json.code, as_json.err) == (2, "")
    assert complaint in as_json.json["error"]


def test_wrong_settings_are_named_with_their_line(ringback, tmp_path):
    config = tmp_path / "ringback.toml"
    config.write_text("[sip]\nudp_prot = 1\n[web]\nport = 'x'\n")
    answer = ringback("config", "check", "--config", str(config))
    assert answer.code == 1
    assert sorted(answer.err.splitlines()) == [
        f"ringback: {config}:2: unknown setting sip.udp_prot; did you mean sip.udp_port?",
        f"ringback: {config}:4: web.port: must be a valid integer",
    ]
    config.write_text("[sip]\nudp_port = 5070\n")
    assert ringback("config", "check", "--config", str(config)).out == "The settings are right.\n"
    assert ringback("config", "show", "--config", str(config), "--json").json["sip"]["udp_port"] == 5070


def test_the_settings_shown_can_be_read_again(ringback, tmp_path):
    config = tmp_path / "ringback.toml"
    config.write_text(ringback("config", "show").out)
    again = ringback("config", "show", "--config", str(config))
    assert again.out == config.read_text()


def test_tables_are_not_broken_or_padded_in_a_pipe(ringback):
    name = "A meeting with a name that is nearly as long as a name of a meeting may be here"
    ringback("meeting", "add", name)
    lines = ringback("meeting", "list").out.splitlines()
    assert len(lines) == 2
    assert name in lines[1]
    assert not [line for line in lines if line != line.rstrip() or "\x1b" in line]


def test_a_system_that_never_ran_has_no_certificate_to_show(ringback):
    answer = ringback("certificate", "show")
    assert answer.code == 1
    assert "ringback serve" in answer.err


def test_the_life_of_a_trunk(ringback, system, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("never shown\n"))
    words = ("--username", "alice", "--password-stdin", "--register", "--did", "+15550100=101")
    made = ringback("trunk", "add", "carrier", "sip.example.com", *words, "--prefix", "0", "--json")
    assert made.code == 0
    assert made.json["dids"] == {"+15550100": "101"}
    assert (made.json["register"], made.json["has_password"]) == (True, True)
    assert ringback("trunk", "list", "--json").json == [made.json]
    changed = ringback("trunk", "set", "carrier", "--no-register", "--prefix", "", "--prefix", "9", "--json")
    assert (changed.json["register"], changed.json["prefixes"]) == (False, ["", "9"])
    shown = ringback("trunk", "show", "carrier").out
    assert "+15550100 to 101" in shown
    assert "all, 9" in shown
    assert "never shown" not in shown
    if system is None:
        assert "no server runs" in shown
    wrong = ringback("trunk", "set", "carrier", "--did", "reception")
    assert (wrong.code, wrong.err[:20]) == (1, "ringback: --did take")
    assert ringback("trunk", "remove", "carrier").out.startswith("Trunk carrier is gone. ")
    assert ringback("trunk", "list").out == "There are no trunks.\n"
    assert ringback("trunk", "show", "carrier").err == "ringback: there is no such trunk\n"


def test_a_trunk_is_asked_and_what_was_called_is_shown(ringback, server):
    ringback("trunk", "add", "carrier", "sip.example.com")
    assert ringback("trunk", "test", "carrier").out == "carrier: up\n"
    server.operations.outside.counts = [TollUsage("101", "international", 3, 12.5, 20, 60)]
    assert "international" in ringback("trunk", "usage").out
    assert ringback("trunk", "usage", "--reset", "101").out == "Nobody has called out today.\n"
