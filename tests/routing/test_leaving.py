"""Calls that go outside: routes in their order, classes by role, blocked numbers, what is shown, who pays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ringback.config.routing import CallClass
from ringback.routing.classes import class_of
from ringback.routing.steps import Decision, GoOut, Outcome, Refuse, Ring
from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.groups import Group
from ringback.store.plan.hours import Hours
from ringback.store.plan.outbound import Blocked, Route
from tests.routing.office import Office, said, trunk

FAR = "+442079460000"
NEAR = "+14155550100"


def out(decision: Decision) -> list[tuple[str, str]]:
    assert isinstance(decision.step, GoOut), decision.step
    return [(way.trunk.name, way.number) for way in decision.step.ways]


def refused(decision: Decision) -> Refuse:
    assert isinstance(decision.step, Refuse), decision.step
    return decision.step


def route(name: str, *patterns: str, **details: object) -> Route:
    return Route(**{"name": name, "patterns": patterns, "trunks": ("first",), **details})


def test_without_routes_the_prefixes_of_trunks_count_as_ever() -> None:
    office = Office(trunks=(trunk("plus", prefixes=("+",)), trunk("uk", prefixes=("+44",), strip=1)))
    assert out(office.call(FAR)) == [("uk", "442079460000"), ("plus", FAR)]
    assert out(office.call(NEAR)) == [("plus", NEAR)]
    assert refused(office.call("5550100")).status == 404


def test_routes_count_by_priority_then_by_the_longest_pattern_then_by_name() -> None:
    routes = {
        "b-exact": route("b-exact", NEAR),
        "a-long": route("a-long", "+1415."),
        "c-long": route("c-long", "+1NXX555XXXX"),
        "short": route("short", "+1.", priority=50),
        "all": route("all", "."),
    }
    names = []
    while routes:
        decision = Office(*routes.values()).call(NEAR)
        names.append(decision.rules[0].name.reveal())
        del routes[names[-1]]
    assert names == ["short", "b-exact", "c-long", "a-long", "all"]


def test_a_number_fits_as_it_is_dialled_and_in_e164_form() -> None:
    office = Office(route("plus", "+1.", e164=True), route("plain", "9.", strip=1))
    assert out(office.call("4155550100")) == [("first", NEAR)]
    assert out(office.call("14155550100")) == [("first", NEAR)]
    assert out(office.call("01114155550100")) == [("first", NEAR)]
    assert out(office.call("95550100")) == [("first", "5550100")]
    assert refused(Office(route("plus", "+1."), country="").call("4155550100")).status == 404


def test_strip_prepend_and_order_of_trunks() -> None:
    office = Office(route("r", "+44.", strip=3, prepend="0044", trunks=("second", "gone", "first")))
    assert out(office.call(FAR)) == [("second", "00442079460000"), ("first", "00442079460000")]
    off = Office(route("r", "+44."), trunks=(trunk("first", enabled=False), trunk("second")))
    assert refused(off.call(FAR)).dead_end
    assert "none of its trunks" in refused(off.call(FAR)).why
    assert "nothing is left" in refused(Office(route("r", "+44.", strip=20)).call(FAR)).why


def test_a_route_for_others_or_for_another_time_is_passed_over_and_told() -> None:
    office = Office(
        route("sales", "+44.", roles=("sales",)),
        route("night", "+44.", priority=101, hours="office"),
        route("never", "+44.", priority=102, enabled=False),
        route("lost", "+44.", priority=103, hours="gone"),
        route("last", "+44.", priority=104, trunks=("second",)),
        Hours(name="office", switch="closed"),
        Role(name="standard", classes=("international",)),
        Role(name="sales", classes=("international",)),
        roles={"1002": "sales"},
    )
    assert out(office.call(FAR, by="1002")) == [("first", FAR)]
    decision = office.call(FAR)
    assert out(decision) == [("second", FAR)]
    assert said(decision)[:4] == [
        "route sales: fits, but is for the role sales",
        "route night: fits, but its hours office are not open (switched to closed by hand)",
        "route never: fits, but is disabled",
        "route lost: fits, but its hours gone do not exist",
    ]


@pytest.mark.parametrize(
    ("number", "call_class"),
    [
        (NEAR, "national"),
        ("4155550100", "national"),
        (FAR, "international"),
        ("011442079460000", "international"),
        ("+19005550100", "premium"),
        ("9005550100", "premium"),
        ("19005550100", "premium"),
        ("18762345678", "international"),
    ],
)
def test_a_class_is_known_however_the_number_is_written(number: str, call_class: str) -> None:
    office = Office(
        route("all", ".", strip=1, e164=True),
        Role(name="standard", classes=(call_class,), caller_id="+15550199"),
    )
    step = office.call(number).step
    assert isinstance(step, GoOut)
    assert (step.call_class, step.payer) == (call_class, "1001")
    assert step.ways[0].caller_id == "+15550199"
    others = {"national", "international", "premium"} - {call_class}
    strict = Office(route("all", "."), Role(name="standard", classes=tuple(sorted(others))))
    assert refused(strict.call(number)).status == 403
    assert refused(strict.call(number)).why == (
        f"the role standard may not call numbers of the class {call_class}"
    )


def test_while_the_plan_has_no_role_the_caps_alone_restrict_anybody() -> None:
    assert out(Office().call(FAR)) == [("first", FAR), ("second", FAR)]


def test_a_role_that_the_plan_does_not_have_may_call_less_than_the_others_and_not_more() -> None:
    office = Office(Role(name="sales", classes=("international",)), roles={"1002": "sales"})
    assert out(office.call(FAR, by="1002")) == [("first", FAR), ("second", FAR)]
    assert refused(office.call(FAR)).why == (
        "the role standard may not call numbers of the class international: "
        "the plan does not have it, so it may call the class national alone"
    )
    assert out(office.call(NEAR)) == [("first", NEAR), ("second", NEAR)]
    forwards = Office(Role(name="sales"), Answering(name="1002", always=f"outside:{NEAR}"))
    assert refused(forwards.call("1002")).why == "extension 1002: the role standard may not forward outside"


@pytest.mark.parametrize(
    ("number", "call_class"),
    [
        ("9005550100", "premium"),
        ("19005550100", "premium"),
        ("09005550100", "premium"),
        ("4155550100", "national"),
        ("+442079460000", "international"),
        ("07005550100", "national"),
        ("8005550100", "national"),
    ],
)
def test_without_a_country_a_number_gets_the_strictest_class_that_it_could_be(
    number: str, call_class: str
) -> None:
    step = Office(route("all", "."), country="").call(number).step
    assert isinstance(step, GoOut)
    assert step.call_class == call_class
    # Where the country is known nothing has to be guessed.
    at_home = Office(route("all", "."), country="DE").call("07005550100").step
    assert isinstance(at_home, GoOut)
    assert at_home.call_class == "national"


def test_a_guess_makes_no_number_cheaper() -> None:
    classes = {
        "national": CallClass(prefixes=("",), calls_a_day=10),
        "free": CallClass(prefixes=("+1800",)),
        "own": CallClass(prefixes=("9005",), calls_a_day=5),
        "dear": CallClass(prefixes=("+1900", "+49900"), calls_a_day=0),
    }
    assert class_of(classes, "", "8005550100") == "national"
    assert class_of(classes, "", "0900123456") == "dear"
    assert class_of(classes, "", "9015550100") == "national"
    assert class_of(classes, "", "9005550100") == "own", "somebody has said what that is"


def test_the_route_says_what_is_shown_before_the_role_does() -> None:
    office = Office(route("r", "+.", caller_id="+15550111"), Role(name="standard", caller_id="+15550122"))
    step = office.call(NEAR).step
    assert isinstance(step, GoOut)
    assert step.ways[0].caller_id == "+15550111"


def test_blocked_numbers_in_any_form_until_their_last_day() -> None:
    blocked = Blocked(
        name="scam", title="Known fraud", patterns=("+44.",), direction="out", until="2026-06-17"
    )
    office = Office(blocked)
    for number in (FAR, "011442079460000"):
        step = refused(office.call(number))
        assert (step.status, step.dead_end) == (403, False)
        assert step.why == "the number is blocked (Known fraud)"
    office.at = datetime(2026, 6, 18, 0, 0, tzinfo=UTC)
    assert out(office.call(FAR))


def test_what_is_dialled_before_a_number_does_not_hide_that_it_is_blocked() -> None:
    blocked = Blocked(name="scam", patterns=("+1900.", "0900."), direction="out")
    by_route = Office(blocked, route("nine", "9.", strip=1), route("rest", ".", trunks=("second",)))
    by_prefix = Office(blocked, trunks=(trunk("first", prefixes=("9",), strip=1),))
    for office in (by_route, by_prefix):
        for number in ("919005550100", "90900123456"):
            assert refused(office.call(number)).why == "the number is blocked (scam)"
        assert out(office.call("914155550100")) == [("first", "14155550100")]


def test_digits_beyond_the_end_of_a_number_make_no_other_number_of_it() -> None:
    role = Role(name="standard", classes=("national", "international"))
    office = Office(role, route("all", "."))
    for number in ("01119005550100", "011190055501009", "0111900555010099"):
        assert refused(office.call(number)).why.endswith("may not call numbers of the class premium")
    blocked = Office(Blocked(name="scam", patterns=("+1900.",), direction="out"))
    assert refused(blocked.call("0111900555010099")).why == "the number is blocked (scam)"
    assert out(office.call("011442079460000")) == [("first", "011442079460000")]


def test_blocked_callers_and_those_without_a_number() -> None:
    dids = {NEAR: "1001"}
    office = Office(
        Blocked(name="a", patterns=("+44.",), direction="in"),
        Blocked(name="b", patterns=("",), direction="in"),
        trunks=(trunk("first", dids=dids),),
    )
    for number, blocked in (
        ("02079460000", False),
        (FAR, True),
        ("442079460000", False),
        ("011442079460000", True),
    ):
        decision = office.call(NEAR, trunk="first", number=number)
        assert isinstance(decision.step, Refuse) is blocked
    assert isinstance(office.call("1002").step, Ring)


# Forwarding outside


def forwarding(*more: object, role: Role | None = None, **answering: str) -> Office:
    allowed = Role(name="standard", classes=("national",), forward_outside=True, caller_id="+15550133")
    values = [Answering(name="1002", **answering), role or allowed, *more]
    return Office(*values)  # type: ignore[arg-type]


def test_forwarding_outside_is_for_who_forwards_to_be_allowed_and_to_pay() -> None:
    step = forwarding(always=f"outside:{NEAR}").call("1002").step
    assert isinstance(step, GoOut)
    assert (step.payer, step.ways[0].caller_id) == ("1002", "+15550133")
    office = forwarding(busy=f"outside:{NEAR}")
    later = office.onward(office.call("1002"), Outcome.BUSY).step
    assert isinstance(later, GoOut)
    assert later.payer == "1002"


def test_forwarding_outside_needs_the_flag_and_the_class() -> None:
    far = forwarding(always=f"outside:{FAR}").call("1002")
    assert refused(far).why == "the role standard may not call numbers of the class international"
    for role in (Role(name="standard"), Role(name="other", forward_outside=True)):
        decision = forwarding(always=f"outside:{NEAR}", role=role).call("1002")
        assert refused(decision).why == "extension 1002: the role standard may not forward outside"


def test_a_call_from_outside_is_forwarded_outside_though_its_trunk_allows_no_transit() -> None:
    office = forwarding(always=f"outside:{NEAR}")
    office.directory = office.directory.with_trunk(trunk("first", dids={"+14155550111": "1002"}))
    step = office.call("+14155550111", trunk="first").step
    assert isinstance(step, GoOut)
    assert step.payer == "1002"


def test_the_plan_itself_may_send_calls_anywhere() -> None:
    group = Group(name="g", number="200", otherwise=f"outside:{FAR}")
    step = Office(group, Role(name="standard", classes=())).call("200").step
    assert isinstance(step, GoOut)
    assert step.payer == "1001"


def test_a_forwarded_number_that_is_our_own_stays_inside_and_its_circle_is_found() -> None:
    for did in ("+14155550111", "4155550111"):
        office = Office(
            Answering(name="1002", always="outside:+14155550111"),
            trunks=(trunk("first", dids={did: "1002"}),),
        )
        assert refused(office.call("1002")).loop
    office = Office(
        Answering(name="1002", always="outside:+14155550111"),
        trunks=(trunk("first", dids={"+14155550111": "1003"}),),
    )
    assert isinstance(office.call("1002").step, Ring)


def test_rules_never_hold_a_number_outside() -> None:
    office = forwarding(
        Blocked(name="b", patterns=("+44.",)), always=f"outside:{NEAR}", busy=f"outside:{FAR}"
    )
    for decision in (office.call("1002"), office.call(FAR), office.call(NEAR), office.call("4155550100")):
        assert "4155550100" not in str(said(decision))
        assert "2079460000" not in str(said(decision))


def test_guests_and_disabled_extensions_reach_nobody() -> None:
    office = Office()
    assert refused(office.call(NEAR, by=None)).status == 403
    assert refused(office.call("1002", by=None)).status == 403
    assert refused(Office(disabled=("1001",)).call(NEAR)).status == 403
