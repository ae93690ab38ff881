"""Where fuzzing begins: messages of the tests, what our own encoders write, and words of the protocols."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fuzz import frames
from fuzz.calls import SEPARATOR
from ringback.governance.private import Private
from ringback.sip.digest import DigestAuthenticator, authorize, parse_challenge
from ringback.sip.message import Headers, Request, Response, SipUri, encode, make_response
from ringback.sip.parse import parse_message
from ringback.webrtc import stun
from tests.conference.stage import NUMBER
from tests.sdp import bodies
from tests.sip.generated import INVITE

TORTURE: Final = Path(__file__).parents[2] / "shared" / "data" / "sip-torture"
"""Taken as seeds too where they are beside the checkout."""

WORDS: Final = (
    *("SIP/2.0", "SIP/2.0/UDP", "sip:", "sips:", "tel:", "\r\n", "\r\n\r\n", "\r\n ", "z9hG4bK", ";branch="),
    *(
        ";tag=",
        ";rport",
        ";received=",
        ";maddr=",
        ";lr",
        ";transport=tcp",
        "<",
        ">",
        '"',
        '\\"',
        ",",
        "[::1]",
    ),
    *("Via: ", "v: ", "From: ", "f: ", "To: ", "t: ", "Call-ID: ", "i: ", "CSeq: ", "Contact: ", "m: ", "*"),
    *(
        "Route: ",
        "Record-Route: ",
        "Content-Length: ",
        "l: ",
        "Max-Forwards: ",
        "Expires: ",
        "Require: 100rel",
    ),
    *("RSeq: ", "RAck: ", "Session-Expires: 90;refresher=uac", "Min-SE: ", "Supported: ", "Accept: "),
    *(
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "PRACK",
        "UPDATE",
        "OPTIONS",
        "REGISTER",
        "application/sdp",
        "100rel",
    ),
    *(
        "v=0\r\n",
        "o=- 1 1 IN IP4 192.0.2.9\r\n",
        "m=audio 4000 RTP/AVP 0\r\n",
        "a=rtpmap:",
        "a=fmtp:",
        "a=crypto:",
    ),
    *("c=IN IP6 fd00::9\r\n", "c=IN IP6 ::ffff:192.0.2.9\r\n", "c=IN IP6 ::\r\n"),
    *("c=IN IP4 192.0.2.9\r\n", "c=IN IP6 ::1\r\n", "a=fingerprint:", "a=setup:", "a=rtcp-mux\r\n", "a=mid:"),
    *(
        "Digest ",
        "realm=",
        "nonce=",
        "uri=",
        "response=",
        "algorithm=",
        "qop=",
        "nc=00000001",
        "cnonce=",
        "auth",
    ),
)


_MORE: Final = {
    "REFER": (
        ("Refer-To", "<sip:103@example.com?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>"),
        ("Referred-By", "<sip:102@example.com>"),
    ),
    "NOTIFY": (("Event", "refer"), ("Subscription-State", "active;expires=60")),
    "PRACK": (("RAck", "1 7 INVITE"),),
}


def seeds(target: str) -> list[bytes]:
    """The first inputs of a target."""
    return _SEEDS[target]()


def _messages() -> list[bytes]:
    found = [INVITE, *_exchange()]
    found += [path.read_bytes() for path in sorted(TORTURE.glob("*/*.dat"))]
    return found


def _exchange() -> list[bytes]:
    """An INVITE with all that may follow it."""
    invite = parse_message(INVITE)
    assert isinstance(invite, Request)
    found = [encode(make_response(invite, status, to_tag="t")) for status in (100, 180, 200, 401, 486)]
    for method, number in (
        ("ACK", 7),
        ("CANCEL", 7),
        ("PRACK", 8),
        ("UPDATE", 9),
        ("INFO", 10),
        ("REFER", 11),
        ("NOTIFY", 12),
        ("BYE", 13),
    ):
        headers = invite.headers.copy()
        headers.set("CSeq", f"{number} {method}")
        headers.set("To", "<sip:101@example.com>;tag=t5")
        headers.remove("Content-Type")
        for name, value in _MORE.get(method, ()):
            headers.add(name, value)
        found.append(encode(Request(method, invite.uri, headers)))
    headers = invite.headers.copy()
    headers.set("CSeq", "1 REGISTER")
    headers.set("Contact", '"A, B" <sip:102@[2001:db8::1]:5062;ob>;expires=60;q=0.5, <sip:x@y>')
    found.append(encode(Request("REGISTER", SipUri(host="example.com"), headers)))
    compact = (
        INVITE.replace(b"Via", b"v")
        .replace(b"From", b"f")
        .replace(b"To:", b"t:\r\n")
        .replace(b"Call-ID", b"i")
    )
    return [*found, compact]


def _conversations() -> list[bytes]:
    """Whole calls to and from the agent of `calls`."""
    ours = Headers(
        ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKt1;rport"),
        ("From", "<sip:agent@192.0.2.1:5060>;tag=t2"),
        ("To", "<sip:101@192.0.2.9>;tag=x"),
        ("Call-ID", "t3"),
        ("CSeq", "1 INVITE"),
        ("Contact", "<sip:101@192.0.2.9>"),
    )
    asked = ours.copy()
    asked.add("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5')
    early = ours.copy()
    early.add("Require", "100rel")
    early.add("RSeq", "1")
    answers = [encode(Response(183, "", early, b"v=0")), encode(Response(200, "OK", ours, b"v=0"))]
    reliable = INVITE.replace(b"Max-Forwards: 70", b"Supported: 100rel, timer\r\nSession-Expires: 90")
    exchange = _exchange()[5:13]
    joined = [
        SEPARATOR.join(answers),
        SEPARATOR.join([encode(Response(401, "", asked)), *answers]),
        (SEPARATOR + b"\x01").join([INVITE, *exchange]),
        (SEPARATOR + b"\x0d").join([reliable, *exchange]),
        (SEPARATOR + b"\x10").join([b"", INVITE, exchange[1]]),
    ]
    return [*joined, *_messages()]


def _guests() -> list[bytes]:
    """Guests of a meeting: every client's offer, and what may follow its answer."""
    found = []
    for offer in bodies.ALL.values():
        invite = parse_message(INVITE)
        assert isinstance(invite, Request)
        invite.uri = SipUri(user=NUMBER, host="192.0.2.254")
        invite.body = offer
        parts = [encode(invite)]
        invite.headers.set("To", "<sip:101@example.com>;tag=192-0-2-254-1")
        for method, cseq, kind, body in (
            ("ACK", 7, "", b""),
            ("INFO", 8, "application/dtmf-relay", b"Signal=5\r\nDuration=100\r\n"),
            ("INVITE", 9, "application/sdp", offer),
            ("BYE", 10, "", b""),
        ):
            headers = invite.headers.copy()
            headers.set("CSeq", f"{cseq} {method}")
            headers.set("Via", f"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{cseq}{method}")
            headers.remove("Content-Type")
            if kind:
                headers.add("Content-Type", kind)
            parts.append(encode(Request(method, invite.uri, headers, body)))
        found.append((SEPARATOR + b"\x01").join(parts))
    return [*found, *_exchange()]


