"""What a trace shows of a message: nothing of numbers, names and secrets, and all that explains the call."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringback.sip.masking import mask
from ringback.sip.message import Request
from ringback.sip.parse import Malformed, parse_message

# The digits of the templates are 0, 1 and 2, those of numbers and PINs the others: no run of three of them
# can stand in a message for another reason.
NUMBERS = st.text("3456789", min_size=3, max_size=15)
PINS = st.text("3456789", min_size=4, max_size=8)
NAMES = st.text("QZqz", min_size=4, max_size=12)

INVITE = """\
INVITE sip:{number}*{pin}@192.0.2.1;transport=udp;user=phone SIP/2.0
Via: SIP/2.0/UDP 192.0.2.20:5002;branch=z9hG4bK21;rport;received=192.0.2.20;{name}={number}
Max-Forwards: 20
From: "{name} {name}" <sip:{other}@192.0.2.1>;tag=a1-{other}
To: {name} <sip:{number}*{pin}@192.0.2.1;user=phone>
Call-ID: {other}-1200@192.0.2.20
CSeq: 2 INVITE
Contact: <sip:{other}@192.0.2.20:5002;ob>;+sip.instance="<urn:uuid:{name}>"
Authorization: Digest username="{other}", nonce="{name}", uri="sip:{number}*{pin}@192.0.2.1",
 realm="ringback", response="{name}", algorithm=MD5, qop=auth, nc=00000001, cnonce="{name}"
Proxy-Authorization: Basic {name}
P-Asserted-Identity: "{name}" <tel:{other}>
p-asserted-identity: <tel:+1-{other};ext={pin}>
Remote-Party-ID: {name} <sip:{other}@192.0.2.1>;party=calling
Diversion: <sip:{other}@192.0.2.1>;reason=unconditional
Refer-To: <sip:{number}@192.0.2.1?Replaces={other}%4012>
Reason: Q.850;cause=16;text="{name} {number}"
Warning: 399 192.0.2.1 "{name} {number}"
Subject: {name},
 call {number} with {pin}
X-Dialled-{number}: {number}
History-Info: <sip:{number};pin={pin}@192.0.2.1>;index=1
User-Agent: Example Phone 1.2
Content-Type: application/sdp
Content-Length: 2000

v=0
o={other} 1 2 IN IP4 192.0.2.20
s={name} {number}
i={name}
e={name}@example.com
p=+{other}
c=IN IP4 192.0.2.20
k=clear:{name}
t=0 0
m=audio 10020 RTP/SAVP 0 101
a=rtpmap:101 telephone-event/8000
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{name}{number}
a=ice-ufrag:f00
a=ice-pwd:{name}{number}
a=ssrc:1 cname:{name}@{other}
a=x-{number}:{pin}
a=sendrecv
"""

RESPONSE = """\
SIP/2.0 404 {number} is unknown
v: SIP/2.0/TLS 192.0.2.20:5002;branch=z9hG4bK21, SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK22
f: {name} <sips:{other}@192.0.2.1>;tag=1
t: <sip:+{number}:{pin}@192.0.2.1>;tag=2
i: 12@192.0.2.20
CSeq: 2 INVITE
WWW-Authenticate: Digest realm="ringback", nonce="0011"
m: "{name}" <sip:{number};tag={pin}@192.0.2.20>;expires=120
Content-Length: 0

"""

MESSAGE = """\
MESSAGE tel:{number} SIP/2.0
Via: SIP/2.0/TCP 192.0.2.20:5002;branch=z9hG4bK21
From: <sip:{other}@192.0.2.1>;tag=1
To: <tel:{number}>
Call-ID: 12@192.0.2.20
CSeq: 2 MESSAGE
Content-Type: text/plain
Content-Length: 200

{name}, the PIN of {number} is {pin}
"""

INFO = """\
INFO sip:192.0.2.1 SIP/2.0
Via: SIP/2.0/TCP 192.0.2.20:5002;branch=z9hG4bK21
From: {name} <sip:{other}@192.0.2.1>;tag=1
To: <sip:{number}@192.0.2.1>;tag=2
Call-ID: 12@192.0.2.20
CSeq: 2 INFO
Content-Type: application/dtmf-relay
Content-Length: 200

Signal={pin}
Duration=120
"""

BROKEN = """\
INVITE sip:{number}*{pin} at 192.0.2.1 SIP/2.0
From {name} <sip:{other}@192.0.2.1
To: "{name} <sip:{number}*{pin}@192.0.2.1>
{number} {pin}
Content-Type: application/sdp
Content-Encoding: gzip
Authorization {name}

o={other} {name} {number}
"""

UNKNOWN = """\
{number} sip:{number}@192.0.2.1 SIP/2.0
Via: SIP/2.0/TCP 192.0.2.20:5002;branch=z9hG4bK21
From: <sip:{other}@192.0.2.1>;tag=1
To: <sip:{number}@192.0.2.1>;tag=2
Call-ID: {number}
CSeq: 2 x
Content-Length: 0

