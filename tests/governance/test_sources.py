"""Who is read, hushed or banned at the edge of SIP: forged datagrams shut nobody out."""

from __future__ import annotations

import tracemalloc

import pytest

from ringback.governance.sources import TRUST_S, Ban, Offence, SipSources
from ringback.governance.throttle import SourceList

PHONE = ("192.0.2.1", 5060)
NEIGHBOUR = ("192.0.2.1", 6000)
SCANNER = ("198.51.100.1", 5060)


class Watched:
    """Sources, and the bans that were told."""

    def __init__(self, *allow: str, rate: float = 100.0) -> None:
        self.told: list[Ban] = []
        self.sources = SipSources(
            SourceList(allow), rate=rate, on_ban=lambda ban, _now: self.told.append(ban)
        )

    def scan(self, source: tuple[str, int], count: int, *, connected: bool = False, now: float = 0.0) -> None:
        for name in range(count):
            self.sources.challenged(source, str(name), now, connected=connected)


def admitted(
    sources: SipSources, source: tuple[str, int], count: int, now: float = 0.0, *, connected: bool = False
) -> int:
    return sum(sources.admits(source, now, connected=connected) for _ in range(count))


def test_a_source_may_send_so_much_and_others_do_not_notice() -> None:
    sources = Watched(rate=10.0).sources
    assert admitted(sources, SCANNER, 100) == 40
    assert admitted(sources, PHONE, 40) == 40
    assert admitted(sources, SCANNER, 100, now=1.0) == 10
    assert sources.dropped["rate"] == 150


def test_an_account_may_send_more_and_a_neighbour_cannot_use_it_up() -> None:
    sources = Watched(rate=10.0).sources
    sources.proved(PHONE, 0.0)
    assert admitted(sources, NEIGHBOUR, 10_000) == 400
    assert admitted(sources, PHONE, 400) == 400


@pytest.mark.parametrize("connected", [True, False])
def test_many_names_without_an_account_are_a_scan(connected: bool) -> None:
    watched = Watched()
    watched.scan(SCANNER, 100, connected=connected)
    (ban,) = watched.told
    assert (ban.source, ban.reason, ban.proven) == (SCANNER[0], "accounts", connected)
    answered = admitted(watched.sources, SCANNER, 50, now=1.0, connected=connected)
    assert answered == (0 if connected else 2), "a hushed source gets a little, a banned one nothing"
    assert watched.sources.shuts_out(SCANNER[0], 1.0) is connected
    assert admitted(watched.sources, PHONE, 10, now=1.0) == 10


def test_an_office_comes_back_over_hundreds_of_connections_after_a_restart() -> None:
    watched = Watched()
    watched.sources.at_home(PHONE[0], 0.0)
    watched.scan(NEIGHBOUR, 500, connected=True)
    assert not watched.told
    assert admitted(watched.sources, NEIGHBOUR, 1_000, connected=True) == 1_000


def test_one_name_may_be_tried_more_often_than_many() -> None:
    watched = Watched()
    for _ in range(90):
        watched.sources.challenged(SCANNER, "101", 0.0, connected=True)
    assert not watched.told


def test_a_phone_that_cannot_log_in_is_no_scan() -> None:
    watched = Watched()
    for minute in range(2_000):
        watched.sources.challenged(SCANNER, "101", 30.0 * minute, connected=True)
    assert not watched.told


def test_datagrams_in_the_name_of_an_office_hush_nobody_there() -> None:
    watched = Watched()
    watched.sources.proved(PHONE, 0.0)
    for offence in Offence:
        for _ in range(500):
            watched.sources.offended(NEIGHBOUR, offence, 1.0, connected=False)
    watched.scan(NEIGHBOUR, 500, now=1.0)
    assert not watched.told
    assert watched.sources.admits(("192.0.2.1", 7000), 2.0, connected=False), "another phone there logs in"


def test_a_forged_scan_of_an_office_leaves_a_new_phone_there_a_chance() -> None:
    watched = Watched()
    watched.scan(NEIGHBOUR, 500)
    assert [ban.proven for ban in watched.told] == [False]
    # Retransmissions of a REGISTER over UDP, beside the forger's ten a second.
    sources, now, answered = watched.sources, 0.0, 0
    for wait in (0.5, 1.0, 2.0, 4.0, 4.0):
        now += wait
        answered += sources.admits(("192.0.2.1", 7000), now, connected=False)
    assert answered >= 4


def test_a_scanner_behind_the_same_nat_takes_no_phone_with_it() -> None:
    watched = Watched()
    sources = watched.sources
    sources.proved(PHONE, 0.0)
    for _ in range(20):
        sources.wrong_password(NEIGHBOUR, 1.0)
    assert [ban.reason for ban in watched.told] == ["passwords"]
    assert admitted(sources, NEIGHBOUR, 10, now=2.0) == 0
    assert admitted(sources, PHONE, 10, now=2.0) == 10


