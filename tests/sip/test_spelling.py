"""The many ways to write one message are read as the same: folds, case, compact names (RFC 3261 §7.3)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.sip.errors import SipSyntaxError
from ringback.sip.grammar import MAX_PARAMS, quote, split_list, unquote
from ringback.sip.headers import Via
from ringback.sip.message import NameAddr, Request, Response, SipUri, encode
from ringback.sip.parse import Malformed, parse_message
from ringback.sip.uri import parse_uri
from tests.sip.generated import INVITE, messages, name_addrs, params, quoted_texts, same, tokens, uris

COMPACT = {"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Supported": "k"}
LISTS = ("Via", "Contact", "Supported")


def written_otherwise(message: Request | Response, data: st.DataObject) -> bytes:
    """The message with every name, space and list as somebody else might write it."""
    head, _, body = encode(message).partition(b"\r\n\r\n")
    start, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    fields: list[tuple[str, str]] = []
    for line in lines:
        name, _, value = line.partition(": ")
        joined = fields and fields[-1][0] == name and name in LISTS and data.draw(st.booleans())
        if joined:
            fields[-1] = (name, fields[-1][1] + data.draw(st.sampled_from([",", ", ", " , "])) + value)
        else:
            fields.append((name, value))
    out = [start]
    for name, value in fields:
        spelled = data.draw(st.sampled_from([name, name.upper(), name.lower(), COMPACT.get(name, name)]))
        colon = data.draw(st.sampled_from([":", " : ", "\t:\r\n\t", ":   "]))
        fold = data.draw(st.sampled_from([" ", "\r\n ", "\r\n\t \t"]))
        # Within quotes, too, a fold is one space.
        out.append(spelled + colon + re.sub(" (?!\t)", fold, value))
    return "\r\n".join(out).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


@given(messages(), st.data())
@settings(max_examples=50, deadline=None)
def test_a_message_written_otherwise_is_the_same(message: Request | Response, data: st.DataObject) -> None:
    read = parse_message(written_otherwise(message, data))
    assert not isinstance(read, Malformed), read.reason
    same(read, message)


@given(st.binary(max_size=300))
def test_what_is_read_from_any_bytes_is_written_as_the_same(noise: bytes) -> None:
    for data in (noise, INVITE.replace(b"Max-Forwards: 70", b"Subject: " + noise), INVITE[:300] + noise):
        read = parse_message(data)
        if not isinstance(read, Malformed):
            same(parse_message(encode(read)), read)


# Values


@given(quoted_texts)
def test_quotes_and_escapes_come_off_again(text: str) -> None:
    assert unquote(quote(text)) == text


@given(st.lists(name_addrs, min_size=1, max_size=5))
def test_a_list_is_cut_between_its_values_only(values: list[NameAddr]) -> None:
    joined = ", ".join(map(str, values))
    assert [NameAddr.parse(part) for part in split_list(joined)] == values


@given(st.text(max_size=100))
def test_cutting_any_text_loses_nothing_but_commas_and_spaces(text: str) -> None:
    parts = split_list(text)
    assert "".join(parts).replace(" ", "").replace("\t", "").replace(",", "") == text.replace(
        " ", ""
    ).replace("\t", "").replace(",", "")


@given(name_addrs)
def test_a_name_addr_comes_back(value: NameAddr) -> None:
    assert NameAddr.parse(str(value)) == value


@given(
    st.sampled_from(["UDP", "TCP", "TLS", "WS", "WSS", "SCTP"]),
    st.sampled_from(["example.com", "192.0.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]", "a-b.example"]),
    st.none() | st.integers(0, 65_535),
    params,
)
def test_a_via_comes_back(transport: str, host: str, port: int | None, fields: dict[str, str | None]) -> None:
    via = Via(transport, host, port, fields)
    assert Via.parse(str(via)) == via
    assert Via.parse(str(via).replace("/", " / ").replace(" / 2.0", "/2.0")) == via


@pytest.mark.parametrize(
    "address", ["::1", "2001:db8::1", "2001:db8:0:0:0:0:0:1", "::ffff:192.0.2.1", "fe80::1"]
)
def test_an_ipv6_reference_is_a_host(address: str) -> None:
    uri = SipUri.parse(f"sip:a@[{address}]:5060")
    assert (uri.host, uri.address, uri.port) == (f"[{address}]", address, 5060)


@pytest.mark.parametrize(
    "host", ["[::1", "::1", "[::1]]", "[[::1]", "[:::1]", "[::g]", "[]", "[1.2.3.4]", "[fe80::1%eth0]"]
)
def test_what_is_no_ipv6_reference_is_refused(host: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_uri(f"sip:a@{host}")


def test_more_parameters_than_anybody_needs_are_refused() -> None:
    NameAddr.parse("<sip:a@b>" + ";p" * MAX_PARAMS)
    with pytest.raises(SipSyntaxError, match="too many"):
        NameAddr.parse("<sip:a@b>" + ";p" * (MAX_PARAMS + 1))


# Equality of URIs (RFC 3261 §19.1.4)


@given(uris)
def test_a_uri_is_equal_to_itself_however_written(uri: SipUri) -> None:
    text = str(uri)
    assert parse_uri(text) == uri
    assert parse_uri(text) == parse_uri(text.replace(uri.host, uri.host.upper()))
    if uri.user is not None:
        escaped = "".join(
            f"%{ord(character):02x}" if character.isalnum() else character for character in uri.user
        )
        other = SipUri(uri.scheme, escaped, None, uri.host, uri.port, uri.params)
        assert other == uri
        assert hash(other) == hash(uri)


few = st.builds(
    SipUri,
    scheme=st.sampled_from(["sip", "sips"]),
    user=st.sampled_from([None, "a", "%61", "A"]),
    host=st.sampled_from(["example.com", "EXAMPLE.com"]),
    port=st.sampled_from([None, 5060]),
    params=st.dictionaries(
        st.sampled_from(["transport", "user", "x"]), st.sampled_from([None, "udp", "UDP", "ip"]), max_size=2
    ),
    headers=st.sampled_from(["", "a=1&b=2", "b=2&a=1", "a=1"]),
)


@given(few, few, few)
def test_equality_is_as_the_rfc_has_it(one: SipUri, two: SipUri, three: SipUri) -> None:
    assert one == parse_uri(str(one))
    assert (one == two) == (two == one)
    if one == two:
        assert hash(one) == hash(two)
    # Not transitive in general, says the RFC: of parameters that one side lacks nothing is known.
    if one == two and two == three and one.params.keys() == two.params.keys() == three.params.keys():
        assert one == three


@given(tokens, tokens)
def test_a_parameter_that_only_one_side_has_is_passed_over(name: str, value: str) -> None:
    if name.lower() not in ("user", "ttl", "method", "maddr", "transport"):
        assert parse_uri("sip:carol@example.com") == parse_uri(f"sip:carol@example.com;{name}={value}")
