"""Ringing the phones of extensions: whose turn it is, which devices there are, and what they are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ringback.call.bridge import Bridge, Device, RingRound
from ringback.call.onward import Onward
from ringback.call.party import Party
from ringback.call.switchboard import Switchboard
from ringback.governance.private import Private
from ringback.governance.throttle import SourceList
from ringback.routing.steps import Outcome, Ring, Round
from ringback.server.caller import fields_for
from ringback.server.destinations import Call, Refusal
from ringback.server.diversion import diversion, forwarder
from ringback.sip.agent import add_all
from ringback.sip.flow import Flow
from ringback.sip.headers import Headers
from ringback.sip.registration import Binding, Registrar
from ringback.sip.uri import NameAddr, SipUri, escape_user
from ringback.store.directory import Directory
from ringback.store.plan.answering import Answering
from ringback.store.plan.groups import Group, Queue


class Phones:
    """Carries out `Ring`; sans-IO."""

    def __init__(
        self,
        *,
        switchboard: Switchboard,
        registrar: Registrar,
        directory: Callable[[], Directory],
        contact_for: Callable[[Flow], SipUri],
        trusted_peers: SourceList,
    ) -> None:
        """Calls to devices in `trusted_peers` tell them who calls, also where others may not know."""
        self._switchboard = switchboard
        self._registrar = registrar
        self._directory = directory
        self._contact_for = contact_for
        self._trusted_peers = trusted_peers
        self.turns: dict[str, int] = {}
        """Which member of a group is to ring first, by its name."""

    def ring(self, step: Ring, call: Call, onward: Onward, now: float) -> Bridge | Refusal:
        """A bridge to whoever answers."""
        directory = self._directory()
        host = self._contact_for(call.flow).host
        from_ = _from(call, directory, host)
        told = self._told(step, call, from_, host)
        called = _called(step, directory)
        rounds = [
            RingRound(partial(self._devices, step, ring_round, told), ring_round.for_s)
            for ring_round in step.rounds
        ]
        return Bridge(
            line=self._switchboard,
            rounds=rounds,
            to=NameAddr(SipUri("sip", called.number.reveal(), host=host)),
            from_=from_,
            called=called,
            room=next(self._switchboard.media_rooms),
            onward=onward,
        )

    def _devices(
        self, step: Ring, ring_round: Round, told: Callable[[str], tuple[NameAddr, Headers]], now: float
    ) -> Sequence[Device] | Outcome:
        """The devices of a round, as they are now; or why there are none."""
        directory = self._directory()
        devices: list[Device] = []
        why = Outcome.UNREACHABLE
        for number in ring_round.extensions:
            extension = directory.extension(number)
            if extension is None or not extension.enabled:
                continue
            if not self._may_ring(step, number, directory):
                why = Outcome.BUSY
                continue
            whose = None
            if step.called.kind in ("group", "queue"):
                whose = Party(Private(number), Private(extension.display_name), number)
                if step.called.kind == "group":
                    self._next_turn(step.called.name, number, directory)
            devices += _devices(self._registrar.bindings(number, now), told, whose)
        return devices or why

    def _may_ring(self, step: Ring, number: str, directory: Directory) -> bool:
        """Whether it is somebody's turn who wants calls, and has none without call waiting."""
        answering = directory.plan.get(Answering, number)
        if step.called.kind == "group" and answering is not None and answering.do_not_disturb:
            return False
        return step.call_waiting or all(leg.over for leg in self._switchboard.legs_of(number))

    def devices(self, number: str, now: float) -> Sequence[Device]:
        """Where all devices of an extension are reached now."""
        return _devices(self._registrar.bindings(number, now), None, None)

    def _next_turn(self, name: str, number: str, directory: Directory) -> None:
        """The next call to the group begins with who comes after this member."""
        group = directory.plan.get(Group, name)
        members = list(dict.fromkeys(group.members)) if group is not None else []
        if number in members:
            self.turns[name] = members.index(number) + 1

    def _told(
        self, step: Ring, call: Call, from_: NameAddr, host: str
    ) -> Callable[[str], tuple[NameAddr, Headers]]:
        """What a device at an address is told of the caller, and of who sent the call on."""
        by = forwarder(step, step.called)

        def told(peer: str) -> tuple[NameAddr, Headers]:
            shown, headers = fields_for(
                from_,
                host,
                hidden=call.caller.hidden,
                trusted=peer in self._trusted_peers,
                answers_itself=call.answers_itself,
            )
            if by is not None:
                add_all(headers, diversion(by, host, call))
            return shown, headers

        return told


def _from(call: Call, directory: Directory, host: str) -> NameAddr:
    party = call.caller
    caller = directory.extension(party.account or "")
    name = caller.display_name if caller else ""
    if (party.trunk is not None or caller is None) and party.name is not None:
        name = party.name.reveal()
    user = escape_user(party.number.reveal()) or "anonymous"
    return NameAddr(SipUri("sip", user, host=host), name)


def _called(step: Ring, directory: Directory) -> Party:
    """Whom the caller is shown: the extension, or the group by its number."""
    name = step.called.name
    if step.called.kind == "group":
        group = directory.plan.get(Group, name)
        number, title = (group.number, group.title) if group is not None else ("", "")
        return Party(Private(number or name), Private(title or name))
    if step.called.kind == "queue":
        queue = directory.plan.get(Queue, name)
        number, title = (queue.number, queue.title) if queue is not None else ("", "")
        return Party(Private(number or name), Private(title or name))
    extension = directory.extension(name)
    return Party(Private(name), Private(extension.display_name if extension else ""), name)


def _devices(
    bindings: Sequence[Binding], told: Callable[[str], tuple[NameAddr, Headers]] | None, called: Party | None
) -> list[Device]:
    """One device for each phone: its flows (RFC 5626) are tried one after the other, the newest first."""
    flows: dict[object, list[Binding]] = {}
    for index, binding in enumerate(bindings):
        one = binding.instance is not None and binding.reg_id is not None
        flows.setdefault(binding.instance if one else index, []).append(binding)
    devices: list[Device] = []
    for group in flows.values():
        device: Device | None = None
        for binding in reversed(group):
            from_, headers = told(binding.flow.remote[0]) if told is not None else (None, Headers())
            device = Device(
                binding.uri, binding.flow, binding.route_set, device, from_, headers, called, binding.device
            )
        if device is not None:
            devices.append(device)
    return devices
