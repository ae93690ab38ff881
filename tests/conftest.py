"""What holds for all tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

MEASURED = "measured"
"""Name of the properties of a test that hold what it measured."""


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that sets up logging, as the command does, must not leave its streams to the next."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    properties = [said for report in reports if report.when == "call" for said in report.user_properties]
    lines = [line for name, line in properties if name == MEASURED]
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)
