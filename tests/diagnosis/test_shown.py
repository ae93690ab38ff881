"""How addresses are shown: nobody's number by accident."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.diagnosis.shown import moment, short_address, shown_address
from ringback.governance.private import Private


@pytest.mark.parametrize(
    ("given_text", "masked", "short"),
    [
        ("sip:+15550123401@example.com", "sip:••••••••••01@example.com", "••••••••••01"),
        ('"Alice" <sips:1001@example.com:5061;transport=tls>;tag=a', "sips:••01@example.com:5061", "••01"),
        ("<tel:+15550123;phone-context=example.com>", "tel:•••••••23", "•••••••23"),
        ("<sip:873454069*1234@example.com>", "sip:•••••••69@example.com", "•••••••69"),
        ("<sip:example.com>", "sip:example.com", "example.com"),
        ("<sip:700@[2001:db8::1]:5060>", "sip:700@[2001:db8::1]:5060", "700"),
        ("15550123401", "•••••••••01", "•••••••••01"),
        ("", "", ""),
    ],
)
def test_masked(given_text: str, masked: str, short: str) -> None:
    assert shown_address(Private(given_text), show_numbers=False) == masked
    assert short_address(Private(given_text), show_numbers=False) == short


def test_what_drives_a_terminal_is_left_out() -> None:
    assert shown_address(Private("sip:\x1b[31m1@example.com"), show_numbers=True) == "sip:[31m1@example.com"


@given(st.text(max_size=60), st.booleans())
def test_any_text_can_be_shown(text: str, show_numbers: bool) -> None:
    for shown in (shown_address, short_address):
        found = shown(Private(text), show_numbers)
        assert not {unicodedata.category(character) for character in found} & {"Cc", "Cf", "Cs", "Zl"}


@given(
    st.from_regex(r"[0-9]{6,15}", fullmatch=True), st.sampled_from(["sip:{}@example.com", "<tel:{}>", "{}"])
)
def test_no_long_number_is_seen(number: str, form: str) -> None:
    assert number[:-2] not in shown_address(Private(form.format(number)), show_numbers=False)


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_time_of_a_capture_has_a_text(at_ns: int) -> None:
    assert moment(at_ns).endswith("Z")
