"""Inputs that once broke a promise of a parser, found by `make fuzz`, and those that fuzzing begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.__main__ import NAMES
from fuzz.seeds import seeds
from fuzz.targets import TARGETS

CRASHES = Path(__file__).parent / "crashes"


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_stays_fixed_and_the_first_inputs_keep_every_promise(name: str) -> None:
    for path in sorted(CRASHES.glob(f"{name}-*.bin")):
        TARGETS[name](path.read_bytes())
    for data in seeds(name):
        TARGETS[name](data)
        TARGETS[name](data[: len(data) // 2])


def test_every_target_has_a_name() -> None:
    assert set(TARGETS) == set(NAMES)
