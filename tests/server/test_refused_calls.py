"""Calls that are refused before they come in have records, and nobody fills the database with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringback.call.leg import Party
from ringback.call.recorded import records_of
from ringback.governance.private import Private
from ringback.server.refusals import (
    ACCOUNTS_AT_ONCE,
    ALL_STRANGERS_AT_ONCE,
    STRANGERS_AT_ONCE,
    TRUNKS_AT_ONCE,
    Refusals,
)
from ringback.sip.headers import Headers
from ringback.store.call_record import CallRecord
from tests.server.door import Door, Visitor
from tests.server.test_outside import Carrier, trunk

Act = Callable[[Door], int]


def visitor(door: Door) -> Visitor:
    return Visitor(door, "192.0.2.1")


def with_header(name: str, value: str) -> Act:
    def act(door: Door) -> int:
        caller = visitor(door)
        caller.authorized_call("102", "101", headers=Headers((name, value)))
        return caller.status()

    return act


def in_another_name(door: Door) -> int:
    caller = visitor(door)
    caller.authorized_call("102", "101", from_="102")
    return caller.status()


def while_it_stops(door: Door) -> int:
    door.policy.accepting = False
    caller = visitor(door)
    caller.call("102", from_="101")
    return caller.status()


def without_a_hop_left(door: Door) -> int:
    door.with_trunk(trunk(transit=True))
    return Carrier(door).call("15550102", hops=1)


def of_a_number_that_is_not_ours(door: Door) -> int:
    carrier = Carrier(door)
    door.with_trunk(trunk())
    return carrier.call("15550199")


def records(door: Door) -> list[CallRecord]:
    return records_of(door.switchboard.calls.take_over())


@pytest.fixture
def door() -> Door:
    made = Door()
    made.switchboard.calls.on_news = lambda: None
    return made


@pytest.mark.parametrize(
    ("act", "cause", "outcome", "caller", "extension"),
    [
        (with_header("Answer-Mode", "Auto;require"), 403, "refused", "101", "101"),
        (with_header("Privacy", "none-such;critical"), 500, "failed", "101", "101"),
        (in_another_name, 403, "refused", "102", ""),
        (while_it_stops, 503, "failed", "101", ""),
        (without_a_hop_left, 483, "refused", "+15559999", ""),
        (of_a_number_that_is_not_ours, 404, "refused", "+15559999", ""),
    ],
)
def test_a_refused_call_has_a_record_with_its_cause(
    door: Door, act: Act, cause: int, outcome: str, caller: str, extension: str
) -> None:
    assert act(door) == cause
    (record,) = records(door)
    assert (record.cause, record.outcome, record.ended_by) == (cause, outcome, "system")
    assert (record.caller, record.extension) == (caller, extension)
    assert record.dialled
    assert door.switchboard.calls.live == {}


def test_asking_for_credentials_is_no_call(door: Door) -> None:
    caller = visitor(door)
    caller.call("102", from_="101")
    assert caller.status() == 401
    assert records(door) == []


def test_a_source_that_goes_on_calling_has_a_few_records(door: Door) -> None:
    door.policy.accepting = False
    caller = visitor(door)
    for _ in range(STRANGERS_AT_ONCE + 20):
        caller.call("102")
        assert caller.status() == 503
    first = len(records(door))
    assert STRANGERS_AT_ONCE <= first <= STRANGERS_AT_ONCE + 1
    assert first + door.switchboard.calls.unrecorded == STRANGERS_AT_ONCE + 20
    door.run(60)
    caller.call("102")
    assert len(records(door)) == 1


@pytest.mark.parametrize(
    ("party", "stranger", "most"),
    [
        (Party(Private("101"), account="101"), False, ACCOUNTS_AT_ONCE),
        (Party(Private("+15559999"), trunk="carrier"), False, TRUNKS_AT_ONCE),
        (Party(Private("eve")), True, ALL_STRANGERS_AT_ONCE),
        (Party(Private(""), account="a visit"), True, ALL_STRANGERS_AT_ONCE),
    ],
)
def test_floods_from_many_addresses_are_bounded(party: Party, stranger: bool, most: int) -> None:
    refusals = Refusals()
    kept = sum(
        refusals.recorded(party, f"192.0.{n // 256}.{n % 256}", 100.0, stranger=stranger)
        for n in range(5_000)
    )
    assert kept == most
    others = Party(Private("102"), account="102")
    assert refusals.recorded(others, "198.51.100.1", 100.0, stranger=False), "others have theirs"
