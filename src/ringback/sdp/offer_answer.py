"""Offer and answer for one audio stream (RFC 3264), with SDES keys (RFC 4568) or by WebRTC."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec.structs import replace

from ringback.media.protocol import AudioFormat, Codec, Direction, SrtpKeys, SrtpSuite, WebRtcKeys
from ringback.sdp.crypto import KEY_BYTES, Crypto, preferred_crypto, read_crypto
from ringback.sdp.description import (
    AddressType,
    Attribute,
    Connection,
    MediaDescription,
    Origin,
    SessionDescription,
)
from ringback.sdp.extended_reports import asks_for_reports, measures_round_trips, reports_attribute
from ringback.sdp.extensions import (
    accepted_audio_level,
    audio_level_attribute,
    kept_audio_level,
    offered_audio_level,
)
from ringback.sdp.formats import (
    ENCODINGS,
    TELEPHONE_EVENT_TYPES,
    AudioFormats,
    read_formats,
    write_formats,
)
from ringback.sdp.negotiated import (
    WARNING_FORMAT,
    WARNING_MEDIA_TYPE,
    WARNING_TRANSPORT,
    Answer,
    Local,
    NegotiatedMedia,
    Refusal,
)
from ringback.sdp.section import (
    INVERTED,
    Target,
    answering,
    limit_direction,
    profile,
    read_direction,
    read_ptime_ms,
    read_stated_direction,
    read_target,
)
from ringback.sdp.webrtc import PROFILES as WEBRTC_PROFILES
from ringback.sdp.webrtc import (
    is_webrtc,
    offered_attributes,
    read_mid,
    read_webrtc,
    section_attributes,
    session_attributes,
)

PTIME_MS: Final = 20
"""The packet time we ask for."""

_WEBRTC_PROTOCOL: Final = "UDP/TLS/RTP/SAVPF"
_MID: Final = "0"


def make_offer(local: Local, previous: SessionDescription | None = None) -> SessionDescription:
    """Offer one audio stream; `previous` is our last description in this session, offer or answer.

    With `previous` the m= lines keep their number and order (RFC 3264 §8), payload types and keys stay as
    they are, and the version grows if anything changed. SRTP required is offered as RTP/SAVP, allowed as
    RTP/AVP with keys, which peers without SRTP pass over.
    """
    before = _active_section(previous)
    formats, telephone_events = _own_formats(local, before)
    secured = local.srtp == "required" or (local.srtp == "allowed" and (not before or before.has("crypto")))
    strict = local.srtp == "required" or (before is not None and profile(before) == "secure")
    section = _write_section(
        local,
        formats=formats,
        telephone_events=telephone_events,
        protocol="RTP/SAVP" if strict else "RTP/AVP",
        direction=local.direction,
        rtcp_mux=local.offer_rtcp_mux,
        cryptos=_own_cryptos(local, before) if secured else [],
        audio_level=kept_audio_level(before) if "OPUS" in local.codecs else 0,
        reports=reports_attribute(round_trips=True),
    )
    sections = [section] if previous is None else [_disabled(media) for media in previous.media]
    if previous is not None:
        index = previous.media.index(before) if before is not None else 0
        sections[index : index + 1] = [section]
    return _describe(local, tuple(sections), previous)


def make_webrtc_offer(local: Local) -> SessionDescription:
    """Offer one audio stream to a browser, which is to open DTLS (RFC 8842 §5.2); `local.webrtc` has to be
    there. Later changes are the browser's to offer.
    """
    assert local.webrtc is not None
    formats, telephone_events = _first_formats(local.codecs)
    section = _write_section(
        local,
        formats=formats,
        telephone_events=telephone_events,
        protocol=_WEBRTC_PROTOCOL,
        direction=local.direction,
        rtcp_mux=False,
        cryptos=[],
        audio_level=0,
        reports=None,
    )
    ours = section_attributes(local.webrtc, local.candidates, local.rtp_port, setup="actpass")
    section = replace(section, attributes=(Attribute("mid", _MID), *ours, *section.attributes))
    return _describe(local, (section,), None, offered_attributes(_MID))


def answer(
    offer: SessionDescription, local: Local, previous: SessionDescription | None = None
) -> Answer | Refusal:
    """Answer an offer: the first audio section we can use is taken, every other is disabled (port 0). Our
    address is of the family of that section's.

    `previous` is our last description in this session. A Refusal tells what kept the first audio section
    from being used.
    """
    refusal = Refusal("no audio stream", WARNING_MEDIA_TYPE)
    for index, media in enumerate(offer.media):
        if media.kind != "audio" or media.port == 0:
            continue
        ours = local if is_webrtc(media) else answering(offer, media, local)
        chosen = _choose(offer, media, ours, _active_section(previous))
        if isinstance(chosen, Refusal):
            refusal = chosen if refusal.warning == WARNING_MEDIA_TYPE else refusal
            continue
        section, negotiated = _accept(offer, media, chosen, ours, index)
        attributes: tuple[Attribute, ...] = ()
        if chosen.webrtc is not None:
            sections = [_disabled(other, with_mid=True) for other in offer.media]
            attributes = session_attributes(offer, read_mid(media))
        else:
            sections = [_disabled(other) for other in offer.media]
        sections[index] = section
        return Answer(_describe(ours, tuple(sections), previous, attributes), negotiated)
    return refusal


def at_ports(answered: Answer, rtp_port: int) -> Answer:
    """An answer as it is with another RTP port, and the RTCP port after that: for who answered before ports
    were known. Not for WebRTC, whose candidates name a port too."""
    described, index = answered.description, answered.media.section
    sections = list(described.media)
    sections[index] = replace(sections[index], port=rtp_port)
    return Answer(replace(described, media=tuple(sections)), answered.media)


def accept_answer(
    offer: SessionDescription, answered: SessionDescription, local: Local
) -> NegotiatedMedia | Refusal:
    """What the peer's answer to our offer makes of the stream."""
    index, ours = next((i, m) for i, m in enumerate(offer.media) if m.port != 0)
    if index >= len(answered.media):
        return Refusal("the answer leaves out a media line", WARNING_MEDIA_TYPE)
    media = answered.media[index]
    if media.kind != "audio" or media.port == 0:
        return Refusal("the answer refuses audio", WARNING_MEDIA_TYPE)
    if is_webrtc(ours):
        return _accept_webrtc(ours, answered, media, local, index)
    rtcp_mux = ours.has("rtcp-mux") and media.has("rtcp-mux")
    keys = _answered_keys(ours, media, local)
    if isinstance(keys, Refusal):
        return keys
    formats = read_formats(media, rtcp_mux=rtcp_mux)
    offered = read_formats(ours, rtcp_mux=rtcp_mux)
    receive = _receivable(offered, formats)
    if not receive:
        return Refusal("no codec in common", WARNING_FORMAT)
    send = next(audio for audio in formats.audio if audio.codec in {r.codec for r in receive})
    target = read_target(answered, media, local, rtcp_mux=rtcp_mux)
    if isinstance(target, Refusal):
        return target
    direction = limit_direction(INVERTED[read_direction(answered, media)], read_direction(offer, ours))
    level = accepted_audio_level(ours, answered, media)
    clocks = {**formats.telephone_event_clocks, **offered.telephone_event_clocks}
    chosen = _Chosen(
        target, formats, receive, send, rtcp_mux, direction, level, keys=keys, event_clocks=clocks
    )
    return _negotiated(answered, media, chosen, index)


