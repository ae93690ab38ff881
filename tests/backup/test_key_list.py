"""The list of keys beside backups: whole at every moment, and nothing of what was taken out of it stays."""

import contextlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.backup import key_list
from ringback.backup.errors import BackupError
from ringback.backup.key_list import NAME, change_keys, read_keys, rewrap_keys
from ringback.governance.private import Private
from ringback.governance.vault import KeyEncryptionKey

OLD, NEW = Private(bytes(range(32))), Private(bytes(range(1, 33)))
KEY = KeyEncryptionKey([OLD])
ONE, OTHER = "0123456789abcdef", "fedcba9876543210"


def some(*voices):
    return {voice: KEY.wrap(Private(os.urandom(32)), voice) for voice in voices}


def put(folder, keys):
    change_keys(folder, KEY, lambda _: dict(keys))


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.from_regex(r"[0-9a-f]{16}", fullmatch=True), st.binary(min_size=32, max_size=32)))
def test_what_is_listed_is_read_again(tmp_path_factory, listed):
    folder = tmp_path_factory.mktemp("list")
    keys = {voice: KEY.wrap(Private(key), voice) for voice, key in listed.items()}
    put(folder, keys)
    assert read_keys(folder / NAME, KEY) == keys
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_where_nothing_changes(tmp_path):
    keys = some(ONE)
    assert change_keys(tmp_path, KEY, lambda _: keys)
    before = (tmp_path / NAME).stat().st_ino
    assert not change_keys(tmp_path, KEY, lambda found: found)
    assert (tmp_path / NAME).stat().st_ino == before


def test_the_octets_of_the_old_list_are_overwritten(tmp_path):
    put(tmp_path, some(ONE, OTHER))
    with (tmp_path / NAME).open("rb") as old:
        before = old.read()
        put(tmp_path, {})
        old.seek(0)
        after = old.read()
    assert len(after) == len(before)
    assert not any(after)
    assert read_keys(tmp_path / NAME, KEY) == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".voices.keys.lock", NAME]


@settings(deadline=None, max_examples=60)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.booleans())
def test_every_change_and_every_cut_is_found(tmp_path_factory, at, bit, cut):
    path = tmp_path_factory.getbasetemp() / NAME
    path.write_bytes(key_list._sealed(some(ONE), KEY))
    sealed = bytearray(path.read_bytes())
    at %= len(sealed)
    if cut:
        del sealed[at:]
    else:
        sealed[at] ^= 1 << bit
    path.write_bytes(sealed)
    with pytest.raises(BackupError):
        read_keys(path, KEY)
    path.unlink()


def test_another_vault_key_does_not_open_it(tmp_path):
    put(tmp_path, some(ONE))
    with pytest.raises(BackupError, match="another vault key"):
        read_keys(tmp_path / NAME, KeyEncryptionKey([NEW]))


class PowerCut(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("moment", ["link", "rename", "pwrite", "fsync"])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_power_cut_leaves_a_whole_list_and_the_next_change_wipes_the_rest(
    tmp_path, monkeypatch, moment, times
):
    before, after = some(ONE, OTHER), some(ONE)
    put(tmp_path, before)
    holder = key_list.Path if moment == "rename" else key_list.os
    original, left = getattr(holder, moment), [times]

    def cut(*given):
        if not left[0]:
            raise PowerCut
        left[0] -= 1
        return original(*given)

    monkeypatch.setattr(holder, moment, cut)
    with contextlib.suppress(PowerCut):
        put(tmp_path, after)
    monkeypatch.setattr(holder, moment, original)
    assert read_keys(tmp_path / NAME, KEY) in (before, after)
    put(tmp_path, {})
    assert read_keys(tmp_path / NAME, KEY) == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".voices.keys.lock", NAME]


def test_where_files_have_no_second_name_it_is_replaced_all_the_same(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(key_list.os, "link", refused)
    put(tmp_path, some(ONE))
    with (tmp_path / NAME).open("rb") as old:
        put(tmp_path, {})
        assert not any(old.read())
    assert read_keys(tmp_path / NAME, KEY) == {}


def test_all_keys_follow_a_change_of_the_vault_key(tmp_path):
    keys = some(ONE, OTHER)
    put(tmp_path, keys)
    both = KeyEncryptionKey([NEW, OLD])
    change_keys(tmp_path, both, lambda found: rewrap_keys(found, both))
    alone = KeyEncryptionKey([NEW])
    found = read_keys(tmp_path / NAME, alone)
    for voice in (ONE, OTHER):
        assert alone.unwrap(found[voice], voice).reveal() == KEY.unwrap(keys[voice], voice).reveal()
    with pytest.raises(BackupError):
        read_keys(tmp_path / NAME, KEY)
