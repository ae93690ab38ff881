"""Patterns of numbers: the tree finds what a regular expression would."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.routing.patterns import PatternIndex


def found(number: str, *patterns: str) -> list[tuple[int, str]]:
    index: PatternIndex[str] = PatternIndex()
    for pattern in patterns:
        index.add(pattern, pattern)
    return sorted(index.find(number))


def test_letters_sets_and_the_dot() -> None:
    assert found("+14155550100", "+1NXXNXXXXXX", "+1N.", ".", "+14155550100") == [
        (0, "."),
        (3, "+1N."),
        (12, "+14155550100"),
        (12, "+1NXXNXXXXXX"),
    ]
    assert found("105", "Z0[2-57]", "NXX", "X.", "105.", "10", "1050") == [
        (1, "X."),
        (3, "105."),
        (3, "Z0[2-57]"),
    ]
    assert found("106", "Z0[2-57]") == []
    assert found("", "", ".", "X") == [(0, ""), (0, ".")]
    assert found("1", "[5-2]", "[-]", "[1]", "[1-1]") == [(1, "[1-1]"), (1, "[1]")]


def expression(pattern: str) -> str:
    """The same as a regular expression."""
    rest = pattern.endswith(".")
    text = pattern.removesuffix(".").replace("+", r"\+").replace("*", r"\*")
    text = text.replace("X", "[0-9]").replace("Z", "[1-9]").replace("N", "[2-9]")
    return text + (".*" if rest else "")


TOKENS = st.sampled_from([*"0123456789XZN*#", "[0-4]", "[3-9]"])
PATTERNS = st.tuples(
    st.sampled_from(["", "+"]), st.lists(TOKENS, max_size=6).map("".join), st.sampled_from(["", "."])
).map("".join)
NUMBERS = st.tuples(st.sampled_from(["", "+"]), st.text("0123456789*#", max_size=7)).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(PATTERNS, max_size=20), NUMBERS)
def test_as_a_regular_expression_finds_them(patterns: list[str], number: str) -> None:
    expected = [pattern for pattern in patterns if re.fullmatch(expression(pattern), number)]
    assert sorted(pattern for _, pattern in found(number, *patterns)) == sorted(expected)
