"""From URIs to servers, with a DNS made of a dictionary (RFC 3263, RFC 2782)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from ringback.sip.locate import (
    MOST_TARGETS,
    AddressRecord,
    Location,
    NaptrRecord,
    Question,
    Record,
    SrvRecord,
    by_weight,
)
from ringback.sip.message import SipUri

Zone = dict[tuple[str, str], list[Record]]

ZONE: Zone = {
    ("example.com", "NAPTR"): [
        NaptrRecord(20, 10, "s", "SIP+D2U", "_sip._udp.example.com."),
        NaptrRecord(10, 10, "S", "sips+d2t", "_sips._tcp.example.com."),
        NaptrRecord(10, 5, "s", "H323+D2U", "_h323._udp.example.com."),
    ],
    ("_sips._tcp.example.com", "SRV"): [SrvRecord(1, 0, 5061, "a.example.com.")],
    ("_sip._udp.example.com", "SRV"): [
        SrvRecord(20, 0, 5060, "b.example.com."),
        SrvRecord(10, 0, 5070, "a.example.com."),
    ],
    ("a.example.com", "A"): [AddressRecord("192.0.2.1")],
    ("a.example.com", "AAAA"): [AddressRecord("2001:db8::1")],
    ("b.example.com", "A"): [AddressRecord("192.0.2.2")],
    ("plain.example.com", "A"): [AddressRecord("192.0.2.3"), AddressRecord("192.0.2.4")],
    ("_sip._tcp.srv.example.com", "SRV"): [SrvRecord(1, 1, 5080, "b.example.com.")],
    ("_sip._udp.none.example.com", "SRV"): [SrvRecord(0, 0, 0, ".")],
    ("none.example.com", "A"): [AddressRecord("192.0.2.9")],
}


def located(uri: str, asked: list[Question] | None = None, families: tuple[str, ...] = ("A",)) -> list[str]:
    location = Location(SipUri.parse(uri), lambda: 0.0, families)  # type: ignore[arg-type]
    for _ in range(5):
        for question in location.questions():
            if asked is not None:
                asked.append(question)
            location.answer(question, ZONE.get((question.name, question.type), []))
    assert location.questions() == []
    return [f"{flow.transport} {flow.remote[0]} {flow.remote[1]}" for flow in location.targets]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:101@192.0.2.7", ["udp 192.0.2.7 5060"]),
        ("sip:192.0.2.7:5080;transport=tcp", ["tcp 192.0.2.7 5080"]),
        ("sips:192.0.2.7", ["tls 192.0.2.7 5061"]),
        ("sips:192.0.2.7;transport=tcp", ["tls 192.0.2.7 5061"]),
        ("sip:[2001:db8::7]", ["udp 2001:db8::7 5060"]),
        ("sip:far.example.com;maddr=192.0.2.8", ["udp 192.0.2.8 5060"]),
    ],
)
def test_addresses_need_no_questions(uri: str, expected: list[str]) -> None:
    asked: list[Question] = []
    assert located(uri, asked) == expected
    assert asked == []


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        # With a port only addresses are asked for.
        ("sip:plain.example.com:5099", ["udp 192.0.2.3 5099", "udp 192.0.2.4 5099"]),
        ("sips:a.example.com:5099", ["tls 192.0.2.1 5099"]),
        # With a transport NAPTR is left out.
        ("sip:srv.example.com;transport=TCP", ["tcp 192.0.2.2 5080"]),
        # A domain without SRV is a host.
        ("sip:plain.example.com", ["udp 192.0.2.3 5060", "udp 192.0.2.4 5060"]),
        ("sips:b.example.com", ["tls 192.0.2.2 5061"]),
        ("sip:b.example.com;transport=tls", ["tls 192.0.2.2 5061"]),
        # Without NAPTR each of our transports is asked for.
        ("sip:srv.example.com", ["tcp 192.0.2.2 5080"]),
        # NAPTR gives the order of transports, SRV that of hosts.
        ("sip:example.com", ["tls 192.0.2.1 5061", "udp 192.0.2.1 5070", "udp 192.0.2.2 5060"]),
        # Who wants TLS gets nothing else.
        ("sips:example.com", ["tls 192.0.2.1 5061"]),
        # "." says that there is no such service, whatever addresses there are.
        ("sip:none.example.com;transport=udp", []),
        ("sip:unknown.example.com", []),
        ("sip:example.com;transport=wss", []),
        ("sips:example.com;transport=udp", []),
    ],
)
def test_names_are_asked_for_as_the_uri_says(uri: str, expected: list[str]) -> None:
    assert located(uri) == expected


def test_both_families_in_the_order_that_is_liked() -> None:
    found = located("sip:a.example.com:5060", families=("AAAA", "A"))
    assert found == ["udp 2001:db8::1 5060", "udp 192.0.2.1 5060"]


def test_what_a_tls_server_has_to_prove_is_the_domain_and_not_the_host_of_its_srv() -> None:
    location = Location(SipUri.parse("sips:example.com"), lambda: 0.0, ("A",))
    while questions := location.questions():
        for question in questions:
            location.answer(question, ZONE.get((question.name, question.type), []))
    assert [flow.name for flow in location.targets] == ["example.com"]


def test_a_domain_that_names_a_thousand_servers_gets_a_few_tries() -> None:
    location = Location(SipUri.parse("sip:many.example.com;transport=udp"), lambda: 0.0, ("A",))
    (question,) = location.questions()
    location.answer(question, [SrvRecord(1, 1, 5060, f"h{n}.example.com") for n in range(1_000)])
    questions = location.questions()
    assert len(questions) <= MOST_TARGETS
    for question in questions:
        location.answer(question, [AddressRecord(f"192.0.2.{n}") for n in range(250)])
    assert len(location.targets) == MOST_TARGETS


def test_weights_share_the_calls_and_zero_still_gets_some() -> None:
    random = Random(1)
    records = [SrvRecord(1, weight, 5060, str(weight)) for weight in (75, 25, 0)]
    first = Counter(by_weight(records, random.random)[0].target for _ in range(20_000))
    assert 14_000 < first["75"] < 15_600
    assert 4_400 < first["25"] < 5_400
    assert 0 < first["0"] < 600


def test_every_server_is_in_the_order_once() -> None:
    def chances() -> Iterator[float]:
        while True:
            yield from (0.0, 0.5, 0.999999)

    chance = chances()
    records = [SrvRecord(n % 3, n, 5060, str(n)) for n in range(20)]
    ordered = by_weight(records, lambda: next(chance))
    assert sorted(ordered, key=records.index) == records
    assert [record.priority for record in ordered] == sorted(record.priority for record in records)
