"""The transaction machines against figures 5 to 8 of RFC 3261 and the state of RFC 6026, row by row."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringback.sip.flow import Flow, Transport
from ringback.sip.headers import Via
from ringback.sip.message import Headers, Request, Response, SipUri, make_response
from ringback.sip.timers import Ticket, TimerQueue, Timers
from ringback.sip.transaction import invite_client, invite_server, non_invite_client, non_invite_server
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.layer import TransactionLayer
from ringback.sip.transaction.machine import Action, Input, Outcome, State, Table, Transaction
from ringback.sip.transaction.server import response_flow, server_key, stamp_via

LOCAL, REMOTE = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
TIMERS = Timers()


def flow(transport: Transport = "udp") -> Flow:
    return Flow(transport, LOCAL, REMOTE, 0 if transport == "udp" else 3)


def request(method: str, branch: str = "z9hG4bKone", via: str = "192.0.2.2:5060") -> Request:
    headers = Headers(
        ("Via", f"SIP/2.0/UDP {via};branch={branch}"),
        ("Route", "<sip:proxy.example.com;lr>"),
        ("From", "<sip:a@example.com>;tag=f"),
        ("To", "<sip:b@example.com>"),
        ("Call-ID", "c"),
        ("CSeq", f"4 {method}"),
    )
    return Request(method, SipUri(user="b", host="example.com"), headers)


class User:
    """Remembers what a client transaction told it."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def response_received(self, transaction: ClientTransaction, response: Response, now: float) -> list:
        self.told.append(response.status)
        return []

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list:
        self.told.append(("failed", status))
        return []


class Bench:
    """One client transaction in a layer, its clock, and when it sent what."""

    def __init__(self, method: str, transport: Transport = "udp") -> None:
        self.user = User()
        self.queue = TimerQueue()
        self.layer = TransactionLayer(TIMERS, self.queue, 10)
        self.request = request(method)
        self.sent: list[tuple[float, str]] = []
        self.now = 0.0
        self.transaction, effects = self.layer.send(self.request, flow(transport), self.user, 0.0)
        self.note(effects)

    def note(self, effects: list) -> None:
        self.sent += [(self.now, effect.data.split(b" ", 1)[0].decode()) for effect in effects]

    def receive(self, status: int) -> None:
        self.note(self.layer.receive_response(make_response(self.request, status, to_tag="t"), self.now))

    def run(self, until: float) -> None:
        while (when := self.queue.deadline()) is not None and when <= until:
            self.now = when
            item = self.queue.pop_due(when)
            assert isinstance(item, Transaction)
            self.note(self.layer.expire(item, when))
        self.now = until

    def times(self, method: str) -> list[float]:
        return [at for at, name in self.sent if name == method]

    @property
    def gone(self) -> bool:
        return len(self.layer) == 0 and self.queue.deadline() is None


