"""Inputs that once broke a promise of a parser, found by `make fuzz`, and those that fuzzing begins with."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.__main__ import NAMES
from fuzz.seeds import WORDS, seeds
from fuzz.targets import TARGETS

CRASHES = Path(__file__).parent / "crashes"


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_stays_fixed_and_the_first_inputs_keep_every_promise(name: str) -> None:
    for path in sorted(CRASHES.glob(f"{name}-*.bin")):
        TARGETS[name](path.read_bytes())
    for data in seeds(name):
        TARGETS[name](data)
        TARGETS[name](data[: len(data) // 2])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_damage_breaks_no_promise(name: str, data: st.DataObject) -> None:
    first = data.draw(st.sampled_from(seeds(name)))
    at = data.draw(st.integers(0, len(first)))
    cut = data.draw(st.integers(0, 40))
    noise = data.draw(st.binary(max_size=20) | st.sampled_from([word.encode() for word in WORDS]))
    TARGETS[name](first[:at] + noise + first[at + cut :])


def test_every_target_has_a_name() -> None:
    assert set(TARGETS) == set(NAMES)
