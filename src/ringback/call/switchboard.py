"""Where legs, their sessions and their media meet: what happens becomes calls of applications; sans-IO."""

from __future__ import annotations

import heapq
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from itertools import count
from typing import Final, Protocol

import msgspec

from ringback.call.application import Application
from ringback.call.bridge import InCall
from ringback.call.effects import Fault, KeepOpen, Notice, Outgoing, ToMedia
from ringback.call.exchange import Refinement
from ringback.call.key_presses import KeyPresses, Way
from ringback.call.leg import Leg
from ringback.call.overhearing import Overhearing
from ringback.call.party import LegState, Party
from ringback.call.records import Call, CallLog, RefusedBefore
from ringback.call.terms import PLAIN, Terms
from ringback.call.voice_recordings import VoiceRecordings
from ringback.governance.private import Private
from ringback.media import protocol
from ringback.quality.leg_history import LegHistory
from ringback.sdp.description import SdpError, SessionDescription
from ringback.sdp.encode import encode_sdp
from ringback.sdp.negotiated import Local
from ringback.sdp.parse import parse_sdp
from ringback.sip import effects
from ringback.sip.effects import Effect
from ringback.sip.endpoint import Endpoint
from ringback.sip.failover import first_of
from ringback.sip.flow import Flow, Targets
from ringback.sip.replaces import Replaces
from ringback.sip.session import InviteSession
from ringback.sip.uri import NameAddr, SipUri

_DTMF_RELAY = "application/dtmf-relay"
_DTMF = "application/dtmf"

_NOBODY: Final[frozenset[str]] = frozenset()

LocalMedia = Callable[[Flow, int, int], Local]


class _Dialled(msgspec.Struct, frozen=True):
    """Whom a leg of ours calls, and the way there."""

    target: SipUri
    flow: Flow | Targets
    to: NameAddr
    from_: NameAddr
    terms: Terms


class Transfers(Protocol):
    """Decides where a transfer may go."""

    def destination(
        self, transferor: Leg, remaining: Leg, refer_to: NameAddr, now: float
    ) -> Application | int:
        """What `remaining` is to be connected to; the status to refuse with otherwise."""


