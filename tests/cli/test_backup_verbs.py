"""`ringback backup` of a stopped server: made, listed, checked, restored, deleted; refusals say why."""

import json
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("RINGBACK_SECURITY__VAULT_KEY_FILE", str(tmp_path / "keys" / "vault.key"))


def test_a_backup_goes_its_way_by_the_command_line(ringback, data_dir, tmp_path):
    assert ringback("extension", "add", "1001").code == 0
    to = tmp_path / "backups"
    nothing = ringback("backup", "create")
    assert (nothing.code, "set backup.folder" in nothing.err) == (1, True)
    assert "make one: ringback backup create --to FOLDER" in ringback("backup", "list").out
    made = ringback("backup", "create", "--to", str(to), "--json").json
    assert Path(made["file"]).parent == to
    listed = ringback("backup", "list", "--json").json
    assert [one["id"] for one in listed["folders"][0]["backups"]] == [made["id"]]
    assert made["id"] in ringback("backup", "list").out
    assert ringback("backup", "verify", made["file"], "--json").json["sound"] is True
    assert "as it was written" in ringback("backup", "verify", made["file"]).out

    new, key = str(tmp_path / "new"), data_dir / "secret.key"
    taken = ringback("backup", "restore", made["file"], "--data-dir", str(data_dir))
    assert (taken.code, "there is something in" in taken.err) == (1, True)
    restored = ringback("backup", "restore", made["file"], "--data-dir", new, "--json")
    assert "secret.key" in restored.json["next"][0], "the key file has to be put there"
    other = str(tmp_path / "other")
    told = ringback("backup", "restore", made["file"], "--data-dir", other, "--sealing-key", str(key)).out
    assert f"ringback serve --data-dir {other}" in told
    extensions = ringback("extension", "list", "--data-dir", other, "--json")
    assert [one["number"] for one in extensions.json] == ["1001"]

    assert ringback("backup", "forget", made["id"]).code == 0
    assert not Path(made["file"]).exists()
    assert (ringback("backup", "forget", made["id"]).code, ringback("backup", "forget").code) == (1, 1)
    assert ringback("backup", "forget", "--folder", str(to)).code == 0


@pytest.mark.parametrize("words", [("verify",), ("restore", "--data-dir", "{new}", "--without-voices")])
def test_what_is_no_backup_is_named_in_one_line(ringback, tmp_path, words):
    assert ringback("extension", "add", "1001").code == 0
    words = [word.format(new=tmp_path / "new") for word in words]
    (tmp_path / "file").write_bytes(b"something else")
    for file, why in ((tmp_path / "file", "no backup"), (tmp_path / "nothing", "cannot be read")):
        answer = ringback("backup", words[0], str(file), *words[1:])
        assert (answer.code, answer.err.count("\n"), why in answer.err) == (1, 1, True)
    answer = ringback("backup", words[0], str(tmp_path / "file"), *words[1:], "--json")
    assert set(json.loads(answer.out)) == {"error"}
    assert not (tmp_path / "new").exists()


def test_a_restore_asks_for_the_list_of_keys_and_for_a_folder(ringback, tmp_path):
    assert ringback("extension", "add", "1001").code == 0
    made = ringback("backup", "create", "--to", str(tmp_path / "backups"), "--json").json
    assert "say where to" in ringback("backup", "restore", made["file"]).err
    (tmp_path / "backups" / "voices.keys").unlink()
    answer = ringback("backup", "restore", made["file"], "--data-dir", str(tmp_path / "new"))
    assert (answer.code, "--without-voices" in answer.err) == (1, True)
    words = ("--data-dir", str(tmp_path / "new"), "--without-voices")
    assert ringback("backup", "restore", made["file"], *words).code == 0
