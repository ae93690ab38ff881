"""What real captures hold beside RTP, against what tshark counted in them, and known facts of single ones."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ringback.diagnosis.capture.captured import Capture, SipPacket
from ringback.diagnosis.capture.read import read_capture
from ringback.rtp import rtcp

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "captures"
INDEX = FOLDER / "INDEX.json"

if not INDEX.exists():
    pytest.skip("the captures are not beside the checkout", allow_module_level=True)

ENTRIES: list[dict[str, Any]] = json.loads(INDEX.read_text())["captures"]


def read(name: str) -> Capture:
    return read_capture([FOLDER / name])


def label(packet: SipPacket) -> str:
    """The method or the status."""
    first, second = packet.data.split(b" ", 2)[:2]
    return (second if first == b"SIP/2.0" else first).decode()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
def test_messages_and_report_blocks(entry: dict[str, Any]) -> None:
    capture = read(entry["file"])
    assert Counter(map(label, capture.signalling)) == entry["sip"]
    assert not any(packet.cut for packet in capture.signalling)
    blocks = sum(
        bool(getattr(packet, "blocks", ()))
        for compound in capture.control
        if not compound.encrypted
        for packet in rtcp.parse(compound.data).packets[:1]
    )
    assert blocks == entry["rtcp_report_blocks"]
    assert capture.notices == ()


def test_sip_over_tcp() -> None:
    capture = read("sip-tcp.pcap")
    assert {packet.transport for packet in capture.signalling} == {"tcp"}
    (large, _) = read("sip-large.pcap").signalling
    # One message of many segments, whole.
    assert large.data.partition(b"\r\n\r\n")[2].endswith(b"\r\n")
    assert len(large.data) > 60_000
    assert large.transport == "tcp"


def test_fragments_of_ipv6() -> None:
    capture = read("ipv6frag.pcap")
    assert (capture.fragmentation.whole, capture.fragmentation.broken) == (2, 0)
    fragmented = [packet for packet in capture.signalling if packet.fragments]
    assert [(label(packet), packet.fragments) for packet in fragmented] == [("INVITE", 2), ("INVITE", 2)]
    sizes = [40 + 8 + len(packet.data) for packet in fragmented]
    assert (capture.fragmentation.largest_bytes, max(sizes)) == (1_919, 1_919)


def test_a_browser_and_its_relay() -> None:
    capture = read("webrtc-dtls.pcapng")
    assert {packet.encrypted for packet in capture.control} == {True}
    told = {(flow.kind, flow.transport, flow.endpoints.src): flow for flow in capture.other}
    browser = told["dtls", "udp", "192.168.12.156"]
    assert browser.detail == "DTLS 1.2, handshake seen, finished, 9 records of application data"
    assert told["stun", "udp", "192.168.12.156"].detail == "2 binding requests, 2 answered"
    relay = told["turn", "tcp", "192.168.12.182"]
    assert relay.detail.startswith("2 allocate requests, 1 answered, 1 refused with 401")
