"""The vault: what was written is read anywhere, and whatever is done to a file or its key is found."""

import errno
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.governance import vault as vault_module
from ringback.governance.private import Private
from ringback.governance.sealing import SealingError
from ringback.governance.vault import (
    KeyEncryptionKey,
    Vault,
    VaultError,
    VaultReader,
    VaultWriter,
    begin_rotation,
    create_vault_key,
    end_rotation,
    read_vault_key,
)

KEY = Private(bytes(range(32)))
OTHER = Private(bytes(range(1, 33)))
VOICE, ANOTHER = "0123456789abcdef", "fedcba9876543210"
CHUNK = 64
SEALED_CHUNK = CHUNK + 16
HEAD = 24


def written(path, data: bytes, *, closed: bool = True, label: str = "a") -> bytes:
    """A file of small chunks with that in it; returns its octets."""
    path.unlink(missing_ok=True)
    writer = VaultWriter(path, label, KEY, CHUNK)
    writer.write(data)
    if closed:
        writer.close()
    else:
        writer.leave()
    return path.read_bytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("vault") / "voice.rbv"


@settings(deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=200), max_size=8),
    reads=st.lists(st.tuples(st.integers(0, 1700), st.integers(0, 400)), max_size=8),
)
def test_any_place_is_read_as_it_was_written(path, pieces, reads):
    path.unlink(missing_ok=True)
    writer = VaultWriter(path, "a", KEY, CHUNK)
    for piece in pieces:
        writer.write(piece)
    writer.close()
    data = b"".join(pieces)
    with VaultReader(path, "a", KEY) as reader:
        assert reader.whole
        assert reader.size == len(data)
        assert reader.read(0, len(data) + 1) == data
        for at, size in reads:
            assert reader.read(at, size) == data[at : at + size]


@settings(deadline=None)
@given(size=st.integers(0, 5 * CHUNK), at=st.integers(0, 5 * SEALED_CHUNK), bit=st.integers(0, 7))
def test_every_changed_bit_is_found(path, size, at, bit):
    sealed = bytearray(written(path, bytes(size)))
    sealed[at % len(sealed)] ^= 1 << bit
    path.write_bytes(sealed)
    with pytest.raises(VaultError), VaultReader(path, "a", KEY) as reader:
        reader.verify()


@settings(deadline=None)
@given(size=st.integers(0, 5 * CHUNK), cut=st.integers(1, 5 * SEALED_CHUNK))
def test_every_cut_is_found_and_what_is_whole_before_it_can_be_read(path, size, cut):
    data = os.urandom(size)
    sealed = written(path, data)
    left = sealed[: max(0, len(sealed) - cut)]
    path.write_bytes(left)
    with pytest.raises(VaultError):
        VaultReader(path, "a", KEY)
    if len(left) < HEAD:
        with pytest.raises(VaultError):
            VaultReader(path, "a", KEY, cut=True)
        return
    with VaultReader(path, "a", KEY, cut=True) as reader:
        assert not reader.whole
        assert reader.size == (len(left) - HEAD) // SEALED_CHUNK * CHUNK
        assert reader.read(0, size) == data[: reader.size]


@settings(deadline=None)
@given(content=st.binary(max_size=300), cut=st.booleans(), magic=st.booleans())
def test_what_is_no_voice_at_all_is_refused(path, content, cut, magic):
    path.write_bytes((b"RBV1" if magic else b"") + content)
    try:
        with VaultReader(path, "a", KEY, cut=cut) as reader:
            reader.verify()
            assert reader.size == 0
    except VaultError:
        pass
    path.unlink()
    with pytest.raises(VaultError):
        VaultReader(path, "a", KEY, cut=cut)


@settings(deadline=None)
@given(order=st.permutations(range(4)))
def test_chunks_in_another_order_are_found(path, order):
    sealed = written(path, os.urandom(4 * CHUNK))
    chunks = [sealed[HEAD + i * SEALED_CHUNK : HEAD + (i + 1) * SEALED_CHUNK] for i in order]
    path.write_bytes(sealed[:HEAD] + b"".join(chunks) + sealed[HEAD + 4 * SEALED_CHUNK :])
    with VaultReader(path, "a", KEY) as reader:
        if order == list(range(4)):
            reader.verify()
        else:
            with pytest.raises(VaultError):
                reader.verify()


def test_a_chunk_of_another_file_of_the_same_voice_is_found(path):
    one, other = written(path, bytes(3 * CHUNK)), written(path, bytes(3 * CHUNK))
    assert one != other, "each file has its own key"
    middle = HEAD + SEALED_CHUNK
    path.write_bytes(one[:middle] + other[middle : middle + SEALED_CHUNK] + one[middle + SEALED_CHUNK :])
    with VaultReader(path, "a", KEY) as reader, pytest.raises(VaultError):
        reader.verify()


def test_a_file_in_the_place_of_another_does_not_open(path):
    written(path, b"said", label="one")
    for label, key in (("two", KEY), ("one", OTHER)):
        with pytest.raises(VaultError):
            VaultReader(path, label, key)
        with VaultReader(path, label, key, cut=True) as reader:
            assert reader.size == 0


