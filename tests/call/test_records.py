"""What becomes of calls as records: legs, ends and causes, transfers, and how lines were rated."""

from __future__ import annotations

import pytest

from ringback.call.recorded import begun, codecs_of, records_of
from ringback.call.records import Call, CallLog
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.routing.steps import Rule
from ringback.sdp.parse import parse_sdp
from ringback.sip.message import Headers
from ringback.sip.reason import reason_of
from ringback.sip.replaces import Replaces
from ringback.store.call_record import CallRecord
from tests.call.office import Desk, Office
from tests.call.test_transfer import Company


@pytest.fixture
def office() -> Office:
    made = Office()
    made.switchboard.calls.on_news = lambda: None
    return made


def over(office: Office) -> list[CallRecord]:
    return records_of(office.switchboard.calls.take_over())


def counted(office: Office, leg: int, **totals: float) -> None:
    """The engine tells of a leg that was closed."""
    told = media.LegTotals(**totals)  # type: ignore[arg-type]
    office.switchboard.calls.counted(leg, told, office.server.now)


def hang_up(desk: Desk) -> None:
    desk.phone.do(desk.sessions[-1].hangup(desk.phone.now))


def test_a_call_that_was_answered(office: Office) -> None:
    caller, _ = office.desk("192.0.2.1"), office.desk("192.0.2.2", device=True)
    caller.call(office)
    office.run(5)
    assert over(office) == []
    hang_up(caller)
    office.run(1)
    assert over(office) == [], "the engine is waited for"
    counted(office, 1, expected_packets=250, received_packets=250, sent_packets=250)
    counted(office, 2, expected_packets=250, received_packets=200, sent_packets=250, remote_lost_fraction=0.1)
    (record,) = over(office)
    assert (record.outcome, record.cause, record.ended_by, record.answered_by) == (
        "answered",
        200,
        "caller",
        1,
    )
    assert (record.caller, record.dialled, record.direction) == ("101", "102", "internal")
    first, second = record.legs
    assert (first.incoming, first.ended_by, second.incoming, second.ended_by) == (True, "peer", False, "us")
    assert first.rang_ms is not None
    assert record.ended_ms is not None
    assert 4_500 < record.ended_ms < 5_500
    assert (first.offered, first.negotiated, first.sent) == (("PCMU",), ("PCMU",), ("PCMU",))
    assert first.line is not None
    assert second.line is not None
    assert (first.line.lost_percent, second.line.lost_percent) == (0.0, 20.0)
    assert first.line.mos is not None
    assert second.line.mos is not None
    assert first.line.mos > 4.3
    assert second.line.mos < 3.1, "every fifth packet was lost"
    assert first.line.remote_mos is None, "its phone told nothing"
    assert second.line.remote_mos is not None
    assert (record.mos, record.quality) == (min(second.line.mos, second.line.remote_mos), "poor")
    assert office.switchboard.calls.live == {}


@pytest.mark.parametrize(
    ("manner", "outcome", "cause", "side"),
    [("busy", "busy", 486, "called"), ("ring", "cancelled", 487, "caller")],
)
def test_calls_that_nobody_answered(office: Office, manner: str, outcome: str, cause: int, side: str) -> None:
    caller, _ = office.desk("192.0.2.1"), office.desk("192.0.2.2", manner, device=True)
    caller.call(office)
    office.run(2)
    if manner == "ring":
        hang_up(caller)
        office.run(1)
    (record,) = over(office)
    assert (record.outcome, record.cause, record.ended_by) == (outcome, cause, side)
    assert record.answered_ms is None
    assert (record.mos, record.quality) == (None, None)


def test_two_phones_ring_and_belong_to_one_call(office: Office) -> None:
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", "ring", device=True)
    office.desk("192.0.2.3", device=True)
    caller.call(office)
    office.run(1)
    hang_up(caller)
    office.run(1)
    office.switchboard.calls.overdue(office.server.now + 3)
    (record,) = over(office)
    assert record.answered_by == 2
    assert [leg.words for leg in record.legs] == ["hung up", "Answered elsewhere", "hung up"]


