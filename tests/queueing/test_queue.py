"""Queues: who gets which agent and when, what callers hear meanwhile, and where they go without one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from ringback.call.application import Application
from ringback.call.bridge import Bridge, Device, RingRound
from ringback.call.leg import Leg
from ringback.call.party import Party
from ringback.call.recorded import records_of
from ringback.call.transfer import Handover
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.queueing.queues import Queues
from ringback.routing.steps import Outcome
from ringback.sip.effects import IncomingCall
from ringback.store.plan.groups import Queue
from ringback.store.plan.target import Target
from tests.call.test_transfer import Company
from tests.sip.phones import Effect, Phone

PLACE = ["prompt:caller-number", "prompt:number-2", "prompt:waiting", "music"]
FIRST = ["prompt:you-are-next", "music"]


class Support(Company):
    """Whoever calls waits for 201 to 203; callers are 101 to 109."""

    def __init__(self, queue: dict[str, Any] | None = None, **agents: str) -> None:
        callers = {f"n{number}": "answer" for number in range(101, 110)}
        super().__init__(**{f"n{number[1:]}": manner for number, manner in agents.items()}, **callers)
        self.undisturbed: set[str] = set()
        self.led: list[tuple[str, str]] = []
        settings = {"name": "support", "agents": tuple(number[1:] for number in agents), "ring_s": 10}
        self.queue = Queue(**{**settings, **(queue or {})})
        self.queues = Queues(self.switchboard, self, self.make_bridge)

    def busy(self, extension: str) -> bool:
        return any(not leg.over for leg in self.switchboard.legs_of(extension))

    def reachable(self, extension: str) -> bool:
        return self[extension].manner != "away"

    def do_not_disturb(self, extension: str) -> bool:
        return extension in self.undisturbed

    def make_bridge(
        self, agents: tuple[str, ...], for_s: float, leg: Leg, queue: Queue, now: float
    ) -> Bridge:
        del for_s, now
        assert queue.name in ("support", "other")
        bridge, *others = [self.bridge_to(agent, leg.party.number.reveal()) for agent in agents]
        rounds = [one._rounds[0] for one in (bridge, *others)]

        def devices(now: float) -> list[Device]:
            return [
                replace(device, called=Party(Private(agent), account=agent))
                for agent, ring_round in zip(agents, rounds, strict=True)
                for device in ring_round.devices(now)  # type: ignore[union-attr]
            ]

        bridge._rounds[:] = [RingRound(devices, float(self.queue.ring_s))]
        return bridge

    def onward(
        self,
        leg: Leg,
        outcome: Outcome,
        now: float,
        target: Target | None = None,
        *,
        handover: Handover | None = None,
    ) -> bool:
        del target, handover
        self.led.append((leg.party.number.reveal(), outcome.value))
        leg.application = Application()
        leg.hangup(now) if leg.answered_at is not None else leg.reject(480, now)
        return True

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if not isinstance(event, IncomingCall):
            return super()._on_event(phone, event)
        number = event.request.from_.uri.username  # type: ignore[union-attr]
        waiting = self.queues.wait(self.queue, self.onward)
        party = Party(Private(number), account=number)
        self.switchboard.incoming(
            event.session, event.flow, event.request.body, party, Private("800"), waiting, phone.now
        )
        return self.flush()

    def come(self, *numbers: str) -> None:
        for number in numbers:
            self.call(number, "800")

    def end(self, number: str) -> None:
        phone = self[number].phone
        phone.do(self[number].sessions[-1].hangup(phone.now))
        self.run(0.3)

    def rung(self, agent: str) -> int:
        return len(self[agent].phone.told(IncomingCall))

    def states(self) -> dict[str, str]:
        shown = self.queues.shown(self.queue, self.server.now)
        return {agent.extension: agent.state for agent in shown.agents}


def test_callers_come_to_the_agent_in_the_order_they_came() -> None:
    support = Support({"wrap_up_s": 5}, n201="answer")
    support.come("101", "102", "103")
    assert support.talking() == [{"101", "201"}]
    assert support.hears("101") == []
    assert support.hears("102") == FIRST
    assert support.hears("103") == PLACE
    support.end("101")
    support.run(3)
    assert support.states() == {"201": "wrap-up"}
    assert support.talking() == []
    support.run(2.5)
    assert support.talking() == [{"102", "201"}]
    support.end("201")
    assert support.over("102")
    support.run(5.5)
    assert support.talking() == [{"103", "201"}]
    shown = support.queues.shown(support.queue, support.server.now)
    assert (shown.answered, shown.abandoned, shown.left) == (3, 0, 0)
    assert shown.waiting == ()
    assert shown.average_wait_s == pytest.approx((0 + 9 + 14) / 3, abs=1.5)
    assert support.notices.count("queue.answered") == 3
    assert support.faults == []


@pytest.mark.parametrize(
    ("strategy", "first", "second"),
    [("round-robin", {"101", "201"}, {"102", "202"}), ("in-order", {"101", "201"}, {"102", "201"})],
)
def test_whose_turn_it_is(strategy: str, first: set[str], second: set[str]) -> None:
    support = Support({"strategy": strategy, "wrap_up_s": 0}, n201="answer", n202="answer")
    support.come("101")
    assert support.talking() == [first]
    support.end("101")
    support.come("102")
    assert support.talking() == [second]


def test_all_ring_and_the_first_to_answer_has_the_call() -> None:
    support = Support({"strategy": "all"}, n201="ring", n202="ring")
    support.come("101")
    assert support.states() == {"201": "ringing", "202": "ringing"}
    assert support.hears("101") == ["music"]
    support["202"].pick_up()
    support.run(0.5)
    assert support.talking() == [{"101", "202"}]
    assert support.over("201")
    assert support.states() == {"201": "free", "202": "busy"}


def test_an_agent_who_does_not_answer_is_tried_later_again() -> None:
    support = Support({"strategy": "in-order"}, n201="ring", n202="busy")
    support.come("101")
    support.run(10.5)
    assert support.states() == {"201": "did not answer", "202": "did not answer"}
    assert (support.rung("201"), support.rung("202")) == (1, 1)
    assert support.hears("101") == ["music"] or support.hears("101") == FIRST
    support.run(16)
    assert (support.rung("201"), support.rung("202")) == (2, 1)
    support["201"].pick_up()
    support.run(0.5)
    assert support.talking() == [{"101", "201"}]
    assert support.faults == []


def test_busy_and_undisturbed_agents_are_left_out() -> None:
    support = Support(n201="answer", n202="answer", n203="answer")
    support.undisturbed.add("201")
    support.queues.log_out("202", support.server.now)
    support.come("101")
    assert support.talking() == [{"101", "203"}]
    assert support.states() == {"201": "do not disturb", "202": "logged out", "203": "busy"}
    support.come("102")
    support.run(3)
    assert support.hears("102") == FIRST
    support.queues.log_in("202", support.server.now)
    support.server.do(support.flush())
    support.run(0.5)
    assert {"102", "202"} in support.talking()


def test_an_agent_in_wrap_up_is_rung_by_no_other_queue_either() -> None:
    support = Support({"wrap_up_s": 6}, n201="answer")
    support.come("101")
    support.end("101")
    other = replace(support.queue, name="other", wrap_up_s=0)
    support.queue, first = other, support.queue
    support.come("102")
    support.run(3)
    assert support.states() == {"201": "wrap-up"}
    assert support.rung("201") == 1
    support.run(4)
    assert support.talking() == [{"102", "201"}]
    support.end("102")
    support.queue = first
    assert support.states() == {"201": "free"}, "this one has no wrap-up"
    assert support.faults == []


def test_a_call_that_is_given_up_in_the_queue_says_so_in_its_record() -> None:
    support = Support(n201="answer")
    support.switchboard.calls.on_news = lambda: None
    support.come("101", "102")
    support.run(7)
    support.end("102")
    support.end("101")
    support.switchboard.calls.overdue(support.server.now, 0.0)
    left, answered = records_of(support.switchboard.calls.take_over())
    assert (left.outcome, left.cause, left.ended_by, left.answered_by) == ("abandoned", 200, "caller", None)
    assert left.waited_ms == pytest.approx(8_000, abs=1_000)
    assert [one.kind for one in left.happenings] == ["abandoned"]
    assert answered.outcome == "answered"
    assert answered.waited_ms is not None
    assert answered.waited_ms < 500


def test_nobody_there_and_too_many() -> None:
    support = Support({"max_waiting": 1}, n201="ring")
    support.come("101", "102")
    assert support.led == [("102", "busy")]
    support.queues.log_out("201", support.server.now)
    support.server.do(support.flush())
    support.run(11)
    assert support.led[-1] == ("101", "unreachable"), "the last agent is gone: nobody will ever come"
    support.come("103")
    assert support.led[-1] == ("103", "unreachable")
    assert support.switchboard.legs == {}


def test_who_waits_too_long_or_presses_the_key_goes_on() -> None:
    support = Support({"max_wait_s": 20, "leave_by": "0"}, n201="answer")
    support.come("101", "102", "103")
    support.run(5)
    support.media_says(media.Digit(leg=leg_of(support, "103"), digit="9", duration_ms=100))
    assert support.led == []
    support.media_says(media.Digit(leg=leg_of(support, "103"), digit="0", duration_ms=100))
    support.run(0.5)
    assert support.led == [("103", "done")]
    support.run(15)
    assert support.led[1:] == [("102", "done")]
    assert support.talking() == [{"101", "201"}]
    assert support.notices.count("queue.left") == 2


def leg_of(support: Support, number: str) -> int:
    (leg,) = [leg for leg in support.switchboard.legs.values() if leg.party.number.reveal() == number]
    return leg.id


def test_the_place_is_said_again() -> None:
    support = Support({"announce_every_s": 20}, n201="answer")
    support.come("101", "102", "103")
    support.end("102")
    before = len(support.given(media.Play))
    support.run(21)
    assert support.hears("103") == FIRST
    assert len(support.given(media.Play)) == before + 1


def test_who_gives_up_while_an_agent_rings_stops_it() -> None:
    support = Support({"strategy": "all"}, n201="ring", n202="ring")
    support.come("101")
    support.end("101")
    support.run(1)
    assert support.over("201")
    assert support.over("202")
    assert support.states() == {"201": "free", "202": "free"}
    assert "queue.abandoned" in support.notices
    assert support.switchboard.legs == {}
    assert support.faults == []


def test_the_plan_changes_while_people_wait() -> None:
    support = Support(n201="answer", n202="answer")
    support.queue = replace(support.queue, agents=("201",))
    support.come("101", "102")
    assert support.hears("102") == FIRST
    support.queue = replace(support.queue, agents=("201", "202"))
    support.queues.follow(lambda _: support.queue, support.server.now)
    support.server.do(support.flush())
    support.run(0.5)
    assert {"102", "202"} in support.talking()
    support.come("103")
    support.queues.follow(lambda _: None, support.server.now)
    support.server.do(support.flush())
    support.run(0.5)
    assert support.led == [("103", "done")]
    assert len(support.talking()) == 2, "who talks talks on"
