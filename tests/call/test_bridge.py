"""Calls between two people, signalled for real; the media engine's commands tell who hears whom."""

from __future__ import annotations

from msgspec.structs import replace

from ringback.media import protocol as media
from ringback.sip.effects import Answered, Ended, Failed, IncomingCall, Ringing
from ringback.sip.message import NameAddr, SipUri
from tests.call.office import Office, offer
from tests.quality.measures import told
from tests.sip.phones import Phone


def ended(phone: Phone) -> bool:
    return bool(phone.told(Ended))


def status(phone: Phone) -> int:
    return phone.told(Failed)[0].status


def test_both_sides_are_put_into_one_room_with_the_addresses_they_gave() -> None:
    office = Office()
    caller, callee = office.desk("192.0.2.1"), office.desk("192.0.2.2", device=True)
    caller.call(office)
    office.run()
    assert caller.talking
    assert callee.talking
    assert len(set(office.rooms().values())) == 1
    assert len(office.rooms()) == 2
    remotes = {c.remote_ip for c in office.given(media.SetMedia)}  # type: ignore[attr-defined]
    assert remotes == {"192.0.2.1", "192.0.2.2"}


def test_the_caller_hears_ringing_before_the_answer() -> None:
    office = Office()
    caller, callee = office.desk("192.0.2.1"), office.desk("192.0.2.2", "ring", device=True)
    caller.call(office)
    office.run()
    assert [event.status for event in caller.phone.told(Ringing)] == [180]
    assert not caller.talking
    callee.pick_up()
    office.run()
    assert caller.talking


def test_hanging_up_on_either_side_ends_the_other() -> None:
    for side in (0, 1):
        office = Office()
        desks = [office.desk("192.0.2.1"), office.desk("192.0.2.2", device=True)]
        desks[0].call(office)
        office.run()
        phone = desks[side].phone
        phone.do(desks[side].sessions[-1].hangup(phone.now))
        office.run()
        assert ended(desks[1 - side].phone)
        assert office.switchboard.legs == {}
        assert len(office.given(media.CloseLeg)) == 2


def test_all_devices_ring_and_the_first_answer_silences_the_others() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    slow = office.desk("192.0.2.2", "ring", device=True)
    office.desk("192.0.2.3", device=True)
    caller.call(office)
    office.run()
    assert caller.talking
    assert ended(slow.phone)
    assert len(office.rooms()) == 2


def test_a_busy_device_is_told_to_the_caller() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", "busy", device=True)
    caller.call(office)
    office.run()
    assert status(caller.phone) == 486
    assert office.switchboard.legs == {}


def test_one_busy_device_does_not_end_the_call_while_another_rings() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", "busy", device=True)
    other = office.desk("192.0.2.3", "ring", device=True)
    caller.call(office)
    office.run()
    other.pick_up()
    office.run()
    assert caller.talking


def test_a_phone_whose_newest_flow_is_dead_rings_by_its_other_one() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", "ring", device=True)
    live = office.devices.pop()
    dead = replace(live, flow=replace(live.flow, remote=("192.0.2.99", 5060)), spare=live)
    office.devices.append(dead)
    caller.call(office)
    office.run(4)
    phone = office.network.phones[-1]
    assert len(phone.told(IncomingCall)) == 1
    assert [event.status for event in caller.phone.told(Ringing)] == [180]


def test_a_phone_that_is_busy_by_one_flow_is_not_asked_by_the_other() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", "busy", device=True)
    live = office.devices.pop()
    office.devices.append(replace(live, spare=live))
    caller.call(office)
    office.run()
    assert status(caller.phone) == 486
    assert len(office.network.phones[-1].told(IncomingCall)) == 1


