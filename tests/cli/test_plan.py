"""Plan, people and devices by verbs, on a running and on a stopped system: both answer by the same routes."""

import io
import tomllib


def test_the_life_of_a_value(ringback, server, tmp_path, monkeypatch):
    ringback("extension", "add", "1001")
    ringback("extension", "add", "1002")
    made = ringback("plan", "set", "group", "sales", "number=200", "members=1001,1002", "--json")
    assert made.code == 0
    assert made.json["value"]["members"] == ["1001", "1002"]
    assert made.json["changed_by"] == "local administrator"
    changed = ringback("plan", "set", "group", "sales", "ring_s=30", "members=1001", "--json").json
    assert (changed["value"]["ring_s"], changed["value"]["number"]) == (30, "200")
    menu = ("words=Hello", "keys.1=group:sales", "keys.2=busy", "dial_extensions=yes")
    assert ringback("plan", "set", "menu", "main", *menu, "--json").json["value"]["keys"] == {
        "1": "group:sales",
        "2": "busy",
    }
    assert ringback("plan", "set", "menu", "main", "keys.2=", "--json").json["value"]["keys"] == {
        "1": "group:sales"
    }
    assert "200" in ringback("plan", "list", "group").out
    assert "members" in ringback("plan", "show", "group", "sales").out
    needed = ringback("plan", "remove", "group", "sales")
    assert (needed.code, needed.err) == (
        1,
        "ringback: group sales is needed by menu main (keys.1); change that first\n",
    )
    exported = tmp_path / "plan.toml"
    assert ringback("plan", "export", "--out", str(exported)).code == 0
    assert tomllib.loads(exported.read_text())["group"]["sales"] == {
        "number": "200",
        "members": ["1001"],
        "ring_s": 30,
    }
    exported.write_text(exported.read_text().replace("ring_s = 30", "ring_s = 40") + "[hours.office]\n")
    seen = ringback("plan", "apply", str(exported), "--dry-run").out.splitlines()
    assert seen[:2] == ["~ group.sales ring_s: 30 → 40", "+ hours.office"]
    assert "hours" not in ringback("plan", "export").out
    assert ringback("plan", "apply", str(exported)).out.splitlines() == seen[:2]
    assert ringback("plan", "apply", str(exported)).out == "Nothing changes.\n"
    history = ringback("plan", "history", "--json").json
    assert [(each["kind"], each["name"]) for each in history[:2]] == [("hours", "office"), ("group", "sales")]
    assert "ring_s: 40" in ringback("plan", "history", "group", "sales").out
    assert ringback("plan", "undo", str(history[1]["revision_id"]), "--json").json["value"]["ring_s"] == 30
    assert ringback("plan", "undo", str(history[0]["revision_id"])).out == "It is gone, as it was before.\n"
    monkeypatch.setattr("sys.stdin", io.StringIO('words = "We are closed."\n'))
    assert ringback("plan", "set", "announcement", "closed", "--file", "-").code == 0


def test_what_is_wrong_with_a_value_is_said_by_field(ringback, server, tmp_path):
    wrong = ringback("plan", "set", "group", "sales", "ring_s=1", "members=1001", "colour=red")
    assert wrong.code == 1
    assert "ring_s: must be 5 to 300" in wrong.err
    assert "colour: is unknown" in wrong.err
    assert ringback("plan", "set", "group", "sales", "ring_s=soon").code == 2
    assert ringback("plan", "set", "group", "sales", "ring_s").code == 2
    assert "kinds are answering" in ringback("plan", "list", "colours").err
    assert ringback("plan", "apply", str(tmp_path / "none.toml")).code == 1
    file = tmp_path / "plan.toml"
    file.write_text('[group.sales]\nmembers = ["1009"]\n[queue.help]\nring_s = 1\n')
    assert "queue.help.ring_s: must be 5 to 120" in ringback("plan", "apply", str(file)).err
    assert len(ringback("plan", "kinds", "--json").json) == 14
    assert "ring_s" in ringback("plan", "kinds").out


def test_people_and_what_they_hold(ringback, server, tmp_path):
    ringback("extension", "add", "1001")
    ada = ringback("person", "add", "Ada Example", "--e-mail", "ada@example.com", "--json").json
    ringback("person", "add", "Bob Example", "--site", "Berlin")
    assert ringback("person", "set", "ada@example.com", "--name", "Ada B.", "--json").json["name"] == "Ada B."
    assert "Berlin" in ringback("person", "list", "--search", "berlin").out
    held = ringback("person", "hold", "Ada B.", "1001", "--from", "2020-01-01", "--json").json
    assert held["now"] is True
    ringback("person", "hold", "Bob Example", "1001", "--from", "2999-01-01")
    shown = ringback("person", "show", ada["id"], "--json").json
    assert shown["extensions"] == ["1001"]
    assert shown["holdings"][0]["last_day"] == "2998-12-31"
    assert "Bob Example" in ringback("person", "holdings", "1001").out
    assert ringback("person", "release", held["id"]).code == 0
    assert ringback("person", "show", ada["id"], "--json").json["extensions"] == []
    assert ringback("person", "remove", ada["id"]).out.startswith("Ada B. is gone. Have it back: ")
    assert ringback("person", "show", "Ada B.").err == "ringback: there is nobody called Ada B.\n"
    table = tmp_path / "people.csv"
    table.write_text("Name;Extension;Role;E-Mail;Device model;MAC\nEve;1001;;eve;VVX 450;0004F2ABCDEF\n")
    refused = ringback("person", "import", str(table))
    assert refused.code == 1
    assert refused.out.splitlines() == [
        "row 2, e_mail: is not an e-mail address",
        "row 2, extension: 1001 is the number of extension 1001",
        "Nothing was stored.",
    ]
    table.write_text("name,extension,model,mac\nEve,1002,VVX 450,0004F2ABCDEF\nMallory,,,\n")
    assert "2 people can be added" in ringback("person", "import", str(table), "--dry-run").out
    made = ringback("person", "import", str(table), "--json").json
    assert made["imported"] == 2
    assert len(made["rows"][0]["password"]) >= 16
    assert made["rows"][0]["device_username"].startswith("d-")