class Switchboard:
    """Owns every leg. Inputs are session events, media events and time; outputs gather in `drain()`.

    An exception in an application is a broken invariant of ours: it is reported as a Fault and ends the one
    leg it happened on.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        local_media: LocalMedia,
        refinement: Refinement | None = None,
        calls: CallLog | None = None,
    ) -> None:
        self.legs: dict[int, Leg] = {}
        self.calls = calls or CallLog()
        self.media_rooms = count(1)
        self.history = LegHistory()
        self.refinement = refinement or Refinement()
        self.transfers: Transfers | None = None
        self.in_call: InCall | None = None
        self.overhearing: Overhearing | None = None
        self.recordings = VoiceRecordings(self.media)
        self._endpoint = endpoint
        self._local_media = local_media
        self._by_session: dict[str, Leg] = {}
        self._by_account: dict[str, dict[int, Leg]] = {}
        self._touched: set[str] = set()
        self._moved = False
        self._dialling: dict[int, _Dialled] = {}
        self._on_trunk: Counter[str] = Counter()
        self._leg_ids = count(1)
        self._plays = count(1)
        # Weak: calls are over long before their alarms, and an application that no leg has wants nothing.
        self._alarms: list[tuple[float, int, weakref.ref[Application]]] = []
        self._alarm_order = count()
        self._events: deque[Effect] = deque()
        self._out: list[Outgoing] = []

    # Exchange: what legs and applications ask for

    def media(self, command: protocol.Command) -> None:
        """Give a command to the media engine."""
        self._out.append(ToMedia(command))

    def sip(self, wanted: list[Effect]) -> None:
        """Send what is to be sent; what happened is handled after the current handler has returned."""
        for effect in wanted:
            if isinstance(effect, effects.Transmit):
                self._out.append(effect)
            else:
                self._events.append(effect)

    def local_media(self, flow: Flow, rtp_port: int, rtcp_port: int) -> Local:
        """Our side of an offer or answer for a peer reached over this flow."""
        return self._local_media(flow, rtp_port, rtcp_port)

    def changed(self, leg: Leg) -> None:
        """Something happened to the leg that who watches its account may see."""
        if leg.party.account is not None:
            self._touched.add(leg.party.account)

    def may_record(self, leg: Leg, room: int) -> bool:
        """Whether a leg that is about to join a media room may be in a recording of it."""
        return self.overhearing is None or self.overhearing.may_record(leg, room)

    def moved(self, leg: Leg) -> None:
        """The leg is connected, has joined a media room or left one, or is on hold or not any more."""
        if self.overhearing is not None:
            self.overhearing.moved(leg)
            self._moved = True

    def answered(self, leg: Leg) -> None:
        """The leg is connected: its connection has to stay."""
        self._out.append(KeepOpen(leg.flow))
        self.tell("leg.answered", leg=leg.id)

    def next_play(self) -> int:
        """A number for something to play."""
        return next(self._plays)

    def play_to_room(self, room: int, sounds: list[str]) -> None:
        """Play sounds once to everybody in a media room."""
        self.media(protocol.PlayToRoom(room=room, sounds=sounds))

    def tell(self, kind: str, **facts: object) -> None:
        """Say what happened to whoever watches; no private data."""
        self._out.append(Notice(kind, facts))

    def wake(self, at: float, application: Application) -> None:
        """Call `application.expire` at `at` or soon after."""
        heapq.heappush(self._alarms, (at, next(self._alarm_order), weakref.ref(application)))

    def on_trunk(self, name: str) -> int:
        """How many legs there are beyond a trunk."""
        return self._on_trunk[name]

    def free_line(self, trunk: str, now: float) -> bool:
        """End the newest call beyond a trunk that is no emergency call; False where there is none."""
        beyond = [leg for leg in self.legs.values() if leg.party.trunk == trunk]
        others = [leg for leg in beyond if not leg.urgent and not leg.call.emergency and not leg.over]
        if not others:
            return False
        others[-1].hangup(now, "The line is needed for an emergency call")
        return True

    # Calls begin

    def incoming(
        self,
        session: InviteSession,
        flow: Flow,
        body: bytes,
        party: Party,
        dialled: Private[str],
        application: Application,
        now: float,
        codecs: tuple[str, ...] = (),
    ) -> bool:
        """Take an INVITE that may come in; False where its body is no session description, for which it is
        to be refused with 400."""
        offer = parse_sdp(body) if body else None
        if isinstance(offer, SdpError):
            return False
        leg = self._new_leg(party, application, flow, now)
        leg.incoming = True
        leg.dialled = dialled
        leg.codecs = codecs
        self._by_session[session.id] = leg
        self.tell("leg.incoming", leg=leg.id)
        leg.receive_offer(session, offer, now)
        return True

    def refused(
        self,
        flow: Flow,
        party: Party,
        dialled: Private[str],
        status: int,
        words: str | None,
        now: float,
    ) -> Call:
        """Note a call that is refused before it may come in; the record goes on to be made."""
        call = self.calls.begin(now)
        leg = Leg(0, self, party, Application(), flow, now, call)
        leg.incoming, leg.dialled, leg.ended_at = True, dialled, now
        leg.end = RefusedBefore(status, words or "")
        self.calls.joins(leg, call)
        self.calls.ended(leg, now)
        return call

    def dial(
        self,
        target: SipUri,
        flow: Flow | Targets,
        to: NameAddr,
        from_: NameAddr,
        party: Party,
        application: Application,
        now: float,
        terms: Terms = PLAIN,
    ) -> Leg:
        """Call a device; the INVITE goes out once the media engine has reserved an address."""
        leg = self._new_leg(party, application, first_of(flow), now)
        leg.codecs = terms.codecs
        self._dialling[leg.id] = _Dialled(target, flow, to, from_, terms)
        self.tell("leg.dialling", leg=leg.id)
        targets = flow if isinstance(flow, tuple) else (flow,)
        leg.open(by_both=len({":" in target.remote[0] for target in targets}) > 1)
        return leg

    def _new_leg(self, party: Party, application: Application, flow: Flow, now: float) -> Leg:
        call = application.call
        if call is None or call.over_at is not None:
            call = application.call = self.calls.begin(now)
        leg = Leg(next(self._leg_ids), self, party, application, flow, now, call)
        self.calls.joins(leg, call)
        self.legs[leg.id] = leg
        if party.account is not None:
            self._by_account.setdefault(party.account, {})[leg.id] = leg
        if party.trunk is not None:
            self._on_trunk[party.trunk] += 1
        self.changed(leg)
        return leg

    # Transfers

    def destination(
        self, transferor: Leg, remaining: Leg, refer_to: NameAddr, now: float
    ) -> Application | int:
        """What `remaining` is to be connected to; the status to refuse the transfer with otherwise."""
        if self.transfers is None:
            return 403
        return self.transfers.destination(transferor, remaining, refer_to, now)

    def replaced(self, replaces: Replaces) -> Leg | None:
        """The leg whose dialog that is."""
        session = self._endpoint.session_of(replaces)
        return None if session is None else self.leg_of(session)

    def leg_of(self, session: InviteSession) -> Leg | None:
        """The leg of a session, as long as there is one."""
        return self._by_session.get(session.id)

    # For who watches accounts

    def legs_of(self, account: str) -> list[Leg]:
        """The legs of an account's devices, oldest first."""
        return list(self._by_account.get(account, {}).values())

    def touch(self, account: str) -> None:
        """Something else has happened that who watches this account, or park slot, may see."""
        self._touched.add(account)

    def take_touched(self) -> AbstractSet[str]:
        """The accounts whose legs have changed since this was asked last."""
        if not self._touched:
            return _NOBODY
        touched, self._touched = self._touched, set()
        return touched

    # Inputs

    def sip_events(self, arrived: list[Effect], now: float) -> None:
        """Take what the endpoint returned."""
        self.sip(arrived)
        self._work(now)

    def media_event(self, event: protocol.Event, now: float) -> None:
        """Take an event of the media engine."""
        self._guarded(event.leg if hasattr(event, "leg") else None, now, self._on_media, event, now)
        self._work(now)

    def media_lost(self, legs: Iterable[int], now: float) -> None:
        """The media of these legs is gone for good: they are ended."""
        for leg in [self.legs[leg_id] for leg_id in legs if leg_id in self.legs]:
            self._guarded(leg.id, now, leg.turn_away, now, "media failed")
            if leg.session is None:
                self._guarded(leg.id, now, self._end, leg, now)
        self._work(now)

    def deadline(self) -> float | None:
        """When `expire` has something to do."""
        return self._alarms[0][0] if self._alarms else None

    def expire(self, now: float) -> None:
        """Wake the applications whose time has come."""
        while self._alarms and self._alarms[0][0] <= now:
            application = heapq.heappop(self._alarms)[2]()
            if application is not None:
                self._guarded(None, now, application.expire, now)
        self._work(now)

    @property
    def emergency_calls(self) -> bool:
        """Whether somebody talks to help, or waits for it."""
        return any(leg.call.emergency and not leg.over for leg in self.legs.values())

    def hang_up_all(self, now: float, reason: str, *, spare_emergencies: bool = False) -> None:
        """End every leg, for instance because the server stops."""
        for leg in list(self.legs.values()):
            if spare_emergencies and leg.call.emergency:
                continue
            self._guarded(leg.id, now, leg.turn_away, now, reason)
            if leg.session is None:
                self._guarded(leg.id, now, self._end, leg, now)
        self._work(now)

    def drain(self) -> list[Outgoing]:
        """What is to be carried out, in order; each is handed out once."""
        out, self._out = self._out, []
        return out

    # Dispatch

    def _work(self, now: float) -> None:
        while self._events:
            event = self._events.popleft()
            session = getattr(event, "session", None)
            leg = self.leg_of(session) if session is not None else None
            if leg is not None:
                self._guarded(leg.id, now, self._on_session, leg, event, now)
        while self._moved and self.overhearing is not None:
            self._moved = False
            self._guarded(None, now, self.overhearing.settle, now)

    def _on_session(self, leg: Leg, event: Effect, now: float) -> None:
        self.changed(leg)
        match event:
            case effects.Ringing(sdp=sdp):
                leg.rung(now)
                if sdp is not None:
                    leg.described_early(sdp, now)
                leg.application.ringing(leg, now)
            case effects.Answered(sdp=sdp) | effects.OfferAnswered(sdp=sdp):
                leg.answered_by_peer(sdp, now)
            case effects.Confirmed(sdp=sdp):
                leg.confirmed(sdp, now)
            case effects.Failed(status=status):
                leg.refusal = event.response
                if (offer := leg.offer_again(status)) is not None:
                    self._invite(leg, offer, now)
                else:
                    # Nobody is in a call by it: whoever rings next may be the same person.
                    leg.state = LegState.ENDING
                    leg.application.failed(leg, status, now)
            case effects.OfferReceived(sdp=sdp):
                leg.peer_offers(sdp, now)
            case effects.InfoReceived(content_type=content_type, body=body):
                digit = digit_of_info(content_type, body)
                if digit is not None:
                    self._digit(leg, "info", digit, now)
            case effects.ReferReceived():
                leg.application.referred(leg, event, now)
            case effects.Ended():
                leg.end = event
                self._end(leg, now)

    def _on_media(self, event: protocol.Event, now: float) -> None:
        match event:
            case protocol.LegOpened(leg=leg_id, rtp_port=rtp_port, rtcp_port=rtcp_port):
                self._media_opened(leg_id, rtp_port, rtcp_port, now)
            case protocol.Digit(leg=leg_id, digit=digit, duration_ms=held_ms) if leg := self.legs.get(leg_id):
                self._digit(leg, "media", digit, now, held_ms / 1000)
            case protocol.PlayEnded(leg=leg_id) if leg := self.legs.get(leg_id):
                self._play_ended(leg, event, now)
            case protocol.MediaConnected(leg=leg_id) if leg := self.legs.get(leg_id):
                leg.media_connected(now)
            case protocol.MediaLost(leg=leg_id, reason=reason) if leg := self.legs.get(leg_id):
                self.tell("leg.media_lost", leg=leg_id, reason=reason)
                leg.media_lost(now)
            case protocol.LegStatistics():
                self._measured(event, now)
            case protocol.RecordingStarted() | protocol.RecordingFailed() | protocol.RecordingEnded():
                self.recordings.heard(event, now)
            case protocol.CommandFailed(command=command, leg=failed, reason=reason):
                self.tell("media.refused", command=command, leg=failed, reason=reason)
                if command == "OpenLeg" and failed in self.legs:
                    self._cannot_open(self.legs[failed], now)

    def _digit(self, leg: Leg, way: Way, digit: str, now: float, held_s: float = 0.0) -> None:
        if leg.presses is None:
            leg.presses = KeyPresses()
        if not leg.presses.is_new(way, digit, now, held_s):
            return
        if self.overhearing is None or not self.overhearing.digit(leg, digit, now):
            leg.application.digit(leg, digit, now)

    def _play_ended(self, leg: Leg, event: protocol.PlayEnded, now: float) -> None:
        overhearing = self.overhearing
        if overhearing is None or not overhearing.play_ended(leg, event.play, event.reason, now):
            leg.application.play_ended(leg, event.play, now)

    def _measured(self, event: protocol.LegStatistics, now: float) -> None:
        """Keep what was measured, and look after the few legs of which nothing is heard."""
        for leg_id, silent_s in self.history.take(event, now):
            leg = self.legs.get(leg_id)
            if leg is not None:
                self._guarded(leg.id, now, leg.unheard, silent_s, now)

    def _media_opened(self, leg_id: int, rtp_port: int, rtcp_port: int, now: float) -> None:
        leg = self.legs.get(leg_id)
        if leg is None:
            self.media(protocol.CloseLeg(leg=leg_id, totals=False))
            return
        offer = leg.media_opened(rtp_port, rtcp_port, now)
        if leg.over and leg.session is None:
            self._end(leg, now)
        elif offer is not None:
            self._invite(leg, offer, now)

    def _invite(self, leg: Leg, offer: SessionDescription, now: float) -> None:
        dialled = self._dialling[leg.id]
        if leg.session is not None:
            # The refused session is done with; its end is not the leg's.
            self._by_session.pop(leg.session.id, None)
        session, invited = self._endpoint.invite(
            target=dialled.target,
            to=dialled.to,
            from_=dialled.from_,
            flow=dialled.flow,
            now=now,
            sdp=encode_sdp(offer),
            headers=dialled.terms.headers,
            route_set=dialled.terms.route_set,
            credentials=dialled.terms.credentials,
            max_forwards=dialled.terms.max_forwards,
        )
        leg.session = session
        self._by_session[session.id] = leg
        self.sip(invited)

    def _cannot_open(self, leg: Leg, now: float) -> None:
        if leg.session is not None:
            leg.turn_away(now, "no media")
        else:
            leg.application.failed(leg, 503, now)
            self._end(leg, now)

    def _end(self, leg: Leg, now: float) -> None:
        known = self.legs.pop(leg.id, None) is not None
        if known and leg.party.trunk is not None:
            self._on_trunk[leg.party.trunk] -= 1
        if (account := leg.party.account) is not None and account in self._by_account:
            self._by_account[account].pop(leg.id, None)
            if not self._by_account[account]:
                del self._by_account[account]
        self.changed(leg)
        self._dialling.pop(leg.id, None)
        if leg.session is not None:
            self._by_session.pop(leg.session.id, None)
        self.tell("leg.ended", leg=leg.id)
        if self.in_call is not None and known:
            self._guarded(None, now, self.in_call.leaves, leg, now)
        try:
            leg.finish(now)
        finally:
            if known:
                self.calls.ended(leg, now)

    def _guarded(
        self, leg_id: int | None, now: float, act: Callable[..., object], *arguments: object
    ) -> None:
        try:
            act(*arguments)
        except Exception as error:
            self._out.append(Fault(leg_id, error))
            leg = self.legs.get(leg_id) if leg_id is not None else None
            if leg is not None and not leg.over:
                leg.hangup(now, "internal error")


def digit_of_info(content_type: str | None, body: bytes) -> str | None:
    """The key in an INFO body: `application/dtmf-relay` with Signal=5, or `application/dtmf` with 5."""
    kind = (content_type or "").split(";", 1)[0].strip().lower()
    text = body[:200].decode("ascii", "replace")
    if kind == _DTMF_RELAY:
        for line in text.splitlines():
            name, _, value = line.partition("=")
            if name.strip().lower() == "signal":
                text = value
                break
        else:
            return None
    elif kind != _DTMF:
        return None
    digit = text.strip().upper()
    digit = {"10": "*", "11": "#"}.get(digit, digit)
    return digit if len(digit) == 1 and digit in "0123456789*#ABCD" else None
