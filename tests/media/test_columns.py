"""Columns grow in place, and what is new in them is blank."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from ringback.media import columns
from ringback.media.columns import Bools, Column, Columns, Floats, Longs
from ringback.media.engine import Engine


class Some(Columns):
    SPEC: ClassVar[dict[str, Column]] = {
        "number": Column(np.int64, empty=-1),
        "frame": Column(np.float32, (2, 3)),
        "level": Column(np.float32, empty=np.nan),
        "there": Column(np.bool_),
    }
    number: Longs
    frame: Floats
    level: Floats
    there: Bools


@pytest.mark.parametrize("reserved", [4, 8192])
def test_rows_stay_and_new_ones_are_blank(reserved: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "RESERVED_ROWS", reserved)
    some = Some(2)
    for capacity in (2, 4, 8, 32):
        some.grow(capacity)
        assert some.capacity == len(some.number) == len(some.frame) == len(some.level) == len(some.there)
        some.number[capacity - 1] = capacity
        some.frame[capacity - 1] = capacity
        some.there[capacity - 1] = True
    written = [1, 3, 7, 31]
    assert some.number[written].tolist() == [2, 4, 8, 32]
    assert some.frame[written, 1, 2].tolist() == [2, 4, 8, 32]
    others = np.setdiff1d(np.arange(32), written)
    assert (some.number[others] == -1).all()
    assert not some.frame[others].any()
    assert np.isnan(some.level).all()
    assert not some.there[others].any()
    some.clear(31)
    assert (some.number[31], some.frame[31].any(), some.there[31]) == (-1, False, False)


def test_an_engine_that_grows_copies_nothing_large() -> None:
    """The columns of thousands of legs, copied between two ticks, are a gap that everybody hears."""
    engine = Engine(lambda pair: None)
    parts = (engine.buffer, engine.buffer.delay, engine.meters, engine.voices._narrow, engine.voices._wide)
    before = [(part, name, getattr(part, name)) for part in parts for name in part.SPEC]
    while engine.legs.capacity < 4096:
        engine.grow()
    for part, name, column in before:
        assert len(getattr(part, name)) == 4096
        assert np.shares_memory(getattr(part, name), column), name
