"""The project's own files agree with each other: locks, targets, versions."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {canonical(re.split(r"[\[<>=!~; ]", text)[0]) for text in requirements}


def locked(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return dict(pairs)


def test_every_dependency_is_locked() -> None:
    run = locked("requirements.lock")
    assert names(PROJECT["project"]["dependencies"]) <= set(run), "run `make lock`"
    assert names(PROJECT["build-system"]["requires"]) <= set(run)
    dev = locked("requirements-dev.lock")
    assert names(PROJECT["project"]["optional-dependencies"]["dev"]) <= set(run) | set(dev)
    assert not set(run) & set(dev), "one version of each package"


def test_locks_name_no_place_to_fetch_from() -> None:
    for file in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / file).read_text()


def test_every_target_is_there() -> None:
    known = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[0] for line in known.splitlines()}
    assert {"setup", "run", "test", "lint", "format", "bench", "lock", "clean"} <= targets


def test_changelog_knows_this_version() -> None:
    assert f"[{PROJECT['project']['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_scripts_are_executable() -> None:
    for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"]:
        assert path.stat().st_mode & 0o111, path


def test_wire_tests_are_in_their_folder_and_nothing_else_is() -> None:
    marked = re.compile(r"^pytestmark = .*\bpytest\.mark\.wire\b", re.MULTILINE)
    tests = ROOT / "tests"
    found = {path.parent for path in tests.rglob("test_*.py") if marked.search(path.read_text())}
    assert found == {tests / "wire"}, "scripts/test looks for them nowhere else"
    for path in (tests / "wire").glob("test_*.py"):
        assert marked.search(path.read_text()), f"{path} is run by no phase of scripts/test"


def test_the_pages_packages_are_locked_without_addresses() -> None:
    lock = (ROOT / "ui" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert '"integrity"' in lock
