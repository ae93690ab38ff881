from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp.description import (
    Attribute,
    Bandwidth,
    Connection,
    MediaDescription,
    Origin,
    SdpError,
    SessionDescription,
)
from ringback.sdp.encode import encode_sdp
from ringback.sdp.parse import _parse_lines, _parse_usual, parse_sdp

from . import bodies
from .bodies import body

HEAD = ("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0")


def parsed(data: bytes) -> SessionDescription:
    description = parse_sdp(data)
    assert isinstance(description, SessionDescription), description
    return description


@pytest.mark.parametrize("data", bodies.ALL.values(), ids=bodies.ALL.keys())
def test_what_real_clients_send_survives_reading_and_writing(data: bytes) -> None:
    description = parsed(data)
    assert encode_sdp(description) == data or parsed(encode_sdp(description)) == description
    assert all(media.formats for media in description.media)


def test_a_description_is_read_to_its_parts() -> None:
    description = parsed(bodies.LINPHONE)
    assert description.origin == Origin("alice", 1234, 789, "IP4", "192.0.2.11")
    audio, video = description.media
    assert (audio.kind, audio.port, audio.protocol) == ("audio", 7078, "RTP/AVP")
    assert audio.formats[:4] == ("96", "97", "98", "0")
    assert audio.value("rtcp-fb") == "* trr-int 5000"
    assert list(video.values("rtpmap")) == ["96 VP8/90000", "97 H264/90000"]
    assert description.connection_of(video) == Connection("IP4", "192.0.2.11")


def test_line_ends_of_lf_alone_and_blank_lines_at_the_end_are_fine() -> None:
    data = bodies.YEALINK.replace(b"\r\n", b"\n") + b"\r\n\r\n"
    assert parsed(data) == parsed(bodies.YEALINK)


def test_unknown_lines_are_passed_over_and_a_missing_name_and_time_forgiven() -> None:
    description = parsed(
        body("v=0", "o=A B 1 1 IN IP4 192.0.2.1", "x=what", "m=audio 4000 RTP/AVP 0", "y=0100000001")
    )
    assert description.origin.username == "A B"
    assert description.name == "-"
    assert description.times == ((0, 0),)
    assert len(description.media) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"hello there",
        b"<html><body>not a session</body></html>",
        b"{}",
        b"v=0\r\n",
        b"v=1\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
        b"o=- 1 1 IN IP4 192.0.2.1\r\nv=0\r\n",
        body("v=0", "s=-", "o=- 1 1 IN IP4 192.0.2.1"),
        body(*HEAD, "o=- 1 1 IN IP4 192.0.2.1"),
        body("v=0", "o=- one 1 IN IP4 192.0.2.1"),
        body("v=0", "o=- 1 1 IN IPX 192.0.2.1"),
        body(*HEAD, "no equals sign"),
        body(*HEAD, "m=audio 65536 RTP/AVP 0"),
        body(*HEAD, "m=audio 4000/0 RTP/AVP 0"),
        body(*HEAD, "m=audio -1 RTP/AVP 0"),
        body(*HEAD, "m=audio \u0664000 RTP/AVP 0"),
        body(*HEAD, "m=audio 4000 RTP/AVP"),
        body(*HEAD, "m=audio 4000 RTP/AVP  "),
        body(*HEAD, "m=audio 4000 RTP/AVP " + " ".join(map(str, range(200)))),
        body(*HEAD, *["m=audio 4000 RTP/AVP 0"] * 33),
        body(*HEAD, "a=x\0y"),
        body(*HEAD, "a=x\ry"),
        body(*HEAD, "c=IN IP4"),
        body(*HEAD, *["a=x"] * 2_500),
        body(*HEAD, "a=" + "x" * 70_000),
    ],
)
def test_what_is_not_a_description_is_an_error_value(data: bytes) -> None:
    assert isinstance(parse_sdp(data), SdpError)


def test_an_error_names_the_line_but_not_its_data() -> None:
    error = parse_sdp(body(*HEAD, "m=audio secret RTP/AVP 0"))
    assert error == SdpError(6, "m= is malformed")


@pytest.mark.parametrize(
    "data",
    [
        b"v=0\r\no=" + b"1 " * 32_000,
        b"v=0\r\no=" + b" " * 65_000,
        b"v=0\r\no=" + b"1   1   " * 8_000,
        body(*HEAD, "m=" + "audio " * 10_000),
        body(*HEAD, "m=audio 1 " + " " * 60_000),
        body(*HEAD, "c=IN IP4 " + "/1" * 30_000),
        body(*HEAD, "a=" + " " * 60_000),
        b"\r\n" * 32_000,
        b"a" * 65_536,
    ],
)
def test_no_body_takes_long_to_refuse(
    data: bytes, least_cpu_s: Callable[[Callable[[], object]], float]
) -> None:
    assert least_cpu_s(lambda: parse_sdp(data)) < 0.2


