"""Many calls: the group that is bad is found and no other; a change is proven or said to be unproven."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.diagnosis.many.baseline import BaselineError, compare, from_text, make, to_text, verdict
from ringback.diagnosis.many.calls import CallRow, read_rows, with_hour
from ringback.diagnosis.many.heat import by_groups, by_week
from ringback.diagnosis.many.patterns import Share, find

MONDAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SITES, TRUNKS, DEVICES = ("north", "south", "east"), ("a", "b"), ("desk", "soft", "door")


def day(
    count: int,
    seed: int,
    *,
    usual: float = 0.03,
    worse: dict[tuple[str, str], float] | None = None,
    trunk_of_site: dict[str, str] | None = None,
) -> list[CallRow]:
    """Calls over a working week; the groups in `worse` are bad with their own chance."""
    chance = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        start = MONDAY + timedelta(minutes=float(chance.uniform(0, 5 * 24 * 60)))
        site = str(chance.choice(SITES))
        trunk = (trunk_of_site or {}).get(site) or str(chance.choice(TRUNKS))
        groups = with_hour({"site": site, "trunk": trunk, "device": str(chance.choice(DEVICES))}, start)
        share = max([usual, *(p for group, p in (worse or {}).items() if groups.get(group[0]) == group[1])])
        bad = chance.uniform() < share
        mos = float(chance.normal(2.8 if bad else 4.2, 0.15))
        rows.append(CallRow(start, groups, {"mos": mos, "loss_percent": 5.0 if bad else 0.1}))
    return rows


def test_the_bad_trunk_is_found_and_nothing_else() -> None:
    found = find(day(2_000, 1, worse={("trunk", "b"): 0.12}))
    assert [(one.dimension, one.group) for one in found.stand_out if one.measure == "bad"] == [("trunk", "b")]
    (outlier,) = [one for one in found.stand_out if one.measure == "bad"]
    assert outlier.words().startswith(
        f"trunk b: {100 * outlier.value:.1f} % of {outlier.calls:,} calls were bad"
    )
    assert outlier.interval is not None
    assert outlier.interval[0] < 0.12 < outlier.interval[1]


def test_where_nothing_is_wrong_hardly_anything_is_said() -> None:
    wrong = sum(bool(find(day(600, seed)).stand_out) for seed in range(20))
    # The rate that is held is 5 %: of 20 weeks one is expected, five or more have a chance of 1 in 400.
    assert wrong <= 4


def test_a_site_that_is_only_bad_by_its_trunk_is_cleared() -> None:
    rows = day(3_000, 3, worse={("trunk", "b"): 0.15}, trunk_of_site={"north": "b", "south": "a"})
    found = find(rows)
    stand_out = {(one.dimension, one.group) for one in found.stand_out if one.measure == "bad"}
    assert stand_out == {("trunk", "b")}
    explained = [one for one in found.outliers if one.group == "north" and one.measure == "bad"]
    assert explained[0].explained_by == ("trunk", "b")
    assert "within which it is no worse" in explained[0].words()


def test_two_faults_are_two() -> None:
    found = find(day(4_000, 5, worse={("trunk", "b"): 0.15, ("device", "soft"): 0.2}))
    stand_out = {(one.dimension, one.group) for one in found.stand_out if one.measure == "bad"}
    assert stand_out == {("trunk", "b"), ("device", "soft")}


def test_an_hour_stands_out_in_the_heat_map() -> None:
    rows = day(6_000, 7, worse={("hour", "14"): 0.4})
    heat = by_week(rows)
    fourteen = [row[heat.columns.index("14")] for row in heat.cells]
    assert sum(share.calls for row in heat.cells for share in row) == 6_000
    assert Share(sum(s.bad for s in fourteen), sum(s.calls for s in fourteen)).share > 0.3
    assert {one.group for one in find(rows).stand_out if one.measure == "bad"} == {"14"}
    assert heat.cells[heat.rows.index("Sun")][14].calls == 0
    crossed = by_groups(rows, "site", "hour")
    assert crossed.columns == tuple(f"{hour:02d}" for hour in range(24))


def test_few_calls_say_nothing() -> None:
    found = find(day(8, 1, worse={("trunk", "b"): 1.0}))
    assert not found.stand_out
    assert find([]).all_calls == Share(0, 0)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_interval_of_a_share_holds_it(bad: int, good: int) -> None:
    share = Share(bad, bad + good)
    low, high = share.interval
    assert 0.0 <= low <= share.share + 1e-9
    assert share.share - 1e-9 <= high <= 1.0


def test_a_change_for_the_better_is_proven() -> None:
    before = make(day(800, 1, usual=0.15), "before the new switch")
    changes = compare(from_text(to_text(before)), day(800, 2, usual=0.02))
    assert verdict(changes) == "better"
    assert changes[0].words().startswith("better: bad calls: 1")


def test_a_change_for_the_worse_is_proven_at_the_group_that_has_it() -> None:
    before = make(day(2_000, 1))
    changes = compare(before, day(2_000, 2, worse={("site", "east"): 0.2}))
    assert verdict(changes) == "worse"
    worse = {(c.dimension, c.group) for c in changes if c.group and c.answer == "worse"}
    assert ("site", "east") in worse
    assert ("site", "north") not in worse


def test_few_calls_prove_nothing_and_it_is_said_how_many_would() -> None:
    changes = compare(make(day(40, 1, usual=0.1)), day(40, 2, usual=0.1))
    assert verdict(changes) == "unproven"
    some = compare(make(day(60, 11, usual=0.1)), day(60, 12, usual=0.02))[0]
    assert some.answer == "unproven"
    assert some.needed is not None
    assert "calls more would tell" in some.words()


def test_the_same_calls_are_no_change() -> None:
    rows = day(500, 1)
    assert {change.answer for change in compare(make(rows), rows)} == {"unproven"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"ringback_baseline": 9}', '{"ringback_baseline": 1, "calls": "many"}']
)
def test_a_damaged_baseline_is_refused_in_words(text: str) -> None:
    with pytest.raises(BaselineError):
        from_text(text)
    with pytest.raises(BaselineError, match="too few"):
        make(day(3, 1))


def test_a_table_of_calls_is_read() -> None:
    text = (
        "start;site;trunk;mos;loss_percent;outcome;note\n"
        "2026-03-02T09:15:00;north;a;4,1;0,2;answered;x\n"
        "2026-03-02T10:15:00+00:00;south;b;;;failed;y\n"
        "nonsense;south;b;;;failed;y\n"
        "1772442000;south;;2.0;;answered;z\n"
    )
    rows, problems = read_rows(text, ZoneInfo("Europe/Berlin"))
    assert [row.start.astimezone(UTC).hour for row in rows] == [8, 10, 9]
    assert rows[0].measures == {"mos": 4.1, "loss_percent": 0.2}
    assert [row.bad for row in rows] == [False, True, True]
    assert rows[0].groups["hour"] == "09"
    assert [(one.line, one.reason) for one in problems] == [(4, "its time cannot be read")]


@given(st.text(max_size=400))
def test_any_text_is_read_without_an_error(text: str) -> None:
    read_rows(text, UTC)
    read_rows("start,mos\n" + text, UTC)


def test_where_nothing_changed_hardly_anything_is_called_a_change() -> None:
    answers = [
        verdict(compare(make(day(300, seed, usual=0.1)), day(300, 1_000 + seed, usual=0.1)))
        for seed in range(20)
    ]
    # At a false discovery rate of 5 % one is expected; four or more have a chance of 1 in 60.
    assert sum(answer != "unproven" for answer in answers) <= 3


def test_a_difference_too_small_to_notice_is_no_change_however_sure() -> None:
    rows = day(1_000, 1, usual=0.0)
    better = [replace(row, measures={**row.measures, "mos": row.measures["mos"] + 0.05}) for row in rows]
    (change,) = [one for one in compare(make(rows), better) if one.measure == "mos"]
    assert (change.answer, change.p_value < 0.001) == ("unproven", True)
    assert change.words().endswith("less than 0.1 is called no change)")


def test_a_baseline_counts_all_calls_and_keeps_few_values() -> None:
    rows = day(3_000, 1)
    kept = from_text(to_text(make(rows)))
    assert len(kept.measures["mos"]) == 2_000
    assert kept.measured["mos"] == 3_000
    (change,) = [one for one in compare(kept, rows) if one.measure == "mos"]
    assert (change.calls_before, change.calls_after) == (3_000, 3_000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bad", 51),
        ("calls", -1),
        ("began", "yesterday"),
        ("measures", {"mos": [float("nan")]}),
        ("groups", {"site": {"north": [9, 3]}}),
        ("groups", {"site": {"north": 9}}),
        ("measured", {}),
    ],
)
def test_a_baseline_whose_numbers_cannot_be_is_refused(name: str, value: object) -> None:
    data = json.loads(to_text(make(day(50, 1))))
    data[name] = {**data[name], **value} if isinstance(value, dict) and value else value
    with pytest.raises(BaselineError, match="missing or damaged"):
        from_text(json.dumps(data))


def test_what_drives_terminals_does_not_come_out_of_a_baseline_or_a_table() -> None:
    data = json.loads(to_text(make(day(50, 1))))
    data["name"] = "before\x1b[2J"
    data["groups"]["site"]["\x1b]0;x\x07north"] = [1, 2]
    read = from_text(json.dumps(data))
    assert read.name == "before[2J"
    assert "]0;xnorth" in read.groups["site"]
    rows, _ = read_rows("start,site\n2026-03-02T09:15:00,nor\x1bth\n", UTC)
    assert rows[0].group("site") == "north"


def test_call_detail_records_have_their_own_words() -> None:
    rows, _ = read_rows(
        "calldate,disposition\n2026-03-02 09:15:00,NO ANSWER\n2026-03-02 09:15:00,FAILED\n"
        "2026-03-02 09:15:00,BUSY\n2026-03-02 09:15:00,CONGESTION\n",
        UTC,
    )
    assert [row.failed for row in rows] == [False, True, False, True]
