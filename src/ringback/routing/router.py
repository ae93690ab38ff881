"""Where a call goes: from who calls what, the directory and the time to the next step; no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from ringback.routing import features
from ringback.routing.emergency import behind_line_prefix, call_help
from ringback.routing.features import feature_of
from ringback.routing.leaving import leave
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.outbound import destination_of
from ringback.routing.places import PLACES
from ringback.routing.snapshot import Snapshot
from ringback.routing.steps import (
    Asked,
    CheckMessages,
    Decision,
    Echo,
    EnterMeeting,
    Feature,
    Outcome,
    Refuse,
    Step,
)
from ringback.routing.trail import Trail, named
from ringback.store.directory import Directory, Trunk
from ringback.store.emergency_numbers import emergency_in
from ringback.store.plan.target import Target
from ringback.store.plan.voice import MailboxPlan

_NOBODY: Final[Mapping[str, int]] = {}


class Router:
    """Decides for one moment: made anew for each decision, which costs nothing."""

    def __init__(
        self,
        directory: Directory,
        services: ServiceNumbers,
        at: datetime,
        turns: Mapping[str, int] = _NOBODY,
    ) -> None:
        """`at` knows its time zone: by it the days of blocked numbers are counted. `turns` holds for a group
        in order of turns how often it has rung."""
        self._snapshot = Snapshot(directory, services, at, turns)

    def calls_help(self, number: str) -> bool:
        """Whether an extension that dials this calls an emergency number, also behind a digit for a line."""
        return number in self._snapshot.services.emergency or self._behind_line_prefix(number) is not None

    def start(self, asked: Asked) -> Decision:
        """The first step of a call."""
        trail = Trail(asked)
        if asked.trunk is not None:
            found = self._from_trunk(asked.trunk, trail)
        else:
            found = self._dialled(asked.dialled.reveal(), trail)
        return self._follow(found, trail)

    def go(
        self, target: Target, asked: Asked, path: tuple[Target, ...], why: Outcome = Outcome.NO_ANSWER
    ) -> Decision:
        """The step that a call goes on with at `target`; `path` is that of the step before, empty where the
        caller chose the target by a key. `why` is what came of that step, for the greeting of a mailbox."""
        trail = Trail(asked, path, why)
        return self._follow(target, trail)

    def _follow(self, found: Step | Target, trail: Trail) -> Decision:
        while isinstance(found, Target):
            if not trail.enters(found):
                found = trail.circle(found)
            elif found.kind == "outside":
                found = self._sent_outside(found.name, trail)
            else:
                found = PLACES[found.kind](found, self._snapshot, trail)
        if isinstance(found, Refuse):
            found = replace(found, path=trail.path)
        return trail.decided(found)

    # Where a call begins

    def _dialled(self, number: str, trail: Trail) -> Step | Target:
        """What an extension or a guest dialled."""
        services, asked = self._snapshot.services, trail.asked
        if number in services.emergency:
            return call_help(number, self._snapshot, trail)
        return self._open_to_all(number, trail) or self._for_extensions(number, asked.account, trail)

    def _open_to_all(self, number: str, trail: Trail) -> Step | Target | None:
        if number in self._snapshot.services.dial_in:
            trail.say("service", number, "asks for the number of a meeting")
            return EnterMeeting(meeting=None)
        if self._snapshot.directory.meeting(number) is not None:
            return Target("meeting", number)
        return None

    def _for_extensions(self, number: str, account: str | None, trail: Trail) -> Step | Target:
        if account is None:
            return trail.refuse(403, "a guest may only call meetings")
        if number == self._snapshot.services.echo:
            trail.say("service", number, "the echo test")
            return Echo()
        inside = self._inside(number)
        urgent = self._behind_line_prefix(number)
        if urgent is not None:
            return call_help(urgent, self._snapshot, trail)
        if self._snapshot.extension(account) is None:
            trail.say("extension", account, "is disabled, or does not exist: only emergency numbers")
            return trail.refuse(403, "the caller's extension may only call emergency numbers")
        dialled = feature_of(number, self._snapshot.services.codes)
        if dialled is not None:
            return self._feature(dialled, account, trail)
        if inside is None and number in self._snapshot.services.slots:
            trail.say("slot", number, "is where calls are parked")
            return Feature(name=features.SLOT, argument=number)
        return inside or leave(number, self._snapshot, trail, payer=account, restricted=True)

    def _behind_line_prefix(self, number: str) -> str | None:
        """The emergency number in it, where no place of ours has the number."""
        return None if self._inside(number) is not None else behind_line_prefix(number, self._snapshot)

    def _inside(self, number: str) -> Target | None:
        """The place of ours that has this number."""
        if self._snapshot.directory.extension(number) is not None:
            return Target("extension", number)
        return self._snapshot.plan.numbers.get(number)

    def _feature(self, dialled: features.Dialled, account: str, trail: Trail) -> Step:
        if dialled.name == features.VOICEMAIL_OF:
            trail.say("feature", dialled.name, "asks whose messages are to be heard")
            return CheckMessages(extension=None)
        if dialled.name == features.VOICEMAIL:
            if self._snapshot.plan.get(MailboxPlan, account) is None:
                return trail.refuse(404, f"extension {account} has no mailbox", dead_end=True)
            trail.say("feature", dialled.name, "the caller's own messages")
            return CheckMessages(extension=account)
        role = self._snapshot.role(account)
        if dialled.name == features.NIGHT_SWITCH and role is not None and not role.night_switch:
            trail.say("role", role.name, "may not switch hours by hand")
            return trail.refuse(403, f"the role {role.name} may not use the night switch")
        trail.say("feature", dialled.name, "is done by dialling")
        return Feature(name=dialled.name, argument=dialled.argument)

    def _from_trunk(self, name: str, trail: Trail) -> Step | Target:
        trunk = self._snapshot.directory.trunks.get(name)
        if trunk is None or not trunk.enabled:
            return trail.refuse(404, f"trunk {name} does not exist, or is disabled", dead_end=True)
        dialled = trail.asked.dialled.reveal()
        leads_to = destination_of(trunk, dialled)
        if leads_to is None:
            own = self._snapshot.own_number(dialled)
            leads_to = own[1] if own is not None and own[0] is trunk else None
        if leads_to is None:
            trail.say("trunk", name, "does not say where this number leads")
            return trail.refuse(404, f"trunk {name} has no such number", dead_end=True)
        blocked = self._snapshot.blocked("in", trail.asked.number.reveal())
        if blocked is not None:
            trail.say("blocked", blocked.name, "calls of this caller are refused")
            return trail.refuse(603, f"the caller is blocked ({blocked.title or blocked.name})")
        return self._number_of_trunk(trunk, leads_to, trail)

    def _number_of_trunk(self, trunk: Trunk, leads_to: str, trail: Trail) -> Step | Target:
        """What a number outside leads to: a target, or whatever has that number here."""
        target = target_of_did(leads_to)
        if target is not None and target.kind != "outside":
            trail.say("trunk", trunk.name, f"its number leads to {target}")
            return target
        number = leads_to if target is None else target.name
        inside = None if target is not None else self._service(number, trail) or self._inside(number)
        if inside is not None:
            trail.say("trunk", trunk.name, f"its number leads to {number}")
            return inside
        trail.say("trunk", trunk.name, "its number leads outside again")
        if not trunk.transit:
            # A number that nothing here has any more is such a one, too.
            why = f"nothing here has the number that it leads to, and calls by {trunk.name} may not go out"
            return trail.refuse(403, why, dead_end=True)
        if self._emergency_in(trail.asked.dialled.reveal()) is not None and self._is_emergency(number):
            return call_help(number, self._snapshot, trail)
        unasked = self._unasked(number, trail)
        return unasked or leave(number, self._snapshot, trail, payer=trail.payer, restricted=False)

    def _service(self, number: str, trail: Trail) -> Step | Target | None:
        """What of the system's own numbers may be reached from outside."""
        if number == self._snapshot.services.echo:
            trail.say("service", number, "the echo test")
            return Echo()
        dialled = feature_of(number, self._snapshot.services.codes)
        if dialled is not None and dialled.name == features.VOICEMAIL_OF:
            trail.say("feature", dialled.name, "asks whose messages are to be heard")
            return CheckMessages(extension=None)
        return self._open_to_all(number, trail)

    # Where the plan sends a call outside

    def _is_emergency(self, number: str) -> bool:
        return number in self._snapshot.services.emergency

    def _emergency_in(self, number: str) -> str | None:
        services = self._snapshot.services
        return emergency_in(number, services.emergency, services.country)

    def _unasked(self, number: str, trail: Trail) -> Refuse | None:
        """Nobody calls help but who dials it, or is sent there by somebody who talks to them."""
        if self._emergency_in(number) is None and behind_line_prefix(number, self._snapshot) is None:
            return None
        trail.say("emergency", number, "an emergency number: no call is sent there by the plan")
        return trail.refuse(403, "the plan sends the call to an emergency number", dead_end=True)

    def _sent_outside(self, number: str, trail: Trail) -> Step | Target:
        snapshot = self._snapshot
        unasked = self._unasked(number, trail)
        if unasked is not None:
            return unasked
        own = snapshot.own_number(number)
        target = target_of_did(own[1]) or self._inside(own[1]) if own is not None else None
        if own is not None and target is not None:
            trail.say("trunk", own[0].name, f"the number is its own, and leads to {named(target)}")
            return target
        before = trail.before
        if before is None or before.kind != "extension":
            return leave(number, snapshot, trail, payer=trail.payer, restricted=False)
        role = snapshot.role(before.name)
        if role is None or not role.forward_outside:
            name = snapshot.role_name(before.name)
            trail.say("role", name, "may not forward calls to numbers outside")
            return trail.refuse(403, f"extension {before.name}: the role {name} may not forward outside")
        return leave(number, snapshot, trail, payer=before.name, restricted=True)


def target_of_did(leads_to: str) -> Target | None:
    """The target that a trunk's number leads to; None where it leads to a number."""
    try:
        return Target.parse(leads_to)
    except ValueError:
        return None
