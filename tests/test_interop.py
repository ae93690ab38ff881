"""What docs/interop.md says was run is there to be run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROWS = [
    line
    for line in (ROOT / "docs" / "interop.md").read_text().splitlines()
    if re.match(r"\| (?!what|-)", line)
]
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def test_every_row_names_one_test() -> None:
    assert len(ROWS) > 20
    for row in ROWS:
        assert len(NAMED.findall(row)) == 1, row


def test_every_test_that_is_named_is_collected() -> None:
    named = set(NAMED.findall((ROOT / "docs" / "interop.md").read_text()))
    files = sorted({f"tests/wire/{file}" for file, _ in named})
    words = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *files]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    collected = set(re.findall(r"^tests/wire/(test_\w+\.py)::(test_\w+)", done.stdout, re.M))
    assert named <= collected, named - collected
