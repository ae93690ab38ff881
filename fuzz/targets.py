"""What is fuzzed: each target takes any bytes, and raises when a promise of the code it calls is broken."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final

from msgspec.structs import replace

from fuzz.calls import play
from fuzz.door import knock
from fuzz.frames import sort_frames
from ringback.governance.private import Private
from ringback.governance.shown import fit_to_show
from ringback.routing.numbers import parse_dial_string
from ringback.sdp.description import SessionDescription
from ringback.sdp.encode import encode_sdp
from ringback.sdp.negotiated import Answer, Local
from ringback.sdp.offer_answer import accept_answer, answer, make_offer
from ringback.sdp.parse import parse_sdp
from ringback.sdp.webrtc import LocalWebRtc
from ringback.server.sip_socket import SipSockets
from ringback.sip.digest import (
    Credential,
    DigestAuthenticator,
    authorize,
    make_ha1,
    parse_challenge,
    parse_digest,
)
from ringback.sip.errors import SipSyntaxError
from ringback.sip.event import Event, SubscriptionState
from ringback.sip.flow import Flow
from ringback.sip.grammar import split_list
from ringback.sip.headers import CSeq, Via
from ringback.sip.masking import mask
from ringback.sip.message import Message, Request, Response, SipUri, encode
from ringback.sip.parse import KeepAlive, Malformed, StreamFramer, parse_message
from ringback.sip.replaces import Replaces
from ringback.sip.session_expiry import SessionExpires
from ringback.sip.uri import NameAddr, Uri, parse_uri
from ringback.webrtc import stun
from ringback.webrtc.ice_lite import IceCredentials, IceLite

Target = Callable[[bytes], None]

# A header name written in full, and a list with one value a line, are longer than what came.
_LONGEST_LINE: Final = 40


def message(data: bytes) -> None:
    """A datagram: read without raising; what is good is written and read again as the same."""
    parsed = parse_message(data)
    if isinstance(parsed, Malformed):
        assert not parsed.answerable or parsed.top_via is not None
        return
    _read_all(parsed)
    written = encode(parsed)
    assert len(written) <= len(data) + _LONGEST_LINE * (len(parsed.headers) + 1), "grows without bound"
    again = parse_message(written)
    assert not isinstance(again, Malformed), again.reason
    again.headers.remove("Content-Length")
    parsed.headers.remove("Content-Length")
    assert again.start_line() == parsed.start_line()
    assert again.headers == parsed.headers
    assert again.body == parsed.body
    assert encode(again) == written


def _read_all(parsed: Message) -> None:
    """The typed views cannot fail on what the parser let through."""
    _ = (
        parsed.call_id,
        parsed.cseq,
        parsed.from_.tag,
        parsed.to.tag,
        parsed.top_via.sent_by,
        parsed.contacts,
        parsed.contact_star,
        parsed.routes,
        parsed.record_routes,
        parsed.content_type,
        parsed.max_forwards,
    )


def values(data: bytes) -> None:
    """The value of a header field, whatever that is: what is read is written and read as equal."""
    text = data.decode("utf-8", "surrogateescape")
    split_list(text)
    parse_dial_string(text)
    fit_to_show(text).encode()
    for read in _VALUES:
        try:
            value = read(text)
        except SipSyntaxError:
            continue
        if value is not None:
            again = read(str(value))
            assert again == value
            assert str(again) == str(value)
        if isinstance(value, Uri):
            assert hash(read(str(value))) == hash(value)


_VALUES: Final[tuple[Callable[[str], object], ...]] = (
    parse_uri,
    NameAddr.parse,
    Via.parse,
    CSeq.parse,
    Event.parse,
    SubscriptionState.parse,
    Replaces.parse,
    SessionExpires.parse,
)


def masked(data: bytes) -> None:
    """Any bytes as a watcher of SIP is shown them: as long as they were."""
    assert len(mask(data)) == len(data)


def stream(data: bytes) -> None:
    """A connection: the same messages and pongs however it is cut, in bounded memory.

    The first byte is the number of cuts, each next byte the length of a piece.
    """
    count = data[0] % 32 if data else 0
    lengths, octets = data[1 : 1 + count], data[1 + count :]
    whole = list(_framed([octets]))
    pieces: list[bytes] = []
    for length in lengths:
        pieces.append(octets[:length])
        octets = octets[length:]
    assert _summary(whole) == _summary(list(_framed([*pieces, octets])))


def _framed(pieces: list[bytes]) -> Iterator[Message | Malformed | KeepAlive]:
    framer = StreamFramer(max_header=600, max_body=200)
    for piece in pieces:
        yield from framer.feed(piece)
        assert not framer.closed or not framer.mid_message
        assert len(framer._buffer) <= framer.max_header + framer.max_body + len(piece)


def _summary(items: list[Message | Malformed | KeepAlive]) -> tuple[list[object], int]:
    """What a peer notices: the messages in order, and how many pongs."""
    messages: list[object] = []
    for item in items:
        if isinstance(item, Malformed):
            messages.append((item.reason, item.status, item.method, item.close, item.headers))
        elif not isinstance(item, KeepAlive):
            messages.append((item.start_line(), item.headers, item.body))
    return messages, sum(isinstance(item, KeepAlive) and item.ping for item in items)


def websocket(data: bytes) -> None:
    """Frames of a page (each ends at a zero byte): every good message arrives, and nothing else does."""
    taken: list[Message | Malformed] = []
    sent: list[bytes] = []
    lost: list[Flow] = []
    sockets = SipSockets(lambda one, _: taken.append(one), lost.append, lambda: ("192.0.2.1", 443))
    number = sockets.connected(("192.0.2.9", 5000), True, sent.append, lambda: None)
    assert number is not None
    expected = 0
    for frame in data.split(b"\0"):
        read = parse_message(frame)
        expected += not isinstance(read, Malformed) or read.answerable
        sockets.received(number, frame)
    assert len(taken) == expected
    assert set(sent) <= {b"\r\n"}
    sockets.closed(number)
    assert len(lost) == 1
    assert len(sockets) == 0


def sdp(data: bytes) -> None:
    """A body: read without raising, written and read as equal; answered or refused as offer and as answer."""
    described = parse_sdp(data)
    if not isinstance(described, SessionDescription):
        return
    written = encode_sdp(described)
    # Bytes that are no UTF-8 become a character of three.
    assert len(written) <= 3 * len(data) + 200, "grows without bound"
    again = parse_sdp(written)
    assert again == described
    for local in _LOCALS:
        answered = answer(described, local)
        if isinstance(answered, Answer):
            back = encode_sdp(answered.description)
            assert parse_sdp(back) == answered.description
            assert len(back) <= len(written) + 4_000
            followed = answer(described, local, answered.description)
            assert isinstance(followed, Answer)
        accept_answer(make_offer(local), described, local)


_LOCAL: Final = Local(
    address="192.0.2.1",
    rtp_port=20_000,
    rtcp_port=20_001,
    codecs=("OPUS", "G722", "PCMU", "PCMA"),
    random_bytes=bytes,
)
_LOCALS: Final = (
    _LOCAL,
    replace(_LOCAL, srtp="allowed"),
    replace(_LOCAL, other_address="2001:db8::1"),
    replace(_LOCAL, address="2001:db8::1", also_at="192.0.2.1"),
    replace(_LOCAL, srtp="required"),
    replace(_LOCAL, webrtc=LocalWebRtc("sha-256 " + ":".join(["AA"] * 32), bytes)),
)


def digest(data: bytes) -> None:
    """Credentials and challenges: read and checked without raising, answered so that it can be read."""
    text = data.decode("utf-8", "surrogateescape").replace("\r", "").replace("\n", "")
    authenticator = DigestAuthenticator("ringback", Private(bytes(32)), random_bytes=bytes)
    if text.startswith("valid "):
        # Past the nonce: what follows the word replaces the end of credentials that are right.
        text = _valid_credentials(authenticator)[: -(len(text) % 180) or None] + text[6:]
    parse_digest(text)
    authenticator.find([text])
    for _ in range(2):
        authenticator.check(text, "REGISTER", _TARGET, {"101": _CREDENTIAL}.get, 100.0, source="192.0.2.9")
    challenge = parse_challenge(text)
    if challenge is None:
        return
    value = authorize(challenge, "REGISTER", _TARGET, "101", Private("secret"), cnonce="c")
    assert value is not None
    given = parse_digest(value)
    # One that is too long for us to take back may still be right for who made it.
    assert given is None or (given["realm"], given["nonce"]) == (challenge.realm, challenge.nonce)


_TARGET: Final = SipUri(host="192.0.2.1")
_CREDENTIAL: Final = Credential(
    "101", make_ha1("101", "ringback", "secret"), make_ha1("101", "ringback", "secret", "SHA-256")
)


def _valid_credentials(authenticator: DigestAuthenticator) -> str:
    challenge = parse_challenge(authenticator.challenge(100.0, source="192.0.2.9"))
    assert challenge is not None
    value = authorize(challenge, "REGISTER", _TARGET, "101", Private("secret"), cnonce="c")
    assert value is not None
    return value


def stun_check(data: bytes) -> None:
    """A STUN datagram, as it is or as the attributes of one with a right length and FINGERPRINT."""
    parsed = stun.parse(data)
    for kind in (stun.BINDING_REQUEST, stun.BINDING_SUCCESS):
        _take(stun.parse(_sealed(kind, data[: len(data) & ~3])))
    if parsed is not None:
        _take(parsed)


def _sealed(kind: int, attributes: bytes) -> bytes:
    empty = stun.encode(kind, bytes(12), [])
    head = empty[:2] + struct.pack("!H", len(attributes) + 8) + empty[4:20] + attributes
    # The checksum is of all before it: taken from a message whose last attribute ours are.
    return head + struct.pack("!HHI", stun.FINGERPRINT, 4, stun.binascii.crc32(head) ^ 0x5354554E)


def _take(parsed: stun.StunMessage | None) -> None:
    if parsed is None:
        return
    assert not parsed.is_authentic(b"another password of 22 letters")
    ice = IceLite(_ICE)
    check = ice.receive(parsed, (0xC0000209, 5000), bytes([192, 0, 2, 9]), 1.0)
    # Nobody knows the password: a check that counts would be forged.
    assert not check.valid or parsed.is_authentic(_ICE.local_pwd)
    ice.prove(parsed, (0xC0000209, 5000))
    for answered in (stun.success(parsed, bytes(16), 5000, b"p"), stun.error(parsed, 420, "Unknown")):
        assert stun.parse(answered) is not None
        assert len(answered) <= 200


_ICE: Final = IceCredentials.of("loca", "l" * 22, "remo", "r" * 22)


def calls(data: bytes) -> None:
    """Datagrams to a user agent that answers, over time: nothing raises, all ends, what it sends is SIP."""
    for sent in play(data):
        read = parse_message(sent)
        assert isinstance(read, Request | Response), read


TARGETS: Final[dict[str, Target]] = {
    "message": message,
    "values": values,
    "masked": masked,
    "stream": stream,
    "websocket": websocket,
    "sdp": sdp,
    "digest": digest,
    "stun": stun_check,
    "calls": calls,
    "door": knock,
    "frames": sort_frames,
}
