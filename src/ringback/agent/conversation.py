"""One call of an agent, sans-IO: SIP session, offers and answers, the leg of the engine, transfer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace

from ringback.agent.events import (
    Answered,
    CallEvent,
    Changed,
    ChangeFailed,
    DigitReceived,
    Ended,
    Held,
    PeerChanged,
    Ringing,
    TransferProgress,
)
from ringback.agent.outputs import CallArrived, MediaGone, Output, PlayOver, Told, ToMedia
from ringback.media import protocol as media
from ringback.media.protocol import Codec, Direction
from ringback.sdp.description import SdpError, SessionDescription
from ringback.sdp.encode import encode_sdp
from ringback.sdp.negotiated import Answer, Local, NegotiatedMedia, Refusal
from ringback.sdp.offer_answer import accept_answer, answer, make_offer
from ringback.sdp.parse import parse_sdp
from ringback.sip import effects as sip
from ringback.sip.flow import Flow
from ringback.sip.message import REASONS, NameAddr
from ringback.sip.replaces import Replaces

if TYPE_CHECKING:
    from ringback.sip.session import InviteSession

_ANY_PORTS: Final = (9, 10)


class ConversationState(Enum):
    """Where a call is."""

    OPENING = "opening"
    CALLING = "calling"
    INCOMING = "incoming"
    ANSWERING = "answering"
    TALKING = "talking"
    ENDED = "ended"


class Owner(Protocol):
    """Who has conversations: the line of an account."""

    outputs: list[Output]

    def local(self, flow: Flow, codecs: tuple[Codec, ...], rtp_port: int, rtcp_port: int) -> Local:
        """Our side of a description for a peer by a flow, with the ports that the engine gave."""

    def carry_out(self, effects: list[sip.Effect], now: float) -> None:
        """Do what a session wants done, and tell everybody whom it concerns."""


class Conversation:
    """A call, made or taken. `id` is also the number of its leg and of the room that the leg has for itself.

    Verbs return nothing: what is to be done gathers in the owner's outputs. Those that the state does not
    allow do nothing, for the peer may have ended the call a moment ago.
    """

    def __init__(self, number: int, owner: Owner, peer: NameAddr, flow: Flow, *, incoming: bool) -> None:
        self.id = number
        self.peer = peer
        self.incoming = incoming
        self.codecs: tuple[Codec, ...] = ()
        self.state = ConversationState.OPENING
        self.session: InviteSession | None = None
        self.media: NegotiatedMedia | None = None
        self.totals: media.LegTotals | None = None
        self.held = False
        """Whether the peer has put us on hold."""
        self.place: Callable[[bytes, float], None] = _nothing
        """Sends the INVITE with this offer, once the engine has given ports."""
        self.on_progress: Callable[[int, float], None] = _no_progress
        """Told the statuses of the call where somebody waits for them because of a transfer."""
        self._owner = owner
        self._flow = flow
        self._leg_asked = False
        self._local: Local | None = None
        self._own: SessionDescription | None = None
        self._offer: SessionDescription | None = None
        self._prepared: Answer | None = None
        self._before: tuple[Local, SessionDescription | None] | None = None
        self._answer_at_once = False
        self._heard = True

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self.state is ConversationState.ENDED

    # Setting up

    def open(self) -> None:
        """Ask the engine for ports."""
        self._leg_asked = True
        own = self._owner.local(self._flow, self.codecs, *_ANY_PORTS)
        self._media(media.OpenLeg(leg=self.id, ipv6=own.ipv6))

    def take(self, session: InviteSession, body: bytes, now: float, *, at_once: bool = False) -> None:
        """Begin as the called side; with `at_once` the call is answered as soon as that is possible."""
        self.session = session
        self._answer_at_once = at_once
        if body:
            offer = parse_sdp(body)
            if isinstance(offer, SdpError):
                self.reject(400, now)
                return
            self._offer = offer
        self.open()

    def media_opened(self, rtp_port: int, rtcp_port: int, now: float) -> None:
        """The engine has ports."""
        if self.over:
            self._media(media.CloseLeg(leg=self.id))
            return
        self._local = self._owner.local(self._flow, self.codecs, rtp_port, rtcp_port)
        if not self.incoming:
            self._own = make_offer(self._local)
            self.state = ConversationState.CALLING
            self.place(encode_sdp(self._own), now)
            return
        if self._offer is not None:
            prepared = answer(self._offer, self._local)
            if isinstance(prepared, Refusal):
                self.reject(prepared.status, now)
                return
            self._prepared = prepared
        self.state = ConversationState.INCOMING
        if self._answer_at_once:
            self.answer(now)
        elif self.session is not None:
            self._owner.outputs.append(CallArrived(self.id))
            self._owner.carry_out(self.session.ring(now), now)

    def answer(self, now: float) -> None:
        """Answer; `Answered` comes with the ACK."""
        if self.session is None or self._local is None or self.state is not ConversationState.INCOMING:
            return
        self.state = ConversationState.ANSWERING
        if self._prepared is None:
            self._own = make_offer(self._local)
        else:
            self._own = self._prepared.description
            self._apply(self._prepared.media)
        self._owner.carry_out(self.session.accept(encode_sdp(self._own), now), now)

    def reject(self, status: int, now: float) -> None:
        """Refuse an incoming call."""
        waiting = self.state in (ConversationState.OPENING, ConversationState.INCOMING)
        if self.session is not None and self.incoming and waiting:
            self._owner.carry_out(self.session.reject(status, now), now)

    def hangup(self, now: float) -> None:
        """End the call in whatever way its state demands."""
        if self.over:
            return
        if self.session is None:
            self.finish("us", 0, "hung up")
        else:
            self._owner.carry_out(self.session.hangup(now), now)

    # Changes within the call

    def offer(
        self, now: float, *, direction: Direction | None = None, codecs: Sequence[Codec] | None = None
    ) -> None:
        """Offer another direction (sendonly to hold) or other codecs; Changed or ChangeFailed follows."""
        if self._local is None or self.session is None or self.state is not ConversationState.TALKING:
            return
        self._before = self._before or (self._local, self._own)
        self._local = replace(
            self._local,
            direction=direction or self._local.direction,
            codecs=tuple(codecs) if codecs is not None else self._local.codecs,
        )
        self._own = make_offer(self._local, previous=self._own)
        self._owner.carry_out(self.session.reinvite(encode_sdp(self._own), now), now)

    def refer(self, refer_to: NameAddr, by: NameAddr, now: float) -> None:
        """Ask the peer to call somebody in place of us."""
        if self.session is not None and self.state is ConversationState.TALKING:
            self._owner.carry_out(self.session.refer(refer_to, now, referred_by=by), now)

    def refer_to(self, other: Conversation, by: NameAddr, now: float) -> None:
        """Ask the peer to take our place in another call of ours (RFC 5589 §7)."""
        if other.session is not None:
            target = Replaces.of(other.session).in_uri(other.session.remote_target)
            self.refer(NameAddr(target), by, now)

    def press(self, digits: str) -> None:
        """Press keys."""
        if not self.over:
            self._media(media.SendDigits(leg=self.id, digits=digits))

    def play(self, play: int, sounds: list[str], *, loop: bool) -> None:
        """Play sounds to the peer in place of what is being played."""
        if not self.over:
            self._media(media.Play(leg=self.id, play=play, sounds=sounds, loop=loop))

    def stop_play(self) -> None:
        """Be silent."""
        if not self.over:
            self._media(media.StopPlay(leg=self.id))

    # What happens

    def sip_event(self, effect: sip.Effect, now: float) -> None:
        """Something happened in the session."""
        match effect:
            case sip.Ringing(status=status, sdp=sdp):
                early = sdp is not None and self._take_early(sdp)
                self.on_progress(status, now)
                self._tell(Ringing(status, early))
            case sip.Answered(sdp=sdp):
                self._answered(sdp, now)
            case sip.Confirmed(sdp=sdp):
                self._confirmed(sdp, now)
            case sip.OfferReceived(sdp=sdp):
                self._offered(sdp, now)
            case sip.OfferAnswered(sdp=sdp):
                self._offer_answered(sdp, now)
            case sip.OfferFailed(status=status):
                self._take_back()
                self._tell(ChangeFailed(status, REASONS.get(status, "")))
            case sip.PeerChanged(who=who):
                self.peer = who
                self._tell(PeerChanged())
            case sip.ReferProgress(status=status, reason=reason, done=done):
                self._tell(TransferProgress(status, reason, done))
            case sip.Ended(by=by, status=status, reason=reason):
                self.on_progress(max(status or 487, 300), now)
                self.finish(by, status or 0, reason)
            case _:
                return

    def media_event(self, event: media.Event, now: float) -> None:
        """The engine has something to say of the leg."""
        match event:
            case media.LegOpened(rtp_port=rtp_port, rtcp_port=rtcp_port):
                self.media_opened(rtp_port, rtcp_port, now)
            case media.Digit(digit=digit, duration_ms=duration_ms):
                self._tell(DigitReceived(digit, duration_ms))
            case media.PlayEnded(play=play):
                self._owner.outputs.append(PlayOver(self.id, play))
            case media.CommandFailed(command=command, reason=reason):
                self._command_failed(command, reason, now)
            case media.LegClosed(totals=totals):
                self.totals = totals
                self._owner.outputs.append(MediaGone(self.id))
            case _:
                return

    def finish(self, by: sip.EndedBy, status: int, reason: str) -> None:
        """The call is over."""
        if self.over:
            return
        self.state = ConversationState.ENDED
        self._tell(Ended(by, status, reason))
        if self._local is not None:
            self._media(media.CloseLeg(leg=self.id))
        elif not self._leg_asked:
            self._owner.outputs.append(MediaGone(self.id))

    def _command_failed(self, command: str, reason: str, now: float) -> None:
        if command == "OpenLeg" and not self.over:
            self._leg_asked = False
            if self.session is not None:
                self._owner.carry_out(self.session.reject(503, now), now)
            self.finish("error", 503, f"no media: {reason}")
        elif command == "SetMedia":
            self.hangup(now)

    def _answered(self, sdp: bytes | None, now: float) -> None:
        negotiated = self._agreed(sdp)
        if negotiated is None:
            self.hangup(now)
            return
        self.state = ConversationState.TALKING
        self._apply(negotiated)
        self.on_progress(200, now)
        self._tell(Answered())

    def _confirmed(self, sdp: bytes | None, now: float) -> None:
        if self.state is not ConversationState.ANSWERING:
            return
        if self._prepared is None:
            negotiated = self._agreed(sdp)
            if negotiated is None:
                self.hangup(now)
                return
            self._apply(negotiated)
        self.state = ConversationState.TALKING
        self.on_progress(200, now)
        self._tell(Answered())

    def _take_early(self, sdp: bytes) -> bool:
        negotiated = self._agreed(sdp)
        if negotiated is not None and self.state is ConversationState.CALLING:
            self._apply(negotiated)
        return negotiated is not None

    def _agreed(self, sdp: bytes | None) -> NegotiatedMedia | None:
        """What the peer's answer makes of our offer; None when it is of no use."""
        described = parse_sdp(sdp) if sdp else None
        if self._own is None or self._local is None or not isinstance(described, SessionDescription):
            return None
        negotiated = accept_answer(self._own, described, self._local)
        return None if isinstance(negotiated, Refusal) else negotiated

    def _offered(self, sdp: bytes | None, now: float) -> None:
        """A re-INVITE of the peer: hold, another codec, another address (RFC 3264 §8)."""
        if self.session is None or self._local is None:
            return
        if sdp is None:
            self._own = make_offer(self._local, previous=self._own)
            self._owner.carry_out(self.session.answer_offer(encode_sdp(self._own), now), now)
            return
        offer = parse_sdp(sdp)
        if isinstance(offer, SdpError):
            self._owner.carry_out(self.session.reject_offer(400, now), now)
            return
        prepared = answer(offer, self._local, previous=self._own)
        if isinstance(prepared, Refusal):
            self._owner.carry_out(self.session.reject_offer(prepared.status, now), now)
            return
        self._own = prepared.description
        self._owner.carry_out(self.session.answer_offer(encode_sdp(self._own), now), now)
        self._change(prepared.media, ours=False)

    def _offer_answered(self, sdp: bytes | None, now: float) -> None:
        negotiated = self._agreed(sdp)
        if negotiated is None:
            # Both sides have agreed to nothing: what was before does not hold any more (RFC 3261 §14.1).
            self.hangup(now)
            return
        self._before = None
        self._change(negotiated, ours=True)

    def _take_back(self) -> None:
        """An offer of ours was refused: what was agreed before holds."""
        if self._before is not None:
            (self._local, before), self._before = self._before, None
            if before is not None and self._own is not None:
                # The version has been seen: the next description must have a higher one (RFC 3264 §8).
                version = self._own.origin.session_version
                self._own = replace(before, origin=replace(before.origin, session_version=version))

    def _change(self, negotiated: NegotiatedMedia, *, ours: bool) -> None:
        self._apply(negotiated)
        sending = self._local is not None and self._local.direction in ("sendrecv", "sendonly")
        held = sending and negotiated.on_hold
        if held is not self.held:
            self.held = held
            self._tell(Held(held))
        self._tell(Changed(negotiated.send.codec, negotiated.srtp is not None, ours))

    def _apply(self, negotiated: NegotiatedMedia) -> None:
        first = self.media is None
        self.media = negotiated
        self._media(negotiated.set_media(self.id))
        if first:
            # Alone in a room of its own a leg is always decoded, and hears nothing but what is played to it.
            self._media(media.JoinRoom(leg=self.id, room=self.id))
            self._media(media.SetVoice(leg=self.id, deaf=True))

    def _media(self, command: media.Command) -> None:
        self._owner.outputs.append(ToMedia(command))

    def _tell(self, event: CallEvent) -> None:
        self._owner.outputs.append(Told(self.id, event))


def _nothing(_offer: bytes, _now: float) -> None:
    return


def _no_progress(_status: int, _now: float) -> None:
    return
