"""Fuzz the named targets (all without names) for some minutes: `python -m fuzz [--seconds 600] [NAME...]`.

Each target runs in a process of its own, for its share of the time. An input that breaks a promise is kept in
tests/sip/crashes/, where a test replays it from then on. What was found interesting stays in artifacts/fuzz/
and is where the next run begins.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from fuzz.seeds import WORDS

ROOT: Final = Path(__file__).resolve().parent.parent
CRASHES: Final = ROOT / "tests" / "sip" / "crashes"
CORPUS: Final = ROOT / "artifacts" / "fuzz"
NAMES: Final = (
    "message",
    "values",
    "masked",
    "stream",
    "websocket",
    "sdp",
    "digest",
    "stun",
    "calls",
    "door",
    "frames",
)
LONGEST: Final = {"calls": 4_096, "sdp": 4_096, "door": 4_096}
MOST_CRASHES: Final = 5
"""Of one target in one run: who has five to look at needs no more."""

_PROGRESS: Final = re.compile(r"cov: (\d+) ft: (\d+)")
_SPEED: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_REASON: Final = re.compile(r"Uncaught Python exception: ===\n(.+)")


def main() -> int:
    """Run what was asked for; the exit status is 1 when something was found."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=", ".join(NAMES))
    options = parser.parse_args()
    names = options.names
    if unknown := set(names) - set(NAMES):
        parser.error(f"no such target: {', '.join(unknown)}")
    found = [name for name in names if not _supervise(name, options.seconds / len(names))]
    return 1 if found else 0


def _supervise(name: str, seconds: float) -> bool:
    """Fuzz one target, again after each crash; print what came of it. Whether nothing was found."""
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    runs = coverage = features = crashes = 0
    while crashes < MOST_CRASHES and (left := int(began + seconds - time.monotonic())) > 0:
        with tempfile.TemporaryDirectory() as folder:
            output = _child(name, corpus, Path(folder), left)
            runs += int(match[1]) if (match := _SPEED.search(output)) else 0
            for line in _PROGRESS.findall(output):
                coverage, features = max(coverage, int(line[0])), max(features, int(line[1]))
            kept = [_keep(name, path) for path in Path(folder).iterdir()]
        for path in kept:
            crashes += 1
            reason = match[1] if (match := _REASON.search(output)) else "see the end of the output"
            print(f"{name:10} CRASH {path.relative_to(ROOT)}: {reason}", flush=True)
        if not kept and "DONE" not in output and "Done" not in output:
            print(output[-3_000:], file=sys.stderr)
            return False
    took = time.monotonic() - began
    print(
        f"{name:10} {runs:9} runs, {runs / max(took, 1):7.0f}/s, {coverage:5} edges, {features:6} features, "
        f"{sum(1 for _ in corpus.iterdir()):5} inputs, {crashes} crashes",
        flush=True,
    )
    return not crashes


def _child(name: str, corpus: Path, folder: Path, seconds: int) -> str:
    command = [
        *(sys.executable, "-m", "fuzz.run", name),
        *(f"-max_total_time={seconds}", f"-max_len={LONGEST.get(name, 2_048)}", "-timeout=10"),
        *(
            f"-artifact_prefix={folder}/",
            f"-dict={_dictionary()}",
            "-print_final_stats=1",
            "-rss_limit_mb=2048",
        ),
        str(corpus),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    return done.stdout + done.stderr


def _dictionary() -> Path:
    path = CORPUS / "words.dict"
    lines = ("".join(f"\\x{octet:02x}" for octet in word.encode()) for word in WORDS)
    path.write_text("".join(f'"{line}"\n' for line in lines))
    return path


def _keep(name: str, path: Path) -> Path:
    data = path.read_bytes()
    kept = CRASHES / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    CRASHES.mkdir(exist_ok=True)
    kept.write_bytes(data)
    return kept


if __name__ == "__main__":
    sys.exit(main())
