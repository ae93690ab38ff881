"""Sealing: only the same key at the same place opens what was sealed, and the key file is kept safe."""

import os

import pytest

from ringback.governance.private import Private
from ringback.governance.sealing import Sealer, SealingError, create_key, read_key


def test_what_is_sealed_opens_at_its_place_only(tmp_path):
    sealer = create_key(tmp_path / "secret.key")
    sealed = sealer.seal(Private("274113"), "meetings", "host_pin", "a1")
    assert b"274113" not in sealed
    assert sealer.open(sealed, "meetings", "host_pin", "a1") == Private("274113")
    for place in (
        ("meetings", "host_pin", "a2"),
        ("meetings", "guest_pin", "a1"),
        ("meeting", "shost_pin", "a1"),
    ):
        with pytest.raises(SealingError):
            sealer.open(sealed, *place)


def test_any_changed_byte_is_noticed(tmp_path):
    sealer = create_key(tmp_path / "secret.key")
    sealed = sealer.seal(Private("secret"), "t", "c", "r")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(SealingError):
            sealer.open(bytes(changed), "t", "c", "r")
    for length in range(len(sealed)):
        with pytest.raises(SealingError):
            sealer.open(sealed[:length], "t", "c", "r")


def test_the_same_value_is_sealed_differently_each_time(tmp_path):
    sealer = create_key(tmp_path / "secret.key")
    assert sealer.seal(Private("x"), "t", "c", "r") != sealer.seal(Private("x"), "t", "c", "r")


def test_a_key_file_is_made_once(tmp_path):
    path = tmp_path / "secret.key"
    sealed = create_key(path).seal(Private("x"), "t", "c", "r")
    assert path.stat().st_mode & 0o777 == 0o600
    assert create_key(path).open(sealed, "t", "c", "r") == Private("x")
    assert read_key(path).open(sealed, "t", "c", "r") == Private("x")
    assert os.listdir(tmp_path) == ["secret.key"]


def test_a_key_file_that_others_can_read_is_refused_with_the_cure(tmp_path):
    path = tmp_path / "secret.key"
    create_key(path)
    path.chmod(0o640)
    with pytest.raises(SealingError, match=f"chmod 600 {path}"):
        read_key(path)


@pytest.mark.parametrize("content", [b"", b"not base64 !", b"c2hvcnQ="])
def test_a_damaged_key_file_is_named(tmp_path, content):
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SealingError, match=r"secret\.key does not hold a key"):
        read_key(path)


def test_a_key_has_32_bytes():
    with pytest.raises(SealingError):
        Sealer(Private(b"short"))