def _accept_webrtc(
    ours: MediaDescription, answered: SessionDescription, media: MediaDescription, local: Local, index: int
) -> NegotiatedMedia | Refusal:
    if not is_webrtc(media) or local.webrtc is None:
        return Refusal("the answer changes the transport", WARNING_TRANSPORT)
    remote = read_webrtc(answered, media)
    if isinstance(remote, str):
        return Refusal(remote, WARNING_TRANSPORT)
    formats, offered = read_formats(media, rtcp_mux=True), read_formats(ours, rtcp_mux=True)
    receive = _receivable(offered, formats)
    if not receive:
        return Refusal("no codec in common", WARNING_FORMAT)
    codecs = {audio.codec: audio for audio in formats.audio}
    send = next(codecs[codec] for codec in local.codecs if codec in codecs)
    direction = limit_direction(INVERTED[read_stated_direction(answered, media)], local.direction)
    keys = remote.keys(local.webrtc)
    chosen = _Chosen(Target("", 0, 0), formats, receive, send, True, direction, 0, webrtc=keys)
    return _negotiated(answered, media, chosen, index)


class _Chosen(msgspec.Struct, frozen=True):
    """One usable section: where to, which formats, how secured; `crypto` is our own attribute."""

    target: Target
    formats: AudioFormats
    receive: tuple[AudioFormat, ...]
    send: AudioFormat
    rtcp_mux: bool
    direction: Direction
    audio_level: int
    keys: SrtpKeys | None = None
    crypto: Crypto | None = None
    webrtc: WebRtcKeys | None = None
    event_clocks: Mapping[int, int] | None = None


