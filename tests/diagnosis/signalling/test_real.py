"""Real captures: how many calls, how they went, with what codecs, and whose their streams are."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ringback.diagnosis.capture.captured import Capture, Endpoints, SipPacket
from ringback.diagnosis.capture.read import read_capture
from ringback.diagnosis.signalling.call import Outcome, Side, Signalling
from ringback.diagnosis.signalling.follow import follow
from ringback.diagnosis.signalling.ladder import draw, ladder, masked_text
from ringback.diagnosis.signalling.media import StreamContext, assign
from tests.diagnosis.signalling.scene import codes

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "captures"
INDEX = FOLDER / "INDEX.json"

if not INDEX.exists():
    pytest.skip("the captures are not beside the checkout", allow_module_level=True)

CAPTURES: list[dict[str, Any]] = json.loads(INDEX.read_text())["captures"]


class Told(NamedTuple):
    """What a person reads of a call in the capture."""

    outcome: Outcome
    status: int | None
    ended_by: Side | None
    offered: str = ""
    negotiated: str = ""


UNANSWERED = Told("unanswered", None, None, "pcmu")
FAX = Told("answered", 200, "caller", "pcma g726-32 telephone-event", "pcma telephone-event")
TOLD: dict[str, list[Told]] = {
    "b2bua.pcapng": [Told("answered", 200, "caller", "pcmu telephone-event", "pcmu telephone-event")] * 2,
    "codec-change.pcap": [Told("answered", 200, "caller", "pcmu pcma g722", "pcmu g722")],
    "dtmf-rfc2833.cap": [
        Told("failed", 603, None),
        Told("answered", 200, None, "pcma pcmu g729 telephone-event", "pcma telephone-event"),
    ],
    "fax-t38.pcap": [FAX, FAX],
    "g711-two-way.pcap": [
        Told("answered", 200, "called", "pcmu", "pcmu"),
        Told("answered", 200, None, "pcma", "pcma"),
    ],
    "g722-oneway.pcap": [Told("answered", 200, "called", "g722", "g722")],
    "g729-oneway.pcap": [Told("answered", 200, "called", "g729", "g729")],
    "ipv6frag.pcap": [
        Told("answered", 200, "caller", "amr-wb pcmu telephone-event", "amr-wb telephone-event")
    ],
    "opus-call.pcap": [Told("answered", 200, "caller", "opus", "opus")],
    "protos-malformed.cap": [UNANSWERED] * 12,
    "rtp-protocol.pcap": [
        Told("answered", 200, "called", "pcma cn telephone-event", "pcma cn telephone-event")
    ],
    "sip-488.pcapng": [Told("failed", 488, None, "pcmu")],
    "sip-large.pcap": [Told("unanswered", None, None)],
    "sip-tcp.pcap": [Told("answered", 200, "called", "pcma cn telephone-event", "pcma cn telephone-event")],
}
"""By file; those that are not here have no call."""


@cache
def read(name: str) -> tuple[Capture, Signalling]:
    capture = read_capture([FOLDER / name])
    return capture, follow(capture.signalling)


def contexts(name: str) -> dict[tuple[str, str], StreamContext]:
    """The contexts of a capture's streams by where they come from and go to."""
    capture, found = read(name)
    keys = assign(found.calls, capture.streams)
    return {(f"{k.src}:{k.sport}", f"{k.dst}:{k.dport}"): told for k, told in keys.items()}


@pytest.mark.parametrize("name", [entry["file"] for entry in CAPTURES])
def test_the_calls_of(name: str) -> None:
    _, found = read(name)
    told = [
        Told(
            call.outcome, call.status, _side(call.ended_by), " ".join(call.offered), " ".join(call.negotiated)
        )
        for call in found.calls
    ]
    assert told == TOLD.get(name, [])
    for call in found.calls:
        assert len(draw(ladder(call))) == len(call.messages) + 1


def _side(ended_by: str | None) -> Side | None:
    assert ended_by in ("caller", "called", None)
    return ended_by  # type: ignore[return-value]


def test_times() -> None:
    """As tshark has them: INVITE at 0, 180 at 0.090480 s, 200 at 2.043514 s, BYE at 6.916023 s."""
    (call,) = read("rtp-protocol.pcap")[1].calls
    assert (call.setup_ms, call.post_dial_ms) == (2043.514, 90.48)
    assert call.ended_ns is not None
    assert call.ended_ns - call.start_ns == 6_916_023_000
    assert call.retransmissions == {}


def test_a_b2bua_whose_media_goes_directly() -> None:
    first, second = read("b2bua.pcapng")[1].calls
    assert first.retransmissions == {}
    assert second.retransmissions == {"INVITE": 1, "1xx": 1}
    assert (first.session_expires_s, first.refresher) == (1800, "called")
    told = contexts("b2bua.pcapng")
    out, back = ("172.16.98.1:8000", "172.16.98.145:8000"), ("172.16.98.145:8000", "172.16.98.1:8000")
    assert [(told[way].call, told[way].sent_by, told[way].also) for way in (out, back)] == [
        (0, "caller", (1,)),
        (0, "called", (1,)),
    ]
    other = read("b2bua.pcapng")[1].other
    assert other.requests == {"REGISTER": 4, "PUBLISH": 3, "SUBSCRIBE": 9}
    assert other.statuses["REGISTER 200"] == 2


