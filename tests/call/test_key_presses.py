"""A press that comes as INFO and in the audio stream is one press."""

from __future__ import annotations

import pytest

from ringback.call.key_presses import KeyPresses, Way

WAYS: dict[str, Way] = {"i": "info", "m": "media"}


@pytest.mark.parametrize(
    ("came", "counted"),
    [
        ("m5 i5", "5"),
        ("i5 m5", "5"),
        ("m5 i5 m5 i5", "55"),
        ("m5 m5 i5 i5", "55"),
        ("i1 m1 m2 i2 i3 m3", "123"),
        ("m1 m2 m3 i1 i2 i3", "123"),
        ("m1 m2 m3 i2 i3", "123"),
        ("m5 m5 m5", "555"),
        ("i5 i5", "55"),
        ("m1 i2 m3", "123"),
    ],
)
def test_each_press_counts_once(came: str, counted: str) -> None:
    presses = KeyPresses()
    new = [one[1] for n, one in enumerate(came.split()) if presses.is_new(WAYS[one[0]], one[1], n * 0.1)]
    assert "".join(new) == counted


def test_what_comes_much_later_is_another_press() -> None:
    presses = KeyPresses()
    assert presses.is_new("media", "5", 0.0)
    assert presses.is_new("info", "5", 3.0)
    assert not presses.is_new("media", "5", 7.0, held_s=4.0), "the same key, held down"
