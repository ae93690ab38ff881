from __future__ import annotations

from ringback.governance.randomness import RandomPool


def test_no_octets_come_twice() -> None:
    pool = RandomPool(64)
    given = [pool.octets(12) for _ in range(100)]
    assert all(len(octets) == 12 for octets in given)
    assert len(set(given)) == 100
    assert len(pool.octets(1_000)) == 1_000


def test_numbers_have_so_many_bits() -> None:
    pool = RandomPool()
    numbers = [pool.bits(15) for _ in range(1_000)]
    assert max(numbers) < 1 << 15
    # All 1,000 below half of that: never.
    assert max(numbers) >= 1 << 14