def _streams() -> list[bytes]:
    several = [b"\r\n\r\n", *_exchange()]
    return [b"\x03\x10\x20\x30" + b"".join(several[n : n + 3]) for n in range(0, len(several), 2)]


def _values() -> list[bytes]:
    texts = (
        "sip:alice:pw@example.com:5060;transport=tcp;lr?Subject=x&priority=urgent",
        "sips:%61lice@[2001:db8::1]:5061",
        "tel:+1-555-555-0100;phone-context=example.com",
        '"A \\" B" <sip:a@b;x=y>;tag=1;q=0.5',
        "Bob Smith <sip:bob@example.com>",
        "sip:bob@example.com;tag=2",
        "urn:service:sos",
        "SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bKa;rport;received=192.0.2.1",
        "7 INVITE",
        "dialog;id=3",
        "terminated;reason=timeout;expires=60",
        "abc@192.0.2.1;to-tag=1;from-tag=2;early-only",
        "1800;refresher=uas",
        "481516234*274113",
    )
    return [text.encode() for text in texts]


def _digests() -> list[bytes]:
    authenticator = DigestAuthenticator("ringback", Private(bytes(32)), random_bytes=bytes)
    found = [b"valid ", b'valid , nc=00000002, qop="auth-int"']
    for algorithm in ("MD5", "SHA-256"):
        value = authenticator.challenge(100.0, algorithm=algorithm, source="192.0.2.9")
        challenge = parse_challenge(value)
        assert challenge is not None
        answer = authorize(challenge, "REGISTER", "sip:192.0.2.1", "101", Private("secret"), cnonce="c")
        found += [value.encode(), (answer or "").encode()]
    return found


def _stuns() -> list[bytes]:
    attributes = [
        (stun.USERNAME, b"loca:remo"),
        (stun.PRIORITY, bytes(4)),
        (stun.USE_CANDIDATE, b""),
        (stun.ICE_CONTROLLING, bytes(8)),
    ]
    whole = stun.encode(stun.BINDING_REQUEST, bytes(12), attributes, b"l" * 22)
    return [whole, whole[20:-8], stun.encode(stun.BINDING_SUCCESS, bytes(12), [(0x7FFF, b"abc")])]


_SEEDS: Final = {
    "message": _messages,
    "values": _values,
    "masked": lambda: [*_messages(), *_guests()[:2]],
    "stream": _streams,
    "websocket": lambda: [b"\0".join([b"\r\n\r\n", *_exchange()[:3]]), INVITE],
    "sdp": lambda: list(bodies.ALL.values()),
    "digest": _digests,
    "stun": _stuns,
    "calls": _conversations,
    "door": _guests,
    "frames": frames.seeds,
}
