"""Diagnosed calls as rows: where they were, by what device, which way, and how good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from ringback.diagnosis.capture.captured import Endpoints
from ringback.diagnosis.many.calls import CallRow
from ringback.diagnosis.many.places import read_places
from ringback.diagnosis.many.rows import rows_of, with_many
from ringback.diagnosis.many.summary import MANY
from ringback.diagnosis.signalling.call import Finding
from tests.diagnosis import made

PLACES, _ = read_places(
    "network,site,trunk,kind\n192.0.2.17/32,north,,wifi\n192.0.2.1/32,,carrier-a,\n192.0.2.40/32,east,,wired\n"
)


def row(**changed: object) -> CallRow:
    (call,) = made.diagnosis().calls
    record = made.record(**changed)
    (found,) = rows_of([replace(call, record=record)], PLACES, ZoneInfo("Europe/Berlin"))
    return found


def test_a_call_belongs_to_its_groups() -> None:
    found = row()
    assert found.groups == {
        "site": "north",
        "network": "wifi",
        "trunk": "carrier-a",
        "direction": "outbound",
        "device": "Example Phone",
        "hour": "14",
    }
    assert found.measures["mos"] == 3.1
    assert found.measures["setup_ms"] == 2000
    assert found.measures["loss_percent"] == pytest.approx(1.7, abs=0.1)
    assert found.bad


@pytest.mark.parametrize(
    ("src", "dst", "direction"),
    [
        ("192.0.2.17", "192.0.2.40", "internal"),
        ("192.0.2.1", "192.0.2.17", "inbound"),
        ("192.0.2.1", "198.51.100.4", "transit"),
    ],
)
def test_the_direction_is_told_by_both_ends(src: str, dst: str, direction: str) -> None:
    assert row(caller=Endpoints(src, 5060, dst, 5060)).groups["direction"] == direction


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({"outcome": "failed", "status": 486}, False),
        ({"outcome": "failed", "status": 503}, True),
        ({"outcome": "failed", "status": None}, True),
        ({"outcome": "cancelled", "status": 487}, False),
        ({"outcome": "unanswered", "status": None}, False),
        (
            {
                "outcome": "unanswered",
                "status": None,
                "findings": (Finding("invite-unanswered", "Nothing came back.", made.BEGAN, "fault", {}),),
            },
            True,
        ),
    ],
)
def test_only_faults_are_failures(changed: dict[str, object], failed: bool) -> None:
    assert row(**changed).failed is failed


def test_few_calls_are_not_summed_up() -> None:
    diagnosis = made.diagnosis()
    assert with_many(diagnosis, UTC).many is None
    many = with_many(replace(diagnosis, calls=diagnosis.calls * MANY), UTC).many
    assert many is not None
    assert many.calls == MANY + 1
    assert many.patterns.all_calls.bad == MANY
