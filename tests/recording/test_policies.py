"""Which policy counts for whom."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ringback.call.party import Party
from ringback.governance.private import Private
from ringback.recording.policies import policy_for
from ringback.store.directory import Directory
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.plan import Plan
from tests.recording.conversation import policy


def leg(account: str | None = None, trunk: str | None = None, incoming: bool = True, called: str = "") -> Any:
    call = SimpleNamespace(emergency=False, called=called)
    party = Party(Private("5550100"), account=account, trunk=trunk)
    return SimpleNamespace(party=party, incoming=incoming, call=call, dialled=None)


INSIDE = [leg("1001"), leg("1002", incoming=False)]
INBOUND = [leg(trunk="carrier"), leg("1001", incoming=False)]
OUTBOUND = [leg("1001"), leg(trunk="carrier", incoming=False)]


@pytest.mark.parametrize(
    ("values", "inside", "inbound", "outbound"),
    [
        ({}, True, True, True),
        ({"direction": "inbound"}, False, True, False),
        ({"direction": "outbound"}, False, False, True),
        ({"direction": "internal"}, True, False, False),
        ({"everybody": False, "extensions": ("1002",)}, True, False, False),
        ({"everybody": False, "groups": ("sales",)}, True, True, True),
        ({"everybody": False, "groups": ("help",)}, True, False, False),
        ({"approved_by": ""}, False, False, False),
        ({"mode": "off"}, False, False, False),
    ],
)
def test_whose_calls(values: dict[str, Any], inside: bool, inbound: bool, outbound: bool) -> None:
    groups = (Group(name="sales", members=("1001",)), Queue(name="help", agents=("1002",)))
    directory = Directory.of(plan=Plan.of([policy(**values), *groups]))
    found = [policy_for(legs, directory, ()) is not None for legs in (INSIDE, INBOUND, OUTBOUND)]
    assert found == [inside, inbound, outbound]


def test_of_a_group_that_was_called_whoever_answers() -> None:
    directory = Directory.of(plan=Plan.of([policy(everybody=False, groups=("sales",))]))
    called = [leg(trunk="carrier", called="group:sales"), leg("1009", incoming=False, called="group:sales")]
    assert policy_for(called, directory, ()) is not None
    assert policy_for(INBOUND, directory, ()) is None


def test_the_strictest_counts() -> None:
    modes = ("off", "always", "opt-in", "opt-out")
    plan = Plan.of([policy(name=mode, mode=mode) for mode in modes])
    found = policy_for(INSIDE, Directory.of(plan=plan), ())
    assert found is not None
    assert found.name == "always"
