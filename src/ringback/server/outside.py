"""Calls to and from trunks: who may call out, how much, and where what comes in goes; sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from msgspec.structs import replace

from ringback.call.onward import Onward
from ringback.call.switchboard import Switchboard
from ringback.governance.private import Private
from ringback.routing.outbound import destination_of
from ringback.routing.steps import GoOut
from ringback.routing.toll_caps import Exceeded, TollCaps
from ringback.server.destinations import Call, Refusal
from ringback.sip.flow import Flow
from ringback.sip.message import Request, SipUri
from ringback.store.directory import Directory, Trunk
from ringback.trunk.lines import TrunkLines
from ringback.trunk.outside import OutsideCall, attempts_of


class Outside:
    """The trunks as the policy needs them."""

    def __init__(
        self,
        lines: TrunkLines,
        caps: TollCaps,
        switchboard: Switchboard,
        check: Callable[[str], None],
        directory: Callable[[], Directory],
    ) -> None:
        self.lines = lines
        self.caps = caps
        self._switchboard = switchboard
        self._directory = directory
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

    def go_out(self, step: GoOut, call: Call, onward: Onward, now: float) -> OutsideCall | Refusal:
        """A call out, or the cap that forbids it. It counts for who forwards it, else for who calls."""
        directory = self._directory()
        account = _payer(step) or call.asked.account
        extension = directory.extension(account or "")
        counted_for = account or f"trunk:{call.asked.trunk}"
        for way in () if step.emergency else step.ways:
            exceeded = self.caps.exceeded(counted_for, way.number, now)
            if exceeded is not None:
                return self._refuse(exceeded, extension.id if extension is not None else None)
        caller = call.caller
        calling = directory.extension(caller.account or "")
        if calling is not None:
            caller = replace(caller, name=Private(calling.display_name))
        return OutsideCall(
            self._switchboard,
            attempts_of(step.ways, self.lines.targets, lambda trunk: self._is_down(trunk, now)),
            caller,
            next(self._switchboard.media_rooms),
            None if step.emergency else self.caps,
            account=counted_for,
            max_forwards=call.max_forwards,
            unreachable=self._check,
            onward=onward,
        )

    def _is_down(self, trunk: Trunk, now: float) -> bool:
        return self.lines.state(trunk, now).up is False

    def _refuse(self, exceeded: Exceeded, extension_id: str | None) -> Refusal:
        # The number is private; its id is not, and finds it.
        self._switchboard.tell(
            "toll.refused", call_class=exceeded.call_class, cap=exceeded.cap, extension=extension_id
        )
        return Refusal(403, _REASONS[exceeded.cap].format(exceeded.call_class))


def _payer(step: GoOut) -> str | None:
    """The extension that sends the call outside, where somebody forwards it."""
    passed = [target.name for target in step.path if target.kind == "extension"]
    return passed[-1] if passed else None


_REASONS = {
    "concurrent": "Too many {} calls at once",
    "calls_a_day": "Too many {} calls today",
    "minutes_a_day": "Too many minutes of {} calls today",
}
