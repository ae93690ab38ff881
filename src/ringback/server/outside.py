"""Calls to and from trunks: who may call out, how much, and where what comes in goes; sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from msgspec.structs import replace

from ringback.call.onward import Onward
from ringback.call.party import Party
from ringback.call.switchboard import Switchboard
from ringback.governance.private import Private
from ringback.routing.e164 import e164
from ringback.routing.outbound import destination_of
from ringback.routing.snapshot import own_numbers
from ringback.routing.steps import GoOut
from ringback.routing.toll_caps import Exceeded, TollCaps
from ringback.server.destinations import Call, Refusal
from ringback.server.diversion import FORWARDED_HOPS, diversion, forwarder
from ringback.sip.flow import Flow
from ringback.sip.message import Headers, Request, SipUri
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
        country: str = "",
    ) -> None:
        """`country` is where numbers without a plus are written."""
        self.lines = lines
        self.caps = caps
        self._switchboard = switchboard
        self._directory = directory
        self._country = country
        self._check = check

    def trunk_of(self, request: Request, flow: Flow) -> Trunk | None:
        """The trunk that a call comes from by its address; of several the one that has the number."""
        known = self.lines.recognised(flow)
        if len(known) < 2:
            return known[0] if known else None
        with_number = (trunk for trunk in known if self.dialled(trunk, request) is not None)
        return next(chain(with_number, known), None)

    def dialled(self, trunk: Trunk, request: Request) -> str | None:
        """The number of the trunk's that is meant: carriers name it in the Request-URI, or in To where they
        call the contact that was registered. None where it has neither."""
        uris = (request.uri, request.to.uri)
        numbers = [uri.username for uri in uris if isinstance(uri, SipUri) and uri.username]
        known = (number for number in numbers if destination_of(trunk, number) is not None)
        return next(chain(known, (number for number in numbers if self._is_own(trunk, number))), None)

    def _is_own(self, trunk: Trunk, number: str) -> bool:
        own = own_numbers(self._directory().trunks, self._country).get(e164(number, self._country) or "")
        return own is not None and own[0] is trunk

    def is_full(self, trunk: Trunk) -> bool:
        """Whether the trunk has as many calls as it may."""
        return self._switchboard.on_trunk(trunk.name) >= trunk.max_calls

    def go_out(self, step: GoOut, call: Call, onward: Onward, now: float) -> OutsideCall | Refusal:
        """A call out, or the cap that forbids it. It counts for who forwards it, else for who calls."""
        if call.max_forwards < 1:
            return Refusal(483)
        directory = self._directory()
        by = forwarder(step)
        extension = directory.extension(step.payer)
        for way in () if step.emergency else step.ways:
            exceeded = self.caps.exceeded(step.payer, way.number, now, way.call_class)
            if exceeded is not None:
                return self._refuse(exceeded, extension.id if extension is not None else None)
        return OutsideCall(
            self._switchboard,
            attempts_of(
                step.ways,
                lambda trunk: self._targets(trunk, step, now),
                lambda trunk: self._is_down(trunk, now),
            ),
            _shown(step, call, directory),
            next(self._switchboard.media_rooms),
            None if step.emergency else self.caps,
            account=step.payer,
            max_forwards=call.max_forwards if by is None else min(call.max_forwards, FORWARDED_HOPS),
            diverted=_diverted(by, directory, call),
            unreachable=self._check,
            rest=self.lines.rest,
            onward=onward,
        )

    def _targets(self, trunk: Trunk, step: GoOut, now: float) -> tuple[Flow, ...]:
        """Where the trunk is called: addresses that asked for a rest get it, but from emergency calls, which
        try them last."""
        targets = self.lines.targets(trunk)
        awake = tuple(flow for flow in targets if not self.lines.rests_for(trunk, flow, now))
        return targets if step.emergency else awake

    def _is_down(self, trunk: Trunk, now: float) -> bool:
        return self.lines.state(trunk, now).up is False

    def _refuse(self, exceeded: Exceeded, extension_id: str | None) -> Refusal:
        # The number is private; its id is not, and finds it.
        self._switchboard.tell(
            "toll.refused", call_class=exceeded.call_class, cap=exceeded.cap, extension=extension_id
        )
        return Refusal(403, _REASONS[exceeded.cap].format(exceeded.call_class))


def _shown(step: GoOut, call: Call, directory: Directory) -> Party:
    """The caller with the name that colleagues know. Emergency calls hide nobody: help has to call back."""
    caller = call.caller
    calling = directory.extension(caller.account or "")
    if calling is not None:
        caller = replace(caller, name=Private(calling.display_name))
    return replace(caller, hidden=False) if step.emergency else caller


def _diverted(by: str | None, directory: Directory, call: Call) -> Callable[[str], Headers] | None:
    if by is None:
        return None
    number = _known_outside(by, directory)
    return lambda host: diversion(number, host, call)


def _known_outside(number: str, directory: Directory) -> str:
    """An extension's number as it is known outside, where a trunk has one that leads to it."""
    leads_here = {number, f"extension:{number}"}
    dids = (did for trunk in directory.trunks.values() for did, to in trunk.dids.items() if to in leads_here)
    return next(dids, number)


_REASONS = {
    "concurrent": "Too many {} calls at once",
    "calls_a_day": "Too many {} calls today",
    "minutes_a_day": "Too many minutes of {} calls today",
}
