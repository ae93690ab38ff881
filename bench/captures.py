"""Reading captures, timed beside tshark in one run: `python -m bench captures [--packets N] [FILE]`."""

from __future__ import annotations

import argparse
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Capture, StreamKey
from ringback.diagnosis.capture.read import read_capture
from ringback.diagnosis.from_files import diagnose
from ringback.diagnosis.stream.measure import measure
from ringback.rtp.rtcp import NTP_EPOCH_OFFSET_S, ReportBlock, SenderReport, encode

BEGAN_S = 1_700_000_000
CALLS = 500
PACKETS = 5_000_000
_PAYLOAD = 160
_RTP_FRAME = 14 + 20 + 8 + 12 + _PAYLOAD
_PORTS = 10_000
_REPORT_S = 5
_SSRC = 0x10000000
_POOR, _LOST = 10, 0.02
"""Every tenth call loses so much."""

RECORD = np.dtype(
    [
        ("seconds", "<u4"),
        ("microseconds", "<u4"),
        ("captured", "<u4"),
        ("original", "<u4"),
        ("ethernet", "V12"),
        ("ethertype", ">u2"),
        ("version", "u1"),
        ("tos", "u1"),
        ("ip_length", ">u2"),
        ("ip_id", ">u2"),
        ("flags", ">u2"),
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("ip_checksum", ">u2"),
        ("src", ">u4"),
        ("dst", ">u4"),
        ("sport", ">u2"),
        ("dport", ">u2"),
        ("udp_length", ">u2"),
        ("udp_checksum", ">u2"),
        ("first", "u1"),
        ("second", "u1"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
        ("payload", f"V{_PAYLOAD}"),
    ]
)


class Cost(NamedTuple):
    """What a program took."""

    seconds: float
    cpu_s: float


def write_capture(path: Path, packets: int, calls: int) -> None:
    """Write calls by SIP with RTP both ways, some lost, late and doubled, and RTCP."""
    random = np.random.default_rng(1)
    each = packets // (2 * calls)
    length_s = each / 50
    starts = np.sort(random.uniform(1, max(2.0, 2 * length_s), calls))
    stream, number, at = _arrivals(random, starts, each)
    pool = random.integers(0, 256, (4096, _PAYLOAD), np.uint8)
    others = sorted(_others(starts, length_s))
    places = np.searchsorted(at, [when for when, _ in others]).tolist()
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        done = 0
        for begin in range(0, len(at), 1 << 17):
            some = slice(begin, begin + (1 << 17))
            records = _records(random, stream[some], number[some], at[some], pool)
            written = 0
            while done < len(others) and places[done] < begin + len(records):
                here = places[done] - begin
                file.write(records[written:here])
                file.write(others[done][1])
                written, done = here, done + 1
            file.write(records[written:])
        for _, record in others[done:]:
            file.write(record)


def _arrivals(
    random: np.random.Generator, starts: NDArray[np.float64], each: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Stream, number and time of every packet that arrives, by time; each tenth call loses and doubles."""
    streams = 2 * len(starts)
    stream = np.repeat(np.arange(streams, dtype=np.int32), each)
    number = np.tile(np.arange(each, dtype=np.int32), streams)
    at = starts[stream // 2] + number * 0.02
    at += random.exponential(0.002, len(at))
    poor = stream // 2 % _POOR == 0
    lost = poor & (random.random(len(at)) < _LOST)
    doubled = poor & ~lost & (random.random(len(at)) < 0.005)
    stream, number, at = (np.concatenate((column[~lost], column[doubled])) for column in (stream, number, at))
    order = np.argsort(at, kind="stable")
    return stream[order], number[order], at[order]


def _address(stream: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """IPv4 address and port from which a stream comes: phones of 10.0.0.0/16, and one media server."""
    call = stream.astype(np.int64) // 2
    phone = stream % 2 == 0
    address = np.where(phone, (10 << 24) + 256 + call, (192 << 24) + (2 << 8) + 9)
    return address, np.where(phone, 5004, _PORTS + 2 * call)


def _records(
    random: np.random.Generator,
    stream: NDArray[np.int32],
    number: NDArray[np.int32],
    at: NDArray[np.float64],
    pool: NDArray[np.uint8],
) -> NDArray[np.void]:
    records = np.zeros(len(at), RECORD)
    microseconds = (at * 1e6).astype(np.int64)
    records["seconds"] = BEGAN_S + microseconds // 1_000_000
    records["microseconds"] = microseconds % 1_000_000
    records["captured"] = records["original"] = _RTP_FRAME
    records["ethertype"], records["version"], records["tos"] = 0x0800, 0x45, 46 << 2
    records["ip_length"], records["ttl"], records["protocol"] = _RTP_FRAME - 14, 62, 17
    records["ip_id"] = number & 0xFFFF
    records["src"], records["sport"] = _address(stream)
    records["dst"], records["dport"] = _address(stream ^ 1)
    records["udp_length"] = _RTP_FRAME - 34
    records["first"], records["second"] = 0x80, np.where(number == 0, 0x80, 0)
    records["sequence"] = (number + 7 * stream) & 0xFFFF
    records["timestamp"] = number.astype(np.int64) * _PAYLOAD + 1000 * stream
    records["ssrc"] = _SSRC + stream
    records["payload"] = pool.view(f"V{_PAYLOAD}")[:, 0][random.integers(0, len(pool), len(at))]
    return records


def _others(starts: NDArray[np.float64], length_s: float) -> Iterator[tuple[float, bytes]]:
    """SIP and RTCP of each call, with their times."""
    for call, start in enumerate(starts.tolist()):
        addresses, ports = _address(np.array([2 * call, 2 * call + 1], np.int32))
        phone, server = addresses.tolist()
        port, server_port = ports.tolist()
        offer, answer = _sdp(phone, port), _sdp(server, server_port)
        end = start + length_s + 0.1
        messages = (
            (start - 0.5, True, "INVITE", "INVITE sip:100@example.com SIP/2.0", offer),
            (start - 0.4, False, "INVITE", "SIP/2.0 180 Ringing", ""),
            (start - 0.1, False, "INVITE", "SIP/2.0 200 OK", answer),
            (start - 0.05, True, "ACK", "ACK sip:100@example.com SIP/2.0", ""),
            (end, True, "BYE", "BYE sip:100@example.com SIP/2.0", ""),
            (end + 0.02, False, "BYE", "SIP/2.0 200 OK", ""),
        )
        for at, forth, method, line, body in messages:
            to_tag = "" if line.startswith("INVITE") else f";tag=b{call}"
            text = (
                f"{line}\r\nVia: SIP/2.0/UDP {_dotted(phone)}:5060;branch=z9hG4bK{call}{method}\r\n"
                f"From: <sip:{call}@example.com>;tag=a{call}\r\nTo: <sip:100@example.com>{to_tag}\r\n"
                f"Call-ID: {call}@example.com\r\nCSeq: {2 if method == 'BYE' else 1} {method}\r\n"
                f"Contact: <sip:{_dotted(phone if forth else server)}:5060>\r\nMax-Forwards: 70\r\n"
                f"{'Content-Type: application/sdp' + chr(13) + chr(10) if body else ''}"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            )
            ways = (phone, server) if forth else (server, phone)
            yield at, _record(at, *ways, 5060, 5060, text.encode())
        for i in range(1, int(length_s / _REPORT_S)):
            for side, (src, dst, sport, dport) in enumerate(
                ((phone, server, port, server_port), (server, phone, server_port, port))
            ):
                at = start + i * _REPORT_S + 0.001 * side
                report = encode(_report(call, side, i * _REPORT_S, at))
                yield at, _record(at, src, dst, sport + 1, dport + 1, report)


def _report(call: int, side: int, seconds: int, at: float) -> SenderReport:
    """What one side of a call sent in so many seconds, and what it got of the other."""
    sent, other = 2 * call + side, 2 * call + 1 - side
    share = _LOST if call % _POOR == 0 else 0
    block = ReportBlock(
        ssrc=_SSRC + other,
        fraction_lost=int(256 * share),
        cumulative_lost=int(50 * seconds * share),
        extended_highest_sequence=50 * seconds - 1 + 7 * other,
        jitter=16,
    )
    return SenderReport(
        _SSRC + sent,
        int((at + BEGAN_S + NTP_EPOCH_OFFSET_S) * 2**32),
        seconds * 8000 + 1000 * sent,
        seconds * 50,
        seconds * 8000,
        (block,),
    )


def _sdp(address: int, port: int) -> str:
    where = _dotted(address)
    return (
        f"v=0\r\no=- 1 1 IN IP4 {where}\r\ns=-\r\nc=IN IP4 {where}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )


def _dotted(address: int) -> str:
    return ".".join(map(str, address.to_bytes(4, "big")))


def _record(at: float, src: int, dst: int, sport: int, dport: int, payload: bytes) -> bytes:
    size = 14 + 20 + 8 + len(payload)
    microseconds = int(at * 1e6)
    head = struct.pack("<IIII", BEGAN_S + microseconds // 1_000_000, microseconds % 1_000_000, size, size)
    ip = struct.pack("!BBHHHBBHII", 0x45, 24 << 2, size - 14, 0, 0, 62, 17, 0, src, dst)
    udp = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    return head + bytes(12) + b"\x08\x00" + ip + udp + payload


def tshark(path: Path) -> tuple[Cost, dict[str, int]]:
    """What tshark costs, and the packets that it counts for each stream."""
    cost, said = _run(["tshark", "-n", "-q", "-z", "rtp,streams", "-r", str(path)])
    counts = {}
    for line in said.splitlines():
        words = line.split()
        if len(words) > 9 and words[6].startswith("0x"):
            src, sport, dst, dport, ssrc = words[2:7]
            packets = next(int(word) for word in words[7:] if word.isdigit())
            counts[f"{src}:{sport} {dst}:{dport} {int(ssrc, 16)}"] = packets
    return cost, counts


def ours(path: Path, work: str) -> tuple[Cost, dict[str, Any]]:
    """What a process of ours costs from its start to its end, and what it found."""
    cost, said = _run([sys.executable, "-m", "bench.captures", "--work", work, str(path)])
    return cost, json.loads(said)


def _run(command: list[str]) -> tuple[Cost, str]:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, cpu), said


def read(path: Path) -> dict[str, Any]:
    """Read a capture, and every packet of every stream."""
    capture = read_capture([path])
    return _found(capture, {stream.key: len(stream.packets()) for stream in capture.streams})


def measured(path: Path) -> dict[str, Any]:
    """Read a capture, and measure every stream."""
    capture = read_capture([path])
    results = [measure(stream.key, stream.packets(), {}) for stream in capture.streams]
    return _found(capture, {result.key: result.received for result in results})


def diagnosed(path: Path) -> dict[str, Any]:
    """All that `ringback diagnose` does before it writes."""
    found = diagnose([path])
    counts = {stream.measured.key: stream.measured.received for stream in found.streams}
    return _found(found.captures[0], counts)


WORK = {"read": read, "measure": measured, "diagnose": diagnosed}


def _found(capture: Capture, counts: dict[StreamKey, int]) -> dict[str, Any]:
    return {
        "packets": capture.packets,
        "sip": len(capture.signalling),
        "rtcp": len(capture.control),
        "counts": {f"{key.src}:{key.sport} {key.dst}:{key.dport} {key.ssrc}": counts[key] for key in counts},
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def compare(path: Path) -> Iterator[str]:
    """Both programs on one file."""
    # Once, so that both find it in memory.
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass
    theirs, counts = tshark(path)
    for number, work in enumerate(WORK):
        cost, found = ours(path, work)
        packets = found["packets"]
        if number == 0:
            size = path.stat().st_size / 1e6
            yield f"{size:.0f} MB, {packets} packets, {found['sip']} SIP, {found['rtcp']} RTCP"
            yield f"tshark -z rtp,streams: {_words(theirs, packets)}; {len(counts)} streams"
        same = "the same counts" if found["counts"] == counts else "COUNTS DIFFER"
        yield f"{work}: {_words(cost, packets)}; {same}; {found['rss_mb']:.0f} MB at most (aim: under 1,000)"
        ratio, cpu_ratio = theirs.seconds / cost.seconds, theirs.cpu_s / cost.cpu_s
        yield f"{work}: {ratio:.1f} times faster than tshark, by CPU {cpu_ratio:.1f} (aim: 5, better 10)"


def _words(cost: Cost, packets: int) -> str:
    rate = packets / cost.seconds
    return f"{cost.seconds:.2f} s, {cost.cpu_s:.2f} s of CPU, {rate:,.0f} packets a second"


def main(words: list[str]) -> int:
    """Make a capture in a temporary folder, or take one, and compare."""
    parser = argparse.ArgumentParser(prog="python -m bench captures", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a capture instead of a made one")
    parser.add_argument("--packets", type=int, default=PACKETS)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.work is not None:
        json.dump(WORK[asked.work](asked.file), sys.stdout)
        return 0
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        path = asked.file
        if path is None:
            path = Path(folder) / "calls.pcap"
            began = time.monotonic()
            write_capture(path, asked.packets, asked.calls)
            print(f"captures: made in {time.monotonic() - began:.0f} s, {os.cpu_count()} cores", flush=True)
        for line in compare(path):
            print(f"captures: {line}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
