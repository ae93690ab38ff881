"""What docs/interop.md and docs/features.md say was run is there to be run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = {page: (ROOT / "docs" / page).read_text() for page in ("interop.md", "features.md")}
MATRIX = PAGES["features.md"].partition("## Tried with")[2]
ROWS = [
    line
    for text in (PAGES["interop.md"], MATRIX)
    for line in text.splitlines()
    if re.match(r"\| (?!what|-)", line)
]
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def test_every_row_names_one_test() -> None:
    assert len(ROWS) > 40
    assert MATRIX
    for row in ROWS:
        assert len(NAMED.findall(row)) == 1, row


def test_every_test_that_is_named_is_collected() -> None:
    named = {found for text in PAGES.values() for found in NAMED.findall(text)}
    files = sorted({f"tests/wire/{file}" for file, _ in named})
    words = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *files]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    collected = set(re.findall(r"^tests/wire/(test_\w+\.py)::(test_\w+)", done.stdout, re.M))
    assert named <= collected, named - collected