@given(st.binary(max_size=400))
def test_no_bytes_raise(data: bytes) -> None:
    assert isinstance(parse_sdp(data), (SdpError, SessionDescription))


@given(
    st.lists(
        st.tuples(st.sampled_from("vosictmbarzkuep"), st.text(max_size=40)).map(lambda p: f"{p[0]}={p[1]}"),
        max_size=20,
    )
)
def test_no_lines_raise_and_what_is_read_can_be_written(lines: list[str]) -> None:
    description = parse_sdp(body(*HEAD, *lines))
    if isinstance(description, SessionDescription):
        assert parse_sdp(encode_sdp(description)) == description


_token = st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True)
_text = st.from_regex(r"[A-Za-z0-9;=/+ ._-]{0,24}[A-Za-z0-9]", fullmatch=True).map(
    lambda text: text.strip(" ")
)
_address = st.from_regex(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True)
_connection = st.builds(Connection, st.just("IP4"), _address, st.sampled_from(["", "127", "127/3"]))
_attributes = st.lists(st.builds(Attribute, _token, st.none() | _text), max_size=5).map(tuple)
_bandwidths = st.lists(st.builds(Bandwidth, _token, _token), max_size=2).map(tuple)
_media = st.builds(
    MediaDescription,
    kind=st.sampled_from(["audio", "video", "application"]),
    port=st.integers(0, 65_535),
    protocol=st.sampled_from(["RTP/AVP", "RTP/SAVP", "UDP/TLS/RTP/SAVPF"]),
    formats=st.lists(_token, min_size=1, max_size=6).map(tuple),
    port_count=st.integers(1, 4),
    title=st.none() | _text,
    connection=st.none() | _connection,
    bandwidths=_bandwidths,
    attributes=_attributes,
)
_descriptions = st.builds(
    SessionDescription,
    origin=st.builds(
        Origin,
        _token,
        st.integers(0, 2**63),
        st.integers(0, 2**63),
        st.sampled_from(["IP4", "IP6"]),
        _address,
    ),
    name=_text,
    connection=st.none() | _connection,
    bandwidths=_bandwidths,
    times=st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)), min_size=1, max_size=2).map(
        tuple
    ),
    attributes=_attributes,
    media=st.lists(_media, max_size=3).map(tuple),
)


@given(_descriptions)
def test_writing_and_reading_gives_the_same(description: SessionDescription) -> None:
    assert parse_sdp(encode_sdp(description)) == description


def test_a_line_break_in_a_value_never_reaches_the_wire() -> None:
    description = SessionDescription(Origin("-", 1, 1, "IP4", "192.0.2.1"), name="a\r\nm=audio 1 RTP/AVP 0")
    with pytest.raises(ValueError, match="line break"):
        encode_sdp(description)


def test_keys_are_not_printed() -> None:
    description = parsed(bodies.YEALINK_OPTIONAL_SRTP)
    assert "NzB4d1BINUAv" not in repr(description)


@given(st.sampled_from(sorted(bodies.ALL.values())), st.data())
def test_what_came_before_is_read_as_what_is_new(data: bytes, change: st.DataObject) -> None:
    """Line ends, control characters and lines out of their place among them."""
    at = change.draw(st.integers(0, len(data)))
    rest = at + change.draw(st.integers(0, 3))
    added = change.draw(
        st.sampled_from([b"", b"\r", b"\n", b"\0", b"\r\n", b"\r\nt=1 2", b"\r\nm=", b"\r\no=x", b" "])
    )
    text = (data[:at] + added + data[rest:]).decode("utf-8", "replace")
    usual = _parse_usual(text)
    assert usual is None or usual == _parse_lines(text)


def test_descriptions_with_keys_are_not_remembered() -> None:
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40
    assert _parse_usual("\r\n".join((*HEAD, "m=audio 6000 RTP/SAVP 0", key, ""))) is None


@pytest.mark.parametrize("end", [b"\r\nm=", b"\r\na=", b"\r\nt="])
def test_a_second_carriage_return_is_a_control_character(end: bytes) -> None:
    data = bodies.LINPHONE.replace(end, b"\r" + end)
    assert data != bodies.LINPHONE
    refused = parse_sdp(data)
    assert isinstance(refused, SdpError)
    assert refused.reason == "a control character"
