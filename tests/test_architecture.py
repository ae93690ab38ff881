"""The rules of the house, checked: who imports whom, who waits or reads a clock, how long a file may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "ringback"
FILES = sorted(SOURCE.rglob("*.py"))

LEAVES = frozenset({"config", "governance", "native"})
"""Types and constants that every room may use."""

MAY_IMPORT: dict[str, frozenset[str]] = {
    "config": frozenset({"governance"}),
    "governance": frozenset(),
    "native": frozenset(),
    "rtp": LEAVES,
    "webrtc": LEAVES | {"rtp"},
    "media": LEAVES | {"rtp", "webrtc"},
    "sdp": LEAVES | {"media.protocol"},
    "sip": LEAVES | {"sdp"},
    "quality": LEAVES | {"rtp", "media"},
    "testing": LEAVES
    | {"rtp", "media", "sdp", "sip", "quality", "store", "routing", "web.operations", "web.events"},
    "store": LEAVES | {"sip"},
    "net": LEAVES | {"sip"},
    "routing": LEAVES | {"store", "sip", "sdp"},
    "call": LEAVES | {"store", "quality", "sip", "sdp", "media", "rtp", "routing"},
    "web": LEAVES | {"store", "routing"},
    "agent": LEAVES | {"net", "quality", "sip", "sdp", "media"},
    "cli": LEAVES | {"store", "web", "server", "sip", "diagnosis", "backup"},
}
"""What a room may import beside itself: a package, or one module of it as `package.module`."""

FEATURES = (
    "conference",
    "trunk",
    "attendant",
    "queueing",
    "voicemail",
    "recording",
    "calltest",
    "diagnosis",
    "recovery",
    "provisioning",
    "backup",
)
for feature in FEATURES:
    # Features know calls and what lies below them, never each other.
    MAY_IMPORT[feature] = LEAVES | {"store", "call", "routing", "quality", "sip", "sdp", "media", "rtp"}
MAY_IMPORT["server"] = frozenset(MAY_IMPORT) - {"cli", "testing"}

WAITING = frozenset({"asyncio", "socket", "selectors", "select", "threading", "uvloop", "anyio"})
CLOCKS = frozenset({"time"})
CLOCK_CALLS = frozenset({"datetime.now", "datetime.utcnow", "date.today"})
MAY_WAIT = ("net", "store", "web", "cli", "server", "media.worker", "agent.edge")

FORBIDDEN_WORDS = frozenset({"utils", "util", "manager", "helper", "helpers", "common", "misc"})
MAX_LINES = 600
MEDIAN_LINES = 250


def module_name(path: Path) -> str:
    """The dotted name below `ringback`; empty for the package itself."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(module: str, prefix: str) -> bool:
    """Whether a dotted name is the prefix or lies below it."""
    return module == prefix or module.startswith(prefix + ".")


def imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    """Every module a file imports, at top or inside a function, as absolute names with their lines."""
    package = ["ringback", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"


def ids(path: Path) -> str:
    """A short name for a file in the test's report."""
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_imports_point_down_only(path: Path) -> None:
    module = module_name(path)
    room = module.split(".")[0]
    wrong = []
    for line, name in imported_modules(path):
        if not name.startswith("ringback."):
            continue
        target = name.removeprefix("ringback.")
        if not module or within(target, room) or target == "__version__":
            continue
        if not any(within(target, allowed) for allowed in MAY_IMPORT.get(room, frozenset())):
            wrong.append(f"{ids(path)}:{line} imports {target}")
    assert not wrong, wrong


def test_every_room_is_known() -> None:
    rooms = {module_name(path).split(".")[0] for path in FILES} - {"", "__main__"}
    assert rooms <= set(MAY_IMPORT), f"say in this test what {rooms - set(MAY_IMPORT)} may import"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_only_the_edges_wait_or_read_a_clock(path: Path) -> None:
    module = module_name(path)
    if any(within(module, room) for room in MAY_WAIT):
        return
    wrong = [
        f"{ids(path)}:{line} imports {name}"
        for line, name in imported_modules(path)
        if name.split(".")[0] in WAITING | CLOCKS
    ]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            wrong.append(f"{ids(path)}:{node.lineno} awaits")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("datetime.") in CLOCK_CALLS:
            wrong.append(f"{ids(path)}:{node.lineno} reads a clock")
    assert not wrong, wrong


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_file_is_short_and_opens_with_its_job(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    tree = ast.parse(text)
    if tree.body:
        assert ast.get_docstring(tree), "a module opens with one sentence: its job"


def test_most_files_are_short() -> None:
    lengths = sorted(len(path.read_text().splitlines()) for path in FILES)
    assert lengths[len(lengths) // 2] <= MEDIAN_LINES


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_names_say_what_a_thing_does(path: Path) -> None:
    names = list(path.relative_to(SOURCE).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            names.append(node.name)
    for name in names:
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
        assert not words & FORBIDDEN_WORDS, f"{ids(path)}: {name}"


def test_only_the_store_speaks_sql() -> None:
    wrong = [
        f"{ids(path)}:{line}"
        for path in FILES
        if not within(module_name(path), "store")
        for line, name in imported_modules(path)
        if name.split(".")[0] in {"sqlalchemy", "alembic", "sqlite3", "aiosqlite", "asyncpg"}
    ]
    assert not wrong, wrong


def test_no_work_is_left_as_a_note() -> None:
    wrong = [
        f"{ids(path)}:{number}"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line)
    ]
    assert not wrong, wrong
