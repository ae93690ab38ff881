"""SRTP in place: one side reads what the other protects, to the octet; all else is refused and counted."""

from __future__ import annotations

import os
import struct

import numpy as np
import pylibsrtp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp import srtp
from ringback.rtp.srtp import MAX_SOURCES, SrtpKeyError, SrtpSession, Status

SUITES: dict[srtp.Suite, int] = {
    "AES_CM_128_HMAC_SHA1_80": 10,
    "AES_CM_128_HMAC_SHA1_32": 4,
    "AEAD_AES_128_GCM": 16,
    "AEAD_AES_256_GCM": 16,
}
RECEIVER_REPORT = struct.pack("!BBHI", 0x80, 201, 1, 0xCAFEBABE)


def rtp(sequence: int, ssrc: int = 0xCAFEBABE, body: bytes = b"\xab" * 160) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, sequence, 160 * sequence, ssrc) + body


def row_of(packet: bytes, width: int = 400) -> np.ndarray:
    row = np.zeros(width, dtype=np.uint8)
    row[: len(packet)] = np.frombuffer(packet, dtype=np.uint8)
    return row


def pair(suite: srtp.Suite) -> tuple[SrtpSession, SrtpSession]:
    key = os.urandom(srtp.key_length(suite))
    return SrtpSession(suite, key, inbound=False), SrtpSession(suite, key, inbound=True)


@pytest.mark.parametrize("suite", SUITES)
def test_one_side_reads_what_the_other_protects(suite: srtp.Suite) -> None:
    sender, receiver = pair(suite)
    packet = rtp(1)
    row = row_of(packet)
    length = sender.protect(row, len(packet))
    assert length == len(packet) + SUITES[suite]
    assert row[:12].tobytes() == packet[:12]
    assert row[12:172].tobytes() != packet[12:]
    assert receiver.unprotect(row, length) == len(packet)
    assert row[: len(packet)].tobytes() == packet
    assert (sender.passed, receiver.passed) == (1, 1)


@pytest.mark.parametrize("suite", SUITES)
def test_rtcp_too(suite: srtp.Suite) -> None:
    sender, receiver = pair(suite)
    row = row_of(RECEIVER_REPORT)
    length = sender.protect_rtcp(row, len(RECEIVER_REPORT))
    assert length > len(RECEIVER_REPORT) + 4
    assert receiver.unprotect_rtcp(row, length) == len(RECEIVER_REPORT)
    assert row[: len(RECEIVER_REPORT)].tobytes() == RECEIVER_REPORT


def test_a_packet_known_from_libsrtp_comes_out_to_the_octet() -> None:
    # Vectors of libsrtp's srtp_driver for AES_CM_128_HMAC_SHA1_80.
    key = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6")
    plain = bytes.fromhex("800f1234decafbadcafebabe" + "ab" * 16)
    protected = bytes.fromhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")
    row = row_of(plain)
    length = SrtpSession("AES_CM_128_HMAC_SHA1_80", key, inbound=False).protect(row, len(plain))
    assert row[:length].tobytes() == protected
    assert SrtpSession("AES_CM_128_HMAC_SHA1_80", key, inbound=True).unprotect(row, length) == len(plain)