def test_requests_to_a_phone_visit_the_hosts_of_its_path() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", "ring", device=True)
    edge = NameAddr.parse("<sip:edge.example.com;lr>")
    office.devices = [replace(device, route_set=(edge,)) for device in office.devices]
    caller.call(office)
    office.network.run(1)
    (event,) = office.network.phones[-1].told(IncomingCall)
    assert [str(route) for route in event.request.routes] == ["<sip:edge.example.com;lr>"]
    assert event.request.uri == SipUri(user="102", host="192.0.2.2")


def test_nobody_registered_is_480() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    caller.call(office)
    office.run()
    assert status(caller.phone) == 480


def test_no_answer_is_480_after_a_minute_and_the_phone_stops_ringing() -> None:
    office = Office()
    caller, callee = office.desk("192.0.2.1"), office.desk("192.0.2.2", "ring", device=True)
    caller.call(office)
    office.run(59)
    assert not ended(caller.phone)
    office.run(2)
    assert status(caller.phone) == 480
    assert ended(callee.phone)


def test_a_caller_who_gives_up_stops_the_ringing() -> None:
    office = Office()
    caller, callee = office.desk("192.0.2.1"), office.desk("192.0.2.2", "ring", device=True)
    session = caller.call(office)
    office.run()
    caller.phone.do(session.hangup(caller.phone.now))
    office.run()
    assert ended(callee.phone)
    assert office.switchboard.legs == {}


def test_who_is_put_on_hold_hears_music_until_taken_back() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", device=True)
    session = caller.call(office)
    office.run()
    caller.phone.do(session.reinvite(offer("192.0.2.1", direction="sendonly"), caller.phone.now))
    office.run()
    play = office.given(media.Play)[-1]
    assert isinstance(play, media.Play)
    assert play.sounds == ["music"]
    held = [leg for leg in office.switchboard.legs.values() if leg.on_hold]
    assert len(held) == 1
    assert play.leg != held[0].id
    caller.phone.do(session.reinvite(offer("192.0.2.1"), caller.phone.now))
    office.run()
    assert office.given(media.StopPlay)
    assert not held[0].on_hold


def test_keys_reach_the_other_side_whether_by_rtp_or_by_info() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", device=True)
    session = caller.call(office)
    office.run()
    first, second = office.switchboard.legs
    office.media_says(media.Digit(leg=first, digit="5", duration_ms=100))
    caller.phone.do(session.info("application/dtmf-relay", b"Signal=7\r\nDuration=160\r\n", caller.phone.now))
    office.run()
    sent = [c for c in office.given(media.SendDigits) if isinstance(c, media.SendDigits)]
    assert [(c.leg, c.digits) for c in sent] == [(second, "5"), (second, "7")]


def test_a_key_that_a_phone_sends_in_both_ways_is_one_press() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", device=True)
    session = caller.call(office)
    office.run()
    first, second = office.switchboard.legs
    for digit in "5577":
        office.media_says(media.Digit(leg=first, digit=digit, duration_ms=100))
        body = f"Signal={digit}\r\nDuration=160\r\n".encode()
        caller.phone.do(session.info("application/dtmf-relay", body, caller.phone.now))
        office.run(0.3)
    assert [c.digits for c in office.given(media.SendDigits) if c.leg == second] == list("5577")  # type: ignore[attr-defined]


def test_a_body_that_is_no_session_description_is_400_and_no_common_codec_488() -> None:
    office = Office()
    office.desk("192.0.2.2", device=True)
    garbage, foreign = office.desk("192.0.2.1"), office.desk("192.0.2.3")
    garbage.call(office, sdp=b"hello")
    foreign.call(office, sdp=offer("192.0.2.3", codecs=("OPUS",)))
    office.run()
    assert status(garbage.phone) == 400
    assert status(foreign.phone) == 488
    assert office.switchboard.legs == {}


def test_without_a_free_port_the_caller_gets_503() -> None:
    office = Office()
    office.media_works = False
    caller = office.desk("192.0.2.1")
    caller.call(office)
    office.run()
    assert status(caller.phone) == 503
    assert office.switchboard.legs == {}