def test_invite_is_repeated_at_doubling_intervals_until_timer_b() -> None:
    bench = Bench("INVITE")
    bench.run(31.9)
    assert bench.times("INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert bench.user.told == []
    bench.run(32)
    assert bench.user.told == [("failed", 408)]
    assert bench.gone


def test_a_provisional_response_stops_the_invite_and_its_timeout() -> None:
    bench = Bench("INVITE")
    bench.run(0.6)
    bench.receive(180)
    bench.run(1000)
    assert bench.times("INVITE") == [0, 0.5]
    assert bench.transaction.state is State.PROCEEDING
    bench.receive(183)
    assert bench.user.told == [180, 183]


def test_a_failure_is_acknowledged_each_time_and_told_once() -> None:
    bench = Bench("INVITE")
    bench.receive(486)
    bench.now = 1.0
    bench.receive(486)
    bench.receive(180)
    assert bench.times("ACK") == [0, 1]
    assert bench.user.told == [486]
    bench.run(31.9)
    assert bench.transaction.state is State.COMPLETED
    bench.run(32)
    assert bench.gone


def test_the_ack_to_a_failure_is_made_of_the_invite() -> None:
    bench = Bench("INVITE")
    response = make_response(bench.request, 404, to_tag="t")
    (effect,) = bench.layer.receive_response(response, 0)
    text = effect.data.decode()
    assert text.startswith(
        "ACK sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKone\r\n"
    )
    assert "To: <sip:b@example.com>;tag=t" in text
    assert "CSeq: 4 ACK" in text
    assert "Route: <sip:proxy.example.com;lr>" in text


def test_every_2xx_reaches_the_user_until_timer_m() -> None:
    bench = Bench("INVITE")
    for _ in range(3):
        bench.receive(200)
    assert bench.user.told == [200] * 3
    assert bench.transaction.state is State.ACCEPTED
    bench.run(32)
    assert bench.gone


def test_other_requests_are_repeated_up_to_t2_until_timer_f() -> None:
    bench = Bench("OPTIONS")
    bench.run(40)
    assert bench.times("OPTIONS") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bench.user.told == [("failed", 408)]
    assert bench.gone


def test_after_a_provisional_response_they_are_repeated_at_t2() -> None:
    bench = Bench("OPTIONS")
    bench.run(0.1)
    bench.receive(100)
    bench.run(40)
    assert bench.times("OPTIONS") == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert bench.user.told == [100, ("failed", 408)]


def test_the_final_answer_is_told_once_and_copies_absorbed_for_timer_k() -> None:
    bench = Bench("OPTIONS")
    for _ in range(3):
        bench.receive(200)
    assert bench.user.told == [200]
    bench.run(4.9)
    assert not bench.gone
    bench.run(5)
    assert bench.gone


@pytest.mark.parametrize(("method", "status"), [("INVITE", 486), ("OPTIONS", 200)])
def test_on_a_stream_nothing_is_repeated_and_nothing_lingers(method: str, status: int) -> None:
    bench = Bench(method, "tcp")
    bench.run(20)
    assert len(bench.sent) == 1
    bench.receive(status)
    assert bench.gone


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_broken_connection_fails_at_once(method: str) -> None:
    bench = Bench(method, "tls")
    bench.layer.connection_lost(flow("tls"), 1.0)
    assert bench.user.told == [("failed", 503)]
    assert bench.gone


class ServerBench:
    """One server transaction in a layer."""

    def __init__(self, method: str, transport: Transport = "udp") -> None:
        self.queue = TimerQueue()
        self.layer = TransactionLayer(TIMERS, self.queue, 10)
        self.request = request(method)
        self.now = 0.0
        self.sent: list[tuple[float, int]] = []
        self.transaction = self.layer.open_server(
            server_key(self.request, self.request.method), self.request, flow(transport), 0.0
        )

    def note(self, effects: list) -> None:
        self.sent += [(self.now, int(effect.data.split(b" ")[1])) for effect in effects]

    def respond(self, status: int) -> None:
        self.note(
            self.layer.respond(self.transaction, make_response(self.request, status, to_tag="t"), self.now)
        )

    def repeat(self) -> None:
        self.note(self.layer.repeated(self.transaction, flow(), self.now))

    def acknowledge(self) -> bool:
        for_session, effects = self.layer.acknowledged(self.transaction, self.now)
        self.note(effects)
        return for_session

    run = Bench.run
    gone = Bench.gone


def test_a_copy_of_an_invite_gets_the_last_provisional_response() -> None:
    bench = ServerBench("INVITE")
    bench.repeat()
    bench.respond(100)
    bench.respond(180)
    bench.repeat()
    assert [status for _, status in bench.sent] == [100, 180, 180]


def test_a_failure_is_repeated_up_to_t2_until_the_ack() -> None:
    bench = ServerBench("INVITE")
    bench.respond(486)
    bench.run(12)
    assert [at for at, _ in bench.sent] == [0, 0.5, 1.5, 3.5, 7.5, 11.5]
    assert bench.acknowledge() is False
    bench.run(16.9)
    assert len(bench.sent) == 6
    bench.repeat()
    bench.acknowledge()
    assert len(bench.sent) == 6
    bench.run(17)
    assert bench.gone


def test_a_failure_without_ack_ends_with_timer_h() -> None:
    bench = ServerBench("INVITE")
    bench.respond(486)
    bench.run(32)
    assert bench.gone


def test_an_accepted_invite_absorbs_its_copies_until_timer_l() -> None:
    bench = ServerBench("INVITE")
    bench.respond(200)
    bench.repeat()
    bench.run(31.9)
    assert [status for _, status in bench.sent] == [200]
    assert bench.acknowledge() is True
    bench.run(32)
    assert bench.gone


def test_a_copy_of_another_request_gets_the_same_answer() -> None:
    bench = ServerBench("OPTIONS")
    bench.repeat()
    bench.respond(200)
    bench.respond(404)
    bench.repeat()
    assert [status for _, status in bench.sent] == [200, 200]
    bench.run(31.9)
    assert not bench.gone
    bench.run(32)
    assert bench.gone


def test_a_request_that_nobody_answers_is_forgotten_when_its_client_has_given_up() -> None:
    bench = ServerBench("OPTIONS")
    bench.run(32)
    assert bench.sent == []
    assert bench.gone


@pytest.mark.parametrize(("method", "status"), [("INVITE", 486), ("OPTIONS", 200)])
def test_a_server_transaction_on_a_stream_does_not_linger(method: str, status: int) -> None:
    bench = ServerBench(method, "tcp")
    bench.respond(status)
    bench.run(20)
    assert len(bench.sent) == 1
    if method == "INVITE":
        bench.acknowledge()
    assert bench.gone


def test_the_answer_to_a_request_whose_connection_broke_goes_by_a_new_one() -> None:
    bench = ServerBench("OPTIONS", "tcp")
    bench.layer.connection_lost(flow("tcp"), 0.0)
    (effect,) = bench.layer.respond(bench.transaction, make_response(bench.request, 200), 0.0)
    assert effect.flow == Flow("tcp", LOCAL, REMOTE, 0)


def reached(table: Table, start: State) -> set[State]:
    seen = {start}
    for _ in State:
        seen |= {row[0] for (state, _), row in table.items() if state in seen}
    return seen


@pytest.mark.parametrize(
    ("module", "start", "states"),
    [
        (invite_client, State.CALLING, {State.CALLING, State.PROCEEDING, State.COMPLETED, State.ACCEPTED}),
        (non_invite_client, State.TRYING, {State.TRYING, State.PROCEEDING, State.COMPLETED}),
        (invite_server, State.PROCEEDING,
         {State.PROCEEDING, State.COMPLETED, State.CONFIRMED, State.ACCEPTED}),
        (non_invite_server, State.TRYING, {State.TRYING, State.PROCEEDING, State.COMPLETED}),
    ],
)  # fmt: skip
def test_a_table_has_the_figures_states_and_a_way_out_of_each(
    module: object, start: State, states: set[State]
) -> None:
    table: Table = module.TABLE  # type: ignore[attr-defined]
    assert reached(table, start) == states | {State.TERMINATED}
    assert {state for state, _ in table} == states
    for state in states:
        assert State.TERMINATED in reached(table, state)


def test_every_timer_that_a_table_starts_has_a_row_where_it_fires() -> None:
    for module in (invite_client, non_invite_client, invite_server, non_invite_server):
        for (_, _), (state, actions) in module.TABLE.items():
            for action in actions:
                if action.name.startswith("START_"):
                    assert (state, Input(action.value[6])) in module.TABLE
            assert actions.count(Action.DELIVER) <= 1


def test_an_input_that_the_state_does_not_know_is_absorbed() -> None:
    bench = Bench("OPTIONS")
    assert bench.transaction.step(Input.TIMER_M, 0.0) == []
    assert bench.transaction.step(Input.RECEIVE_2XX, 0.0) == [(Outcome.DELIVER, b"")]


def changed(change: Callable[[Request], None], method: str = "INVITE", branch: str = "z9hG4bKone") -> Request:
    other = request(method, branch)
    change(other)
    return other


def test_matching_by_branch_sent_by_and_method() -> None:
    key = server_key(request("INVITE"), "INVITE")
    assert server_key(changed(lambda r: r.headers.set("CSeq", "9 INVITE")), "INVITE") == key
    assert server_key(request("INVITE", via="192.0.2.2"), "INVITE") == key
    assert server_key(request("INVITE", via="192.0.2.9"), "INVITE") != key
    assert server_key(request("INVITE", branch="z9hG4bKtwo"), "INVITE") != key
    assert server_key(changed(lambda r: r.headers.set("Call-ID", "other")), "INVITE") != key
    assert server_key(request("CANCEL"), "CANCEL") != key
    assert server_key(request("CANCEL"), "INVITE") == key
    assert server_key(request("ACK"), "INVITE") == key


@pytest.mark.parametrize("branch", ["", "1", "z9hG4bK"])
def test_matching_of_clients_older_than_the_magic_cookie(branch: str) -> None:
    def old(method: str, call_id: str = "c") -> Request:
        return changed(lambda r: r.headers.set("Call-ID", call_id), method, branch)

    key = server_key(old("INVITE"), "INVITE")
    assert server_key(old("INVITE"), "INVITE") == key
    assert server_key(old("ACK"), "INVITE") == key
    assert server_key(old("CANCEL"), "INVITE") == key
    assert server_key(old("INVITE", "other"), "INVITE") != key


@pytest.mark.parametrize(
    ("via", "transport", "stamped", "goes_to"),
    [
        ("192.0.2.2:5090", "udp", {}, ("192.0.2.2", 5090)),
        ("192.0.2.2", "udp", {}, ("192.0.2.2", 5060)),
        ("10.0.0.1:5090", "udp", {"received": "192.0.2.2"}, ("192.0.2.2", 5090)),
        ("phone.example.com", "udp", {"received": "192.0.2.2"}, ("192.0.2.2", 5060)),
        ("10.0.0.1:5090;rport", "udp", {"rport": "4000", "received": "192.0.2.2"}, ("192.0.2.2", 4000)),
        ("192.0.2.2:5090;rport", "udp", {"rport": "4000", "received": "192.0.2.2"}, ("192.0.2.2", 4000)),
        ("192.0.2.2:5090;maddr=203.0.113.9", "udp", {"maddr": "203.0.113.9"}, ("192.0.2.2", 5090)),
        ("10.0.0.1:5090", "tcp", {"received": "192.0.2.2"}, ("192.0.2.2", 4000)),
    ],
)
def test_where_a_response_goes(
    via: str, transport: Transport, stamped: dict[str, str], goes_to: tuple[str, int]
) -> None:
    source = Flow(transport, LOCAL, ("192.0.2.2", 4000), 0 if transport == "udp" else 5)
    incoming = request("OPTIONS")
    incoming.headers.set("Via", f"SIP/2.0/UDP {via};branch=z9hG4bKx")
    result = stamp_via(incoming, source)
    assert {name: value for name, value in result.params.items() if name != "branch"} == stamped
    assert Via.parse(incoming.headers.get("Via") or "") == result
    answer = response_flow(result, source)
    assert answer.remote == goes_to
    assert answer.id == source.id


def test_a_full_layer_still_takes_what_ends_calls() -> None:
    layer = TransactionLayer(TIMERS, TimerQueue(), 2)
    for number in range(2):
        assert not layer.is_full(request("INVITE", f"z9hG4bK{number}"))
        invite = request("INVITE", f"z9hG4bK{number}")
        layer.open_server(server_key(invite, "INVITE"), invite, flow(), 0.0)
    assert layer.is_full(request("INVITE"))
    assert not layer.is_full(request("CANCEL"))
    bye = request("BYE")
    bye.headers.set("To", "<sip:b@example.com>;tag=t")
    assert not layer.is_full(bye)


class Item:
    """Something with a deadline."""

    def __init__(self, when: float | None) -> None:
        self.when = when
        self.scheduled: Ticket | None = None

    def deadline(self) -> float | None:
        return self.when


def test_the_queue_notices_what_moved_and_what_is_done() -> None:
    queue = TimerQueue()
    first, second = Item(1.0), Item(2.0)
    queue.update(first)
    queue.update(second)
    first.when = 5.0
    assert queue.deadline() == 2.0
    second.when = 0.5
    queue.update(second)
    assert queue.deadline() == 0.5
    assert queue.pop_due(0.4) is None
    assert queue.pop_due(0.5) is second
    second.when = None
    queue.update(second)
    assert queue.deadline() == 5.0
    first.when = None
    queue.update(first)
    assert len(queue) == 0
    assert queue.deadline() is None
    assert len(queue) == 0