def _choose(
    offer: SessionDescription, media: MediaDescription, local: Local, before: MediaDescription | None
) -> _Chosen | Refusal:
    if is_webrtc(media):
        return _choose_webrtc(offer, media, local)
    rtcp_mux = media.has("rtcp-mux")
    secured = _choose_keys(media, local, before)
    if isinstance(secured, Refusal):
        return secured
    keys, crypto = secured
    formats = read_formats(media, rtcp_mux=rtcp_mux)
    usable = tuple(audio for audio in formats.audio if audio.codec in local.codecs)
    if not usable:
        return Refusal("no codec in common", WARNING_FORMAT)
    if local.answer_order == "ours":
        usable = tuple(sorted(usable, key=lambda audio: local.codecs.index(audio.codec)))
    target = read_target(offer, media, local, rtcp_mux=rtcp_mux)
    if isinstance(target, Refusal):
        return target
    direction = limit_direction(INVERTED[read_direction(offer, media)], local.direction)
    level = offered_audio_level(offer, media)
    return _Chosen(target, formats, usable, usable[0], rtcp_mux, direction, level, keys, crypto)


def _choose_webrtc(offer: SessionDescription, media: MediaDescription, local: Local) -> _Chosen | Refusal:
    """A section keyed by DTLS; where its media goes is for ICE to find out, whatever c= and m= say."""
    if local.webrtc is None:
        return Refusal("that transport is not supported", WARNING_TRANSPORT)
    remote = read_webrtc(offer, media)
    if isinstance(remote, str):
        return Refusal(remote, WARNING_TRANSPORT)
    formats = read_formats(media, rtcp_mux=True)
    codecs = {audio.codec: audio for audio in formats.audio}
    usable = tuple(codecs[codec] for codec in local.codecs if codec in codecs)
    if not usable:
        return Refusal("no codec in common", WARNING_FORMAT)
    stated = read_stated_direction(offer, media)
    direction = limit_direction(INVERTED[stated], local.direction)
    nowhere = Target("", 0, 0)
    keys, level = remote.keys(local.webrtc), offered_audio_level(offer, media)
    return _Chosen(nowhere, formats, usable, usable[0], True, direction, level, webrtc=keys)


def _accept(
    offer: SessionDescription, media: MediaDescription, chosen: _Chosen, local: Local, index: int
) -> tuple[MediaDescription, NegotiatedMedia]:
    negotiated = _negotiated(offer, media, chosen, index)
    event = negotiated.telephone_event
    section = _write_section(
        local,
        formats=chosen.receive,
        telephone_events={r: t for r, t in chosen.formats.telephone_events.items() if t == event},
        protocol=media.protocol,
        direction=chosen.direction,
        rtcp_mux=chosen.rtcp_mux and chosen.webrtc is None,
        cryptos=[chosen.crypto] if chosen.crypto else [],
        audio_level=chosen.audio_level,
        reports=reports_attribute(round_trips=negotiated.reference_times)
        if asks_for_reports(offer, media)
        else None,
    )
    if chosen.webrtc is not None and local.webrtc is not None:
        mid = read_mid(media)
        named = (Attribute("mid", mid),) if mid is not None else ()
        ours = section_attributes(local.webrtc, local.candidates, local.rtp_port)
        section = replace(section, attributes=(*named, *ours, *section.attributes))
    return section, negotiated


