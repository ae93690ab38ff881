"""What a peer says about identities counts only from the trusted, however it is spelled."""

from __future__ import annotations

import pytest

from ringback.sip.answer_mode import wanted_answer
from ringback.sip.headers import Headers
from ringback.sip.identity import (
    asserted_identity,
    is_anonymous,
    privacy_unmet,
    strip_identity,
    user_of,
    wants_privacy,
)
from ringback.sip.message import NameAddr, Request
from ringback.sip.parse import parse_message

LIE = "<sip:boss@example.com>"


def parsed(*lines: str) -> Headers:
    """The fields of a request that came with these lines."""
    text = "\r\n".join(
        [
            "INVITE sip:101@example.com SIP/2.0",
            "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
            "From: <sip:102@example.com>;tag=a",
            "To: <sip:101@example.com>",
            "Call-ID: 1",
            "CSeq: 1 INVITE",
            *lines,
            "Content-Length: 0",
            "",
            "",
        ]
    )
    message = parse_message(text.encode())
    assert isinstance(message, Request), message
    return message.headers


@pytest.mark.parametrize(
    "line",
    [
        f"P-Asserted-Identity: {LIE}",
        f"p-asserted-identity: {LIE}",
        f"P-ASSERTED-IDENTITY:{LIE}",
        f"P-Asserted-Identity \t : {LIE}",
        f"P-Asserted-Identity:\r\n {LIE}",
        f"P-Asserted-Identity\r\n :\r\n\t{LIE}",
        f"P-Preferred-Identity: {LIE}",
        f"Remote-Party-ID: {LIE};party=calling;screen=yes",
        f"REMOTE-party-id : {LIE}",
        'Identity: "c2lnbmVk"',
        'y: "c2lnbmVk"',
        'Y  : "c2lnbmVk"',
        f"Diversion: {LIE};reason=unconditional",
        f"History-Info: {LIE};index=1",
        "P-Charging-Vector: icid-value=1",
        "p-charging-function-addresses: ccf=192.0.2.1",
        "P-DCS-Billing-Info: 1",
        f"P-Charge-Info: {LIE}",
        "P-Access-Network-Info: IEEE-802.11",
    ],
)
def test_identities_are_taken_out_in_every_spelling(line: str) -> None:
    headers = parsed(line, "Subject: hello")
    before = len(headers)
    strip_identity(headers)
    assert len(headers) == before - 1
    assert headers.get("Subject") == "hello"
    assert asserted_identity(headers) is None


def test_what_is_no_header_name_is_no_message() -> None:
    # Underscores are another name; some proxies take them for hyphens, we do not.
    headers = parsed(f"P_Asserted_Identity: {LIE}")
    assert asserted_identity(headers) is None


@pytest.mark.parametrize(
    ("lines", "user"),
    [
        ((f"P-Asserted-Identity: {LIE}",), "boss"),
        (("P-Asserted-Identity: tel:+15550100",), "+15550100"),
        (("P-Asserted-Identity: tel:+15550100, <sip:boss@example.com>",), "boss"),
        (("P-Asserted-Identity: not an address", f"P-Asserted-Identity: {LIE}"), "boss"),
        ((f"Remote-Party-ID: {LIE};party=calling",), "boss"),
        ((f"Remote-Party-ID: {LIE}; party=called",), None),
        (("P-Asserted-Identity: <sip:example.com>",), None),
    ],
)
def test_who_a_trusted_peer_says_it_is(lines: tuple[str, ...], user: str | None) -> None:
    found = asserted_identity(parsed(*lines))
    assert (user_of(found) if found else None) == user


@pytest.mark.parametrize(
    ("value", "unknown"),
    [
        ("id", True),
        ("ID", True),
        ("user;id", True),
        ("header ; session", True),
        ("id;critical", True),
        ("none", False),
        ("session", False),
        ("", False),
    ],
)
def test_privacy_is_asked_for_by_word(value: str, unknown: bool) -> None:
    assert wants_privacy(parsed(f"Privacy: {value}")) is unknown


def test_privacy_that_is_a_condition_has_to_be_known() -> None:
    assert privacy_unmet(parsed("Privacy: magic;critical"))
    assert not privacy_unmet(parsed("Privacy: magic"))
    assert not privacy_unmet(parsed("Privacy: id;critical"))


@pytest.mark.parametrize(
    ("address", "anonymous"),
    [
        ('"Anonymous" <sip:anonymous@anonymous.invalid>', True),
        ("<sips:Anonymous@ANONYMOUS.invalid>", True),
        ("<sip:anonymous@example.com>", False),
        ("<sip:101@anonymous.invalid>", False),
        ("<tel:+15550100>", False),
    ],
)
def test_who_stays_unknown_uses_one_address(address: str, anonymous: bool) -> None:
    assert is_anonymous(NameAddr.parse(address)) is anonymous


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("Answer-Mode: Auto", "auto"),
        ("answer-mode:AUTO;require", "auto or nothing"),
        ("Answer-Mode: Auto ; require", "auto or nothing"),
        ("Priv-Answer-Mode: Auto;require", "auto or nothing"),
        ("Answer-Mode: Manual", "manual"),
        ("Answer-Mode: Automobile", "manual"),
        ("Call-Info: <sip:x>;answer-after=0", "auto"),
        ("Alert-Info: <http://x>;info=alert-autoanswer;delay=0", "auto"),
        ("Subject: Auto", "manual"),
    ],
)
def test_how_a_call_wants_to_be_answered(line: str, wanted: str) -> None:
    assert wanted_answer(parsed(line)) == wanted