def test_a_dead_media_engine_ends_its_calls() -> None:
    office = Office()
    caller, callee = office.desk("192.0.2.1"), office.desk("192.0.2.2", device=True)
    caller.call(office)
    office.run()
    office.switchboard.media_lost(list(office.switchboard.legs), office.server.now)
    office.server.do(office.flush())
    office.run()
    assert ended(caller.phone)
    assert ended(callee.phone)
    assert office.switchboard.legs == {}


def test_a_fault_in_an_application_costs_its_call_only() -> None:
    office = Office()
    caller, victim = office.desk("192.0.2.1"), office.desk("192.0.2.3")
    office.desk("192.0.2.2", device=True)
    caller.call(office)
    office.run()
    bridge = office.application

    def broken() -> object:
        application = bridge()
        application.offered = lambda leg, now: 1 / 0  # type: ignore[method-assign]
        return application

    office.application = broken  # type: ignore[assignment]
    victim.call(office)
    office.run()
    assert len(office.faults) == 1
    assert ended(victim.phone)
    assert not ended(caller.phone)
    assert len(office.rooms()) == 2


def test_an_invite_without_an_offer_gets_ours_and_answers_with_the_ack() -> None:
    office = Office()
    callee = office.desk("192.0.2.2", device=True)
    caller = office.desk("192.0.2.1")
    session = caller.call(office, without_offer=True)
    office.run()
    offered = caller.phone.told(Answered)[0].sdp
    assert offered is not None
    caller.phone.do(session.answer_offer(caller.answer(offered), caller.phone.now))
    office.run()
    assert callee.talking
    assert len(set(office.rooms().values())) == 1
    assert len(office.rooms()) == 2


def test_a_phone_on_tls_is_offered_srtp_and_plain_rtp_only_when_it_refuses() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", device=True, transport="tls")
    caller.call(office)
    office.run()
    secured = [c for c in office.given(media.SetMedia) if isinstance(c, media.SetMedia) and c.srtp]
    assert [c.remote_ip for c in secured] == ["192.0.2.2"]

    office = Office()
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", "no srtp", device=True, transport="tls")
    caller.call(office)
    office.run()
    assert caller.talking
    assert len(office.rooms()) == 2
    assert not [c for c in office.given(media.SetMedia) if isinstance(c, media.SetMedia) and c.srtp]


def test_a_peer_that_vanished_is_noticed_by_its_silence_but_not_on_hold() -> None:
    office = Office()
    caller, callee = office.desk("192.0.2.1"), office.desk("192.0.2.2", device=True)
    session = caller.call(office)
    office.run()

    def silent_for(seconds: float) -> None:
        first = next(iter(office.switchboard.legs))
        office.media_says(told({first: {"received": 9, "silent_s": seconds}}))
        office.run()

    silent_for(200)
    assert not ended(callee.phone)
    caller.phone.do(session.reinvite(offer("192.0.2.1", direction="sendonly"), caller.phone.now))
    office.run()
    silent_for(400)
    assert not ended(callee.phone)
    caller.phone.do(session.reinvite(offer("192.0.2.1"), caller.phone.now))
    office.run()
    silent_for(400)
    assert ended(caller.phone)
    assert ended(callee.phone)


def test_the_loss_that_people_are_shown_is_that_of_the_last_ten_seconds() -> None:
    office = Office()
    caller = office.desk("192.0.2.1")
    office.desk("192.0.2.2", device=True)
    caller.call(office)
    office.run()
    leg = next(iter(office.switchboard.legs.values()))

    def a_second_later(expected: int, lost: int) -> float | None:
        office.media_says(told({leg.id: {"expected": expected, "received": expected - lost}}))
        office.run(1)
        return leg.line.lost_percent

    assert a_second_later(50, 0) == 0
    assert a_second_later(50, 25) == 25
    for _ in range(2, 14):
        shown = a_second_later(50, 0)
    assert shown == 0
