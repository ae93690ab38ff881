"""The table of findings: every code that is used is in it, with the figures it promises."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ringback.diagnosis.signalling as package
from ringback.diagnosis.signalling.findings import CODES, finding

FILES = sorted(Path(package.__file__).parent.glob("*.py"))


def test_every_code_of_the_table_is_found_somewhere() -> None:
    texts = {
        node.value
        for path in FILES
        if path.name != "findings.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(CODES) - texts == set()


def test_a_code_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        finding("no-such-thing", 0, "Nothing.")


def test_codes_are_kebab_case_and_meanings_are_sentences() -> None:
    for code, meaning in CODES.items():
        assert code == code.lower().strip("-").replace("_", "-").replace(" ", "-")
        assert meaning.text.endswith(".")


def test_the_documentation_has_the_table() -> None:
    text = (Path(__file__).parents[3] / "docs" / "diagnosis.md").read_text()
    missing = [
        code
        for code, meaning in CODES.items()
        if f"| `{code}` | {meaning.severity} | {meaning.text} |" not in text
    ]
    assert missing == []
