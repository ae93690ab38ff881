"""The head of a backup: its key survives every moment of being wrapped anew, and no old form stays."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.backup import head as head_module
from ringback.backup.errors import BackupError
from ringback.backup.head import HEAD_BYTES, Head, complete, destroy, parse_head, read_head, rewrap
from ringback.governance.private import Private
from ringback.governance.vault import KeyEncryptionKey

OLD, NEW = Private(bytes(range(32))), Private(bytes(range(1, 33)))
DATA_KEY = Private(bytes(range(2, 34)))
BARE = Head("0123456789abcdef", 1_700_000_000_000, 1000)


def written(path) -> Head:
    key = KeyEncryptionKey([OLD])
    head = Head(BARE.id, BARE.created_ms, BARE.octets, key.wrap(DATA_KEY, BARE.purpose))
    path.write_bytes(bytes(HEAD_BYTES) + b"sealed")
    complete(path, head)
    return head


def opens(path, *keys) -> bool:
    try:
        return read_head(path).data_key(KeyEncryptionKey(keys)).reveal() == DATA_KEY.reveal()
    except BackupError:
        return False


def test_a_head_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "backup"
    head = written(path)
    assert read_head(path) == head
    assert opens(path, OLD)
    assert not opens(path, NEW)
    assert path.read_bytes()[HEAD_BYTES:] == b"sealed"


def test_another_vault_key_wraps_it_and_the_old_form_is_overwritten(tmp_path):
    path = tmp_path / "backup"
    before = written(path)
    assert rewrap(path, KeyEncryptionKey([NEW, OLD]))
    assert not rewrap(path, KeyEncryptionKey([NEW, OLD]))
    assert (opens(path, NEW), opens(path, OLD)) == (True, False)
    assert before.key.sealed not in path.read_bytes()
    assert rewrap(path, KeyEncryptionKey([OLD, NEW]))
    assert opens(path, OLD)


@pytest.mark.parametrize("writes", range(3))
@pytest.mark.parametrize("torn", [0, 1, 40])
def test_a_power_cut_while_it_is_wrapped_anew_costs_nothing(tmp_path, monkeypatch, writes, torn):
    path = tmp_path / "backup"
    written(path)
    pwrite, left = os.pwrite, [writes]

    def cut(fd, data, at):
        if not left[0]:
            pwrite(fd, data[:torn], at)
            raise KeyboardInterrupt
        left[0] -= 1
        return pwrite(fd, data, at)

    monkeypatch.setattr(head_module.os, "pwrite", cut)
    try:
        rewrap(path, KeyEncryptionKey([NEW, OLD]))
    except KeyboardInterrupt:
        assert writes < 2
    monkeypatch.setattr(head_module.os, "pwrite", pwrite)
    assert opens(path, NEW, OLD)
    rewrap(path, KeyEncryptionKey([NEW, OLD]))
    assert (opens(path, NEW), opens(path, OLD)) == (True, False)


def test_a_backup_that_is_deleted_has_no_key(tmp_path):
    path, copy = tmp_path / "backup", tmp_path / "second name"
    head = written(path)
    os.link(path, copy)
    destroy(path)
    assert not path.exists()
    assert head.key.sealed not in copy.read_bytes()
    assert not opens(copy, OLD)


@given(st.binary(max_size=HEAD_BYTES + 8), st.booleans())
def test_what_is_no_head_is_refused(data, magic):
    data = (b"RBBK\x01" if magic else b"") + data
    try:
        head = parse_head(data)
    except BackupError:
        return
    assert head.key is None, "no accident has a checksum that is right"
    with pytest.raises(BackupError):
        head.data_key(KeyEncryptionKey([OLD]))
