"""UDP sockets that go from one worker to another by their descriptors, and stay bound all the time."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ringback.media.worker.descriptors import MAX_PAIRS, DescriptorChannel, SocketPair, channel
from ringback.media.worker.sockets import UNUSED_NS, UdpPorts
from tests.wire.ports import media_range

SECOND = 1_000_000_000


class Desk:
    """A worker's ports, and the control process's end of its channel."""

    def __init__(self, first: int, last: int) -> None:
        ours, theirs = channel()
        self.control = DescriptorChannel(ours)
        self._theirs = DescriptorChannel(theirs)
        self.ports = UdpPorts("127.0.0.1", first, last, self._theirs, "::1")

    def close(self) -> None:
        self.ports.close()
        self.control.close()
        self._theirs.close()


@pytest.fixture
def desks() -> Iterator[tuple[Desk, Desk]]:
    first, last = media_range()
    desks = Desk(first, first + 99), Desk(first + 100, last)
    yield desks
    for desk in desks:
        desk.close()


def read(desk: Desk, pair: int) -> list[bytes]:
    ((_, descriptor),) = desk.ports.rtp([pair])
    with socket.socket(fileno=socket.dup(descriptor)) as duplicate:
        found = []
        while True:
            try:
                found.append(duplicate.recv(100))
            except BlockingIOError:
                return found


def say(port: int, text: bytes, *, ipv6: bool = False) -> None:
    family, host = (socket.AF_INET6, "::1") if ipv6 else (socket.AF_INET, "127.0.0.1")
    with socket.socket(family, socket.SOCK_DGRAM) as speaker:
        speaker.sendto(text, (host, port))


@pytest.mark.parametrize("ipv6", [False, True])
@pytest.mark.parametrize("drop", [False, True])
def test_a_pair_outlives_the_worker_that_opened_it(desks: tuple[Desk, Desk], drop: bool, ipv6: bool) -> None:
    one, other = desks
    ports = (one.ports.open_pair_ipv6 if ipv6 else one.ports.open_pair)(0)
    assert ports is not None
    (held,) = one.control.receive()
    assert (held.rtp_port, held.rtcp_port) == ports
    say(ports[0], b"before", ipv6=ipv6)
    one.ports.close_pair(0)
    say(ports[0], b"between", ipv6=ipv6)
    assert not other.ports.take_pair(3, *ports, drop), "nothing was handed over yet"
    other.control.send([held])
    assert other.ports.take_pair(3, *ports, drop)
    say(ports[0], b"after", ipv6=ipv6)
    assert read(other, 3) == ([b"after"] if drop else [b"before", b"between", b"after"])
    say(ports[1], b"report", ipv6=ipv6)
    assert [number for number, _ in other.ports.rtcp()] == [7]
    held.close()


def test_many_pairs_at_once_and_one_that_is_here_already(desks: tuple[Desk, Desk]) -> None:
    one, other = desks
    opened = [one.ports.open_pair(number) for number in range(40)]
    held: list[SocketPair] = []
    while len(held) < 40:
        held += one.control.receive()
    # More than a message carries, and all of them twice: who has a pair closes what comes again.
    other.control.send(held)
    other.control.send(held * 2)
    assert 2 * len(held) > MAX_PAIRS
    for number, ports in enumerate(opened):
        assert ports is not None
        assert other.ports.take_pair(number, *ports, drop=True)
    say(held[17].rtp_port, b"hello")
    assert read(other, 17) == [b"hello"]
    for pair in held:
        pair.close()


def test_ports_of_others_are_given_back_after_a_while(desks: tuple[Desk, Desk]) -> None:
    one, other = desks
    ports = one.ports.open_pair(0)
    assert ports is not None
    (held,) = one.control.receive()
    one.ports.close_pair(0)
    other.control.send([held])
    held.close()
    other.ports.open_pair(0)
    other.ports.take_pair(1, *ports, drop=True)
    legs: dict[int, set[int]] = {0: set(), 1: {5}}
    assert other.ports.to_give_back(legs.__getitem__, 100 * SECOND) == []
    legs[1] = set()
    assert other.ports.to_give_back(legs.__getitem__, 101 * SECOND) == []
    assert other.ports.to_give_back(legs.__getitem__, 101 * SECOND + UNUSED_NS - 1) == []
    assert other.ports.to_give_back(legs.__getitem__, 101 * SECOND + UNUSED_NS) == [1]
    other.ports.close_pair(1)
    assert other.ports.to_give_back(legs.__getitem__, 200 * SECOND) == []
    # Whose port it is opens it again when its turn comes: not before all its others.
    again = [one.ports.open_pair(number) for number in range(50)]
    assert again[-1] == ports


def test_packets_of_both_families_are_marked_as_urgent(desks: tuple[Desk, Desk]) -> None:
    ports = desks[0].ports
    assert ports.open_pair(0)
    assert ports.open_pair_ipv6(1)
    for number, level, option in (
        (0, socket.IPPROTO_IP, socket.IP_TOS),
        (1, socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
    ):
        ((_, rtp),) = ports.rtp([number])
        with socket.socket(fileno=socket.dup(rtp)) as opened:
            assert opened.getsockopt(level, option) == 46 << 2


def test_a_port_is_of_one_family_at_a_time(desks: tuple[Desk, Desk]) -> None:
    ports = desks[0].ports
    opened = [(ports.open_pair_ipv6 if number % 2 else ports.open_pair)(number) for number in range(50)]
    assert len(set(opened)) == 50
    assert None not in opened
    assert ports.open_pair_ipv6(50) is None
    ports.close_pair(4)
    assert ports.open_pair_ipv6(4) == opened[4]


def test_a_range_that_is_used_up(desks: tuple[Desk, Desk]) -> None:
    one, _ = desks
    assert all(one.ports.open_pair(number) for number in range(50))
    assert one.ports.open_pair(50) is None
    for held in one.control.receive():
        held.close()
    one.ports.close_pair(7)
    assert one.ports.open_pair(7)
