"""What tshark reads in a made capture."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

STREAM = re.compile(
    r"^\s*[\d.]+\s+[\d.]+\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)\s+0x([0-9A-F]{8})\s.*?\s(\d+)\s+(-?\d+) \("
)
CHECKED = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "--enable-heuristic", "rtp_udp"]


class Stream(NamedTuple):
    """A row of `-z rtp,streams`: packets, and tshark's loss, which counts duplicates as received."""

    packets: int
    lost: int


def run(path: Path, *words: str) -> str:
    """What tshark prints of a file; that it can be read is asserted."""
    command = ["tshark", "-n", "-r", str(path), *CHECKED, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in done.stderr.splitlines() if line and "Running as user" not in line]
    assert (done.returncode, complaints) == (0, [])
    return done.stdout


def streams(path: Path) -> tuple[dict[tuple[str, int, str, int, int], Stream], str]:
    """The RTP streams of a file, and what tshark says of errors in it (malformed packets, checksums)."""
    text = run(path, "-q", "-z", "rtp,streams", "-z", "expert,error")
    found = {}
    for line in text.splitlines():
        if row := STREAM.match(line):
            src, sport, dst, dport, ssrc, packets, lost = row.groups()
            found[src, int(sport), dst, int(dport), int(ssrc, 16)] = Stream(int(packets), int(lost))
    return found, text[: text.find("= RTP Streams =")].strip(" =\n") if "Errors (" in text else ""


def fields(path: Path, display_filter: str, names: str) -> list[list[str]]:
    """Some fields of the packets that a filter chooses; several values of one are joined by commas."""
    words = [word for name in names.split() for word in ("-e", name)]
    lines = run(path, "-Y", display_filter, "-T", "fields", *words).splitlines()
    return [line.split("\t") for line in lines]
