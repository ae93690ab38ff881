"""The fuzzer of one target, as a process: `python -m fuzz.run NAME [OPTION OF LIBFUZZER...] CORPUS`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ringback"]):
    # What is imported in here is told apart by its branches.
    from fuzz.targets import TARGETS

from fuzz.seeds import seeds

if __name__ == "__main__":
    name, *words = sys.argv[1:]
    for data in seeds(name):
        (Path(words[-1]) / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    atheris.Setup([f"fuzz-{name}", *words], TARGETS[name])
    atheris.Fuzz()
