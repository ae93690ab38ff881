"""What holds for all tests; and the numbers that some of them measured, at the end."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator

import argon2
import hypothesis
import pytest

# A timing decides no test.
hypothesis.settings.register_profile("ringback", deadline=None)
hypothesis.settings.load_profile("ringback")

MEASURED = "measured"
"""Name of the properties of a test that hold what it measured."""


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Write down a measurement for the end of the run."""
    # As a property of the test it comes back from whichever process runs it.
    return lambda line: request.node.user_properties.append((MEASURED, line))


@pytest.fixture
def least_cpu_s() -> Callable[[Callable[[], object]], float]:
    """How long something takes by itself, in seconds: what else the machine does is not counted."""

    def once(do: Callable[[], object]) -> float:
        began = time.process_time()
        do()
        return time.process_time() - began

    return lambda do: min(once(do) for _ in range(3))


@pytest.fixture(scope="session", autouse=True)
def dear_hashes() -> Iterator[type[argon2.PasswordHasher]]:
    """What tests make known as passwords and PINs is hashed cheaply; this is what really hashes them, for a
    tenth of a second of a core each."""
    dear = argon2.PasswordHasher
    with pytest.MonkeyPatch.context() as patch:
        cheap = functools.partial(dear, time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(argon2, "PasswordHasher", cheap)
        yield dear


@pytest.fixture(scope="session", autouse=True)
def keys_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The key of stored voices lies outside the data folder: not in that of who runs the tests, either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    properties = [said for report in reports if report.when == "call" for said in report.user_properties]
    lines = [line for name, line in properties if name == MEASURED]
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that sets up logging, as the command does, must not leave its streams to the next."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
