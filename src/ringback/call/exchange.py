"""What a leg needs of the switchboard it belongs to, and what is done to voices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from ringback.call.records import CallLog
from ringback.media import protocol as media
from ringback.quality.leg_history import LegHistory
from ringback.sdp.negotiated import Local
from ringback.sip.effects import Effect
from ringback.sip.flow import Flow

if TYPE_CHECKING:
    from ringback.call.leg import Leg


class Refinement(msgspec.Struct, frozen=True):
    """What is done to the voices that others hear: `agc` brings all to one loudness, `denoise` suppresses the
    noise of phones (browsers do it themselves)."""

    agc: bool = False
    denoise: bool = False


class Exchange(Protocol):
    """What a leg needs of the switchboard it belongs to."""

    history: LegHistory
    """What was measured of all legs."""
    refinement: Refinement
    calls: CallLog

    def media(self, command: media.Command) -> None:
        """Give a command to the media engine."""

    def sip(self, effects: list[Effect]) -> None:
        """Carry out what a session asked for."""

    def local_media(self, flow: Flow, rtp_port: int, rtcp_port: int) -> Local:
        """Our side of an offer or answer for a peer reached over this flow."""

    def next_play(self) -> int:
        """A number for something to play."""

    def answered(self, leg: Leg) -> None:
        """The leg is connected."""

    def changed(self, leg: Leg) -> None:
        """The leg rings, or is on its way out."""

    def may_record(self, leg: Leg, room: int) -> bool:
        """Whether a leg that is about to join a media room may be in a recording of it."""

    def moved(self, leg: Leg) -> None:
        """The leg is connected, has joined a media room or left one, or is on hold or not any more."""