"""

TEMPLATES = {
    "unknown": UNKNOWN,
    "invite": INVITE,
    "response": RESPONSE,
    "message": MESSAGE,
    "info": INFO,
    "broken": BROKEN,
}


def fill(template: str, **values: str) -> bytes:
    return template.format(**values).replace("\n", "\r\n").encode()


@pytest.mark.parametrize("kind", TEMPLATES)
@given(number=NUMBERS, other=NUMBERS, pin=PINS, name=NAMES)
def test_no_number_no_pin_and_no_name_can_be_seen(
    kind: str, number: str, other: str, pin: str, name: str
) -> None:
    data = fill(TEMPLATES[kind], number=number, other=other, pin=pin, name=name)
    shown = mask(data)
    assert len(shown) == len(data)
    text = shown.decode("ascii")
    assert not re.search("[3456789]{3}", re.sub(r"z9hG4bK|RTP/SAVP|399|8000", "", text)), text
    assert not re.search("[QZqz]{2}", text), text
    # Of the digits at most the last two of a number are left, of a PIN none.
    for run in re.findall(r"\*([^@\s]*)", text):
        assert set(run) <= {"x"}, text


@given(number=NUMBERS, pin=PINS)
def test_a_dial_string_in_any_spelling(number: str, pin: str) -> None:
    escaped = "".join(f"%{ord(digit):02X}" for digit in number + "*" + pin)
    spaced = "-".join(number)
    for user in (f"{number}%2A{pin}", escaped, f"{spaced}*{pin}", f"{number}*{pin}#", f"{number};pin={pin}"):
        text = mask(
            f"OPTIONS sip:{user}@10.0.0.1 SIP/2.0\r\nTo: <sip:{user}@10.0.0.1>\r\n\r\n".encode()
        ).decode()
        assert len(re.findall("[3456789]", text)) <= 4, text


@given(st.binary(max_size=400))
@example(b"\r\n\r\n")
@example(b"INVITE sip:\xff\xfe@x SIP/2.0\r\n: \r\n \r\nContent-Type: application/sdp\r\n\r\na=\r\n=\r\n\n")
def test_any_bytes_are_masked_to_as_many(data: bytes) -> None:
    shown = mask(data)
    assert len(shown) == len(data)
    assert shown.isascii()
    assert [byte for byte in shown if byte in b"\r\n"] == [byte for byte in data if byte in b"\r\n"]


def test_what_explains_a_call_stays() -> None:
    data = fill(INVITE, number="481516234", other="1001", pin="274113", name="Ada")
    text = mask(data).decode()
    for kept in (
        "INVITE sip:xxxxxxx34*xxxxxx@192.0.2.1;transport=udp;user=phone SIP/2.0\r\n",
        "Via: SIP/2.0/UDP 192.0.2.20:5002;branch=z9hG4bK21;rport;received=192.0.2.20;",
        'From: "xxx xxx" <sip:xx01@192.0.2.1>;tag=a1-xxxx\r\n',
        "Call-ID: xxxx-1200@192.0.2.20\r\n",
        "CSeq: 2 INVITE\r\n",
        "Contact: <sip:xx01@192.0.2.20:5002;ob>;",
        'Authorization: Digest username="xxxx", ',
        "Reason: Q.850;cause=16;",
        "User-Agent: Example Phone 1.2\r\n",
        "o=xxxx 1 2 IN IP4 192.0.2.20\r\n",
        "c=IN IP4 192.0.2.20\r\n",
        "m=audio 10020 RTP/SAVP 0 101\r\n",
        "a=rtpmap:101 telephone-event/8000\r\n",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xxx",
    ):
        assert kept in text


def test_a_masked_message_is_still_one() -> None:
    data = fill(INVITE, number="481516234", other="1001", pin="274113", name="Ada")
    data = data.replace(b"Content-Length: 2000", b"Content-Length: %d" % len(data.partition(b"\r\n\r\n")[2]))
    assert isinstance(parse_message(data), Request)
    shown = parse_message(mask(data))
    assert isinstance(shown, Request)
    assert shown.cseq.number == 2
    assert isinstance(parse_message(mask(fill(BROKEN, number="1", other="2", pin="3", name="x"))), Malformed)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("sip:1001@example.com", "sip:xx01@example.com"),
        ("sip:alice:secret@example.com", "sip:xxxxx:xxxxxx@example.com"),
        ("sip:+1-555-010-0100@[2001:db8::1]:5061", "sip:+x-xxx-xxx-xx00@[2001:db8::1]:5061"),
        ("tel:+15550100", "tel:+xxxxxx00"),
        ("sip:481516234", "sip:xxxxxxxxx"),
        ("sip:*43@example.com", "sip:*43@example.com"),
        ("sip:43*1234@example.com", "sip:43*xxxx@example.com"),
        ("sip:192.0.2.1:5060;lr", "sip:192.0.2.1:5060;lr"),
        ("urn:service:sos", "xxx:xxxxxxx:xxx"),
    ],
)
def test_addresses(written: str, shown: str) -> None:
    assert mask(f"To: <{written}>".encode().join([b"OPTIONS sip:h SIP/2.0\r\n", b"\r\n\r\n"])).decode() == (
        f"OPTIONS sip:h SIP/2.0\r\nTo: <{shown}>\r\n\r\n"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"INVITE a" + b" " * 300_000 + b"x\r\n\r\n",
        b'INVITE sip:a@b SIP/2.0\r\nFrom: "' + b'\\"' * 150_000 + b"\r\n\r\n",
    ],
    ids=["spaces", "quotes"],
)
def test_no_message_takes_for_ever(data: bytes) -> None:
    # Were the time quadratic, this would take longer than a test may.
    assert len(mask(data)) == len(data)
