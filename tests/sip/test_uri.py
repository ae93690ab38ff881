"""URIs and name-addrs: reading, writing, comparing (RFC 3261 §19.1.4, §20)."""

from __future__ import annotations

import pytest

from ringback.sip.errors import SipSyntaxError
from ringback.sip.message import NameAddr, OtherUri, SipUri, TelUri
from ringback.sip.uri import escape_user, parse_uri


@pytest.mark.parametrize(
    "text",
    [
        "sip:example.com",
        "sip:alice@example.com",
        "sips:alice:secret@example.com:5061;transport=tls;lr?subject=a&priority=urgent",
        "sip:+15555550123;postd=pp22@192.0.2.1;user=phone",
        "sip:[2001:db8::10]:5070;transport=udp",
        "sip:481516234*274113@example.com",
        "tel:+1-555-555-0123;ext=7",
        "isbn:2983792873",
    ],
)
def test_a_uri_comes_back_as_it_was(text: str) -> None:
    assert str(parse_uri(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "sip:", "sip", "sip:@example.com", "sip:a b@example.com", "sip:a@b@example.com",
        "sip:a@example.com:", "sip:a@example.com:70000",
        "sip:a@2001:db8::1", "sip:a@[2001:db8:::1]", "sip:a@example.com;;x",
        "sip:a%4@example.com", "sip:a@exa mple.com", "tel:alice", "<sip:a@example.com>",
        "sip:a@example.com;x=\"", "sip:a@example.com;x=>;tag=1", "tel:555;x=<", "sip:a@example.com;x=\x00",
    ],
)  # fmt: skip
def test_a_bad_uri_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_uri(text)


# The examples of RFC 3261 §19.1.4.
@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        ("sip:alice@atlanta.com?subject=project%20x&priority=urgent",
         "sip:alice@atlanta.com?priority=urgent&subject=project%20x"),
    ],
)  # fmt: skip
def test_equal_uris(one: str, two: str) -> None:
    assert parse_uri(one) == parse_uri(two)
    assert hash(parse_uri(one)) == hash(parse_uri(two))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:bob@biloxi.com;user=phone", "sip:bob@biloxi.com"),
        ("sip:null-%00@example.com", "sip:null-@example.com"),
        ("sip:a%2Fb@example.com", "sip:a/b@example.com"),
    ],
)
def test_different_uris(one: str, two: str) -> None:
    assert parse_uri(one) != parse_uri(two)


def test_the_user_is_decoded_once() -> None:
    uri = SipUri.parse("sip:value%2541;par=u%40x@example.com")
    assert uri.user == "value%2541;par=u%40x"
    assert uri.username == "value%41;par=u@x"
    assert uri.params == {}


@pytest.mark.parametrize("text", ["101", "a b", "#31#*7", "x@y:z", '<>"%', "Zoë", "\r\nVia: x"])
def test_any_text_can_be_a_user(text: str) -> None:
    uri = SipUri.parse(str(SipUri(user=escape_user(text), host="example.com")))
    assert uri.username == text


def test_tel_digits_have_no_separators() -> None:
    uri = parse_uri("tel:+1(555)555.01-23")
    assert isinstance(uri, TelUri)
    assert uri.digits == "+15555550123"


@pytest.mark.parametrize(
    ("text", "display", "uri", "tag"),
    [
        ('"Alice \\"A\\" \\\\" <sip:a@example.com>;tag=x', 'Alice "A" \\', "sip:a@example.com", "x"),
        ("Alice Smith <sip:a@example.com;lr>;tag=x", "Alice Smith", "sip:a@example.com;lr", "x"),
        ("caller<sip:a@example.com>", "caller", "sip:a@example.com", None),
        ("sip:a@example.com;tag=x", "", "sip:a@example.com", "x"),
        ("sip:a;b=c@example.com ; tag = x", "", "sip:a;b=c@example.com", "x"),
        ("<sip:a@example.com?Route=%3Csip:x%3E>", "", "sip:a@example.com?Route=%3Csip:x%3E", None),
        ('"a,b" <sip:a@example.com>; q=0.3 ;TAG=y', "a,b", "sip:a@example.com", "y"),
        ("Zoë Müller <sip:a@example.com>", "Zoë Müller", "sip:a@example.com", None),
    ],
)
def test_name_addr(text: str, display: str, uri: str, tag: str | None) -> None:
    value = NameAddr.parse(text)
    assert (value.display, str(value.uri), value.tag) == (display, uri, tag)
    assert NameAddr.parse(str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        '"Alice <sip:a@example.com>', "<sip:a@example.com", "sip:a@example.com?x=y",
        '"a" b <sip:a@example.com>',
        '"a" sip:a@example.com', "<sip:a@example.com> trailing", "<sip:a@example.com>;;", "", "<>",
    ],
)  # fmt: skip
def test_a_bad_name_addr_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        NameAddr.parse(text)


def test_unknown_schemes_are_kept() -> None:
    assert parse_uri("nobodyKnowsThis:opaque") == OtherUri("nobodyKnowsThis", "opaque")