def test_who_guesses_from_a_known_address_is_known_no_more() -> None:
    watched = Watched()
    watched.sources.proved(PHONE, 0.0)
    for _ in range(20):
        watched.sources.wrong_password(PHONE, 1.0)
    assert not watched.sources.admits(PHONE, 2.0, connected=True)


def test_bans_grow_and_end() -> None:
    watched = Watched()
    now, lengths = 0.0, []
    for _ in range(4):
        watched.scan(SCANNER, 200, connected=True, now=now)
        ban = watched.told[-1]
        lengths.append(ban.until - now)
        assert not watched.sources.admits(SCANNER, ban.until - 0.1, connected=True)
        assert watched.sources.admits(SCANNER, ban.until + 0.1, connected=True)
        now = ban.until + 0.2
    assert lengths == pytest.approx([60.0, 120.0, 240.0, 480.0])


def test_an_account_vouches_for_its_address_for_a_time() -> None:
    sources = Watched().sources
    sources.proved(PHONE, 0.0)
    assert sources.knows(PHONE, TRUST_S - 1)
    assert not sources.knows(PHONE, TRUST_S + 1)


def test_who_says_to_be_a_scanner_is_believed_at_once() -> None:
    watched = Watched()
    watched.sources.offended(SCANNER, Offence.SCANNER, 0.0, connected=False)
    assert [ban.reason for ban in watched.told] == ["scanner"]


def test_the_exempt_are_exempt_from_all_of_it() -> None:
    watched = Watched("198.51.100.0/24", rate=1.0)
    sources = watched.sources
    watched.scan(SCANNER, 500, connected=True)
    for _ in range(50):
        sources.wrong_password(SCANNER, 0.0)
        sources.offended(SCANNER, Offence.SCANNER, 0.0, connected=True)
    assert admitted(sources, SCANNER, 1_000) == 1_000
    assert not watched.told
    with pytest.raises(ValueError, match="allow_sources"):
        sources.ban(SCANNER[0], 100.0, 0.0)


def test_strangers_take_half_of_the_time_and_accounts_what_they_need() -> None:
    sources = Watched(rate=1e6).sources
    sources.proved(PHONE, 0.0)
    now, spent = 0.0, 0.0
    for number in range(4_000):
        now += 0.001
        source = (f"203.0.113.{number % 250}", 5060)
        if sources.admits(source, now, connected=False):
            sources.spent(source, 0.002, now)
            spent += 0.002
        assert sources.admits(PHONE, now, connected=False)
        sources.spent(PHONE, 0.002, now)
    assert spent == pytest.approx(0.5 * now + 0.5, rel=0.05)
    assert sources.dropped["overload"] > 1_000
    assert sources.admits(SCANNER, now, connected=True), "a connection is no datagram"


def test_an_operator_bans_and_lifts() -> None:
    watched = Watched()
    sources = watched.sources
    sources.proved(PHONE, 0.0)
    sources.ban(PHONE[0], 600.0, 0.0)
    assert not sources.admits(PHONE, 1.0, connected=True), "by hand means all of it"
    assert [(ban.source, ban.reason) for ban in sources.bans(1.0)] == [(PHONE[0], "operator")]
    assert sources.lift(PHONE[0], 1.0)
    assert not sources.lift(PHONE[0], 1.0)
    assert sources.admits(PHONE, 1.0, connected=True)
    watched.scan(SCANNER, 200, connected=True, now=1.0)
    assert sources.lift(SCANNER[0], 2.0)
    assert sources.admits(SCANNER, 2.0, connected=True)
    assert sources.bans(2.0) == []


def test_of_an_ipv6_address_its_network_is_banned_and_lifted_by_either_name() -> None:
    sources = Watched().sources
    ban = sources.ban("2001:db8::1", 600.0, 0.0)
    assert ban.source == "2001:db8::/64"
    assert not sources.admits(("2001:db8::2", 5060), 1.0, connected=False)
    assert sources.lift("2001:db8::/64", 1.0)
    sources.ban("2001:db8::1", 600.0, 1.0)
    assert sources.lift("2001:db8::7", 1.0)


@pytest.mark.parametrize("nonsense", ["", "example.com", "192.0.2.0/24", "1001"])
def test_only_addresses_can_be_banned(nonsense: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Watched().sources.ban(nonsense, 1.0, 0.0)


def test_memory_is_bounded_however_many_sources_there_are() -> None:
    sources = Watched().sources

    def flood(start: int) -> None:
        for number in range(start, start + 40_000):
            source = (f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", number % 60_000)
            sources.admits(source, float(number), connected=False)
            sources.challenged(source, str(number), float(number), connected=False)
            sources.offended(source, Offence.NOISE, float(number), connected=True)

    flood(0)
    tracemalloc.start()
    flood(40_000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # What was forgotten in the meantime was there before: new entries have taken its place.
    assert grown < 32_000_000
