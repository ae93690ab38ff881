"""What a leg is connected to: a meeting's entrance, an echo test, another leg. One method an occurrence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.call.leg import Leg
    from ringback.call.records import Call
    from ringback.call.transfer import Handover
    from ringback.sip.effects import ReferReceived


class Application:
    """Base of everything that handles legs; each method does nothing until a subclass says otherwise.

    All methods run inside the switchboard, take the time as `now` (seconds, monotonic) and act by calling the
    verbs of the leg; none of them waits.
    """

    call: Call | None = None
    """The call that legs which it dials belong to: that of the first leg it was given."""

    @property
    def media_room(self) -> int:
        """The media room that its legs are going to join, 0 as long as that is open."""
        return 0

    def offered(self, leg: Leg, now: float) -> None:
        """An incoming leg can be rung, answered or refused: its media has an address and a common codec."""

    def ringing(self, leg: Leg, now: float) -> None:
        """The device of an outgoing leg rings."""

    def connected(self, leg: Leg, now: float) -> None:
        """Both sides agreed: audio flows, prompts can be played, a room can be joined."""

    def failed(self, leg: Leg, status: int, now: float) -> None:
        """An outgoing leg was not answered; `status` is the SIP status (408 for no answer at all)."""

    def digit(self, leg: Leg, digit: str, now: float) -> None:
        """The person pressed a key (RFC 4733 or INFO), once per press."""

    def play_ended(self, leg: Leg, play: int, now: float) -> None:
        """What was played under the number that `Leg.play` returned has ended, for whatever reason."""

    def held(self, leg: Leg, on_hold: bool, now: float) -> None:
        """The peer put the leg on hold, or took it back."""

    def referred(self, leg: Leg, refer: ReferReceived, now: float) -> None:
        """The peer asks for a transfer (REFER): refused where nobody is there to be transferred."""
        leg.reject_refer(403, now)

    def receive(self, leg: Leg, now: float) -> None:
        """An offered leg, which nobody has answered, comes from another application."""
        leg.application = self
        self.offered(leg, now)

    def take_over(self, leg: Leg, handover: Handover, now: float) -> None:
        """A connected leg comes from another application, as if it had called this one."""
        leg.application = self
        handover.taken(now)
        self.offered(leg, now)
        if not leg.over:
            self.connected(leg, now)

    def release(self, leg: Leg, now: float) -> None:
        """Forget a connected leg, which goes on elsewhere: for this application it is gone."""
        self.ended(leg, now)
        leg.leave_room()
        leg.voice()
        leg.stop_play()

    def stand_in(self, old: Leg, new: Leg, now: float) -> bool:
        """Let `new`, which is connected, go on here for `old`, which is about to be over; False where that
        cannot be. `ended` is called for `old` afterwards."""
        return False

    def ended(self, leg: Leg, now: float) -> None:
        """The leg is over and takes no verb any more; called once for each leg, offered or dialled."""

    def expire(self, now: float) -> None:
        """A time asked for with `Switchboard.wake` has come; spurious calls are harmless."""
