"""Which recording policy a conversation has: of several that apply the strictest."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from typing import Final

from ringback.call.leg import Leg
from ringback.store.directory import Directory
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.voice import RecordingPolicy

STRICTNESS: Final = ("off", "opt-in", "opt-out", "always")


def policy_for(
    legs: Collection[Leg], directory: Directory, emergency_numbers: Container[str]
) -> RecordingPolicy | None:
    """The approved policy that counts for those who talk with each other; None where nothing is recorded.

    An emergency call has none, whatever the plan says: nothing may be spoken into it.
    """
    policies = directory.plan.all(RecordingPolicy)
    if not policies or any(_calls_help(leg, emergency_numbers) for leg in legs):
        return None
    directions = directions_of(legs)
    accounts = {leg.party.account for leg in legs if leg.party.account is not None}
    groups = _groups(legs, accounts, directory)
    chosen: RecordingPolicy | None = None
    for policy in policies.values():
        applies = (
            policy.approved_by
            and (policy.direction == "all" or policy.direction in directions)
            and (policy.everybody or accounts & set(policy.extensions) or groups & set(policy.groups))
        )
        if applies and (chosen is None or _strictness(policy) > _strictness(chosen)):
            chosen = policy
    return None if chosen is None or chosen.mode == "off" else chosen


def is_stricter(policy: RecordingPolicy, than: RecordingPolicy) -> bool:
    """Whether it is what counts of the two."""
    return _strictness(policy) > _strictness(than)


def directions_of(legs: Iterable[Leg]) -> set[str]:
    """`inbound`, `outbound` or both where somebody outside is there, otherwise `internal`."""
    outside = {leg.incoming for leg in legs if leg.party.trunk is not None or leg.party.account is None}
    return {"inbound" if incoming else "outbound" for incoming in outside} or {"internal"}


def _calls_help(leg: Leg, numbers: Container[str]) -> bool:
    return leg.call.emergency or (leg.dialled is not None and leg.dialled.reveal() in numbers)


def _strictness(policy: RecordingPolicy) -> int:
    return STRICTNESS.index(policy.mode)


def _groups(legs: Iterable[Leg], accounts: set[str], directory: Directory) -> set[str]:
    """Groups and queues that were called, or that somebody here belongs to."""
    plan = directory.plan
    called = {leg.call.called.partition(":") for leg in legs}
    named = {name for kind, _, name in called if kind in ("group", "queue")}
    named |= {name for name, group in plan.all(Group).items() if not accounts.isdisjoint(group.members)}
    return named | {name for name, queue in plan.all(Queue).items() if not accounts.isdisjoint(queue.agents)}