def _negotiated(
    session: SessionDescription, media: MediaDescription, chosen: _Chosen, index: int
) -> NegotiatedMedia:
    return NegotiatedMedia(
        send=chosen.send,
        receive=chosen.receive,
        telephone_event=chosen.formats.telephone_event_for(chosen.send.codec),
        telephone_event_clocks=chosen.event_clocks or chosen.formats.telephone_event_clocks,
        remote_ip=chosen.target.ip,
        remote_port=chosen.target.port,
        remote_rtcp_port=chosen.target.rtcp_port,
        rtcp_mux=chosen.rtcp_mux,
        direction=chosen.direction,
        ptime_ms=read_ptime_ms(media),
        srtp=chosen.keys,
        opus=chosen.formats.opus,
        section=index,
        webrtc=chosen.webrtc,
        audio_level_extension=chosen.audio_level,
        reference_times=measures_round_trips(session, media),
    )


def _receivable(offered: AudioFormats, answered: AudioFormats) -> tuple[AudioFormat, ...]:
    """What an answerer may send: our numbers for the codecs it took, and its own where it renumbered them."""
    ours = {audio.codec: audio for audio in offered.audio}
    taken = [audio for audio in answered.audio if audio.codec in ours]
    receive = [ours[audio.codec] for audio in taken]
    numbers = {audio.payload_type for audio in receive}
    return (*receive, *(audio for audio in taken if audio.payload_type not in numbers))


def _choose_keys(
    media: MediaDescription, local: Local, before: MediaDescription | None
) -> tuple[SrtpKeys | None, Crypto | None] | Refusal:
    """The keys for a section that is offered to us, under a suite that both have."""
    kind = profile(media)
    if kind is None:
        return Refusal("that transport is not supported", WARNING_TRANSPORT)
    if local.srtp == "refused":
        if kind == "secure":
            return Refusal("keys may not be exchanged over unsecured signalling", WARNING_TRANSPORT)
        return None, None
    theirs = preferred_crypto(crypto for crypto in read_crypto(media) if crypto.suite in local.srtp_suites)
    if theirs is None:
        if kind == "secure" or local.srtp == "required":
            return Refusal("no usable SRTP key", WARNING_TRANSPORT)
        return None, None
    own = Crypto(theirs.tag, theirs.suite, _own_key(theirs.suite, local, before))
    return SrtpKeys(suite=theirs.suite, local_key=own.key, remote_key=theirs.key), own


def _answered_keys(
    ours: MediaDescription, media: MediaDescription, local: Local
) -> SrtpKeys | Refusal | None:
    """The keys an answer agrees to (RFC 4568 §5.1.3), found by suite: some peers send a wrong tag."""
    offered = {crypto.suite: crypto for crypto in read_crypto(ours)}
    kind = profile(media)
    if kind is None or (kind == "secure" and not offered):
        return Refusal("the answer changes the transport", WARNING_TRANSPORT)
    theirs = next((crypto for crypto in read_crypto(media) if crypto.suite in offered), None)
    if theirs is None:
        if kind == "secure" or profile(ours) == "secure" or local.srtp == "required":
            return Refusal("the answer holds no usable SRTP key", WARNING_TRANSPORT)
        return None
    return SrtpKeys(suite=theirs.suite, local_key=offered[theirs.suite].key, remote_key=theirs.key)


def _own_formats(
    local: Local, before: MediaDescription | None
) -> tuple[tuple[AudioFormat, ...], Mapping[int, int]]:
    """Formats and event types to offer: numbers in use keep their meaning (RFC 3264 §8.3.2)."""
    if before is None:
        return _first_formats(local.codecs)
    return _kept_formats(local.codecs, read_formats(before, rtcp_mux=False))


@lru_cache(maxsize=64)
def _first_formats(codecs: tuple[Codec, ...]) -> tuple[tuple[AudioFormat, ...], Mapping[int, int]]:
    return _kept_formats(codecs, AudioFormats((), {}))


