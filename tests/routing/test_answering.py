"""What becomes of calls to an extension or a group, by the precedence that is documented."""

from __future__ import annotations

import pytest

from ringback.routing.steps import LeaveMessage, Outcome, Refuse, Ring, Round, Wait
from ringback.store.plan.answering import Answering
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.target import Target
from ringback.store.plan.voice import MailboxPlan
from tests.routing.office import Office, said

EVERYTHING = {
    "always": "extension:1003",
    "busy": "extension:1004",
    "no_answer": "group:all",
    "unreachable": "announcement:gone",
}
BOX = MailboxPlan(name="1002")


def targets(office: Office) -> dict[str, str]:
    return {outcome.value: str(to) for outcome, to in office.call("1002").step.onward.items()}


def test_without_anything_its_devices_ring_and_then_it_ends() -> None:
    decision = Office().call("1002")
    assert isinstance(decision.step, Ring)
    assert decision.step.rounds == (Round(("1002",), 60.0),)
    assert decision.step.called == Target("extension", "1002")
    assert not decision.step.onward
    assert said(decision) == ["extension 1002: its devices ring for 60 s"]


def test_always_comes_before_do_not_disturb() -> None:
    decision = Office(Answering(name="1002", do_not_disturb=True, **EVERYTHING), BOX).call("1002")
    assert isinstance(decision.step, Ring)
    assert decision.step.called == Target("extension", "1003")
    assert decision.step.path == (Target("extension", "1002"), Target("extension", "1003"))


def test_do_not_disturb_is_as_busy() -> None:
    undisturbed = Answering(name="1002", do_not_disturb=True, busy="extension:1004")
    assert Office(undisturbed, BOX).call("1002").step.path[-1] == Target("extension", "1004")
    greeted = Office(Answering(name="1002", do_not_disturb=True), BOX).call("1002").step
    assert isinstance(greeted, LeaveMessage)
    assert (greeted.extension, greeted.why) == ("1002", Outcome.BUSY)
    refused = Office(Answering(name="1002", do_not_disturb=True)).call("1002").step
    assert isinstance(refused, Refuse)
    assert (refused.status, refused.dead_end) == (486, False)


def test_what_is_set_for_an_outcome_comes_before_the_mailbox() -> None:
    answering = Answering(name="1002", busy="extension:1004", no_answer="extension:1003")
    assert targets(Office(answering, BOX)) == {
        "busy": "extension:1004",
        "declined": "extension:1004",
        "no answer": "extension:1003",
        "unreachable": "mailbox:1002",
    }


def test_a_mailbox_takes_what_nothing_else_is_set_for_and_greets_by_it() -> None:
    office = Office(BOX)
    assert set(targets(office).values()) == {"mailbox:1002"}
    for outcome in (Outcome.BUSY, Outcome.UNREACHABLE):
        step = office.onward(office.call("1002"), outcome).step
        assert isinstance(step, LeaveMessage)
        assert step.why is outcome


def test_how_long_it_rings_counts_only_where_something_comes_after() -> None:
    for values, seconds in (
        ((Answering(name="1002", no_answer_after_s=15),), 60.0),
        ((Answering(name="1002", no_answer_after_s=15), BOX), 15.0),
        ((BOX,), 20.0),
    ):
        step = Office(*values).call("1002").step
        assert isinstance(step, Ring)
        assert step.rounds[0].for_s == seconds


@pytest.mark.parametrize("length", [1, 2, 60])
def test_a_circle_of_forwarding_is_refused_and_named(length: int) -> None:
    around = [f"extension:{1001 + step % length}" for step in range(length + 1)]
    numbers = [target.partition(":")[2] for target in around]
    values = [
        Answering(name=number, always=target) for number, target in zip(numbers, around[1:], strict=False)
    ]
    office = Office(*values)
    for number in numbers:
        if office.directory.extension(number) is None:
            from tests.routing.office import extension  # noqa: PLC0415

            office.directory = office.directory.with_extension(extension(number))
    step = office.call("1001", by="1004" if length < 3 else "1001").step
    assert isinstance(step, Refuse)
    assert (step.status, step.loop) == (482, True)
    assert step.why == f"the plan leads in a circle: {' → '.join(around)}"


