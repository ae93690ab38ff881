"""The fake network and clock that other tests stand on."""

from __future__ import annotations

import pytest

from ringback.testing.fake_clock import FakeClock
from ringback.testing.lossy_link import LinkQuality, LossyLink

HERE, THERE = ("192.0.2.1", 1), ("192.0.2.2", 2)


def carried(quality: LinkQuality, seed: int = 1, packets: int = 1000) -> list[tuple[float, int]]:
    """When each packet arrived, and which; one is sent each 10 ms."""
    clock = FakeClock(0.0)
    link: LossyLink[int] = LossyLink(clock, seed, quality)
    arrived: list[tuple[float, int]] = []
    link.attach(THERE, lambda packet, source, destination: arrived.append((clock.now, packet)))
    for number in range(packets):
        clock.move_to(max(clock.now, number * 0.01))
        link.send(number, HERE, THERE)
    while (when := link.deadline()) is not None:
        clock.move_to(max(clock.now, when))
        link.deliver_due()
    return arrived


def test_a_good_link_delivers_everything_in_order() -> None:
    assert [packet for _, packet in carried(LinkQuality(delay=0.02))] == list(range(1000))


def test_loss_and_duplication_are_as_asked() -> None:
    lossy = carried(LinkQuality(loss=0.3))
    assert 600 < len(lossy) < 800
    doubled = carried(LinkQuality(duplication=0.5))
    assert 1400 < len(doubled) < 1600
    assert {packet for _, packet in doubled} == set(range(1000))


def test_jitter_reorders() -> None:
    packets = [packet for _, packet in carried(LinkQuality(jitter=0.1))]
    assert packets != sorted(packets)
    assert sorted(packets) == list(range(1000))


def test_a_seed_gives_the_same_network_again() -> None:
    quality = LinkQuality(loss=0.1, duplication=0.1, jitter=0.1)
    assert carried(quality, 7) == carried(quality, 7)
    assert carried(quality, 7) != carried(quality, 8)


def test_packets_to_nobody_are_lost() -> None:
    clock = FakeClock()
    link: LossyLink[bytes] = LossyLink(clock)
    link.send(b"x", HERE, THERE)
    clock.advance(1)
    assert link.deliver_due() == 0
    assert link.deadline() is None


def test_a_clock_does_not_run_backwards() -> None:
    clock = FakeClock(10.0)
    assert clock.advance(5) == clock() == 15.0
    with pytest.raises(ValueError, match="backwards"):
        clock.move_to(14.0)
