from __future__ import annotations

import pytest

from ringback.sip.errors import SipSyntaxError
from ringback.sip.grammar import MAX_PARAMS, Readings, parse_params


def test_a_text_is_read_once_and_a_fault_each_time() -> None:
    asked: list[str] = []

    def read(text: str) -> int:
        asked.append(text)
        return int(text)

    readings = Readings(read, longest=3, most=2)
    assert [readings[text] for text in ("1", "1", "2", "1234", "1234")] == [1, 1, 2, 1234, 1234]
    assert asked == ["1", "2", "1234", "1234"]
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            readings["x"]
    # No more than `most` are remembered.
    assert readings["3"] == 3
    assert len(readings) == 1


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", {}),
        (";tag=1", {"tag": "1"}),
        (";tag=1;TAG=2", {"tag": "1"}),
        (";rport;branch=a=b;x=", {"rport": None, "branch": "a=b", "x": ""}),
        (' ; tag = "a;b" ;lr', {"tag": '"a;b"', "lr": None}),
    ],
)
def test_parameters(text: str, params: dict[str, str | None]) -> None:
    assert parse_params(text) == params


@pytest.mark.parametrize(
    "text", [";", "x", ";;tag=1", ";tag=a\u00a0b", ";@=1", ";a=b c", ";x" * (MAX_PARAMS + 1)]
)
def test_what_are_no_parameters(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_params(text)