def test_a_circle_by_outcomes_ends_where_it_closes() -> None:
    office = Office(
        Answering(name="1002", busy="extension:1003"), Answering(name="1003", no_answer="extension:1002")
    )
    first = office.call("1002")
    second = office.onward(first, Outcome.BUSY)
    assert isinstance(second.step, Ring)
    third = office.onward(second, Outcome.NO_ANSWER)
    assert isinstance(third.step, Refuse)
    assert third.step.loop
    assert said(third)[-1].endswith("extension:1002 → extension:1003 → extension:1002")


def test_who_is_disabled_or_does_not_exist_is_a_dead_end() -> None:
    for office, dialled in ((Office(disabled=("1002",)), "1002"), (Office(), "1999")):
        step = office.call(dialled).step
        assert isinstance(step, Refuse)
        assert (step.status, step.dead_end) == (404, True)
    forwarded = Office(Answering(name="1002", always="extension:1999")).call("1002").step
    assert isinstance(forwarded, Refuse)
    assert forwarded.why == "extension 1999 does not exist"


# Groups


def group(**details: object) -> Group:
    return Group(**{"name": "sales", "number": "200", "members": ("1001", "1002", "1003", "1004"), **details})


def rounds(office: Office, by: str = "1001") -> list[tuple[str, ...]]:
    step = office.call("200", by).step
    assert isinstance(step, Ring)
    assert step.called == Target("group", "sales")
    assert not step.call_waiting
    return [each.extensions for each in step.rounds]


def test_all_ring_but_who_calls_is_disabled_or_does_not_want_to() -> None:
    office = Office(
        group(rounds=2),
        Answering(name="1003", do_not_disturb=True, always="extension:1001"),
        disabled=("1004",),
    )
    assert rounds(office) == [("1002",), ("1002",)]
    assert rounds(Office(group())) == [("1002", "1003", "1004")]


def test_where_members_forward_does_not_matter_to_their_group() -> None:
    assert rounds(Office(group(), Answering(name="1003", always="extension:1001"))) == [
        ("1002", "1003", "1004")
    ]


def test_in_order_one_after_the_other() -> None:
    assert rounds(Office(group(strategy="in-order", rounds=2))) == [("1002",), ("1003",), ("1004",)] * 2


def test_round_robin_begins_with_the_next() -> None:
    for turn, first in ((0, "1002"), (1, "1002"), (2, "1003"), (3, "1004"), (6, "1003")):
        office = Office(group(strategy="round-robin"), turns={"sales": turn})
        assert rounds(office)[0] == (first,)
        assert len(rounds(office)) == 3


def test_an_empty_group_goes_on_or_is_a_dead_end() -> None:
    step = Office(group(members=(), otherwise="extension:1002")).call("200").step
    assert step.path == (Target("group", "sales"), Target("extension", "1002"))
    step = Office(group(members=("1001",))).call("200", by="1001").step
    assert isinstance(step, Refuse)
    assert (step.status, step.dead_end, step.why) == (480, True, "group sales has nobody to ring")


def test_a_group_goes_on_when_nobody_answers() -> None:
    office = Office(group(otherwise="mailbox:1002"), BOX)
    step = office.onward(office.call("200"), Outcome.NO_ANSWER, "200").step
    assert isinstance(step, LeaveMessage)


def test_a_queue_without_agents_goes_on() -> None:
    queue = Queue(name="help", number="300", agents=("1999",), otherwise="extension:1002")
    assert Office(queue).call("300").step.path[-1] == Target("extension", "1002")
    waiting = Office(Queue(name="help", number="300", agents=("1003",), otherwise="extension:1002")).call(
        "300"
    )
    assert isinstance(waiting.step, Wait)
    assert waiting.step.onward[Outcome.DONE] == Target("extension", "1002")
    alone = Office(Queue(name="help", number="300")).call("300").step
    assert isinstance(alone, Refuse)
    assert alone.dead_end
