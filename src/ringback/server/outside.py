"""Calls to and from trunks: who may call out, how much, and where what comes in goes; sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from ringback.call.application import Application
from ringback.call.leg import Party
from ringback.call.switchboard import Switchboard
from ringback.routing.dialplan import ToOutside
from ringback.routing.outbound import destination_of
from ringback.routing.toll_caps import Exceeded, TollCaps
from ringback.sip.flow import Flow
from ringback.sip.message import Request, SipUri
from ringback.store.directory import Trunk
from ringback.trunk.lines import TrunkLines
from ringback.trunk.outside import OutsideCall, attempts_of


@dataclass(frozen=True, slots=True)
class TooMuch:
    """A cap forbids the call: what to answer."""

    reason: str


class Outside:
    """The trunks as the policy needs them."""

    def __init__(
        self,
        lines: TrunkLines,
        caps: TollCaps,
        switchboard: Switchboard,
        check: Callable[[str], None],
    ) -> None:
        self.lines = lines
        self.caps = caps
        self._switchboard = switchboard
        self._check = check

    def trunk_of(self, request: Request, flow: Flow) -> Trunk | None:
        """The trunk that a call comes from by its address; of several the one that has the number."""
        known = self.lines.recognised(flow)
        if len(known) < 2:
            return known[0] if known else None
        with_number = (trunk for trunk in known if self.destination(trunk, request) is not None)
        return next(chain(with_number, known), None)

    def destination(self, trunk: Trunk, request: Request) -> str | None:
        """The number here that is meant: carriers name it in the Request-URI, or in To where they call the
        contact that was registered."""
        uris = (request.uri, request.to.uri)
        return destination_of(trunk, *[uri.username for uri in uris if isinstance(uri, SipUri)])

    def is_full(self, trunk: Trunk) -> bool:
        """Whether the trunk has as many calls as it may."""
        return self._switchboard.on_trunk(trunk.name) >= trunk.max_calls

    def call(
        self,
        destination: ToOutside,
        caller: Party,
        now: float,
        *,
        account: str,
        extension_id: str | None = None,
        max_forwards: int = 70,
    ) -> Application | TooMuch:
        """A call out, or the cap that forbids it. `account` is who it is counted for."""
        ways = destination.ways
        capped = not any(way.emergency for way in ways)
        for way in ways if capped else ():
            exceeded = self.caps.exceeded(account, way.number, now)
            if exceeded is not None:
                return self._refuse(exceeded, extension_id)
        return OutsideCall(
            self._switchboard,
            attempts_of(ways, self.lines.targets, lambda trunk: self.lines.state(trunk, now).up is False),
            caller,
            next(self._switchboard.media_rooms),
            self.caps if capped else None,
            account=account,
            max_forwards=max_forwards,
            unreachable=self._check,
        )

    def _refuse(self, exceeded: Exceeded, extension_id: str | None) -> TooMuch:
        # The number is private; its id is not, and finds it.
        self._switchboard.tell(
            "toll.refused", call_class=exceeded.call_class, cap=exceeded.cap, extension=extension_id
        )
        return TooMuch(_REASONS[exceeded.cap].format(exceeded.call_class))


_REASONS = {
    "concurrent": "Too many {} calls at once",
    "calls_a_day": "Too many {} calls today",
    "minutes_a_day": "Too many minutes of {} calls today",
}
