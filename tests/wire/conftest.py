"""Fixtures of the wire tests: real phones, the real command."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.wire.baresip import Baresip


@pytest.fixture
def make_baresip(tmp_path: Path) -> Iterator[Callable[..., Baresip]]:
    """Start baresip phones that end with the test."""
    if shutil.which("baresip") is None:
        pytest.fail("baresip is missing: `make setup-test` installs it")
    phones: list[Baresip] = []
    numbers = itertools.count()

    def make(name: str, **settings: object) -> Baresip:
        phone = Baresip(tmp_path / f"phone-{next(numbers)}", name, **settings)  # type: ignore[arg-type]
        phones.append(phone)
        return phone.start()

    yield make
    for phone in phones:
        phone.stop()