def test_a_codec_that_changes() -> None:
    (call,) = read("codec-change.pcap")[1].calls
    (finding,) = call.findings
    assert finding.data == {"by": "caller", "before": "pcmu", "after": "g722"}
    assert finding.at_ns - call.start_ns == 3_008_572_000


def test_a_late_offer_through_a_proxy_that_sends_it_back() -> None:
    declined, call = read("dtmf-rfc2833.cap")[1].calls
    assert codes(declined) == ["call-declined"]
    assert codes(call) == ["several-hops", "late-offer", "ends-in-the-call"]
    assert (call.setup_ms, call.post_dial_ms) == (2341.206, 1106.784)
    assert call.retransmissions == {}


def test_fax_that_is_refused_and_packets_seen_twice() -> None:
    near, far = read("fax-t38.pcap")[1].calls
    assert near.retransmissions == far.retransmissions == {}
    assert {"several-hops", "messages-seen-twice", "t38-refused"} <= set(codes(near))
    assert codes(far) == ["t38-refused", "ended-with-reason"]
    assert far.reason == "Q.850 16 normal call clearing"


def test_one_port_for_two_calls() -> None:
    told = contexts("g711-two-way.pcap")
    assert told["10.0.2.15:27942", "10.0.2.20:6000"].call == 0
    assert told["10.0.2.15:28102", "10.0.2.20:6000"].call == 1
    assert {context.sent_by for context in told.values()} == {"called"}


def test_a_large_invite_with_reliable_ringing_over_ipv6() -> None:
    (call,) = read("ipv6frag.pcap")[1].calls
    assert codes(call).count("large-invite-fragmented") == 2
    assert {"early-media", "several-early-dialogs", "sdp-rewritten-between-hops", "ack-late"} <= set(
        codes(call)
    )
    assert call.retransmissions == {"2xx": 1}
    assert {offer.hop for offer in call.media} == {0, 1}


def test_an_offer_without_media() -> None:
    (call,) = read("sip-488.pcapng")[1].calls
    (finding,) = call.findings
    assert "every section has port 0" in finding.text
    assert call.user_agents["called"].startswith("FPBX")


def test_a_wrong_password() -> None:
    _, found = read("sip-auth-fail.pcapng")
    assert [finding.code for finding in found.other.findings] == [
        "registration-authentication-failed",
        "subscription-failed",
    ]
    assert found.other.statuses == {
        "REGISTER 401": 1, "REGISTER 403": 1, "SUBSCRIBE 401": 1, "SUBSCRIBE 403": 1,
    }  # fmt: skip


def test_malformed_messages_are_told() -> None:
    assert read("protos-malformed.cap")[1].other.malformed == 11
    assert read("sip-long-paths.pcap")[1].other.malformed == 2


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("opus-call.pcap", (96, "opus", 48_000)),
        ("g729-oneway.pcap", (18, "g729", 8_000)),
        ("sip-tcp.pcap", (13, "cn", 8_000)),
    ],
)
def test_what_payload_types_mean(name: str, codec: tuple[int, str, int]) -> None:
    number, meaning, rate = codec
    for told in contexts(name).values():
        assert told.matched == "address"
        assert (told.formats[number].name, told.formats[number].clock_rate) == (meaning, rate)


SIGNALLED = [name for name in TOLD if name != "protos-malformed.cap"]


@pytest.mark.parametrize("name", SIGNALLED)
def test_damaged_messages_never_raise_and_the_rest_is_told(name: str) -> None:
    capture, found = read(name)
    rng = random.Random(name)
    for _ in range(10):
        packets = list(capture.signalling)
        for place in rng.sample(range(len(packets)), min(4, len(packets))):
            data = bytearray(packets[place].data)
            for _ in range(20):
                data[rng.randrange(len(data))] = rng.randrange(256)
            kept = rng.randrange(len(data))
            packets[place] = replace(packets[place], data=bytes(data[:kept]), cut=True)
        told = follow(packets)
        assign(told.calls, capture.streams)
        untouched = sum(len(call.messages) for call in found.calls) - 4
        assert sum(len(call.messages) for call in told.calls) >= untouched
        for call in told.calls:
            draw(ladder(call))


TORTURE = FOLDER.parent / "sip-torture"


@pytest.mark.skipif(not TORTURE.exists(), reason="the torture messages are not beside the checkout")
def test_the_torture_messages_of_rfc_4475() -> None:
    ends = Endpoints("192.0.2.1", 5060, "192.0.2.2", 5060)
    files = sorted(path for path in TORTURE.rglob("*") if path.is_file() and path.suffix != ".json")
    assert files
    for path in files:
        found = follow([SipPacket(0, ends, "udp", path.read_bytes())])
        for call in found.calls:
            draw(ladder(call))
            masked_text(call.messages[0])