def test_what_goes_on_after_a_cut_was_not_written_by_us(path):
    """A file without its end, with the end of a shorter one behind it."""
    whole = written(path, bytes(2 * CHUNK))
    path.write_bytes(whole[: HEAD + SEALED_CHUNK] + whole[-16:])
    with pytest.raises(VaultError):
        VaultReader(path, "a", KEY)


def test_a_crash_costs_less_than_a_chunk(path):
    data = os.urandom(3 * CHUNK + 17)
    written(path, data, closed=False)
    with VaultReader(path, "a", KEY, cut=True) as reader:
        assert reader.read(0, 1000) == data[: 3 * CHUNK]
        reader.verify()


def test_a_full_disk_leaves_whole_chunks_and_the_next_try_goes_on(path, monkeypatch):
    path.unlink(missing_ok=True)
    writer = VaultWriter(path, "a", KEY, CHUNK)
    writer.write(b"1" * CHUNK)
    pwrite, room = os.pwrite, [30]

    def full(fd, data, at):
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")
        written_now = pwrite(fd, bytes(data)[: room[0]], at)
        room[0] -= written_now
        return written_now

    monkeypatch.setattr(vault_module.os, "pwrite", full)
    with pytest.raises(OSError):
        writer.write(b"2" * CHUNK + b"3")
    assert path.stat().st_size == HEAD + SEALED_CHUNK
    with VaultReader(path, "a", KEY, cut=True) as reader:
        assert reader.read(0, 1000) == b"1" * CHUNK
    monkeypatch.setattr(vault_module.os, "pwrite", pwrite)
    writer.close()
    with VaultReader(path, "a", KEY) as reader:
        assert reader.read(0, 1000) == b"1" * CHUNK + b"2" * CHUNK + b"3"


def test_nothing_is_overwritten_and_nothing_stays_of_what_is_abandoned(path):
    written(path, b"said")
    with pytest.raises(FileExistsError):
        VaultWriter(path, "a", KEY)
    path.unlink()
    writer = VaultWriter(path, "a", KEY)
    assert path.stat().st_mode & 0o777 == 0o600
    writer.write(b"said")
    writer.abandon()
    assert not path.exists()
    with pytest.raises(OSError):
        writer.close()


def test_a_data_key_opens_for_its_voice_alone():
    key = KeyEncryptionKey([KEY])
    wrapped = key.wrap(OTHER, VOICE)
    assert OTHER.reveal() not in wrapped.sealed
    assert key.unwrap(wrapped, VOICE) == OTHER
    assert key.wrap(OTHER, VOICE).sealed != wrapped.sealed
    for wrong, voice in ((key, ANOTHER), (KeyEncryptionKey([OTHER]), VOICE)):
        with pytest.raises(VaultError):
            wrong.unwrap(wrapped, voice)
    for at in range(len(wrapped.sealed)):
        changed = bytearray(wrapped.sealed)
        changed[at] ^= 1
        with pytest.raises(VaultError):
            key.unwrap(type(wrapped)(wrapped.key_id, bytes(changed)), VOICE)


def test_the_key_file_is_made_once_and_is_for_the_owner_alone(tmp_path):
    file = tmp_path / "keys" / "vault.key"
    made = create_vault_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert create_vault_key(file).current == made.current == read_vault_key(file).current
    file.chmod(0o640)
    with pytest.raises(SealingError, match="chmod 600"):
        read_vault_key(file)


def test_a_rotation_goes_on_where_it_was_left(tmp_path):
    file = tmp_path / "vault.key"
    old = create_vault_key(file)
    wrapped = old.wrap(KEY, VOICE)
    both = begin_rotation(file)
    assert both.rotating
    assert both.current != old.current
    assert begin_rotation(file).current == both.current == read_vault_key(file).current
    assert both.unwrap(wrapped, VOICE) == KEY
    new = end_rotation(file)
    assert new.current == both.current
    assert not new.rotating
    assert new.unwrap(both.wrap(KEY, VOICE), VOICE) == KEY
    with pytest.raises(VaultError, match="not in the key file"):
        new.unwrap(wrapped, VOICE)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["vault.key"]


def test_parts_of_a_voice_and_their_removal(tmp_path):
    vault = Vault(tmp_path / "voices", KeyEncryptionKey([KEY]))
    data_key, wrapped = vault.new_key(VOICE)
    for part in ("mix", "leg-5"):
        writer = vault.write(VOICE, data_key, part)
        writer.write(part.encode())
        writer.close()
    alone_key, _ = vault.new_key(ANOTHER)
    vault.write(ANOTHER, alone_key).close()
    assert vault.parts(VOICE) == ["leg-5", "mix"]
    assert vault.parts(ANOTHER) == [""]
    assert set(vault.voices()) == {VOICE, ANOTHER}
    with vault.read(VOICE, wrapped, "leg-5") as reader:
        assert reader.read(0, 100) == b"leg-5"
    vault.path(VOICE, "mix").rename(vault.path(VOICE, "leg-7"))
    with pytest.raises(VaultError):
        vault.read(VOICE, wrapped, "leg-7")
    for voice in (VOICE, ANOTHER, VOICE):
        vault.remove(voice)
    assert list((tmp_path / "voices").iterdir()) == []
    for name in ("../" + VOICE[3:], "x", ""):
        with pytest.raises(ValueError):
            vault.path(name)
    with pytest.raises(ValueError):
        vault.path(VOICE, "../mix")
