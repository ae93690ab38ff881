"""Many calls, changes and points on a page: what can be read without eyes, and what strangers wrote."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ringback.diagnosis.many.baseline import make
from ringback.diagnosis.many.calls import CallRow, with_hour
from ringback.diagnosis.many.heat import by_groups, by_week
from ringback.diagnosis.many.summary import ManyCalls, summed_up
from ringback.diagnosis.report.many import heat_table, many_section
from ringback.diagnosis.report.points import points_section
from tests.diagnosis import made
from tests.diagnosis.points.test_points import KEY, carried, seen, sent
from tests.diagnosis.report.test_page import EVIL, page

MONDAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def rows(bad: dict[str, int], calls: int = 40) -> list[CallRow]:
    """So many bad calls of each site, one call every ten minutes."""
    found = []
    for site, number in bad.items():
        for place in range(calls):
            start = MONDAY + timedelta(minutes=10 * place)
            found.append(CallRow(start, with_hour({"site": site}, start), failed=place < number))
    return found


def many(bad: dict[str, int]) -> ManyCalls:
    return summed_up(rows(bad), "calls.csv")


def test_a_heat_map_says_its_figures_in_words() -> None:
    table = heat_table(by_week(rows({"north": 6})))
    assert '<th scope="row">Mon</th>' in table
    assert '<th scope="col">08</th>' in table
    assert '<span aria-hidden="true">100</span><span class="unseen">6 of 6 calls bad</span>' in table
    assert '<span class="unseen">0 of 6 calls bad</span>' in table
    assert "Tue" not in table


def test_few_calls_have_no_shade() -> None:
    table = heat_table(by_groups(rows({"north": 1, "south": 2}, calls=3), "site", "hour"))
    assert 'class="few"' in table
    assert "heat-" not in table


def test_what_stands_out_is_said_with_its_comparisons() -> None:
    section = many_section(many({"north": 20, "south": 1}), titled=True)
    assert "21 of 80 calls were bad (26.2 %): site north stands out." in section
    assert re.search(
        r'<th scope="row">site north</th><td>bad calls</td><td>40</td><td><strong>50.0 %', section
    )
    assert "comparisons were made" in section


def test_a_baseline_answers_in_a_word_and_a_table() -> None:
    before = make(rows({"north": 20, "south": 20}), "before")
    better = summed_up(rows({"north": 0, "south": 1}), "calls.csv", before)
    section = many_section(better, titled=True)
    assert '<span class="chip good">Better</span> It is better than the baseline “before”' in section
    assert "50.0 %" in section


def test_a_page_of_a_table_alone_has_its_own_title() -> None:
    empty = replace(made.diagnosis(), captures=(), calls=(), unsignalled=(), complaint=None)
    text, outline = page(replace(empty, many=many({"north": 20, "south": 1})))
    assert "<h1>21 of 80 calls were bad (26.2 %): site north stands out.</h1>" in text
    assert "calls.csv" in outline.text
    assert "Jitter" not in outline.text
    assert 'id="files"' not in text


def test_the_way_of_a_stream_is_a_list_with_the_loss_between() -> None:
    there = sent()
    here = carried(there, 5.0, hops=2, lost=[3, 4, 5], dscp=0)
    section = points_section(seen(phone=[(KEY, there)], trunk=[(KEY, here)]))
    steps = re.findall(r'<li class="(point|segment[^"]*)">', section)
    assert steps == ["point", "segment worst", "point"]
    assert "<strong>3 (0.2 %) lost</strong> of 1,500" in section
    assert "lost here" in section
    assert "<strong>DSCP 46 → 0</strong> in 1,497 packets" in section
    assert "2 routers between" in section
    assert section.index("phone") < section.index("lost here") < section.index("trunk")


def test_what_strangers_wrote_stays_text() -> None:
    evil = replace(many({EVIL: 20, "south": 1}), source=EVIL)
    before = make(rows({EVIL: 20, "south": 1}), EVIL)
    held = summed_up(rows({EVIL: 2, "south": 1}), EVIL, before)
    there = sent()
    ways = seen(**{EVIL: [(KEY, there)], "trunk": [(KEY, carried(there, 1.0, hops=1))]})
    for shown in (evil, held):
        _, outline = page(replace(made.diagnosis(), many=shown, comparison=ways))
        assert outline.names.count("script") == 1
        assert "img" not in outline.names
        assert EVIL in outline.text
        assert len(outline.ids) == len(set(outline.ids))