def _kept_formats(
    codecs: tuple[Codec, ...], kept: AudioFormats
) -> tuple[tuple[AudioFormat, ...], Mapping[int, int]]:
    numbers: dict[str, int] = {audio.codec: audio.payload_type for audio in kept.audio}
    numbers |= {str(rate): number for rate, number in kept.telephone_events.items()}
    wanted = {str(codec): ENCODINGS[codec].payload_type for codec in codecs}
    rates = sorted({ENCODINGS[codec].clock_rate for codec in codecs})
    wanted |= {str(rate): TELEPHONE_EVENT_TYPES[rate] for rate in rates}
    for key, preferred in wanted.items():
        if key not in numbers:
            free = (n for n in (preferred, *range(96, 128)) if n not in numbers.values())
            numbers[key] = next(free)
    formats = tuple(AudioFormat(codec=codec, payload_type=numbers[codec]) for codec in codecs)
    return formats, MappingProxyType({rate: numbers[str(rate)] for rate in rates})


def _own_cryptos(local: Local, before: MediaDescription | None) -> list[Crypto]:
    """One for each suite, those in use first: a peer that takes the first one then changes nothing."""
    used = [crypto.suite for crypto in read_crypto(before)] if before else []
    suites = dict.fromkeys([*(suite for suite in used if suite in local.srtp_suites), *local.srtp_suites])
    return [Crypto(tag, suite, _own_key(suite, local, before)) for tag, suite in enumerate(suites, 1)]


def _own_key(suite: SrtpSuite, local: Local, before: MediaDescription | None) -> bytes:
    """Our key for a suite: the one already in use, since a new one would break the running stream's index."""
    kept = (crypto.key for crypto in read_crypto(before) if crypto.suite == suite) if before else iter(())
    return next(kept, None) or local.random_bytes(KEY_BYTES[suite])


def _write_section(
    local: Local,
    *,
    formats: tuple[AudioFormat, ...],
    telephone_events: Mapping[int, int],
    protocol: str,
    direction: Direction,
    rtcp_mux: bool,
    cryptos: list[Crypto],
    audio_level: int,
    reports: Attribute | None,
) -> MediaDescription:
    types, attributes = write_formats(formats, telephone_events, local.opus_playback_rate)
    extra = [*attributes, Attribute("ptime", str(PTIME_MS))]
    if rtcp_mux:
        extra.append(Attribute("rtcp-mux"))
    elif local.rtcp_port != local.rtp_port + 1 and protocol.upper() not in WEBRTC_PROFILES:
        extra.append(Attribute("rtcp", str(local.rtcp_port)))
    extra += [crypto.attribute() for crypto in cryptos]
    if audio_level:
        extra.append(audio_level_attribute(audio_level))
    if reports is not None:
        extra.append(reports)
    extra.append(Attribute(direction))
    return MediaDescription("audio", local.rtp_port, protocol, types, attributes=tuple(extra))


def _disabled(media: MediaDescription, *, with_mid: bool = False) -> MediaDescription:
    """A section turned down: port 0 and, because the grammar wants one, its formats (RFC 3264 §6)."""
    mid = read_mid(media) if with_mid else None
    named = (Attribute("mid", mid),) if mid is not None else ()
    return MediaDescription(media.kind, 0, media.protocol, media.formats, attributes=named)


def _active_section(description: SessionDescription | None) -> MediaDescription | None:
    return next((m for m in description.media if m.port != 0), None) if description else None


def _describe(
    local: Local,
    media: tuple[MediaDescription, ...],
    previous: SessionDescription | None,
    attributes: tuple[Attribute, ...] = (),
) -> SessionDescription:
    """Our description; its version grows by one when it differs from the one before (RFC 3264 §8)."""
    kind: AddressType = "IP6" if local.ipv6 else "IP4"
    if previous is None:
        session_id = int.from_bytes(local.random_bytes(6), "big")
        origin = Origin("-", session_id, 1, kind, local.address)
    else:
        origin = previous.origin
    described = SessionDescription(
        origin,
        "Ringback",
        connection=Connection(kind, local.address),
        attributes=attributes,
        media=media,
    )
    if previous is None or described == previous:
        return described
    version = origin.session_version + 1
    return replace(described, origin=Origin("-", origin.session_id, version, kind, local.address))
