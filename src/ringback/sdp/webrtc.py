"""WebRTC in a session description: ICE-lite, DTLS fingerprints, BUNDLE (RFC 8839, RFC 8122, RFC 9143)."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from ringback.media.protocol import WebRtcKeys
from ringback.sdp.description import Attribute, MediaDescription, SessionDescription

PROFILES: Final = frozenset({"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"})
MAX_FINGERPRINTS: Final = 8

_HASH_BYTES: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Hashes we compare a certificate by; SHA-1 and older ones prove nothing any more (RFC 8122 §5)."""

_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_MID = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}")
_FINGERPRINT = re.compile(r"([A-Za-z0-9-]+) +([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*) *")
_UFRAG_BYTES: Final = 6
_UFRAG_CHARACTERS: Final = 8
_PWD_BYTES: Final = 18
# Of a host candidate of component 1, the first of ours (RFC 8445 §5.1.2.1); each further one has a lower
# local preference.
_PRIORITY: Final = 2_130_706_431


class LocalWebRtc:
    """Our ICE credentials for one leg, and our certificate's fingerprint as SDP gives it.

    The credentials are drawn when they are asked for first: most legs are no browser's.
    """

    __slots__ = ("_credentials", "_random_bytes", "fingerprint")

    def __init__(self, fingerprint: str, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self.fingerprint = fingerprint
        self._random_bytes = random_bytes
        self._credentials = ""

    @property
    def ice_ufrag(self) -> str:
        """48 bits of name (RFC 8839 §5.4 wants 24)."""
        return self._drawn()[:_UFRAG_CHARACTERS]

    @property
    def ice_pwd(self) -> str:
        """144 bits of password (RFC 8839 §5.4 wants 128)."""
        return self._drawn()[_UFRAG_CHARACTERS:]

    def _drawn(self) -> str:
        if not self._credentials:
            self._credentials = base64.b64encode(self._random_bytes(_UFRAG_BYTES + _PWD_BYTES)).decode()
        return self._credentials


@dataclass(frozen=True, slots=True)
class RemoteWebRtc:
    """What a peer's section says of ICE and DTLS; `fingerprints` as WebRtcKeys wants them."""

    ice_ufrag: str
    ice_pwd: str = field(repr=False)
    fingerprints: tuple[tuple[str, str], ...]

    def keys(self, local: LocalWebRtc) -> WebRtcKeys:
        """Both sides together, for the media worker."""
        return WebRtcKeys(
            local_ufrag=local.ice_ufrag,
            local_pwd=local.ice_pwd,
            remote_ufrag=self.ice_ufrag,
            remote_pwd=self.ice_pwd,
            remote_fingerprints=list(self.fingerprints),
        )


def is_webrtc(media: MediaDescription) -> bool:
    """Whether a section is keyed by DTLS."""
    return media.protocol.upper() in PROFILES


def read_webrtc(session: SessionDescription, media: MediaDescription) -> RemoteWebRtc | str:
    """What a section (or its session) says of ICE and DTLS, or in words what keeps us from using it."""
    if not (media.has("rtcp-mux") or media.has("rtcp-mux-only")):
        return "a WebRTC stream without rtcp-mux"
    if media.has("crypto"):
        return "SDES keys in a WebRTC stream"
    ufrag = media.value("ice-ufrag") or session.value("ice-ufrag") or ""
    pwd = media.value("ice-pwd") or session.value("ice-pwd") or ""
    if not _UFRAG.fullmatch(ufrag) or not _PWD.fullmatch(pwd):
        return "no usable ICE credentials"
    if media.has("ice-lite") or session.has("ice-lite"):
        # Both only answer checks: nobody would ever send one (RFC 8445 §6.1.1).
        return "both sides are ICE-lite"
    fingerprints = _read_fingerprints(session, media)
    if not fingerprints:
        return "no usable DTLS fingerprint"
    if (media.value("setup") or session.value("setup") or "actpass").lower() not in ("actpass", "active"):
        return "the offerer has to open DTLS"
    return RemoteWebRtc(ufrag, pwd, fingerprints)


def restarts_ice(session: SessionDescription, known: WebRtcKeys) -> bool:
    """Whether an offer has other ICE credentials than those in use: ours change with them (RFC 8839 §4.4)."""
    for media in session.media:
        if is_webrtc(media) and media.port != 0:
            read = read_webrtc(session, media)
            if isinstance(read, RemoteWebRtc):
                return (read.ice_ufrag, read.ice_pwd) != (known.remote_ufrag, known.remote_pwd)
    return False


def section_attributes(
    local: LocalWebRtc,
    addresses: tuple[str, ...],
    port: int,
    *,
    setup: Literal["passive", "actpass"] = "passive",
) -> tuple[Attribute, ...]:
    """What we say of ICE and DTLS in a section, with a candidate for each of our addresses, the best first.

    An answer is passive. An offer has to leave the choice (RFC 8842 §5.2); every browser then opens DTLS.
    """
    return (
        Attribute("ice-ufrag", local.ice_ufrag),
        Attribute("ice-pwd", local.ice_pwd),
        Attribute("fingerprint", local.fingerprint),
        Attribute("setup", setup),
        Attribute("rtcp-mux"),
        # A name for the stream, so that the browser gives its application one.
        Attribute("msid", "ringback audio"),
        *(
            Attribute("candidate", f"{at + 1} 1 udp {_PRIORITY - (at << 8)} {address} {port} typ host")
            for at, address in enumerate(addresses)
        ),
        Attribute("end-of-candidates"),
    )


def session_attributes(offer: SessionDescription, mid: str | None) -> tuple[Attribute, ...]:
    """What our answer says for all of the session; a bundle keeps only the section that we took."""
    groups = (value.split() for value in _values(offer, "group"))
    bundled = mid is not None and any(group[:1] == ["BUNDLE"] and mid in group[1:] for group in groups)
    bundle = (Attribute("group", f"BUNDLE {mid}"),) if bundled else ()
    return (*bundle, Attribute("ice-lite"), Attribute("msid-semantic", "WMS *"))


def offered_attributes(mid: str) -> tuple[Attribute, ...]:
    """What our offer says for all of the session: one section, which is a bundle."""
    return (Attribute("group", f"BUNDLE {mid}"), Attribute("ice-lite"), Attribute("msid-semantic", "WMS *"))


def read_mid(media: MediaDescription) -> str | None:
    """The name of a section (RFC 5888 §4), if it has one that is a token."""
    mid = media.value("mid")
    return mid if mid is not None and _MID.fullmatch(mid) else None


def _read_fingerprints(session: SessionDescription, media: MediaDescription) -> tuple[tuple[str, str], ...]:
    values = list(media.values("fingerprint")) or list(_values(session, "fingerprint"))
    found = []
    for value in values[:MAX_FINGERPRINTS]:
        match = _FINGERPRINT.fullmatch(value)
        if match is not None:
            algorithm, digits = match[1].lower(), match[2].upper()
            if _HASH_BYTES.get(algorithm) == len(digits.split(":")):
                found.append((algorithm, digits))
    return tuple(found)


def _values(session: SessionDescription, name: str) -> list[str]:
    return [a.value for a in session.attributes if a.name == name and a.value is not None]
