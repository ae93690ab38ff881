"""Generated browsers that join our media worker, or Janus AudioBridge, in rooms of ten."""

from __future__ import annotations

import re
import socket
import struct
from typing import Protocol

from msgspec.structs import replace

from bench import janus, rig
from bench.media_capacity import Media
from ringback.media.protocol import JoinRoom, LegOpened, OpenLeg
from ringback.rtp.srtp import SrtpSession
from tests.webrtc.browser import COOKIE, GCM, SRTP, USE_CERTIFICATE, Browser, stun

ROOM = 10
RATE = 16000
"""What rooms mix at, in Hz."""
LEVEL_ID = 1
LOOPBACK = "127.0.0.1"


class Client(Browser):
    """A browser that hands over its SRTP keys, for the crowd to use many at a time."""

    to = (LOOPBACK, 0)
    """Where it sends."""

    def offer(self, ip: str, port: int) -> str:
        """The SDP of a browser whose one candidate is there, and that begins the handshake."""
        lines = (
            "v=0",
            f"o=- {1 + self.leg} 1 IN IP4 {ip}",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0",
            f"m=audio {port} UDP/TLS/RTP/SAVPF 111",
            f"c=IN IP4 {ip}",
            "a=mid:0",
            "a=sendrecv",
            "a=rtcp-mux",
            "a=rtpmap:111 opus/48000/2",
            f"a=extmap:{LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            f"a=ice-ufrag:{self.ours[0]}",
            f"a=ice-pwd:{self.ours[1]}",
            f"a=fingerprint:sha-256 {self.fingerprint}",
            "a=setup:active",
            f"a=ssrc:{self.ssrc} cname:browser",
            f"a=candidate:1 1 udp 2130706431 {ip} {port} typ host",
            "",
        )
        return "\r\n".join(lines)

    def accept(self, answer: str) -> None:
        """Take the other side's credentials and address from its SDP."""
        found = {name: re.search(rf"a={name}:(\S+)", answer) for name in ("ice-ufrag", "ice-pwd")}
        place = re.search(r"a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) ", answer, re.IGNORECASE)
        if place is None or any(value is None for value in found.values()):
            raise SystemExit(f"an answer without ICE: {answer}")
        self.theirs = tuple(value[1] for value in found.values() if value)  # type: ignore[assignment]
        self.passwords = [self.theirs[1]]
        self.to = (place[1], int(place[2]))

    def _stun(self, datagram: bytes) -> None:
        """A full agent checks as well, and wants to know from where it was seen to."""
        if datagram[:2] == b"\0\1":
            ip, port = int.from_bytes(socket.inet_aton(self.to[0]), "big"), self.to[1]
            mapped = struct.pack("!BBHI", 0, 1, port ^ COOKIE >> 16, ip ^ COOKIE)
            self._queue.append(stun(0x0101, [(0x0020, mapped)], self.ours[1], datagram[8:20]))
        elif datagram[:2] == b"\x01\x01":
            super()._stun(datagram)

    def _secure(self) -> None:
        super()._secure()
        profile = self._connection.get_selected_srtp_profile()
        _, key, salt = SRTP[profile]
        material = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        suite = "AEAD_AES_128_GCM" if profile == GCM else "AES_CM_128_HMAC_SHA1_80"
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        self.sending = SrtpSession(suite, client, inbound=False)  # type: ignore[arg-type]
        self.receiving = SrtpSession(suite, server, inbound=True)  # type: ignore[arg-type]


class Server(Protocol):
    """What carries the rooms."""

    pid: int
    ip: str
    """Where browsers are as well."""

    def join(self, client: Client, port: int) -> None:
        """Let a browser into its room."""

    def attend(self) -> None:
        """Take what the server has to say meanwhile."""


class Worker:
    """Our media worker, which is told what to do by its control socket."""

    ip = LOOPBACK

    def __init__(self) -> None:
        self.media = Media("20000-29999", int(rig.SERVER_CORE), None)
        self.media.send(USE_CERTIFICATE)
        self.pid = self.media.process.pid

    def join(self, client: Client, port: int) -> None:
        """Open a leg, and put it into its room."""
        self.media.send(OpenLeg(leg=client.leg, webrtc=True))
        answer: LegOpened = self.media.wait_for(LegOpened)
        client.to = (LOOPBACK, answer.rtp_port)
        self.media.send(replace(client.media(), audio_level_extension=LEVEL_ID))
        self.media.send(JoinRoom(leg=client.leg, room=client.leg // ROOM))

    def attend(self) -> None:
        """Read its events, which nobody needs."""
        self.media.events(0)

    def close(self) -> None:
        """End it."""
        self.media.control.close()
        self.media.process.wait(10)


class Janus:
    """Janus AudioBridge, which takes no candidates on loopback: it has an address of its own."""

    ip = "10.0.0.1"

    def __init__(self, pid: int) -> None:
        self.pid = pid
        rig.pin([pid])
        self._bridge = janus.AudioBridge()
        self._rooms: set[int] = set()

    def join(self, client: Client, port: int) -> None:
        """Send an offer, and take the answer."""
        room = client.leg // ROOM
        if room not in self._rooms:
            self._rooms.add(room)
            self._bridge.create(str(room), RATE)
        client.accept(self._bridge.join_by_webrtc(str(room), str(client.leg), client.offer(self.ip, port)))

    def attend(self) -> None:
        """It says nothing that is not asked for."""
