"""Audio levels and extended reports in offers and answers: agreed on where a peer would tell them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ringback.sdp.description import Attribute, MediaDescription, SessionDescription
from ringback.sdp.extensions import AUDIO_LEVEL
from ringback.sdp.negotiated import Answer, Local
from ringback.sdp.offer_answer import accept_answer, answer, make_offer
from ringback.sdp.parse import parse_sdp

from . import bodies
from .test_webrtc import LOCAL as WEBRTC

OURS = Local(address="192.0.2.1", rtp_port=20_000, rtcp_port=20_001)
THEIRS = Local(address="192.0.2.2", rtp_port=30_000, rtcp_port=30_001, answer_order="ours")


def offered(*lines: str, session: tuple[str, ...] = ()) -> Answer:
    """An offer with these lines, answered."""
    data = bodies.body(
        *("v=0", "o=- 1 1 IN IP4 192.0.2.10", "s=-", "c=IN IP4 192.0.2.10", "t=0 0", *session),
        *("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2", *lines),
    )
    description = parse_sdp(data)
    assert isinstance(description, SessionDescription)
    result = answer(description, OURS)
    assert isinstance(result, Answer)
    return result


def extensions(media: MediaDescription) -> list[str]:
    return list(media.values("extmap"))


def test_a_browser_is_told_that_we_listen_to_its_level() -> None:
    description = parse_sdp(bodies.CHROMIUM)
    assert isinstance(description, SessionDescription)
    result = answer(description, WEBRTC)
    assert isinstance(result, Answer)
    assert extensions(result.description.media[0]) == [f"1/recvonly {AUDIO_LEVEL}"]
    assert result.media.audio_level_extension == 1
    assert result.media.set_media(7).audio_level_extension == 1


@pytest.mark.parametrize(
    ("lines", "identifier"),
    [
        ((f"a=extmap:5 {AUDIO_LEVEL}",), 5),
        ((f"a=extmap:5/sendrecv {AUDIO_LEVEL} vad=on",), 5),
        ((f"a=extmap:14/sendonly {AUDIO_LEVEL}",), 14),
        ((f"a=extmap:200 {AUDIO_LEVEL}",), 200),
        ((f"a=extmap:0 {AUDIO_LEVEL}", f"a=extmap:2 {AUDIO_LEVEL}"), 2),
        ((f"a=extmap:5/recvonly {AUDIO_LEVEL}",), 0),
        ((f"a=extmap:5/inactive {AUDIO_LEVEL}",), 0),
        ((f"a=extmap:15 {AUDIO_LEVEL}",), 0),
        ((f"a=extmap:4096 {AUDIO_LEVEL}",), 0),
        ((f"a=extmap:5 {AUDIO_LEVEL}", "a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:mid"), 0),
        ((f"a=extmap:5 {AUDIO_LEVEL}X",), 0),
        ((f"a=extmap:5{AUDIO_LEVEL}",), 0),
        (("a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:mid",), 0),
        ((), 0),
    ],
)
def test_what_is_answered(lines: tuple[str, ...], identifier: int) -> None:
    result = offered(*lines)
    assert result.media.audio_level_extension == identifier
    expected = [f"{identifier}/recvonly {AUDIO_LEVEL}"] if identifier else []
    assert extensions(result.description.media[0]) == expected


def test_it_may_be_said_of_the_whole_session() -> None:
    assert offered(session=(f"a=extmap:9 {AUDIO_LEVEL}",)).media.audio_level_extension == 9


def test_both_ends_of_ours_agree_and_the_number_stays() -> None:
    offer = make_offer(OURS)
    assert extensions(offer.media[0]) == [f"1/recvonly {AUDIO_LEVEL}"]
    # Both sides only listen: nobody would tell anything.
    result = answer(offer, THEIRS)
    assert isinstance(result, Answer)
    assert result.media.audio_level_extension == 0
    media = result.description.media[0]
    told = replace(result.description, media=(telling(media, 1),))
    accepted = accept_answer(offer, told, OURS)
    assert not hasattr(accepted, "reason")
    assert accepted.audio_level_extension == 1  # type: ignore[union-attr]
    other = accept_answer(offer, replace(result.description, media=(telling(media, 2),)), OURS)
    assert other.audio_level_extension == 0  # type: ignore[union-attr]


def test_offers_keep_the_number_in_use_and_say_nothing_without_opus() -> None:
    before = offered(f"a=extmap:7 {AUDIO_LEVEL}").description
    assert extensions(make_offer(OURS, before).media[0]) == [f"7/recvonly {AUDIO_LEVEL}"]
    assert extensions(make_offer(replace(OURS, codecs=("PCMU",))).media[0]) == []


def telling(media: MediaDescription, identifier: int) -> MediaDescription:
    line = Attribute("extmap", f"{identifier}/sendonly {AUDIO_LEVEL}")
    return replace(media, attributes=(*media.attributes, line))


@pytest.mark.parametrize(
    ("line", "answer_line", "times"),
    [
        (
            "a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics",
            "rcvr-rtt=all voip-metrics stat-summary=loss,dup,jitt",
            True,
        ),
        ("a=rtcp-xr:rcvr-rtt=sender", "rcvr-rtt=all voip-metrics stat-summary=loss,dup,jitt", True),
        ("a=rtcp-xr:voip-metrics", "voip-metrics stat-summary=loss,dup,jitt", False),
        ("a=rtcp-xr", "voip-metrics stat-summary=loss,dup,jitt", False),
        ("a=rtcp-xr:rcvr-rtt=never", "voip-metrics stat-summary=loss,dup,jitt", False),
        ("a=rtcp-fb:* trr-int 5000", None, False),
    ],
)
def test_extended_reports_are_asked_for_where_the_peer_speaks_of_them(
    line: str, answer_line: str | None, times: bool
) -> None:
    for result in (offered(line), offered(session=(line,))):
        assert result.description.media[0].value("rtcp-xr") == answer_line
        assert result.media.reference_times == times
        assert result.media.set_media(1).reference_times == times


def test_our_offers_ask_for_extended_reports_and_an_answer_may_take_it_up() -> None:
    offer = make_offer(OURS)
    result = answer(offer, THEIRS)
    assert isinstance(result, Answer)
    assert result.media.reference_times
    accepted = accept_answer(offer, result.description, OURS)
    assert accepted.reference_times  # type: ignore[union-attr]
    silent = replace(result.description.media[0], attributes=())
    silent = replace(silent, formats=("0",))
    accepted = accept_answer(offer, replace(result.description, media=(silent,)), OURS)
    assert not accepted.reference_times  # type: ignore[union-attr]
