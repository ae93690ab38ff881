"""Addresses of IPv6 beside those of IPv4: their numbers, and datagrams of both in one batch."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ringback.media.addresses import FIRST_IPV6, Addresses
from ringback.media.batch import OUTGOING_BYTES, OutgoingBatch
from ringback.media.columns import Bytes
from ringback.media.worker import mmsg
from ringback.media.worker.sockets import UdpPorts
from tests.wire.ports import media_range

COMPILED = mmsg.kernels


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def rows(*texts: str) -> Bytes:
    return np.frombuffer(b"".join(map(packed, texts)), np.uint8).reshape(-1, 16)


def test_an_address_of_ipv4_is_its_own_number_however_it_is_written() -> None:
    numbers = Addresses()
    assert numbers.of_text("192.0.2.1") == numbers.of_text("::ffff:192.0.2.1") == 0xC0000201
    assert numbers.numbers(rows("::ffff:192.0.2.1")).tolist() == [0xC0000201]
    assert numbers.packed(0xC0000201) == packed("192.0.2.1")
    assert len(numbers) == 0


def test_addresses_of_ipv6_have_one_number_each_that_no_address_of_ipv4_has() -> None:
    numbers = Addresses()
    found = numbers.numbers(rows("2001:db8::1", "fd00::2", "2001:db8::1"))
    assert found[0] == found[2] != found[1]
    assert all(ipaddress.IPv4Address(int(number)).is_multicast for number in found)
    assert numbers.of_text("2001:DB8:0::1") == found[0]
    assert numbers.octets(found).tobytes() == rows("2001:db8::1", "fd00::2", "2001:db8::1").tobytes()
    assert numbers.packed(int(found[1])) == packed("fd00::2")


def test_the_unspecified_address_is_nowhere() -> None:
    assert Addresses().of_text("::") == Addresses().of_text("0.0.0.0") == 0


def test_a_number_that_is_used_stays_through_any_flood_and_memory_is_bounded() -> None:
    numbers = Addresses(most=100)
    mine = numbers.of_text("fd00::1")
    numbers.in_use = lambda: {mine}
    strangers = [f"2001:db8::{i:x}" for i in range(1, 2_001)]
    for first in range(0, len(strangers), 50):
        numbers.numbers(rows(*strangers[first : first + 50]))
    assert len(numbers) < 350
    assert numbers.packed(mine) == packed("fd00::1")
    assert numbers.of_text("fd00::1") == mine
    # Of what came in the last batches nothing is forgotten.
    assert numbers.numbers(rows(*strangers[-50:])).tolist() == sorted(
        numbers.of_text(one) for one in strangers[-50:]
    )
    # What is forgotten is not sent anywhere.
    assert numbers.packed(FIRST_IPV6 + 1) == bytes(16)


def test_numbers_are_given_out_again_but_never_twice_at_once() -> None:
    numbers = Addresses(most=2)
    mine = numbers.of_text("fd00::1")
    numbers.in_use = lambda: {mine}
    numbers._next = 0xEFFF_FFFF
    found = [numbers.of_text(f"2001:db8::{i}") for i in range(1, 4)]
    assert found == [0xEFFF_FFFF, FIRST_IPV6 + 1, FIRST_IPV6 + 2]
    assert mine == FIRST_IPV6


# On sockets


@pytest.fixture(params=["compiled", "plain"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "plain":
        monkeypatch.setattr(mmsg, "kernels", None)
    elif COMPILED is None:
        pytest.skip("nothing is compiled here")


@pytest.fixture
def ends() -> Iterator[tuple[list[socket.socket], list[socket.socket]]]:
    """Two sockets of each end, the first of IPv4 and the second of IPv6."""
    families = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
    ours, theirs = ([socket.socket(family, socket.SOCK_DGRAM) for family, _ in families] for _ in range(2))
    for both in (ours, theirs):
        for one, (_, host) in zip(both, families, strict=True):
            one.bind((host, 0))
            one.settimeout(5)
    yield ours, theirs
    for one in (*ours, *theirs):
        one.close()


def received(inbox: mmsg.Inbox, ours: list[socket.socket], count: int) -> Any:
    """One batch with so many datagrams of both sockets."""
    deadline = time.monotonic() + 5
    while any(not one.recv(1, socket.MSG_PEEK) for one in ours):
        assert time.monotonic() < deadline
    now = time.monotonic_ns()
    batch, _ = inbox.receive(
        [(number, one.fileno()) for number, one in enumerate(ours)], 0, time.time_ns() - now, now
    )
    assert len(batch) == count
    return batch


@pytest.mark.usefixtures("kernels")
def test_both_families_come_in_one_batch_and_are_answered(
    ends: tuple[list[socket.socket], list[socket.socket]],
) -> None:
    ours, theirs = ends
    numbers = Addresses()
    inbox, outbox = mmsg.Inbox(64, numbers), mmsg.Outbox(64, numbers)
    # Again: the addresses of a batch before are in the way of none after it.
    for _ in range(3):
        for one, other in zip(theirs, ours, strict=True):
            one.sendto(b"hello", other.getsockname()[:2])
        batch = received(inbox, ours, 2)
        assert [numbers.packed(int(ip)) for ip in batch.ip] == [packed("127.0.0.1"), packed("::1")]
        assert batch.port.tolist() == [one.getsockname()[1] for one in theirs]
        assert batch.socket.tolist() == [0, 1]

        # IPv6 first, IPv4 in the row where IPv6 was before.
        data = np.zeros((2, OUTGOING_BYTES), np.uint8)
        data[:, 0] = (6, 4)
        answers = OutgoingBatch(
            data, np.array([1, 1], np.int32), np.array([1, 0], np.int32), batch.ip[::-1], batch.port[::-1]
        )
        descriptors = [one.fileno() for one in ours]
        assert outbox.send(answers, descriptors) == 2
        assert [one.recv(9) for one in theirs] == [b"\4", b"\6"]
        backwards = OutgoingBatch(
            data[::-1], np.array([1, 1], np.int32), np.array([0, 1], np.int32), batch.ip, batch.port
        )
        assert outbox.send(backwards, descriptors) == 2
        assert [one.recv(9) for one in theirs] == [b"\4", b"\6"]


@pytest.mark.usefixtures("kernels")
def test_a_socket_of_both_families_is_the_same_to_a_peer_on_ipv4() -> None:
    first, last = media_range()
    ports = UdpPorts("0.0.0.0", first, last, bind_ipv6="::")
    numbers = Addresses()
    inbox, outbox = mmsg.Inbox(64, numbers), mmsg.Outbox(64, numbers)
    opened = ports.open_pair_ipv6(0)
    assert opened is not None
    with contextlib.ExitStack() as stack:
        stack.callback(ports.close)
        peers = []
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            peer = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            peer.settimeout(5)
            peer.connect((host, opened[0]))
            peer.send(host.encode())
            peers.append(peer)
        now = time.monotonic_ns()
        batch, _ = inbox.receive(ports.rtp([0]), 0, time.time_ns() - now, now)
        assert [numbers.packed(int(ip)) for ip in batch.ip] == [packed("127.0.0.1"), packed("::1")]
        data = batch.data[:, :OUTGOING_BYTES].copy()
        assert (
            outbox.send(
                OutgoingBatch(data, batch.length, batch.socket, batch.ip, batch.port), [ports.descriptors[0]]
            )
            == 2
        )
        assert [peer.recv(20) for peer in peers] == [b"127.0.0.1", b"::1"]


@pytest.mark.usefixtures("kernels")
def test_what_goes_to_a_forgotten_address_is_counted_and_hinders_nobody(
    ends: tuple[list[socket.socket], list[socket.socket]],
) -> None:
    ours, theirs = ends
    numbers = Addresses()
    mine = numbers.of_text("::1")
    outbox = mmsg.Outbox(64, numbers)
    port = theirs[1].getsockname()[1]
    data = np.zeros((2, OUTGOING_BYTES), np.uint8)
    batch = OutgoingBatch(
        data,
        np.array([1, 1], np.int32),
        np.array([1, 1], np.int32),
        np.array([FIRST_IPV6 + 77, mine], np.uint32),
        np.array([port, port], np.uint16),
    )
    assert outbox.send(batch, [one.fileno() for one in ours]) == 1
    assert outbox.failed == 1
    assert theirs[1].recv(9) == b"\0"
