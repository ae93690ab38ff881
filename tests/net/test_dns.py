"""Finding SIP servers by a real server of names on loopback."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ringback.net.dns import PATIENCE_S, Resolver
from ringback.sip.flow import UNBOUND, Flow
from ringback.sip.message import SipUri
from tests.net.name_server import NameServer, name_server

ZONE = {
    ("example.com", "NAPTR"): ['10 1 "s" "SIP+D2T" "" _sip._tcp.example.com.'],
    ("_sip._tcp.example.com", "SRV"): ["1 0 5080 one.example.com.", "2 0 5090 two.example.com."],
    ("one.example.com", "A"): ["192.0.2.1"],
    ("one.example.com", "AAAA"): ["2001:db8::1"],
    ("two.example.com", "A"): ["192.0.2.2"],
}


def resolver(server: NameServer, **options: object) -> Resolver:
    return Resolver([server.address], **options)  # type: ignore[arg-type]


async def find(by: Resolver, uri: str) -> list[tuple[str, str, int]]:
    return [(flow.transport, *flow.remote) for flow in await by.locate(SipUri.parse(uri))]


async def test_a_domain_leads_to_its_servers_in_order() -> None:
    async with name_server(ZONE) as server:
        assert await find(resolver(server), "sip:example.com") == [
            ("tcp", "192.0.2.1", 5080),
            ("tcp", "2001:db8::1", 5080),
            ("tcp", "192.0.2.2", 5090),
        ]


async def test_answers_are_kept_those_that_say_none_too() -> None:
    async with name_server(ZONE) as server:
        by = resolver(server)
        for _ in range(3):
            await find(by, "sip:example.com")
            assert await find(by, "sip:nowhere.example.com") == []
        assert len(server.asked) == len(set(server.asked))


async def test_a_dead_server_of_names_costs_under_four_seconds_and_the_next_call_nothing() -> None:
    async with name_server(ZONE) as server:
        server.silent = True
        by = resolver(server)
        began = time.monotonic()
        assert await find(by, "sip:example.com") == []
        assert time.monotonic() - began < PATIENCE_S + 1
        asked = len(server.asked)
        assert await find(by, "sip:example.com") == []
        assert len(server.asked) == asked


async def test_a_flow_to_a_name_becomes_one_to_an_address() -> None:
    async with name_server(ZONE) as server:
        by = resolver(server, families=("A",))
        named = Flow("udp", UNBOUND, ("two.example.com", 0))
        opened = await by.open(named)
        assert opened is not None
        assert (opened.transport, opened.remote, opened.name) == (
            "udp",
            ("192.0.2.2", 5060),
            "two.example.com",
        )
        assert await by.open(Flow("udp", UNBOUND, ("gone.example.com", 0))) is None


async def test_the_systems_file_of_hosts_counts(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.9 box BOX.lan # ours\n")
    by = Resolver(hosts=hosts, families=("A",))
    assert await find(by, "sip:box.lan:5070") == [("udp", "127.0.0.9", 5070)]


@pytest.mark.parametrize("host", ["a" * 70 + ".example.com", "a..b", "xn--", "-"])
async def test_names_that_cannot_be_are_found_nowhere(host: str) -> None:
    async with name_server(ZONE) as server:
        by = resolver(server)
        assert list(await by.locate(SipUri("sip", host=host, port=5060))) == []


@pytest.mark.parametrize("manner", ["silent", "broken"])
async def test_the_last_answer_stays_good_while_no_server_of_names_answers(manner: str) -> None:
    now = [1_000.0]
    async with name_server(ZONE, ttl=0) as server:
        by = resolver(server, clock=lambda: now[0])
        known = await find(by, "sip:example.com")
        setattr(server, manner, True)
        for _ in range(1 if manner == "silent" else 3):
            began = time.monotonic()
            assert await find(by, "sip:example.com") == known
            assert time.monotonic() - began < PATIENCE_S + 1
            now[0] += 3_600
        assert await find(by, "sip:other.example.com") == []
        now[0] += 4 * 86_400
        assert await find(by, "sip:example.com") == [], "after days it is more likely wrong than right"
        setattr(server, manner, False)
        now[0] += 60
        server.zone = {**ZONE, ("two.example.com", "A"): ["192.0.2.99"]}
        assert ("tcp", "192.0.2.99", 5090) in await find(by, "sip:example.com")


async def test_a_domain_is_not_taken_for_its_server_because_one_question_fails() -> None:
    zone = {
        ("_sip._udp.example.com", "SRV"): ["1 0 5080 one.example.com."],
        ("one.example.com", "A"): ["192.0.2.1"],
        ("example.com", "A"): ["192.0.2.80"],
    }
    now = [1_000.0]
    async with name_server(zone, ttl=0) as server:
        by = resolver(server, clock=lambda: now[0], families=("A",))
        uri = "sip:example.com;transport=udp"
        assert await find(by, uri) == [("udp", "192.0.2.1", 5080)]
        server.fails = {("_sip._udp.example.com", "SRV")}
        assert await find(by, uri) == [("udp", "192.0.2.1", 5080)]


async def test_what_says_that_there_is_none_is_not_overruled_by_what_was() -> None:
    async with name_server(dict(ZONE), ttl=0) as server:
        by = resolver(server, families=("A",))
        assert await find(by, "sip:two.example.com:5060") == [("udp", "192.0.2.2", 5060)]
        del server.zone["two.example.com", "A"]
        assert await find(by, "sip:two.example.com:5060") == []
        server.silent = True
        assert await find(by, "sip:two.example.com:5060") == []


async def test_the_same_records_have_the_same_order_however_they_come() -> None:
    records = [f"1 10 50{n} host{n}.example.com." for n in range(60, 68)]
    hosts = {(f"host{n}.example.com", "A"): ["192.0.2.1", "192.0.2.2"] for n in range(60, 68)}
    async with name_server({("_sip._udp.example.com", "SRV"): records, **hosts}, ttl=0) as server:
        orders = set()
        for chance in (0.1, 0.5, 0.9):
            by = resolver(server, chance=lambda: chance, families=("A",))  # noqa: B023
            same = set()
            for _ in range(3):
                same.add(tuple(await find(by, "sip:example.com;transport=udp")))
                server.zone["_sip._udp.example.com", "SRV"].reverse()
                server.zone["host60.example.com", "A"].reverse()
            assert len(same) == 1
            orders |= same
        assert len(orders) > 1, "others begin with other servers"