@pytest.mark.parametrize("suite", SUITES)
def test_agrees_with_the_python_interface_of_the_library(suite: srtp.Suite) -> None:
    key = os.urandom(srtp.key_length(suite))
    profile = {
        "AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        "AES_CM_128_HMAC_SHA1_32": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
        "AEAD_AES_128_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        "AEAD_AES_256_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    }[suite]
    policy = pylibsrtp.Policy(key=key, ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
    sender = SrtpSession(suite, key, inbound=False)
    row = row_of(rtp(9))
    length = sender.protect(row, len(rtp(9)))
    assert pylibsrtp.Session(policy).unprotect(row[:length].tobytes()) == rtp(9)


def test_forged_replayed_and_old_packets_are_counted_not_raised() -> None:
    sender, receiver = pair("AES_CM_128_HMAC_SHA1_80")
    rows = []
    for sequence in (1, 2, 2000):
        row = row_of(rtp(sequence))
        rows.append((row, sender.protect(row, 172)))
    forged = rows[0][0].copy()
    forged[50] ^= 1
    assert receiver.unprotect(forged, rows[0][1]) == -Status.AUTHENTICATION_FAILED
    again = rows[1][0].copy()
    for row, length in rows[1:]:
        assert receiver.unprotect(row, length) == 172
    assert receiver.unprotect(again, rows[1][1]) in (-Status.REPLAYED, -Status.TOO_OLD)
    assert receiver.unprotect(rows[0][0], rows[0][1]) in (-Status.REPLAYED, -Status.TOO_OLD)
    assert (receiver.passed, receiver.forged, receiver.replayed) == (2, 1, 2)


def test_never_writes_beyond_a_row_nor_reads_what_is_too_short() -> None:
    sender, receiver = pair("AEAD_AES_256_GCM")
    row = row_of(rtp(1), width=180)
    assert sender.protect(row, 172) == -Status.BAD_PARAMETER
    for length in (-1, 0, 11, 12, 27, 181, 70000):
        assert receiver.unprotect(row, length) == -Status.BAD_PARAMETER
        assert receiver.unprotect_rtcp(row, length) == -Status.BAD_PARAMETER
    assert row.tobytes() == row_of(rtp(1), width=180).tobytes()


@given(st.sampled_from(list(SUITES)), st.binary(max_size=200), st.booleans())
def test_anything_at_all_is_refused(suite: srtp.Suite, data: bytes, control: bool) -> None:
    _, receiver = pair(suite)
    row = row_of(data)
    assert (receiver.unprotect_rtcp if control else receiver.unprotect)(row, len(data)) < 0


def test_a_peer_cannot_multiply_its_sources() -> None:
    sender, receiver = pair("AES_CM_128_HMAC_SHA1_80")
    results = []
    for sequence, ssrc in enumerate([*range(1, MAX_SOURCES + 3), 1]):
        # The peer's side knows no such limit.
        sender._sources.clear()
        row = row_of(rtp(sequence, ssrc))
        results.append(receiver.unprotect(row, sender.protect(row, 172)))
    assert results[:MAX_SOURCES] == [172] * MAX_SOURCES
    assert results[MAX_SOURCES : MAX_SOURCES + 2] == [-Status.NO_CONTEXT] * 2
    assert results[-1] == 172
    assert receiver.refused == 2


def test_many_rows_of_many_legs_at_once() -> None:
    legs = [pair(suite) for suite in SUITES]
    buffer = np.zeros((8, 400), dtype=np.uint8)
    rows, packets = [0, 2, 3, 7], [rtp(40 + i, 1000 + i) for i in range(4)]
    for row, packet in zip(rows, packets, strict=True):
        buffer[row] = row_of(packet)
    lengths = np.full(8, 172, dtype=np.int32)
    assert srtp.protect_rows([leg[0] for leg in legs], buffer, rows, lengths) == [Status.OK] * 4
    assert lengths.tolist() == [182, 172, 176, 188, 172, 172, 172, 188]
    buffer[3, 100] ^= 0xFF
    statuses = srtp.unprotect_rows([leg[1] for leg in legs], buffer, rows, lengths)
    assert statuses == [Status.OK, Status.OK, Status.AUTHENTICATION_FAILED, Status.OK]
    for i in (0, 1, 3):
        assert lengths[rows[i]] == 172
        assert buffer[rows[i], :172].tobytes() == packets[i]
    assert srtp.protect_rows([], buffer, [], lengths) == []


@pytest.mark.parametrize("suite", SUITES)
def test_a_key_of_the_wrong_length_is_said(suite: srtp.Suite) -> None:
    with pytest.raises(SrtpKeyError, match=suite):
        SrtpSession(suite, bytes(29), inbound=True)
    assert srtp.key_length(suite) == {"AEAD_AES_128_GCM": 28, "AEAD_AES_256_GCM": 44}.get(suite, 30)


@pytest.mark.parametrize("suite", SUITES)
def test_roll_overs_are_counted_through_losses_and_reordering(suite: srtp.Suite) -> None:
    """More than two circles of the sequence number; around each wrap packets are lost and come late."""
    sender, receiver = pair(suite)
    row, count = row_of(rtp(0), 220), 0
    held: list[tuple[np.ndarray, int]] = []
    for number in range(0xFF00, 0x20120, 1):
        packet = rtp(number & 0xFFFF)
        row[: len(packet)] = np.frombuffer(packet, np.uint8)
        length = sender.protect(row, len(packet))
        near = (number + 8) & 0xFFFF < 16
        if near and number % 3 == 0:
            continue
        if near and number % 3 == 1:
            held.append((row.copy(), length))
            continue
        count += 1
        assert receiver.unprotect(row, length) == len(packet)
        if not near and held:
            for late, size in held:
                assert receiver.unprotect(late, size) == len(packet)
                count += 1
            held.clear()
    assert receiver.passed == count
    assert receiver.forged == receiver.replayed == 0


def sent(sender: SrtpSession, sequence: int, ssrc: int = 0xCAFEBABE) -> tuple[np.ndarray, int]:
    packet = rtp(sequence & 0xFFFF, ssrc)
    row = row_of(packet)
    return row, sender.protect(row, len(packet))


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("told_at", [0x1FFF0, 0x1FFC0, 0x20003])
def test_another_session_goes_on_where_one_has_come_to(suite: srtp.Suite, told_at: int) -> None:
    key = os.urandom(srtp.key_length(suite))
    sender, receiver = SrtpSession(suite, key, inbound=False), SrtpSession(suite, key, inbound=True)
    kept: dict[int, tuple[np.ndarray, int]] = {}
    for index in range(0xFFF0, 0x20010, 8):
        row, length = sent(sender, index)
        kept[index] = row.copy(), length
        assert receiver.unprotect(row, length) > 0
    assert sender.roll_over(0xCAFEBABE) == receiver.roll_over(0xCAFEBABE) == 2
    # What comes next is of the same wrap, or of the next one, and what was before does not come again.
    next_sender = SrtpSession(suite, key, inbound=False, known=(0xCAFEBABE, 0x20010))
    next_receiver = SrtpSession(suite, key, inbound=True, known=(0xCAFEBABE, told_at))
    for old in (0x10000, 0x18000, told_at // 8 * 8):
        row, length = kept[old]
        assert next_receiver.unprotect(row.copy(), length) < 0
    for index in (0x20010, 0x20011, 0x20012):
        row, length = sent(next_sender, index)
        assert receiver.unprotect(row.copy(), length) > 0
        assert next_receiver.unprotect(row, length) > 0
    assert next_receiver.roll_over(0xCAFEBABE) == 2
    other, length = sent(next_sender, 7, ssrc=0xABCD)
    assert next_receiver.unprotect(other, length) > 0


@pytest.mark.parametrize("suite", SUITES)
def test_a_count_that_is_off_by_a_wrap_is_found(suite: srtp.Suite) -> None:
    key = os.urandom(srtp.key_length(suite))
    sender = SrtpSession(suite, key, inbound=False, known=(0xCAFEBABE, 0x30005))
    receiver = SrtpSession(suite, key, inbound=True, known=(0xCAFEBABE, 0x1FFFF))
    results = [receiver.unprotect(*sent(sender, 0x30005 + n)) > 0 for n in range(4)]
    assert results == [True] * 4
    forged, length = sent(SrtpSession(suite, os.urandom(len(key)), inbound=False), 0x30009)
    assert receiver.unprotect(forged, length) < 0
