"""What a worker was told of a leg and said of it: enough for another worker to go on with the leg.

Not in it is what is over in a moment: digits on their way out, sounds for a whole room. What was being played
to a leg begins anew when its worker died, and goes on where it was when the leg moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from ringback.media.protocol import (
    AdoptLeg,
    Command,
    JoinRoom,
    OpenLeg,
    Play,
    PlayEnded,
    ReleasedLeg,
    SentSource,
    SetMedia,
    SetVoice,
    SrtpKeys,
)
from ringback.media.stream_messages import PlayStream

if TYPE_CHECKING:
    from ringback.media.fleet.groups import Group


class LegRecord(msgspec.Struct, eq=False):
    """One leg. `at` is the worker that has it, None while none has; `leaving`: it was told to let it go.

    `ending` is what its worker is about to say of sounds that were stopped or replaced.
    """

    leg: int
    opening: OpenLeg
    group: Group
    at: int | None = None
    leaving: bool = False
    rtp_port: int = 0
    rtcp_port: int = 0
    media: SetMedia | None = None
    voice: SetVoice | None = None
    room: int | None = None
    play: Play | PlayStream | None = None
    ending: list[PlayEnded] = msgspec.field(default_factory=list)
    source: tuple[bytes, int] | None = None
    keys: SrtpKeys | None = None
    heard: tuple[int, int] | None = None
    sent: SentSource | None = None

    def __repr__(self) -> str:
        # Keys are in it, and its group, of which it is a part.
        return f"LegRecord({self.leg})"

    @property
    def settled(self) -> bool:
        """Whether the worker that is to have it has it."""
        return self.at is not None and self.at == self.group.home and not self.leaving

    @property
    def shaking_hands(self) -> bool:
        """Whether a DTLS handshake may be under way, in which nobody else can go on."""
        return self.opening.webrtc and self.media is not None and self.keys is None

    @property
    def weight(self) -> int:
        """What it costs a worker, in legs of G.711."""
        if self.media is None:
            return 1
        secure = self.media.srtp is not None or self.media.webrtc is not None
        return _CODEC_WEIGHT.get(self.media.send.codec, 1) + secure

    def set_media(self, media: SetMedia) -> None:
        """Note what was negotiated; a learnt source or agreed keys may have come to an end with it."""
        before, self.media = self.media, media
        if before is None:
            return
        if media.webrtc is not None and before.webrtc is not None:
            if media.webrtc.remote_fingerprints != before.webrtc.remote_fingerprints:
                self.source = self.keys = self.heard = None
        elif (media.remote_ip, media.remote_port) != (before.remote_ip, before.remote_port):
            self.source = None
        if media.srtp is not None and (
            before.srtp is None or media.srtp.remote_key != before.srtp.remote_key
        ):
            self.heard = None

    def end_play(self, reason: Literal["stopped", "replaced"]) -> list[PlayEnded]:
        """What is being played is to end for this reason; what is to be said of it, if anything is played."""
        return [PlayEnded(leg=self.leg, play=self.play.play, reason=reason)] if self.play is not None else []

    def orphaned(self) -> None:
        """Its worker died."""
        self.ending = []
        self.at, self.leaving, self.sent = None, False, None

    def released(self, state: ReleasedLeg) -> None:
        """Its worker let it go, and said how far it has come."""
        self.at, self.leaving = None, False
        self.sent = state.sent
        self.heard = state.heard or self.heard
        if self.play is not None and state.played_ms:
            self.play = msgspec.structs.replace(self.play, from_ms=state.played_ms)

    def resume(self, group: int) -> list[Command]:
        """What to tell a worker that is to go on with the leg, or to open it if none has yet."""
        commands: list[Command] = []
        if self.rtp_port:
            commands.append(
                AdoptLeg(
                    leg=self.leg,
                    rtp_port=self.rtp_port,
                    rtcp_port=self.rtcp_port,
                    webrtc=self.opening.webrtc,
                    group=group,
                    media=self.media,
                    source=self.source,
                    keys=self.keys,
                    heard=self.heard,
                    sent=self.sent,
                    ipv6=self.opening.ipv6,
                )
            )
        else:
            commands.append(msgspec.structs.replace(self.opening, group=group))
            if self.media is not None:
                commands.append(self.media)
        self.sent = None
        if self.voice is not None:
            commands.append(self.voice)
        if self.room is not None:
            commands.append(JoinRoom(leg=self.leg, room=self.room))
        if self.play is not None:
            commands.append(self.play)
        return commands


_CODEC_WEIGHT = {"G722": 2, "OPUS": 5, "L16": 2}
