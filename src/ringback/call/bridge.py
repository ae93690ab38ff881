"""One person calls others: their devices ring, round by round, and the first to answer is connected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.call.onward import Onward, nowhere, outcome_of
from ringback.call.party import LegState, Party
from ringback.call.records import share_emergency, tell_of_pickup
from ringback.call.terms import PLAIN, Terms
from ringback.call.transfer import Handover, Transfer
from ringback.governance.private import Private
from ringback.routing.numbers import number_in
from ringback.routing.steps import Outcome
from ringback.sip.agent import add_all
from ringback.sip.effects import ReferReceived
from ringback.sip.flow import Flow
from ringback.sip.headers import Headers
from ringback.sip.replaces import Replaces
from ringback.sip.uri import NameAddr, SipUri, escape_user

RING_PATIENCE_S: Final = 60.0
FLOW_PATIENCE_S: Final = 2.0
"""How long a phone may be silent before it is called by another of its flows."""

# The flow is broken, not the phone busy (RFC 5626 §5.3, §11).
_FLOW_FAILED: Final = (408, 430, 503)

# What one device says weighs more for the caller than another's silence (RFC 3261 §16.7, step 6).
_WEIGHT: Final = {486: 1, 600: 0, 603: 0}
_STATUS: Final = {Outcome.BUSY: 486, Outcome.DECLINED: 603}


class Device(msgspec.Struct, frozen=True):
    """Where one device of the called person is reached: its contact, the flow it registered over, the hosts
    on the way. `spare` is another flow to the same device (RFC 5626), for when this one fails. `from_` is
    given where it is told another caller than the rest; its INVITE gets `headers`. `called` is whose it is,
    where several people ring, and `login` the name that it logs in with, where that is its own."""

    contact: SipUri
    flow: Flow
    route_set: tuple[NameAddr, ...] = ()
    spare: Device | None = None
    from_: NameAddr | None = None
    headers: Headers = msgspec.field(default_factory=Headers)
    called: Party | None = None
    login: str = ""


class RingRound(msgspec.Struct, frozen=True):
    """Devices that ring together for so long. They are asked for when the round begins; an Outcome in place
    of them says why none can ring."""

    devices: Callable[[float], Sequence[Device] | Outcome]
    for_s: float = RING_PATIENCE_S


class InCall(Protocol):
    """What those who are connected may ask for by keys, and what becomes of whom they leave."""

    def keyed(self, application: Application, leg: Leg, other: Leg | None, digit: str, now: float) -> None:
        """Take a key of `leg`, which `other` hears if it means nothing here."""

    def leaves(self, leg: Leg, now: float) -> None:
        """`leg` is over; what it is connected to does not know it yet."""

    def left(self, bridge: Bridge, leg: Leg, other: Leg | None, now: float) -> bool:
        """`leg` is gone: whether `other`, or who waits for either of the two, is looked after here."""


class Line(Protocol):
    """What the bridge asks of the switchboard."""

    in_call: InCall | None

    def dial(
        self,
        target: SipUri,
        flow: Flow,
        to: NameAddr,
        from_: NameAddr,
        party: Party,
        application: Application,
        now: float,
        terms: Terms = PLAIN,
    ) -> Leg:
        """Call a device."""

    def wake(self, at: float, application: Application) -> None:
        """Call `application.expire` at `at` or soon after."""

    def play_to_room(self, room: int, sounds: list[str]) -> None:
        """Play sounds once to everybody in a media room."""

    def destination(
        self, transferor: Leg, remaining: Leg, refer_to: NameAddr, now: float
    ) -> Application | int:
        """What `remaining` is to be connected to; the status to refuse the transfer with otherwise."""

    def replaced(self, replaces: Replaces) -> Leg | None:
        """The leg whose dialog that is."""


class Bridge(Application):
    """Connects a caller to whichever device answers first, with media anchored on both sides; sans-IO.

    When nobody answers, the caller goes `onward`; where that is nowhere, it is refused.
    """

    def __init__(
        self,
        line: Line,
        rounds: Sequence[RingRound],
        to: NameAddr,
        from_: NameAddr,
        called: Party,
        room: int,
        onward: Onward = nowhere,
    ) -> None:
        self._line = line
        self._rounds = list(rounds)
        self._onward = onward
        self._to = to
        self._from = from_
        self._called = called
        self._room = room
        self._headers: Headers | None = None
        # Set while the caller belongs to another call, which gets it back if nobody answers here.
        self._handover: Handover | None = None
        # Set while one of the two is away to be transferred.
        self._transfer: Handover | None = None
        self._caller: Leg | None = None
        self._ringing: dict[int, Leg] = {}
        # The other flow to a ringing device, and when it is tried if the first one stays silent.
        self._spares: dict[int, tuple[Device, float]] = {}
        self._callee: Leg | None = None
        self.opening: list[str] = []
        """What both hear first when they are connected."""
        self._verdict = 480
        self._outcome = Outcome.UNREACHABLE
        self._give_up_at = 0.0

    @staticmethod
    def between(line: Line, caller: Leg, callee: Leg, room: int, now: float) -> Bridge:
        """Connect two legs that are connected to us already."""
        nobody = NameAddr(SipUri())
        bridge = Bridge(line, (), nobody, nobody, callee.party, room)
        bridge._caller, bridge._callee = caller, callee
        caller.application = callee.application = bridge
        bridge.resume(now)
        return bridge

    @property
    def media_room(self) -> int:
        """Where caller and called meet."""
        return self._room

    # Setting up

    def offered(self, leg: Leg, now: float) -> None:
        """The caller is there: begin with the first round."""
        self._caller = leg
        self._next_round(now)

    def _next_round(self, now: float) -> None:
        """Ring the next devices that there are; when no more come the caller hears the weightiest answer."""
        while self._rounds:
            ring_round = self._rounds.pop(0)
            devices = ring_round.devices(now)
            if isinstance(devices, Outcome):
                self._note(_STATUS.get(devices, 480), devices)
            elif devices:
                self._give_up_at = now + ring_round.for_s
                self._line.wake(self._give_up_at, self)
                for device in devices:
                    self._ring(device, now)
                return
        reason = {Outcome.UNREACHABLE: "Not registered", Outcome.NO_ANSWER: "No answer"}
        self._refuse(self._verdict, now, reason.get(self._outcome), self._outcome)

    def _note(self, status: int, outcome: Outcome) -> None:
        """What is known now of why nobody takes the call."""
        if _WEIGHT.get(status, 2) < _WEIGHT.get(self._verdict, 2):
            self._verdict, self._outcome = status, outcome
        elif self._outcome is Outcome.UNREACHABLE:
            self._outcome = outcome

    def _ring(self, device: Device, now: float) -> None:
        headers = device.headers.copy()
        if self._headers is not None:
            add_all(headers, self._headers)
        terms = Terms(headers=headers, route_set=device.route_set)
        from_ = device.from_ or self._from
        called, to = self._called, self._to
        if device.called is not None and isinstance(to.uri, SipUri):
            called = device.called
            to = NameAddr(SipUri(user=escape_user(called.number.reveal()), host=to.uri.host))
        if device.login:
            called = replace(called, device=device.login)
        leg = self._line.dial(device.contact, device.flow, to, from_, called, self, now, terms)
        self._ringing[leg.id] = leg
        if device.spare is not None:
            self._spares[leg.id] = (device.spare, now + FLOW_PATIENCE_S)
            self._line.wake(now + FLOW_PATIENCE_S, self)

    def ringing(self, leg: Leg, now: float) -> None:
        """A device rings: so does the caller's phone. What is beyond a trunk may say more than that."""
        caller = self._caller
        if caller is None:
            return
        if leg.early and self._callee is None and (self._handover is not None or caller.progress(now)):
            if caller.playing is not None:
                caller.stop_play()
            self._meet(caller, leg)
        elif caller.early and caller.playing is None:
            # It listens to audio, and makes no sound of its own any more.
            caller.play(["tone:ringback"], loop=True)
        elif self._handover is None and not caller.early:
            caller.ring(now)
        if self._handover is not None:
            self._handover.ringing(now)

    def connected(self, leg: Leg, now: float) -> None:
        """A device answered, or the caller was answered in turn."""
        if leg is self._caller:
            self._join(now)
        elif self._callee is None and self._caller is not None and leg.id in self._ringing:
            del self._ringing[leg.id]
            self._answered_by(leg, now)
        elif leg is not self._callee:
            leg.hangup(now, "Answered elsewhere")

    def failed(self, leg: Leg, status: int, now: float) -> None:
        """A device does not take the call; when none is left the next round begins."""
        self._ringing.pop(leg.id, None)
        spare, _ = self._spares.pop(leg.id, (None, 0.0))
        if spare is not None and status in _FLOW_FAILED and self._callee is None:
            self._ring(spare, now)
            return
        self._note(status, outcome_of(status))
        if not self._ringing and self._callee is None:
            self._next_round(now)

    def expire(self, now: float) -> None:
        """Nobody answered in time."""
        if self._callee is None and self._ringing and now >= self._give_up_at:
            self._stop_ringing(now, "No answer")
            self._verdict, self._outcome = 480, Outcome.NO_ANSWER
            self._next_round(now)
            return
        for leg_id, (spare, at) in list(self._spares.items()):
            leg = self._ringing.get(leg_id)
            if leg is None:
                del self._spares[leg_id]
            elif at <= now:
                del self._spares[leg_id]
                if leg.unanswered:
                    del self._ringing[leg_id]
                    leg.hangup(now)
                    self._ring(spare, now)

    def _answered_by(self, leg: Leg, now: float) -> None:
        self._callee = leg
        self._stop_ringing(now, "Answered elsewhere", elsewhere=True)
        if self._handover is not None:
            self._join(now)
        elif self._caller is not None:
            self._caller.answer(now, self._identity_of(leg))

    def _identity_of(self, leg: Leg) -> Headers | None:
        """Who has answered, for colleagues (RFC 3325)."""
        party = leg.party
        caller = self._caller
        if caller is None or caller.party.account is None or party.account is None or party.hidden:
            return None
        host = self._to.uri.host if isinstance(self._to.uri, SipUri) else ""
        uri = SipUri(user=escape_user(party.number.reveal()), host=host)
        return Headers(("P-Asserted-Identity", str(NameAddr(uri, party.name.reveal() if party.name else ""))))

    def _refuse(
        self, status: int, now: float, reason: str | None = None, outcome: Outcome | None = None
    ) -> None:
        """Nobody takes the call: the caller goes onward, hears why, or goes back to where it came from."""
        caller, handover = self._caller, self._handover
        if caller is not None and not caller.over:
            self._caller = self._handover = None
            if caller.room is not None:
                caller.leave_room()
            if self._onward(caller, outcome or outcome_of(status), now, handover=handover):
                return
            self._caller, self._handover = caller, handover
        if handover is not None:
            self._caller = self._handover = None
            handover.failed(status, now)
        elif caller is not None:
            caller.reject(status, now, reason)

    # Talking

    def digit(self, leg: Leg, digit: str, now: float) -> None:
        """Keys go through to the other side."""
        other = self._other(leg)
        if self._line.in_call is not None:
            self._line.in_call.keyed(self, leg, other, digit, now)
        elif other is not None:
            other.send_digit(digit)

    def held(self, leg: Leg, on_hold: bool, now: float) -> None:
        """Who is put on hold hears music."""
        other = self._other(leg)
        # Some phones go on sending what they hear, or music of their own, into ours.
        leg.mute(on_hold)
        # Who is out of the room is held by key, and hears music already.
        if other is not None and other.room == self._room:
            _sound(other, leg)

    def part(self, other: Leg) -> None:
        """Let `other` hear music in place of the one it talks to, until `resume`."""
        other.leave_room()
        other.play(["music"], loop=True)

    def partner(self, leg: Leg) -> Leg | None:
        """Who it is connected to."""
        return self._other(leg)

    def has_partner(self, leg: Leg) -> bool:
        """Whether it is connected to somebody, or somebody is rung for it."""
        return self._other(leg) is not None or (leg is self._caller and bool(self._ringing))

    def resume(self, now: float) -> None:
        """Let the two talk on."""
        self._join(now)

    def let_go(self, leg: Leg) -> None:
        """Forget a connected leg, which goes on elsewhere."""
        if leg is self._caller:
            self._caller = None
        elif leg is self._callee:
            self._callee = None
        leg.leave_room()

    def lend(self, leg: Leg, transfer: Handover) -> None:
        """Let a leg go until `take_back`; nobody else gets its place meanwhile."""
        self._transfer = transfer
        self.let_go(leg)

    def ended(self, leg: Leg, now: float) -> None:
        """One side went: the other goes too, unless it is being transferred."""
        in_call = self._line.in_call
        one_of_them = leg is self._caller or leg is self._callee
        if in_call is not None and one_of_them and in_call.left(self, leg, self._other(leg), now):
            return
        if leg is self._caller:
            self._stop_ringing(now, None)
            if self._callee is None:
                self._refuse(487, now)
            if self._callee is not None:
                self._callee.hangup(now)
        elif leg is self._callee:
            if self._caller is not None:
                self._caller.hangup(now)
        elif self._ringing.pop(leg.id, None) is not None:
            self.failed(leg, 480, now)
        self._let_go()

    def _let_go(self) -> None:
        """Forget the two once both are gone, so that nothing is left in a circle for the collector."""
        two = (self._caller, self._callee)
        if not self._ringing and all(leg is None or leg.state is LegState.ENDED for leg in two):
            self._caller = self._callee = None

    def _join(self, now: float) -> None:
        caller, callee = self._caller, self._callee
        assert caller is not None
        if callee is None or callee.over:
            caller.hangup(now)
            return
        for leg, other in ((callee, caller), (caller, callee)):
            leg.application = self
            leg.mute(leg.on_hold)
            if leg.playing is not None or other.on_hold:
                _sound(leg, other)
        self._meet(callee, caller)
        if self.opening:
            opening, self.opening = self.opening, []
            self._line.play_to_room(self._room, opening)
        if self._handover is not None:
            handover, self._handover = self._handover, None
            handover.taken(now)
            # Its phone still shows who has sent it here.
            caller.introduce(callee.party, now)

    def _meet(self, *legs: Leg) -> None:
        for leg in legs:
            if leg.room != self._room:
                leg.join(self._room)

    # Transfer

    def referred(self, leg: Leg, refer: ReferReceived, now: float) -> None:
        """One of the two sends the other somewhere else, or to the one it talks to in another call."""
        other = self._other(leg)
        if other is None or leg.party.account is None:
            leg.reject_refer(403, now)
        elif refer.replaces is not None:
            self._attended(leg, other, refer.replaces, now)
        else:
            application = self._line.destination(leg, other, refer.refer_to, now)
            if isinstance(application, int):
                leg.reject_refer(application, now)
                return
            transfer = self._give_away(leg, other, now)
            target = number_in(refer.refer_to.uri)
            other.dialled = Private(target.number if target is not None else "")
            application.take_over(other, transfer, now)

    def _attended(self, leg: Leg, other: Leg, replaces: Replaces, now: float) -> None:
        # The dialog is of another call of the same phone with us, for we stand between all of them.
        consulted = self._line.replaced(replaces)
        if consulted is None:
            leg.reject_refer(404, now)
            return
        bridge = consulted.application
        if (
            consulted.party.account != leg.party.account
            or not isinstance(bridge, Bridge)
            or bridge is self
            or not bridge.may_replace(consulted)
        ):
            leg.reject_refer(403, now)
            return
        bridge.replace(consulted, other, now, self._give_away(leg, other, now))

    def _give_away(self, leg: Leg, other: Leg, now: float) -> Transfer:
        leg.accept_refer(now)
        transfer = Transfer(self, leg, other)
        self.lend(other, transfer)
        return transfer

    def take_back(self, leg: Leg, now: float) -> None:
        """The transfer came to nothing: the two talk on, if both are still there."""
        self._transfer = None
        if self._caller is None:
            self._caller = leg
        else:
            self._callee = leg
        leg.application = self
        remaining = self._callee if leg is self._caller else self._caller
        if remaining is None or remaining.over:
            leg.hangup(now, "Transfer failed")
        elif leg.over:
            remaining.hangup(now)
        else:
            self._join(now)

    def ring_for(self, leg: Leg, handover: Handover, now: float) -> None:
        """Ring for a connected leg, which stays with its application until somebody answers."""
        self._handover = handover
        self.call = leg.call
        self.offered(leg, now)

    def ring_on_for(self, leg: Leg) -> None:
        """Ring on as by `ring_for`, for another connected leg."""
        self._caller = leg

    def give_up(self, now: float) -> None:
        """Whom it was rung for is not there any more."""
        self._rounds.clear()
        self._caller = self._handover = None
        self._stop_ringing(now, None)

    def release(self, leg: Leg, now: float) -> None:
        """Let a leg go on elsewhere; who it talks to or rings is hung up."""
        other = self._callee if leg is self._caller else self._caller
        self._handover = None
        self._rounds.clear()
        self._stop_ringing(now, None)
        self.let_go(leg)
        leg.stop_play()
        if other is not None:
            other.hangup(now)

    def take_over(self, leg: Leg, handover: Handover, now: float) -> None:
        """Ring the called person for somebody who is in a call already, and hears it ring. Referred-By says
        who transfers (RFC 3892 §2.2).
        """
        leg.application = self
        self._handover = handover
        if handover.by is not None and not handover.by.hidden:
            host = self._from.uri.host if isinstance(self._from.uri, SipUri) else ""
            by = SipUri(user=escape_user(handover.by.number.reveal()) or None, host=host)
            self._headers = Headers(("Referred-By", str(NameAddr(by))))
        leg.play(["tone:ringback"], loop=True)
        self.offered(leg, now)

    def may_replace(self, leg: Leg) -> bool:
        """Whether this leg's place can be given to another: it talks or rings, and no transfer is on."""
        if self._transfer is not None or self._handover is not None or leg.over:
            return False
        if self._callee is None:
            return self._caller is not None and (leg is self._caller or leg.id in self._ringing)
        return self._other(leg) is not None

    def replace(self, old: Leg, new: Leg, now: float, handover: Handover | None = None) -> None:
        """Let `new`, which is connected, have the place of `old`, which is hung up."""
        new.application = self
        # Whoever is in the caller's place stands for the call, where calls are listed.
        new.dialled = old.dialled
        share_emergency(new, old)
        self._handover = handover
        if self._ringing.pop(old.id, None) is not None:
            self._answered_by(new, now)
            if self._caller is not None:
                new.introduce(self._caller.party, now)
        elif old is self._callee:
            self._callee = new
            self._join(now)
            self._introduce(now)
        else:
            self._caller = new
            if self._callee is not None:
                self._join(now)
                self._introduce(now)
            else:
                new.play(["tone:ringback"], loop=True)
                if handover is not None:
                    handover.ringing(now)
        old.hangup(now, "Replaced")

    def rings(self, leg: Leg) -> bool:
        """Whether this device rings."""
        return leg.id in self._ringing and not leg.over

    def pick_up(self, ringing: Leg, leg: Leg, now: float) -> None:
        """Let `leg`, which is connected, have the call that rings at another device."""
        del self._ringing[ringing.id]
        tell_of_pickup(leg, ringing, now)
        leg.application = self
        self._answered_by(leg, now)
        if self._caller is not None:
            leg.introduce(self._caller.party, now)
        ringing.hangup(now, "Picked up")

    def _introduce(self, now: float) -> None:
        """The two have met each other in the middle of calls."""
        caller, callee = self._caller, self._callee
        if caller is not None and callee is not None:
            caller.introduce(callee.party, now)
            callee.introduce(caller.party, now)

    def _stop_ringing(self, now: float, reason: str | None, *, elsewhere: bool = False) -> None:
        ringing, self._ringing = self._ringing, {}
        for leg in ringing.values():
            leg.hangup(now, reason, elsewhere=elsewhere)

    def _other(self, leg: Leg) -> Leg | None:
        other = self._callee if leg is self._caller else self._caller if leg is self._callee else None
        return other if other is not None and other.state is LegState.CONNECTED else None


def _sound(leg: Leg, other: Leg) -> None:
    """What `leg` hears besides the other: music while it is on hold."""
    if other.on_hold:
        leg.play(["music"], loop=True)
    else:
        leg.stop_play()
