"""Offers of browsers and what they are answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringback.sdp.description import SessionDescription
from ringback.sdp.encode import encode_sdp
from ringback.sdp.negotiated import Answer, Local, NegotiatedMedia, Refusal
from ringback.sdp.offer_answer import accept_answer, answer, make_webrtc_offer
from ringback.sdp.parse import parse_sdp
from ringback.sdp.webrtc import LocalWebRtc, restarts_ice

from . import bodies

OURS = "sha-256 " + ":".join(["AB"] * 32)
WEBRTC = LocalWebRtc(OURS, lambda length: bytes(range(length)))
LOCAL = Local(address="192.0.2.1", rtp_port=20_000, rtcp_port=20_003, webrtc=WEBRTC)
BROWSERS = {name: bodies.ALL[name] for name in ("chromium", "chromium-addresses", "firefox")}


def described(data: bytes) -> SessionDescription:
    description = parse_sdp(data)
    assert isinstance(description, SessionDescription), description
    return description


def answered(data: bytes, local: Local = LOCAL) -> Answer:
    result = answer(described(data), local)
    assert isinstance(result, Answer), result
    assert parse_sdp(encode_sdp(result.description)) == result.description
    return result


def refused(data: bytes, local: Local = LOCAL) -> str:
    result = answer(described(data), local)
    assert isinstance(result, Refusal), result
    assert result.status == 488
    return result.reason


@pytest.mark.parametrize("offer", BROWSERS.values(), ids=BROWSERS)
def test_a_browser_gets_all_it_needs_to_connect(offer: bytes) -> None:
    lines = encode_sdp(answered(offer).description).decode().splitlines()
    session, audio = lines[: lines.index("t=0 0") + 4], lines
    for line in ("a=group:BUNDLE 0", "a=ice-lite"):
        assert line in session
    for line in (
        "a=mid:0",
        f"a=ice-ufrag:{WEBRTC.ice_ufrag}",
        f"a=ice-pwd:{WEBRTC.ice_pwd}",
        f"a=fingerprint:{OURS}",
        "a=setup:passive",
        "a=rtcp-mux",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 20000 typ host",
        "a=end-of-candidates",
        "a=sendrecv",
    ):
        assert line in audio, line
    assert not [line for line in audio if line.startswith(("a=rtcp:", "a=crypto"))]


def test_opus_comes_first_whatever_the_browser_prefers() -> None:
    offer = bodies.CHROMIUM.replace(b"SAVPF 111 63 9 0 8 13 110 126", b"SAVPF 0 8 9 111 63 13 110 126")
    result = answered(offer)
    assert [f.codec for f in result.media.receive] == ["OPUS", "G722", "PCMU", "PCMA"]
    assert result.media.send.payload_type == 111
    assert result.media.telephone_event == 110
    assert result.description.media[0].formats == ("111", "9", "0", "8", "110")


def test_the_worker_is_told_both_sides_credentials_and_no_address() -> None:
    command = answered(bodies.CHROMIUM_ADDRESSES).media.set_media(7)
    assert (command.remote_ip, command.remote_port, command.remote_rtcp_port) == ("", 0, 0)
    assert command.rtcp_mux
    assert command.srtp is None
    assert command.webrtc is not None
    assert (command.webrtc.remote_ufrag, command.webrtc.remote_pwd) == ("Xq3C", "rZ9gS8cXvEZQ0z1WcCcJmVGS")
    assert (command.webrtc.local_ufrag, command.webrtc.local_pwd) == (WEBRTC.ice_ufrag, WEBRTC.ice_pwd)
    assert command.webrtc.remote_fingerprints == [("sha-256", bodies.FINGERPRINT)]


def test_a_browser_whose_address_is_unknown_is_not_on_hold() -> None:
    assert answered(bodies.CHROMIUM).media.direction == "sendrecv"
    held = answered(bodies.CHROMIUM.replace(b"a=sendrecv", b"a=sendonly"))
    assert held.media.direction == "recvonly"
    assert held.media.on_hold


def test_video_is_turned_down_and_leaves_the_bundle() -> None:
    description = answered(bodies.CHROMIUM_ADDRESSES).description
    assert [media.port for media in description.media] == [20_000, 0]
    assert description.media[1].value("mid") == "1"
    assert description.value("group") == "BUNDLE 0"


def test_credentials_and_fingerprint_of_the_session_count_for_its_stream() -> None:
    lines = bodies.CHROMIUM.split(b"\r\n")
    shared = (b"a=ice-ufrag", b"a=ice-pwd", b"a=fingerprint", b"a=setup")
    moved = [line for line in lines if line.startswith(shared)]
    kept = [line for line in lines if not line.startswith(shared)]
    assert (
        answered(b"\r\n".join([*kept[:4], *moved, *kept[4:]])).media.webrtc
        == answered(bodies.CHROMIUM).media.webrtc
    )


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        (b"a=rtcp-mux\r\n", b""),
        (b"a=ice-ufrag:Xq3C\r\n", b""),
        (b"a=ice-ufrag:Xq3C", b"a=ice-ufrag:Xq 3"),
        (b"a=ice-pwd:rZ9gS8cXvEZQ0z1WcCcJmVGS", b"a=ice-pwd:short"),
        (b"a=fingerprint:sha-256", b"a=fingerprint:sha-1"),
        (b"a=fingerprint:sha-256 11:22", b"a=fingerprint:sha-256 22"),
        (b"a=setup:actpass", b"a=setup:passive"),
        (b"a=setup:actpass", b"a=setup:holdconn"),
        (b"a=mid:0", b"a=ice-lite"),
        (
            b"a=mid:0",
            b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj",
        ),
        (b"opus", b"evs"),
    ],
)
def test_what_cannot_be_secured_is_refused(line: bytes, instead: bytes) -> None:
    assert line in bodies.CHROMIUM
    offer = bodies.CHROMIUM.replace(line, instead)
    if line == b"opus":
        offer = offer.replace(b"SAVPF 111 63 9 0 8 13 110 126", b"SAVPF 111 63 13 110 126")
    assert refused(offer)


def test_without_a_certificate_of_ours_there_is_no_webrtc() -> None:
    assert refused(bodies.CHROMIUM, replace(LOCAL, webrtc=None))


def test_an_ice_restart_is_seen_by_its_new_credentials() -> None:
    known = answered(bodies.CHROMIUM).media.webrtc
    assert known is not None
    assert not restarts_ice(described(bodies.CHROMIUM), known)
    again = bodies.CHROMIUM.replace(b"Xq3C", b"Yr4D")
    assert restarts_ice(described(again), known)
    first = answered(bodies.CHROMIUM)
    fresh = replace(LOCAL, webrtc=LocalWebRtc(OURS))
    second = answer(described(again), fresh, previous=first.description)
    assert isinstance(second, Answer)
    assert second.description.origin.session_version == first.description.origin.session_version + 1
    assert second.media.webrtc is not None
    assert second.media.webrtc.local_ufrag != known.local_ufrag
    assert second.media.webrtc.remote_fingerprints == known.remote_fingerprints


def test_our_credentials_are_not_guessable() -> None:
    made = {LocalWebRtc(OURS).ice_pwd for _ in range(100)}
    assert len(made) == 100
    assert all(len(pwd) >= 22 for pwd in made)
    assert WEBRTC.ice_pwd not in repr(WEBRTC)


@given(st.data())
def test_whatever_a_browser_sends_is_answered_or_refused(data: st.DataObject) -> None:
    lines = bodies.CHROMIUM.split(b"\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at] = data.draw(st.sampled_from([b"", lines[at][:-3], lines[at] + b"\xff", lines[at][::-1]]))
    offer = parse_sdp(b"\r\n".join(lines))
    if isinstance(offer, SessionDescription):
        result = answer(offer, LOCAL)
        if isinstance(result, Answer):
            encode_sdp(result.description)


def test_a_browser_is_offered_all_it_needs_to_answer() -> None:
    offer = make_webrtc_offer(LOCAL)
    text = encode_sdp(offer)
    assert parse_sdp(text) == offer
    lines = text.decode().splitlines()
    for line in (
        "a=group:BUNDLE 0",
        "a=ice-lite",
        "a=mid:0",
        "a=setup:actpass",
        "a=rtcp-mux",
        f"a=ice-ufrag:{WEBRTC.ice_ufrag}",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 20000 typ host",
    ):
        assert line in lines
    assert any(line.startswith("m=audio 20000 UDP/TLS/RTP/SAVPF ") for line in lines)


@pytest.mark.parametrize("body", BROWSERS.values(), ids=BROWSERS)
def test_a_browser_answers_our_offer_as_the_one_that_opens_dtls(body: bytes) -> None:
    offer = make_webrtc_offer(LOCAL)
    taken = accept_answer(offer, described(body.replace(b"setup:actpass", b"setup:active")), LOCAL)
    assert isinstance(taken, NegotiatedMedia), taken
    assert taken.webrtc is not None
    assert taken.webrtc.local_ufrag == WEBRTC.ice_ufrag
    assert taken.webrtc.remote_fingerprints
    assert taken.send.codec == "OPUS"
    assert taken.rtcp_mux
    refused = accept_answer(offer, described(body.replace(b"setup:actpass", b"setup:passive")), LOCAL)
    assert isinstance(refused, Refusal), "then nobody would open it"


@pytest.mark.parametrize("offer", BROWSERS.values(), ids=BROWSERS)
def test_who_came_by_ipv6_is_told_the_ipv4_address_of_the_same_port_second(offer: bytes) -> None:
    local = replace(LOCAL, address="2001:db8::1", also_at="192.0.2.1")
    for description in (answered(offer, local).description, make_webrtc_offer(local)):
        lines = encode_sdp(description).decode().splitlines()
        assert "c=IN IP6 2001:db8::1" in lines
        assert [line for line in lines if line.startswith("a=candidate")] == [
            "a=candidate:1 1 udp 2130706431 2001:db8::1 20000 typ host",
            "a=candidate:2 1 udp 2130706175 192.0.2.1 20000 typ host",
        ]
    # Who came by IPv4 is told one address.
    four = answered(offer, replace(LOCAL, also_at="192.0.2.1", other_address="2001:db8::1")).description
    assert encode_sdp(four).count(b"a=candidate") == 1
