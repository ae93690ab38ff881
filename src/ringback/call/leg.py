"""A leg: one SIP dialog with one audio stream, whether phone, browser or trunk (RFC 3261, RFC 3264)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from msgspec.structs import replace

from ringback.call.application import Application
from ringback.call.exchange import Exchange, Refinement
from ringback.call.key_presses import KeyPresses
from ringback.call.party import LegState, Party
from ringback.call.records import Call, RefusedBefore
from ringback.governance.private import Private
from ringback.governance.throttle import unmapped
from ringback.media import protocol as media
from ringback.media.stream_messages import PlayStream
from ringback.quality.leg_history import Lately
from ringback.sdp.description import SdpError, SessionDescription
from ringback.sdp.encode import encode_sdp
from ringback.sdp.negotiated import Answer, Local, NegotiatedMedia, Refusal
from ringback.sdp.offer_answer import accept_answer, answer, at_ports, make_offer, make_webrtc_offer
from ringback.sdp.parse import parse_sdp
from ringback.sdp.webrtc import LocalWebRtc, restarts_ice
from ringback.sip.effects import Ended
from ringback.sip.flow import Flow
from ringback.sip.message import Headers, Response
from ringback.sip.session import InviteSession
from ringback.sip.session_state import SessionState

VANISHED_AFTER_S: Final = 300.0
"""A peer that sends nothing at all for so long, and is not on hold, is gone."""

BROWSER_PATIENCE_S: Final = 30.0
"""A browser whose media does not connect in so long will not connect any more."""

COUNTED_AFTER_S: Final = 1.0
"""Of a leg that was connected for so long the engine is asked at its end what it counted."""

_ANY_PORTS: Final = (9, 10)
_MEDIA_REFUSED: Final = (415, 488, 606)
_RETRY_AFTER_S: Final = 5
_ELSEWHERE: Final = 'SIP;cause=200;text="Call completed elsewhere"'
"""RFC 3326 §2."""


_OVER: Final = (LegState.ENDING, LegState.ENDED)


class Leg:
    """One leg and its verbs; sans-IO. The application that handles it calls the verbs."""

    def __init__(
        self,
        leg_id: int,
        exchange: Exchange,
        party: Party,
        application: Application,
        flow: Flow,
        now: float,
        call: Call | None = None,
    ) -> None:
        self.id = leg_id
        self.party = party
        self.call = call or Call(0, now)
        self.application = application
        self.flow = flow
        self.state = LegState.OPENING
        self.created = now
        self.incoming = False
        """Whether it called us."""
        self.dialled: Private[str] | None = None
        self.rang_at: float | None = None
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.refusal: Response | None = None
        """The answer that its last session was refused with."""
        self.urgent = False
        """Whether it is part of an emergency call."""
        self.end: Ended | RefusedBefore | None = None
        """How its session ended."""
        self.totals: media.LegTotals | None = None
        """What the engine counted of it, told after its end."""
        self.sent: tuple[str, ...] = ()
        """The codecs that it was sent, one after the other."""
        self.session: InviteSession | None = None
        self.media: NegotiatedMedia | None = None
        self.room: int | None = None
        self.on_hold = False
        self.rings = False
        self.early = False
        """Whether audio flows though nobody has answered."""
        self.when_over: list[Callable[[float], None]] = []
        """Called once the leg is over, whatever it was connected to by then."""
        self.codecs: tuple[str, ...] = ()
        """The only codecs spoken with this peer; empty: all of ours."""
        self.playing: int | None = None
        self.presses: KeyPresses | None = None
        """What keys came lately, once one has."""
        self._exchange = exchange
        self._offer: SessionDescription | None = None
        self._local: Local | None = None
        self._prepared: Answer | None = None
        self._own: SessionDescription | None = None
        self._voice = media.SetVoice(leg=leg_id)
        self._media_up = False

    @property
    def application(self) -> Application:
        """What it is connected to."""
        return self._application

    @application.setter
    def application(self, application: Application) -> None:
        self._application = application
        if application.call is None:
            application.call = self.call

    @property
    def offered(self) -> SessionDescription | None:
        """The first description of the call: the peer's, or ours where we called."""
        return self._offer or self._own

    @property
    def source(self) -> str:
        """Who answers for what the peer does: the network address it signals from; beyond a trunk, where many
        share one, the caller there.
        """
        if self.party.trunk is not None:
            return f"{self.party.trunk} {self.party.number.reveal()}"
        return self.flow.remote[0]

    @property
    def webrtc(self) -> bool:
        """Whether a browser (or what speaks like one) is at the other end."""
        return self.media is not None and self.media.webrtc is not None

    @property
    def line(self) -> Lately:
        """How its line was lately."""
        return self._exchange.history.lately(self.id)

    @property
    def unanswered(self) -> bool:
        """Whether nothing at all, not even 100, has come back to our INVITE."""
        return self.session is not None and self.session.state is SessionState.CALLING

    @property
    def over(self) -> bool:
        """Whether verbs have no effect any more."""
        return self.state in _OVER

    # Setting up, called by the switchboard

    def receive_offer(self, session: InviteSession, offer: SessionDescription | None, now: float) -> None:
        """Begin as the called side of an INVITE; None is an INVITE without an offer.

        The offer is tried at once, with ports that do not matter: one that cannot be answered costs the
        engine nothing, and the engine learns where the peer will be, so that legs can share its sockets.
        """
        self.session = session
        self._offer = offer
        local = self._local = self._our_side()
        if not local.codecs:
            # No engine runs just now: the offer may be as good as any.
            self.turn_away(now, "no media")
            return
        if offer is None:
            self._open(local)
            return
        tried = answer(offer, local)
        if isinstance(tried, Refusal):
            self.reject(tried.status, now, tried.reason)
            return
        if tried.media.webrtc is not None:
            self._open(local, webrtc=True)
            return
        self._prepared = tried
        port = tried.media.remote_port if self._may_send(tried.media) else 0
        self._open(local.at(tried.address), ip=tried.media.remote_ip if port else "", port=port)

    def open(self, *, by_both: bool = False) -> None:
        """Begin as the calling side: our address is of the family of the flow that it is called by, and IPv4
        where that may become the other: who has both takes media by it in any case."""
        local = self._our_side()
        if by_both and local.ipv6 and local.other_address:
            local = local.at(local.other_address)
        self._open(local, webrtc=self.flow.by_page)

    def _open(self, local: Local, *, webrtc: bool = False, ip: str = "", port: int = 0) -> None:
        # The family of our address stays as it is from now on.
        self._local = local.at(local.address)
        group, six = self.application.media_room, local.ipv6
        self._exchange.media(
            media.OpenLeg(leg=self.id, webrtc=webrtc, remote_ip=ip, remote_port=port, group=group, ipv6=six)
        )

    def media_opened(self, rtp_port: int, rtcp_port: int, now: float) -> SessionDescription | None:
        """The engine has reserved an address. Returns our offer where we are the calling side."""
        if self.over or self._local is None:
            return None
        self._local = replace(self._local, rtp_port=rtp_port, rtcp_port=rtcp_port)
        if self.session is None and not self._local.codecs:
            # None of those that this peer may be offered is spoken here.
            self.state = LegState.ENDING
            self.application.failed(self, 488, now)
            return None
        if self.session is None:
            self.state = LegState.DIALLING
            if self.flow.by_page and self._local.webrtc is not None:
                self._own = make_webrtc_offer(self._local)
            elif self._local.srtp == "allowed":
                # Where keys are safe they are asked for; `offer_again` is for phones that cannot.
                self._own = make_offer(replace(self._local, srtp="required"))
            else:
                self._own = make_offer(self._local)
            return self._own
        if self._offer is not None:
            prepared: Answer | Refusal
            if self._prepared is not None and rtcp_port == rtp_port + 1:
                prepared = at_ports(self._prepared, rtp_port)
            else:
                prepared = answer(self._offer, self._local)
            if isinstance(prepared, Refusal):
                self.reject(prepared.status, now, prepared.reason)
                return None
            self._prepared = prepared
        self.state = LegState.OFFERED
        self.application.offered(self, now)
        return None

    def _our_side(self) -> Local:
        local = self._exchange.local_media(self.flow, *_ANY_PORTS)
        if not self.codecs:
            return local
        return replace(local, codecs=tuple(codec for codec in self.codecs if codec in local.codecs))

    def offer_again(self, status: int) -> SessionDescription | None:
        """A plainer offer after a device refused the one with SRTP (488); None when there is none left."""
        if self.over or self._local is None or self._own is None:
            return None
        if self.flow.by_page or status not in _MEDIA_REFUSED:
            return None
        before, self._own = self._own, make_offer(self._local)
        return self._own if self._own.media[0].protocol != before.media[0].protocol else None

    def described_early(self, sdp: bytes, now: float) -> None:
        """What is beyond a trunk is to be heard before it answers (RFC 3960 §3.2)."""
        if self.state is not LegState.DIALLING or self.party.trunk is None:
            return
        description = parse_sdp(sdp)
        if self._own is None or self._local is None or isinstance(description, SdpError):
            return
        negotiated = accept_answer(self._own, description, self._local)
        if isinstance(negotiated, NegotiatedMedia):
            self.early = True
            self._exchange.media(self._command(negotiated))

    def answered_by_peer(self, sdp: bytes | None, now: float) -> None:
        """The called side answered our INVITE, or an offer of ours in a 200 was answered in the ACK."""
        if self.over or self._own is None or self._local is None:
            return
        description = parse_sdp(sdp) if sdp else SdpError(0, "no description")
        if isinstance(description, SdpError):
            self.hangup(now, "no usable session description")
            return
        negotiated = accept_answer(self._own, description, self._local)
        if isinstance(negotiated, Refusal):
            self.hangup(now, negotiated.reason)
            return
        if self.state is LegState.CONNECTED:
            self._apply_change(negotiated, now)
        else:
            self._connect(negotiated, now)

    # Verbs

    def ring(self, now: float, status: int = 180) -> None:
        """Tell the caller that it rings, or by 181 that the call goes elsewhere."""
        if self.state is LegState.OFFERED and self.session is not None:
            if status == 180:
                self.rung(now)
            self._exchange.changed(self)
            self._exchange.sip(self.session.ring(now, status))

    def rung(self, now: float) -> None:
        """It rings, there or here."""
        self.rings = True
        if self.rang_at is None:
            self.rang_at = now

    def progress(self, now: float) -> bool:
        """Let the caller hear audio before the answer (183); False where that cannot be: a guest is not sent
        any yet, and a browser has no way for it."""
        prepared = self._prepared
        if self.early:
            return True
        unproved = self.party.account is None or self.session is None
        if self.state is not LegState.OFFERED or unproved or prepared is None or prepared.media.webrtc:
            return False
        assert self.session is not None
        self.early = True
        self._exchange.media(self._command(prepared.media))
        self._exchange.sip(self.session.ring(now, 183, encode_sdp(prepared.description)))
        return True

    def answer(self, now: float, headers: Headers | None = None) -> None:
        """Answer the call; `connected` follows at once, or with the ACK.

        The ACK is waited for when it brings the answer to our offer, and when no credentials were shown: only
        the ACK proves then that the INVITE came from where it said. Without it one forged datagram would send
        our audio to somebody else, or PINs in somebody else's name.
        """
        if self.state is not LegState.OFFERED or self.session is None or self._local is None:
            return
        prepared = self._prepared
        self._own = make_offer(self._local) if prepared is None else prepared.description
        self.state = LegState.ANSWERED
        self._exchange.sip(self.session.accept(encode_sdp(self._own), now, headers))
        if prepared is not None and self.party.account is not None:
            self._connect(prepared.media, now)

    def confirmed(self, sdp: bytes | None, now: float) -> None:
        """The ACK to our answer came, with `sdp` where that was an offer."""
        if self.state is not LegState.ANSWERED:
            return
        if self._prepared is None:
            self.answered_by_peer(sdp, now)
        else:
            self._connect(self._prepared.media, now)

    def reject(self, status: int, now: float, reason: str | None = None) -> None:
        """Refuse the call."""
        if not self.over and self.session is not None:
            self.state = LegState.ENDING
            self._exchange.sip(self.session.reject(status, now, reason))

    def turn_away(self, now: float, reason: str) -> None:
        """End the leg for want of something of ours: 503 with Retry-After where that can still be said."""
        unanswered = self.state in (LegState.OPENING, LegState.OFFERED)
        if not unanswered or self.session is None or self.session.role != "uas":
            self.hangup(now, reason)
            return
        self.state = LegState.ENDING
        headers = Headers(("Retry-After", str(_RETRY_AFTER_S)))
        self._exchange.sip(self.session.reject(503, now, headers=headers))

    def hangup(self, now: float, reason: str | None = None, *, elsewhere: bool = False) -> None:
        """End the leg in whatever way its state demands. `elsewhere`: somebody else took the call, so that
        the phone need not show it as missed."""
        if self.over:
            return
        self.state = LegState.ENDING
        self._exchange.changed(self)
        if self.session is not None:
            self._exchange.sip(self.session.hangup(now, reason, _ELSEWHERE if elsewhere else ""))

    def play(self, sounds: list[str], *, loop: bool = False, stop_on_digit: bool = False) -> int:
        """Play sounds to this leg alone, in place of what is being played; `play_ended` names the number."""
        self.playing = self._exchange.next_play()
        if not self.over:
            self._exchange.media(
                media.Play(
                    leg=self.id, play=self.playing, sounds=sounds, loop=loop, stop_on_digit=stop_on_digit
                )
            )
        return self.playing

    def play_stream(self, rate: Literal[8000, 16000], from_ms: int = 0) -> int:
        """As `play`, for samples that the engine asks for by the number that is returned (StreamWanted)."""
        self.playing = self._exchange.next_play()
        if not self.over:
            self._exchange.media(PlayStream(leg=self.id, play=self.playing, rate=rate, from_ms=from_ms))
        return self.playing

    def stop_play(self) -> None:
        """End what is being played."""
        if not self.over and self.playing is not None:
            self.playing = None
            self._exchange.media(media.StopPlay(leg=self.id))

    def join(self, room: int) -> None:
        """Hear and be heard in a media room."""
        if self.over:
            return
        recorded = self._exchange.may_record(self, room)
        if not recorded:
            # Before it is there: not a sample of it is recorded.
            self.record(False)
        self.room = room
        self._exchange.media(media.JoinRoom(leg=self.id, room=room))
        if recorded:
            self.record(True)
        if not self.early:
            # Nobody is there yet who could be told that something is recorded.
            self._exchange.moved(self)

    def leave_room(self) -> None:
        """Neither hear nor be heard."""
        if self.room is not None and self.state is not LegState.ENDED:
            self._exchange.media(media.LeaveRoom(leg=self.id))
        self.room = None
        self._exchange.moved(self)

    def voice(self, *, muted: bool = False, deaf: bool = False, echo: bool = False) -> None:
        """Set how the leg takes part."""
        refined = self._exchange.refinement if not echo else Refinement()
        wanted = media.SetVoice(
            leg=self.id,
            muted=muted,
            deaf=deaf,
            echo=echo,
            recorded=self._voice.recorded,
            agc=refined.agc,
            denoise=refined.denoise and not self.webrtc,
        )
        self._set_voice(wanted)

    def record(self, recorded: bool) -> None:
        """Set whether the leg is in recordings of its room; it is unless set otherwise."""
        self._set_voice(replace(self._voice, recorded=recorded))

    def _set_voice(self, wanted: media.SetVoice) -> None:
        if wanted != self._voice and not self.over:
            self._voice = wanted
            self._exchange.media(wanted)

    def mute(self, muted: bool) -> None:
        """Let nobody hear it, or everybody again; how else it takes part stays as it is."""
        self._set_voice(replace(self._voice, muted=muted))

    def send_digit(self, digit: str) -> None:
        """Press a key at the peer (RFC 4733)."""
        if self.state is LegState.CONNECTED:
            self._exchange.media(media.SendDigits(leg=self.id, digits=digit))

    def introduce(self, party: Party, now: float) -> None:
        """Let a phone of ours show who it talks to now, unless that is hidden."""
        if self.session is not None and self.party.account is not None and not party.hidden:
            self._exchange.sip(self.session.introduce(party.number, party.name, now))

    def accept_refer(self, now: float) -> None:
        """Take the peer's REFER (202)."""
        if self.session is not None:
            self._exchange.sip(self.session.accept_refer(now))

    def reject_refer(self, status: int, now: float) -> None:
        """Refuse the peer's REFER."""
        if self.session is not None:
            self._exchange.sip(self.session.reject_refer(status, now))

    def notify_refer(self, status: int, now: float) -> None:
        """Tell the peer how the transfer goes that it asked for; also after it has hung up."""
        if self.session is not None:
            self._exchange.sip(self.session.notify_refer(status, now))

    # What the peer changes

    def peer_offers(self, sdp: bytes | None, now: float) -> None:
        """A re-INVITE: hold, another codec, another address (RFC 3261 §14, RFC 3264 §8)."""
        if self.over or self.session is None or self._local is None:
            return
        if sdp is None:
            if self.webrtc:
                # We only answer browsers; they offer whatever changes.
                self._exchange.sip(self.session.reject_offer(488, now))
                return
            self._own = make_offer(self._local, previous=self._own)
            self._exchange.sip(self.session.answer_offer(encode_sdp(self._own), now))
            return
        offer = parse_sdp(sdp)
        if isinstance(offer, SdpError):
            self._exchange.sip(self.session.reject_offer(400, now))
            return
        local = self._local_for(offer)
        prepared = answer(offer, local, previous=self._own)
        if isinstance(prepared, Refusal):
            self._exchange.sip(self.session.reject_offer(prepared.status, now))
            return
        if (prepared.media.webrtc is None) is self.webrtc:
            # A stream that was keyed by DTLS stays so, and the engine opened the leg for one kind.
            self._exchange.sip(self.session.reject_offer(488, now))
            return
        self._local = local
        self._own = prepared.description
        self._exchange.sip(self.session.answer_offer(encode_sdp(self._own), now))
        self._apply_change(prepared.media, now)

    def _local_for(self, offer: SessionDescription) -> Local:
        """Our side for a re-offer: with ICE credentials of ours that are as new as the peer's."""
        assert self._local is not None
        known = self.media.webrtc if self.media is not None else None
        ours = self._local.webrtc
        if known is None or ours is None or not restarts_ice(offer, known):
            return self._local
        return replace(self._local, webrtc=LocalWebRtc(ours.fingerprint, self._local.random_bytes))

    def media_connected(self, now: float) -> None:
        """A browser's media is up: now it hears what is said to it. Comes again after an ICE restart."""
        if self.state is LegState.CONNECTED and self.webrtc and not self._media_up:
            self._media_up = True
            self.application.connected(self, now)

    def media_lost(self, now: float) -> None:
        """The engine has waited long enough for a browser's media."""
        self.hangup(now, "media lost")

    def unheard(self, silent_s: float | None, now: float) -> None:
        """Nothing came for so long (None: ever); a peer that vanished without a BYE is noticed by that.

        Browsers are asked by ICE whether they are still there, so that they may be silent.
        """
        if self.answered_at is None or self.on_hold or self.over:
            return
        if self.webrtc:
            if not self._media_up and now - self.answered_at > BROWSER_PATIENCE_S:
                self.hangup(now, "media never came up")
            return
        if (now - self.answered_at if silent_s is None else silent_s) > VANISHED_AFTER_S:
            self.hangup(now, "no audio came for a long time")

    def finish(self, now: float) -> None:
        """The session is over: free the media and tell the application, once."""
        if self.state is LegState.ENDED:
            return
        self.state = LegState.ENDED
        self.ended_at = now
        counted = self.answered_at is not None and now - self.answered_at >= COUNTED_AFTER_S
        if counted:
            self._exchange.calls.owes(self)
        self._exchange.media(media.CloseLeg(leg=self.id, totals=counted))
        self._exchange.moved(self)
        self.application.ended(self, now)
        for settle in self.when_over:
            settle(now)

    def _connect(self, negotiated: NegotiatedMedia, now: float) -> None:
        self.media = negotiated
        self.sent = (negotiated.send.codec,)
        self.state = LegState.CONNECTED
        if self.early:
            self.early = False
            self._exchange.moved(self)
        self.answered_at = now
        self._exchange.changed(self)
        self._exchange.moved(self)
        self._exchange.media(self._command(negotiated))
        self._exchange.answered(self)
        # What is said to a browser before its media is up would be lost.
        if negotiated.webrtc is None:
            self.application.connected(self, now)

    def _apply_change(self, negotiated: NegotiatedMedia, now: float) -> None:
        self.media = negotiated
        if negotiated.send.codec != self.sent[-1]:
            self.sent = (*self.sent[-7:], negotiated.send.codec)
        self._exchange.media(self._command(negotiated))
        if negotiated.on_hold is not self.on_hold:
            self.on_hold = negotiated.on_hold
            self._exchange.moved(self)
            self.application.held(self, self.on_hold, now)

    def _command(self, negotiated: NegotiatedMedia) -> media.SetMedia:
        """What the engine is told."""
        command = negotiated.set_media(self.id)
        return command if self._may_send(negotiated) else replace(command, remote_port=0, remote_rtcp_port=0)

    def _may_send(self, negotiated: NegotiatedMedia) -> bool:
        """Whether audio may go where the peer wants it: a guest gets it where it signals, or sends, from.

        An SDP may name any address. Somebody without an account who names another one than its own hears us
        as soon as packets come from there (as behind a NAT), and cannot point our audio at a third party.
        """
        return (
            negotiated.webrtc is not None
            or self.party.account is not None
            or self.party.trunk is not None
            or negotiated.remote_ip == unmapped(self.source)
        )
