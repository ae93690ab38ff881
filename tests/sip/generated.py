"""SIP messages for the tests: one as a phone sends it, and any that our own encoder can write."""

from __future__ import annotations

from hypothesis import strategies as st

from ringback.sip.message import Headers, NameAddr, Request, Response, SipUri

INVITE = (
    b"INVITE sip:101@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKabc;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b"From: <sip:102@example.com>;tag=f\r\n"
    b"To: <sip:101@example.com>\r\n"
    b"Call-ID: call@example.com\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Contact: <sip:102@192.0.2.1:5062>\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"v=0\r\n"
)

tokens = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=10).filter(lambda text: "%" not in text)
quoted_texts = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
params = st.dictionaries(
    tokens.map(str.lower).filter(lambda name: name != "tag"), st.none() | tokens, max_size=3
)
uris = st.builds(
    SipUri,
    scheme=st.sampled_from(["sip", "sips"]),
    user=st.none() | tokens,
    host=st.sampled_from(["example.com", "192.0.2.1", "[2001:db8::1]", "a-b.example"]),
    port=st.none() | st.integers(0, 65535),
    params=params,
)
name_addrs = st.builds(NameAddr, uris, quoted_texts.map(lambda text: text.strip(" \t")), params)


@st.composite
def messages(draw: st.DrawFn) -> Request | Response:
    method = draw(st.sampled_from(["INVITE", "BYE", "OPTIONS", "MESSAGE"]))
    headers = Headers()
    for branch in draw(st.lists(tokens, min_size=1, max_size=3)):
        headers.add("Via", f"SIP/2.0/UDP host.example.com;branch=z9hG4bK{branch}")
    headers.add("From", str(draw(name_addrs).with_tag(draw(tokens))))
    headers.add("To", str(draw(name_addrs)))
    headers.add("Call-ID", draw(tokens))
    headers.add("CSeq", f"{draw(st.integers(0, 2**31 - 1))} {method}")
    for contact in draw(st.lists(name_addrs, max_size=3)):
        headers.add("Contact", str(contact))
    for value in draw(st.lists(tokens, max_size=3)):
        headers.add("Supported", value)
    body = draw(st.binary(max_size=50))
    if draw(st.booleans()):
        return Request(method, draw(uris), headers, body)
    return Response(draw(st.integers(100, 699)), draw(quoted_texts), headers, body)


def same(one: object, two: Request | Response) -> None:
    """See that what was read says what was written, but for Content-Length."""
    assert type(one) is type(two)
    assert isinstance(one, Request | Response)
    assert one.start_line() == two.start_line()
    assert one.body == two.body
    for message in (one, two):
        message.headers.remove("Content-Length")
    assert one.headers == two.headers
    assert (one.from_, one.to, one.cseq, one.contacts) == (two.from_, two.to, two.cseq, two.contacts)
