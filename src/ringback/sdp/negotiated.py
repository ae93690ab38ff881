"""What goes into an offer/answer exchange and what comes out of it, as values (RFC 3264)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from ringback.media.protocol import (
    AudioFormat,
    Codec,
    Direction,
    SetMedia,
    SrtpKeys,
    SrtpSuite,
    WebRtcKeys,
)
from ringback.sdp.description import SessionDescription
from ringback.sdp.formats import OpusParameters
from ringback.sdp.webrtc import LocalWebRtc

SrtpPolicy = Literal["refused", "allowed", "required"]

WARNING_NETWORK_PROTOCOL: Final = 300
WARNING_ADDRESS: Final = 301
WARNING_TRANSPORT: Final = 302
WARNING_MEDIA_TYPE: Final = 304
WARNING_FORMAT: Final = 305
WARNING_OTHER: Final = 399


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """Our side of one stream: where we receive and what we are willing to do.

    `codecs` are the accepted ones in our order; an answer keeps the offerer's order unless `answer_order`
    is "ours". `direction` is what we want at most. SRTP keys go over the signalling path, so `srtp` is
    "allowed" or "required" on TLS only: "allowed" takes RTP/SAVP and RTP/AVP, and secures an RTP/AVP stream
    when the peer offers keys with it. Ports are UDP ports; with rtcp-mux `rtcp_port` is not used. Media to
    loopback is refused unless we are on loopback ourselves or `loopback_peers` says so. `random_bytes`
    gives key material. Streams keyed by DTLS are answered only with `webrtc`, always in our order.
    `opus_playback_rate` in Hz is what we can make use of in Opus.

    `address` is the one to offer; `other_address` is ours of the other family, for offers that are of that,
    "" where there is none. `also_at` is the IPv4 address by which ports of the IPv6 one are reached, too.
    """

    address: str
    other_address: str = ""
    also_at: str = ""
    rtp_port: int
    rtcp_port: int
    codecs: tuple[Codec, ...] = ("OPUS", "G722", "PCMU", "PCMA")
    answer_order: Literal["offerer", "ours"] = "offerer"
    direction: Direction = "sendrecv"
    srtp: SrtpPolicy = "refused"
    srtp_suites: tuple[SrtpSuite, ...] = (
        "AEAD_AES_256_GCM",
        "AEAD_AES_128_GCM",
        "AES_CM_128_HMAC_SHA1_80",
        "AES_CM_128_HMAC_SHA1_32",
    )
    offer_rtcp_mux: bool = False
    loopback_peers: bool = False
    webrtc: LocalWebRtc | None = None
    opus_playback_rate: int = 16_000
    random_bytes: Callable[[int], bytes] = os.urandom

    @property
    def candidates(self) -> tuple[str, ...]:
        """The addresses that a browser may find us at, the best first."""
        return (self.address, self.also_at) if self.ipv6 and self.also_at else (self.address,)

    @property
    def ipv6(self) -> bool:
        """Whether `address` is one of IPv6."""
        return ":" in self.address

    def at(self, address: str) -> Local:
        """With this address alone."""
        return replace(self, address=address, other_address="")


class Refusal(msgspec.Struct, frozen=True):
    """No agreement: the SIP status to answer with, and the Warning code and text (RFC 3261 §20.43)."""

    reason: str
    warning: int = WARNING_OTHER
    status: int = 488


class NegotiatedMedia(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for our side, as the media worker needs it (see SetMedia).

    `direction` is ours. A `remote_port` of 0 means that the peer gave the address 0.0.0.0: nothing, RTCP
    included, may be sent to it until the next exchange. `opus` is what the peer asks of the Opus we send.
    `telephone_event_clocks` are the rates in Hz of all telephone-event types in use.
    `section` is the index of the m= line that carries the stream. With `webrtc` the remote address is "" and
    0: it is learnt from ICE. `audio_level_extension` is the header extension with the peer's audio level,
    `reference_times` whether the peer exchanges those of extended RTCP reports.
    """

    send: AudioFormat
    receive: tuple[AudioFormat, ...]
    telephone_event: int | None
    telephone_event_clocks: Mapping[int, int]
    remote_ip: str
    remote_port: int
    remote_rtcp_port: int
    rtcp_mux: bool
    direction: Direction
    ptime_ms: int
    srtp: SrtpKeys | None
    opus: OpusParameters | None
    section: int
    webrtc: WebRtcKeys | None = None
    audio_level_extension: int = 0
    reference_times: bool = False

    @property
    def on_hold(self) -> bool:
        """Whether the peer does not want to hear us now."""
        return self.direction in ("recvonly", "inactive")

    def set_media(self, leg: int) -> SetMedia:
        """The command that applies this outcome to a leg of a media worker."""
        return SetMedia(
            leg=leg,
            send=self.send,
            receive=list(self.receive),
            telephone_event=self.telephone_event,
            telephone_event_clocks=dict(self.telephone_event_clocks),
            opus=self.opus.wishes() if self.opus else None,
            remote_ip=self.remote_ip,
            remote_port=self.remote_port,
            remote_rtcp_port=self.remote_rtcp_port,
            rtcp_mux=self.rtcp_mux,
            direction=self.direction,
            ptime_ms=self.ptime_ms,
            srtp=self.srtp,
            webrtc=self.webrtc,
            audio_level_extension=self.audio_level_extension,
            reference_times=self.reference_times,
        )


class Answer(msgspec.Struct, frozen=True):
    """Our answer to an offer, and what it makes of the stream."""

    description: SessionDescription
    media: NegotiatedMedia

    @property
    def address(self) -> str:
        """Our address in it."""
        return self.description.origin.address
