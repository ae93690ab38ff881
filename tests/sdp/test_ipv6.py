"""Offers and answers over IPv6 (RFC 8866 §5.7): the offer's family is the answer's."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ringback.sdp.description import SessionDescription
from ringback.sdp.encode import encode_sdp
from ringback.sdp.negotiated import Answer, Local, NegotiatedMedia, Refusal
from ringback.sdp.offer_answer import accept_answer, answer, make_offer
from ringback.sdp.parse import parse_sdp

from .bodies import body

BOTH = Local(address="192.0.2.1", other_address="2001:db8::1", rtp_port=20_000, rtcp_port=20_001)
SIX = Local(address="2001:db8::1", rtp_port=20_000, rtcp_port=20_001)
FOUR = BOTH.at("192.0.2.1")


def offer(connection: str, *lines: str) -> SessionDescription:
    media = lines or ("m=audio 4000 RTP/AVP 0",)
    read = parse_sdp(body("v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", f"c={connection}", "t=0 0", *media))
    assert isinstance(read, SessionDescription), read
    return read


def answered(description: SessionDescription, local: Local) -> Answer:
    result = answer(description, local)
    assert isinstance(result, Answer), result
    assert parse_sdp(encode_sdp(result.description)) == result.description
    return result


def lines_of(description: SessionDescription) -> list[str]:
    return encode_sdp(description).decode().splitlines()


@pytest.mark.parametrize("local", [BOTH, replace(BOTH, address="2001:db8::1", other_address="192.0.2.1")])
@pytest.mark.parametrize(
    ("connection", "ours"), [("IN IP6 2001:db8::9", "IP6 2001:db8::1"), ("IN IP4 192.0.2.9", "IP4 192.0.2.1")]
)
def test_the_offer_decides(local: Local, connection: str, ours: str) -> None:
    result = answered(offer(connection), local)
    lines = lines_of(result.description)
    assert f"c=IN {ours}" in lines
    assert lines[1].endswith(f"IN {ours}")
    assert result.media.remote_ip == connection.rsplit(maxsplit=1)[-1]
    assert result.address == ours.rsplit(maxsplit=1)[-1]


def test_of_two_sections_the_line_of_the_one_that_is_taken_counts() -> None:
    result = answered(
        offer("IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:DB8:0:0::9"),
        BOTH,
    )
    assert result.media.remote_ip == "2001:db8::9"
    assert "c=IN IP6 2001:db8::1" in lines_of(result.description)


@pytest.mark.parametrize(("local", "connection"), [(FOUR, "IN IP6 2001:db8::9"), (SIX, "IN IP4 192.0.2.9")])
def test_what_we_have_not_is_refused_with_the_reason(local: Local, connection: str) -> None:
    result = answer(offer(connection), local)
    assert isinstance(result, Refusal)
    assert (result.status, result.warning) == (488, 300)
    assert result.reason == f"only {'IPv6' if local is SIX else 'IPv4'} media"


def test_an_ipv4_address_as_ipv6_maps_it_is_the_ipv4_address() -> None:
    result = answered(offer("IN IP6 ::ffff:192.0.2.9"), FOUR)
    assert result.media.remote_ip == "192.0.2.9"
    assert isinstance(answer(offer("IN IP6 ::ffff:127.0.0.1"), FOUR), Refusal)
    assert isinstance(answer(offer("IN IP6 ::ffff:224.0.0.1"), FOUR), Refusal)


@pytest.mark.parametrize(
    "address",
    [
        "ff02::1",
        "ff0e::1",
        "fe80::1",
        "fe80::1%eth0",
        "2001:db8::1%eth0",
        "::1",
        "::192.0.2.1",
        "2001:db8::g",
        "phone.example.com",
        "2001:db8:" * 10 + ":1",
    ],
)
def test_media_is_never_aimed_there(address: str) -> None:
    result = answer(offer(f"IN IP6 {address}"), SIX)
    assert isinstance(result, Refusal)
    assert result.warning == 301


def test_loopback_talks_to_loopback() -> None:
    for local in (replace(SIX, address="::1"), replace(SIX, loopback_peers=True)):
        assert answered(offer("IN IP6 ::1"), local).media.remote_ip == "::1"


@pytest.mark.parametrize("connection", ["IN IP6 ::", "IN IP4 0.0.0.0"])
@pytest.mark.parametrize("local", [SIX, FOUR, BOTH])
def test_a_hold_by_the_address_of_nowhere_is_one_in_either_family(local: Local, connection: str) -> None:
    result = answered(offer(connection), local)
    assert result.media.on_hold
    assert (result.media.remote_port, result.media.remote_rtcp_port) == (0, 0)
    assert f"c=IN {'IP6' if local is SIX else 'IP4'} {local.address}" in lines_of(result.description)


def test_our_offer_is_of_the_first_family_and_its_answer_has_to_be() -> None:
    ours = make_offer(SIX)
    assert "c=IN IP6 2001:db8::1" in lines_of(ours)
    taken = accept_answer(ours, offer("IN IP6 fd00::9"), SIX)
    assert isinstance(taken, NegotiatedMedia)
    assert taken.remote_ip == "fd00::9"
    refused = accept_answer(ours, offer("IN IP4 192.0.2.9"), SIX)
    assert isinstance(refused, Refusal)
    assert refused.reason == "only IPv6 media"


def test_an_ipv4_address_as_ipv6_maps_it_is_answered_by_ipv4() -> None:
    result = answered(
        offer("IN IP6 ::ffff:192.0.2.9"), replace(BOTH, address=SIX.address, other_address=FOUR.address)
    )
    assert result.address == FOUR.address


def test_where_ports_of_ipv6_are_reached_by_ipv4_a_stream_may_go_over_to_that() -> None:
    local = replace(SIX, also_at="192.0.2.1")
    ours = make_offer(local)
    taken = accept_answer(ours, offer("IN IP4 192.0.2.9"), local)
    assert isinstance(taken, NegotiatedMedia)
    assert taken.remote_ip == "192.0.2.9"
    again = answer(offer("IN IP4 192.0.2.9"), local, previous=ours)
    assert isinstance(again, Answer)
    assert "c=IN IP4 192.0.2.1" in lines_of(again.description)
    assert again.description.media[0].port == ours.media[0].port
    # The other way there is none.
    assert isinstance(answer(offer("IN IP6 2001:db8::9"), replace(FOUR, also_at="192.0.2.1")), Refusal)


@pytest.mark.parametrize("address", ["0:0:0:0:0:0:0:0", "::0", "::ffff:0.0.0.0"])
def test_nowhere_is_nowhere_however_it_is_written(address: str) -> None:
    result = answered(offer(f"IN IP6 {address}"), SIX)
    assert result.media.on_hold
    assert result.media.remote_port == 0


def test_a_later_offer_is_answered_in_the_family_of_the_stream() -> None:
    first = answered(offer("IN IP6 2001:db8::9"), BOTH)
    settled = BOTH.at(first.address)
    again = answer(offer("IN IP6 2001:db8::a"), settled, previous=first.description)
    assert isinstance(again, Answer)
    assert again.description == first.description
    assert isinstance(answer(offer("IN IP4 192.0.2.9"), settled, previous=first.description), Refusal)
