"""Capture files, read by tshark."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ringback.cli.pcap import CaptureFile

OURS, PHONE = ("192.0.2.1", 5060), ("192.0.2.20", 40_123)
OURS6, PHONE6 = ("2001:db8::1", 5061), ("2001:db8::5", 40_125)
AT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


def request(method: str, call: str, body: bytes = b"") -> bytes:
    return (
        f"{method} sip:xx02@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK1\r\n"
        f"From: <sip:xx01@192.0.2.1>;tag=1\r\nTo: <sip:xx02@192.0.2.1>\r\nCall-ID: {call}\r\n"
        f"CSeq: 1 {method}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def read(path: Path, *fields: str, more: tuple[str, ...] = ()) -> list[list[str]]:
    """What tshark says of each packet: the fields, one list a packet."""
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.fail("tshark is missing: scripts/setup test installs it")
    named = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(
        [tshark, "-n", "-r", str(path), "-T", "fields", "-E", "separator=|", *named, *more],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split("|") for line in done.stdout.splitlines()]


def test_messages_of_every_transport_are_read_as_sip(tmp_path: Path) -> None:
    path = tmp_path / "calls.pcap"
    with CaptureFile(path) as capture:
        capture.write(AT, "udp", PHONE, OURS, request("INVITE", "by-udp"))
        capture.write(AT, "udp", OURS, PHONE, b"SIP/2.0 180 Ringing\r\n" + request("INVITE", "by-udp")[45:])
        capture.write(AT, "tls", PHONE6, OURS6, request("BYE", "by-tls"))
        capture.write(AT, "wss", PHONE, ("192.0.2.1", 8443), request("INVITE", "by-wss"))
        capture.write(AT, "tcp", PHONE, OURS, request("REGISTER", "by-tcp"))
        capture.write(AT, "tcp", PHONE, OURS, request("OPTIONS", "again-by-tcp"))
    found = read(
        path, "sip.Method", "sip.Status-Code", "sip.Call-ID", "udp.srcport", "tcp.dstport", "ipv6.src"
    )
    assert found == [
        ["INVITE", "", "by-udp", "40123", "", ""],
        ["", "180", "by-udp", "5060", "", ""],
        ["BYE", "", "by-tls", "40125", "", "2001:db8::5"],
        ["INVITE", "", "by-wss", "40123", "", ""],
        ["REGISTER", "", "by-tcp", "", "5060", ""],
        ["OPTIONS", "", "again-by-tcp", "", "5060", ""],
    ]
    times = read(path, "frame.time_epoch", "ip.src", "ip.dst")
    assert times[0] == ["1767323045.678901000", "192.0.2.20", "192.0.2.1"]


def test_checksums_are_right_and_streams_have_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "calls.pcap"
    with CaptureFile(path) as capture:
        for length in (0, 1, 70_001):
            for transport in ("udp", "tcp", "tls"):
                capture.write(AT, transport, PHONE, OURS, request("MESSAGE", "c", b"x" * length))
                capture.write(AT, transport, OURS6, PHONE6, request("MESSAGE", "c", b"x" * length))
    checks = (
        "-o",
        "ip.check_checksum:TRUE",
        "-o",
        "udp.check_checksum:TRUE",
        "-o",
        "tcp.check_checksum:TRUE",
    )
    names = ("ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "tcp.analysis.flags")
    found = read(path, *names, more=checks)
    assert len(found) == 3 * 3 * 2 + 2, "what is too long for a packet comes in two segments by TCP"
    assert {status for ip, udp, tcp, _ in found for status in (ip, udp, tcp)} == {"", "1"}
    assert {flags for *_, flags in found} == {""}
    whole = read(path, "sip.Method", more=("-Y", "tcp && sip", "-2"))
    assert len(whole) == 6


def test_the_file_is_its_owners_alone_and_never_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "calls.pcap"
    path.write_text("of before")
    path.chmod(0o644)
    with CaptureFile(path) as capture:
        capture.write(AT, "udp", PHONE, OURS, request("BYE", "c"))
        assert len(read(path, "sip.Method")) == 1, "what was written can be read at once"
    assert path.stat().st_mode & 0o777 == 0o600


def test_addresses_that_are_none_are_written_as_zeros(tmp_path: Path) -> None:
    path = tmp_path / "calls.pcap"
    with CaptureFile(path) as capture:
        capture.write(AT, "udp", ("", 5060), ("fe80::1%eth0", 5060), request("BYE", "c"))
        capture.write(AT, "udp", ("fe80::1%eth0", 5060), ("", 5060), request("BYE", "c"))
    assert read(path, "sip.Method", "ip.src", "ipv6.src") == [["BYE", "0.0.0.0", ""], ["BYE", "", "fe80::1"]]
