"""Addresses that do not agree: NAT, ALGs, relays, media where nobody can send it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ringback.diagnosis.signalling.addressing import Kind, between_points, kind_of
from ringback.diagnosis.signalling.follow import follow
from tests.diagnosis.signalling.scene import CALLED, CALLER, PROXY, Scene, codes, sdp

INSIDE = "192.168.1.4"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("172.32.0.1", "public"),
        ("100.64.0.1", "private"),
        ("192.0.2.1", "public"),
        ("fd00::1", "private"),
        ("2001:db8::1", "public"),
        ("127.0.0.1", "loopback"),
        ("169.254.1.1", "unusable"),
        ("239.1.1.1", "unusable"),
        ("0.0.0.0", "none"),
        ("example.com", "name"),
        ("", "name"),
    ],
)
def test_kinds_of_addresses(address: str, kind: Kind) -> None:
    assert kind_of(address) == kind


def test_a_phone_behind_nat_that_knows_nothing_of_it() -> None:
    scene = Scene(caller_contact=INSIDE)
    scene.request(0, "INVITE", "caller", sdp(INSIDE, 4000), in_dialog=False, via=f"{INSIDE}:5060")
    call = scene.answered().bye().record()
    assert codes(call) == ["contact-differs-from-source", "via-differs-from-source", "sdp-address-private"]
    assert [finding.data for finding in call.findings] == [
        {"by": "caller", "contact": INSIDE, "source": CALLER[0]},
        {"by": "caller", "via": INSIDE, "source": CALLER[0]},
        {"by": "caller", "address": INSIDE, "port": 4000, "source": CALLER[0]},
    ]


def test_a_router_that_rewrites_half_of_it() -> None:
    call = Scene().invite(0, sdp(CALLER[0], 4000, origin=INSIDE)).answered().bye().record()
    (found,) = call.findings
    assert found.code == "alg-rewrite"
    assert found.data == {"by": "caller", "what": "o= and c=", "before": INSIDE, "after": CALLER[0]}


def test_a_phone_that_knows_its_public_address_for_media_only() -> None:
    scene = Scene(caller_contact=INSIDE).request(0, "INVITE", "caller", sdp(CALLER[0], 4000), in_dialog=False)
    assert codes(scene.answered().bye().record()) == ["contact-differs-from-source"]


def test_one_message_before_and_behind_a_router() -> None:
    scene = Scene(caller=(INSIDE, 5060))
    same: dict[str, Any] = {"branch": "z9hG4bKone", "cseq": 1}
    scene.request(0, "INVITE", "caller", sdp(INSIDE, 4000), in_dialog=False, **same)
    scene.request(0.001, "INVITE", "caller", sdp(CALLER[0], 31_000), in_dialog=False, source=CALLER, **same)
    call = scene.record()
    (found,) = (finding for finding in call.findings if finding.code == "alg-rewrite" and finding.data
                and finding.data["what"] == "c= and m=")  # fmt: skip
    assert found.data is not None
    assert (found.data["before"], found.data["after"]) == (f"{INSIDE}:4000", f"{CALLER[0]}:31000")
    assert call.retransmissions == {}


def test_a_proxy_that_relays_media() -> None:
    scene = Scene()
    scene.request(
        0, "INVITE", "caller", sdp(CALLER[0], 4000), in_dialog=False, branch="z9hG4bKone", target=PROXY
    )
    scene.request(0.1, "INVITE", "caller", sdp(PROXY[0], 9000), in_dialog=False, branch="z9hG4bKtwo", cseq=1,
                  source=PROXY, more_vias=[f"{CALLER[0]}:5060;branch=z9hG4bKone"])  # fmt: skip
    call = scene.response(1, 180).record()
    (found,) = (finding for finding in call.findings if finding.code == "sdp-rewritten-between-hops")
    assert found.data == {
        "by": "caller", "before": "192.0.2.10:4000", "after": "203.0.113.5:9000", "at": PROXY[0],
    }  # fmt: skip
    assert [(offer.address, offer.hop) for offer in call.media] == [(CALLER[0], 0), (PROXY[0], 1)]


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.3.4", "224.1.1.1"])
def test_addresses_that_nobody_can_send_to(address: str) -> None:
    (found,) = (
        finding
        for finding in Scene().invite(0, sdp(address, 4000)).record().findings
        if finding.code == "sdp-address-unusable"
    )
    assert found.data == {"by": "caller", "address": address, "port": 4000}


def test_loopback_is_fine_on_loopback() -> None:
    here = ("127.0.0.1", 5060), ("127.0.0.1", 5070)
    scene = Scene(caller=here[0], called=here[1]).invite().answered().bye()
    assert codes(scene.record()) == []


@pytest.mark.parametrize(("told", "kept"), [(95, 200), (500, 120)])
def test_a_body_that_is_not_as_long_as_was_told(told: int, kept: int) -> None:
    body = sdp(CALLER[0], 4000).ljust(kept, "x")[:kept]
    call = Scene().invite(0, body, f"Content-Length: {told}").record()
    (found,) = (finding for finding in call.findings if finding.code == "content-length-wrong")
    assert found.data == {"by": "caller", "told": told, "octets": kept}
    (found,) = (finding for finding in call.findings if finding.code == "alg-rewrite")
    assert found.data == {"by": "caller", "what": "Content-Length", "before": str(told), "after": str(kept)}


def test_line_ends_behind_a_body_are_harmless_and_a_cut_packet_is_not_wrong() -> None:
    scene = Scene().invite()
    packet = scene.packets[0]
    padded = follow([replace(packet, data=packet.data + b"\r\n\r\n")]).calls[0]
    assert "content-length-wrong" not in codes(padded)
    cut = follow([replace(packet, data=packet.data[:-20], cut=True)]).calls[0]
    assert "content-length-wrong" not in codes(cut)
    assert cut.media[0].address == CALLER[0]


def test_each_side_is_told_once() -> None:
    scene = Scene(caller_contact=INSIDE, called_contact="10.0.0.1").invite().answered().bye()
    scene.request(20, "INVITE", "caller", sdp(CALLER[0], 4000)).response(20.1, 200, body=sdp(CALLED[0], 6000))
    found = [f.data for f in scene.record().findings if f.code == "contact-differs-from-source"]
    assert [told["by"] for told in found if told is not None] == ["caller", "called"]


def test_a_router_between_two_capture_points() -> None:
    near = Scene(caller=(INSIDE, 5060)).invite(0, sdp(INSIDE, 4000)).answered().bye()
    far = Scene().invite(0, sdp(CALLER[0], 31_000)).answered().bye()
    other = [replace(packet, at_ns=packet.at_ns + 7 * 10**9) for packet in far.packets]
    records = [follow(near.packets).calls[0], follow(other).calls[0]]
    (found,) = between_points(records)
    assert found.data == {
        "by": "caller", "what": "c= and m=", "before": f"{INSIDE}:4000", "after": f"{CALLER[0]}:31000",
    }  # fmt: skip
    assert between_points(records[:1] * 2) == ()


def test_a_private_contact_behind_a_proxy_that_stays_in_the_way_is_fine() -> None:
    scene = Scene(called_contact="10.0.0.7").invite()
    scene.response(2, 200, "INVITE", "called", sdp(CALLED[0], 6000), "Record-Route: <sip:198.51.100.20;lr>")
    assert codes(scene.request(2.1, "ACK").bye().record()) == []
