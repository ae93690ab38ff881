from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.governance.throttle import (
    FailureLedger,
    GuessDelay,
    SourceGuard,
    SourceList,
    TokenBuckets,
    source_key,
    unmapped,
)


class TestSources:
    def test_one_ipv4_address_and_one_ipv6_network_are_one_source(self) -> None:
        assert source_key("192.0.2.1") != source_key("192.0.2.2")
        assert source_key("2001:db8::1") == source_key("2001:db8::ffff:1")
        assert source_key("2001:db8::1") != source_key("2001:db8:0:1::1")
        assert source_key("::ffff:192.0.2.1") == source_key("192.0.2.1")
        assert source_key("fe80::1%eth0") == source_key("fe80::2")
        assert source_key("not an address") == "not an address"

    def test_the_list_of_exempt_networks(self) -> None:
        allow = SourceList(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"])
        for address in ("192.0.2.200", "::ffff:192.0.2.1", "2001:db8::1", "198.51.100.7"):
            assert address in allow
        for address in ("192.0.3.1", "198.51.100.8", "2001:db9::1", "nonsense", ""):
            assert address not in allow
        assert "192.0.2.1" not in SourceList()

    def test_a_network_that_is_none_is_an_error_of_the_configuration(self) -> None:
        with pytest.raises(ValueError, match=r"192\.0\.2\.0/33"):
            SourceList(["192.0.2.0/33"])


class TestTokenBuckets:
    def test_a_burst_then_the_rate(self) -> None:
        buckets: TokenBuckets[str] = TokenBuckets(rate=2.0, burst=5.0)
        assert [buckets.take("a", 0.0) for _ in range(7)] == [True] * 5 + [False] * 2
        assert buckets.wait_s("a", 0.0) == pytest.approx(0.5)
        assert buckets.take("b", 0.0)
        assert [buckets.take("a", 1.0) for _ in range(3)] == [True, True, False]
        assert buckets.wait_s("a", 100.0) == 0.0
        assert buckets.wait_s("a", 100.0, tokens=6.0) == float("inf")

    def test_memory_is_bounded_and_the_one_in_use_is_kept(self) -> None:
        buckets: TokenBuckets[int] = TokenBuckets(rate=0.001, burst=1.0, capacity=100)
        assert buckets.take(-1, 0.0)
        for key in range(10_000):
            buckets.take(key, 0.0)
            assert not buckets.take(-1, 0.0)
        assert len(buckets) == 100

    @given(st.lists(st.floats(0.0, 2.0), max_size=60))
    def test_never_more_than_burst_and_rate_allow(self, gaps: list[float]) -> None:
        buckets: TokenBuckets[str] = TokenBuckets(rate=1.0, burst=3.0)
        now, taken = 0.0, 0
        for gap in gaps:
            now += gap
            taken += buckets.take("a", now)
            assert taken <= 3.0 + now + 1e-6


class TestFailureLedger:
    def test_a_guesser_is_banned_for_longer_each_time(self) -> None:
        ledger: FailureLedger[str] = FailureLedger(free=10, first_ban_s=60.0, longest_ban_s=3_600.0)
        now, bans, guesses = 0.0, [], 0
        while now < 86_400.0:
            ban_s = ledger.failed("a", now)
            guesses += 1
            if ban_s:
                bans.append(ban_s)
                assert ledger.banned_for("a", now) == pytest.approx(ban_s)
                now += ban_s
            now += 0.1
        assert bans[:4] == [60.0, 120.0, 240.0, 480.0]
        assert max(bans) == 3_600.0
        assert guesses < 250
        assert ledger.banned_for("b", now) == 0.0

    def test_a_phone_with_an_old_password_never_bans_its_office(self) -> None:
        ledger: FailureLedger[str] = FailureLedger()
        assert all(ledger.failed("office", 60.0 * minute) == 0.0 for minute in range(2_000))

    def test_failures_while_banned_change_nothing(self) -> None:
        ledger: FailureLedger[str] = FailureLedger(free=1, first_ban_s=60.0)
        ledger.failed("a", 0.0)
        assert ledger.failed("a", 0.0) == 60.0
        assert ledger.failed("a", 20.0) == 40.0
        assert ledger.banned_for("a", 60.0) == 0.0

    def test_after_a_quiet_time_the_ban_is_short_again(self) -> None:
        ledger: FailureLedger[str] = FailureLedger(free=1, first_ban_s=60.0, longest_ban_s=600.0)
        for now in (0.0, 0.0, 61.0, 61.0):
            ban_s = ledger.failed("a", now)
        assert ban_s == 120.0
        ledger.failed("a", 2_000.0)
        assert ledger.failed("a", 2_000.0) == 60.0

    def test_memory_is_bounded(self) -> None:
        ledger: FailureLedger[int] = FailureLedger(capacity=50)
        for key in range(1_000):
            ledger.failed(key, 0.0)
        assert len(ledger) == 50


class TestSourceGuard:
    def test_who_guesses_is_shut_out_and_the_exempt_never(self) -> None:
        guard = SourceGuard(SourceList(["192.0.2.0/24"]), ledger=FailureLedger(free=3))
        for address in ("192.0.2.1", "198.51.100.1"):
            for _ in range(10):
                guard.failed(address, 0.0)
        assert guard.admits("192.0.2.1", 1.0)
        assert not guard.admits("198.51.100.1", 1.0)
        assert guard.banned_for("198.51.100.1", 1.0) > 0.0
        assert guard.banned_for("192.0.2.1", 1.0) == 0.0
        assert guard.admits("198.51.100.2", 1.0)

    def test_a_rate_by_source(self) -> None:
        guard = SourceGuard(SourceList(), TokenBuckets(rate=1.0, burst=2.0))
        assert [guard.admits("2001:db8::1", 0.0), guard.admits("2001:db8::2", 0.0)] == [True, True]
        assert not guard.admits("2001:db8::3", 0.0)
        assert guard.admits("2001:db8:1::3", 0.0)


class TestGuessDelay:
    def test_a_few_mistakes_cost_nothing_then_it_slows_and_recovers(self) -> None:
        delay: GuessDelay[str] = GuessDelay(free=3, step_s=0.5, longest_s=2.0, forgive_s=10.0)
        waits = []
        for _ in range(10):
            delay.wrong("Demo", 0.0)
            waits.append(delay.delay_s("Demo", 0.0))
        assert waits == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0]
        assert delay.delay_s("Weekly", 0.0) == 0.0
        assert 0.0 < delay.delay_s("Demo", 50.0) < 2.0
        assert delay.delay_s("Demo", 1_000.0) == 0.0

    def test_a_right_pin_always_gets_its_answer_soon(self) -> None:
        delay: GuessDelay[str] = GuessDelay()
        for _ in range(100_000):
            delay.wrong("Demo", 0.0)
        assert delay.delay_s("Demo", 0.0) == 5.0
        assert delay.delay_s("Demo", 1_000.0) == 0.0

    def test_memory_is_bounded(self) -> None:
        delay: GuessDelay[int] = GuessDelay(capacity=50)
        for key in range(1_000):
            delay.wrong(key, 0.0)
        assert len(delay) == 50


def test_an_ipv4_address_as_ipv6_maps_it_is_the_ipv4_address() -> None:
    assert unmapped("::ffff:192.0.2.1") == unmapped("192.0.2.1") == "192.0.2.1"
    assert unmapped("2001:db8::1") == "2001:db8::1"
    assert unmapped("::ffff:1") == "::ffff:1"
    assert "::ffff:192.0.2.1" in SourceList(("192.0.2.0/24",))