def test_the_cause_that_a_phone_gives_is_kept_and_its_text_is_not() -> None:
    headers = Headers(("Reason", 'SIP;cause=200, Q.850;cause=16;text="called +14155550100"'))
    assert reason_of(headers) == "Q.850;cause=16"
    assert reason_of(Headers(("Reason", "SIP ;cause=580"))) == "SIP;cause=580"
    for nonsense in ("", "Q.850", "Q.850;cause=x", "FOO;cause=1", "Q.850" + ";a" * 5_000):
        assert reason_of(Headers(("Reason", nonsense))) == ""


def test_a_blind_transfer_is_one_call_that_tells_of_it() -> None:
    company = Company(n101="answer", n102="answer", n103="answer")
    company.switchboard.calls.on_news = lambda: None
    session = company.call("101", "102")
    (call,) = company.switchboard.calls.live.values()
    call.passed([Rule("extension", Private("102"), Private("rings"))])
    company.refer("101", session, "103")
    phone = company["103"].phone
    phone.do(company["103"].sessions[-1].hangup(phone.now))
    company.run()
    company.switchboard.calls.overdue(company.server.now + 3)
    (record,) = over(company)
    assert [leg.number for leg in record.legs] == ["101", "102", "103"]
    assert [(p.kind, p.name) for p in record.path] == [("extension", "102")]
    (happening,) = record.happenings
    assert (happening.kind, happening.by, happening.to) == ("transferred", "101", "103")
    assert 500 < happening.at_ms < 2_500
    assert (record.ended_by, record.called, record.dialled) == ("called", "extension:102", "102")


def test_two_calls_that_are_joined_name_each_other() -> None:
    company = Company(n101="answer", n102="answer", n103="answer")
    company.switchboard.calls.on_news = lambda: None
    first = company.call("101", "102")
    second = company.call("101", "103")
    company.refer("101", first, "103", Replaces.of(second))
    phone = company["103"].phone
    phone.do(company["103"].sessions[-1].hangup(phone.now))
    company.run()
    company.switchboard.calls.overdue(company.server.now + 3)
    one, other = sorted(over(company), key=lambda record: record.id)
    assert [leg.number for leg in one.legs] == ["101", "102"]
    assert [leg.number for leg in other.legs] == ["101", "103"]
    assert [(h.kind, h.call) for h in one.happenings] == [("transferred", other.id)]
    assert [(h.kind, h.call) for h in other.happenings] == [("joined", one.id)]


def test_identifiers_sort_by_time_and_never_repeat() -> None:
    wall = [1_700_000_000.0]
    log = CallLog(lambda: wall[0], chance=5)
    ids = [log.begin(0.0).id for _ in range(5_000)]
    wall[0] -= 60
    ids += [log.begin(0.0).id for _ in range(10)]
    wall[0] += 120
    ids.append(log.begin(0.0).id)
    assert ids == sorted(set(ids))
    assert ids[-1] >> 21 == 1_700_000_060_000


def test_what_is_noted_of_a_call_is_bounded() -> None:
    call = Call(1, 0.0)
    for n in range(500):
        call.note("transferred", float(n))
        call.passed([Rule("menu", Private("main"), Private("again"))] * 3)
    assert len(call.happenings) == len(call.path) == 100


def test_a_call_that_goes_on_is_known_by_its_begin(office: Office) -> None:
    office.desk("192.0.2.1").call(office)
    office.run(1)
    office.desk("192.0.2.2", "ring", device=True)
    office.desk("192.0.2.4").call(office)
    office.run(1)
    (call,) = office.switchboard.calls.live.values()
    record = begun(call)
    assert (record.outcome, record.caller, record.dialled, record.ended_ms) == (
        "interrupted",
        "101",
        "102",
        None,
    )


def test_codecs_are_named_as_they_were_offered() -> None:
    text = (
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        "m=audio 4000 RTP/AVP 96 9 8 101 97\r\na=rtpmap:96 opus/48000/2\r\n"
        "a=rtpmap:101 telephone-event/8000\r\n"
        "a=rtpmap:97 <script>/8000\r\n"
    )
    description = parse_sdp(text.encode())
    assert codecs_of(description) == ("OPUS", "G722", "PCMA")  # type: ignore[arg-type]
    assert codecs_of(None) == ()