def test_the_life_of_a_device_and_its_files_without_a_server(ringback, tmp_path):
    ringback("extension", "add", "1001", "--name", "Ada & Co.")
    ringback("plan", "set", "answering", "1001", "do_not_disturb=yes")
    assert ringback("plan", "export").out == "[answering.1001]\ndo_not_disturb = true\n"
    assert ringback("plan", "show", "answering", "1009").err == "ringback: there is no answering 1009\n"
    ringback("extension", "add", "1002", "--name", "Bob")
    made = ringback("device", "add", "Desk", "1001", "--model", "Yealink T46U", "--json").json
    assert len(made["password"]) >= 16
    refused = ringback("device", "provision", "Desk", "--out", str(tmp_path / "out"))
    assert (refused.code, "has no MAC address" in refused.err) == (1, True)
    changed = ringback("device", "set", "Desk", "--mac", "00:15:65:AB:CD:EF", "--json").json
    assert (changed["mac"], changed["username"]) == ("001565abcdef", made["username"])
    assert made["password"] not in ringback("device", "show", "Desk").out
    written = ringback("device", "provision", "Desk", "--out", str(tmp_path / "out"), "--json").json
    (file,) = (tmp_path / "out").iterdir()
    assert written == {"written": [str(file)]}
    assert (file.name, file.stat().st_mode & 0o777) == ("001565abcdef.cfg", 0o600)
    text = file.read_text()
    assert f"account.1.auth_name = {made['username']}" in text
    assert made["password"] not in text
    assert "linekey.2.value = 1002" in text
    assert "Desk" in ringback("device", "list", "--search", "t46").out
    assert ringback("device", "set", "Desk", "--disabled", "--json").json["enabled"] is False
    assert ringback("device", "password", "Desk", "--json").json["password"] != made["password"]
    assert ringback("device", "remove", "Desk").out.startswith("Desk is gone. ")
    assert ringback("device", "show", "Desk").err == "ringback: there is no device Desk\n"


def test_what_was_deleted_is_had_back(ringback, server):
    ringback("extension", "add", "1001", "--name", "Ada")
    ringback("person", "add", "Ada Example")
    ringback("person", "hold", "Ada Example", "1001")
    ringback("device", "add", "Desk", "1001")
    ringback("trunk", "add", "carrier", "sip.example.com")
    for words, shown in (
        (("device", "remove", "Desk"), "device"),
        (("extension", "remove", "1001"), "extension"),
        (("person", "remove", "Ada Example"), "person"),
        (("trunk", "remove", "carrier"), "trunk"),
    ):
        gone = ringback(*words)
        assert gone.code == 0
        said, _, revision = gone.out.strip().rpartition(" ")
        assert said.endswith("Have it back: ringback undo")
        assert revision in ringback("history", shown).out
        assert ringback("undo", revision).out.startswith(f"{shown} ")
    assert [each["number"] for each in ringback("extension", "list", "--json").json] == ["1001"]
    assert "Desk" in ringback("device", "list").out
    assert "Ada Example" in ringback("history", "person", "Ada Example").out
    assert ringback("undo", "999").err == "ringback: there is no revision 999\n"
    removed = ringback("device", "remove", "Desk", "--for-good", "--json").json
    assert removed == {"removed": "Desk", "revision_id": None}
    assert ringback("history", "device", "--json").json == []
    assert "there is no kind" in ringback("history", "colours").err


def test_the_inventory_is_printed(ringback, server, tmp_path):
    ringback("extension", "add", "1001")
    ringback("device", "add", "Desk", "1001", "--model", "Yealink T46U")
    (device,) = ringback("device", "list", "--json").json
    assert (device["firmware_state"], device["seen_at"]) == ("unknown", None)
    assert ringback("device", "list", "--firmware", "behind").out == "There are no devices.\n"
    out = tmp_path / "devices.csv"
    assert ringback("device", "export", "--out", str(out)).code == 0
    assert "Desk" in out.read_text().splitlines()[1]


def test_wanted_firmware_is_set_listed_and_taken_away(ringback, server):
    assert ringback("device", "firmware", "list").out == "No firmware is wanted of any model.\n"
    made = ringback("device", "firmware", "set", "Yealink T46U", "108.86.0.70")
    assert made.out == "Yealink T46U should run 108.86.0.70.\n"
    (row,) = ringback("device", "firmware", "list", "--json").json["wanted"]
    assert (row["model"], row["version"], row["devices"]) == ("Yealink T46U", "108.86.0.70", 0)
    assert "version: is two numbers or more" in ringback("device", "firmware", "set", "T46U", "newest").err
    assert ringback("device", "firmware", "set", "!", "1.2").code == 1
    assert ringback("device", "firmware", "remove", "yealink t46u").code == 0
    assert ringback("device", "firmware", "list", "--json").json["wanted"] == []
