"""What callers without an account can make the media engine do before and after they prove where they are."""

from __future__ import annotations

from ringback.call.echo import EchoTest
from ringback.media import protocol as media
from ringback.sip.effects import Answered
from ringback.sip.flow import Flow
from ringback.sip.message import NameAddr, Request, SipUri
from ringback.sip.parse import parse_message
from tests.call.office import SERVER, Office, offer

VICTIM = "198.51.100.9"


def guests(office: Office) -> Office:
    office.application = EchoTest
    return office


def forged_invite(office: Office, source: str) -> None:
    """A datagram whose source address is not its sender's: the answers go elsewhere, and no ACK comes."""
    attacker = office.network.phone("203.0.113.5")
    _, effects = attacker.endpoint.invite(
        target=SipUri(user="102", host=SERVER),
        to=NameAddr(SipUri(user="102", host=SERVER)),
        from_=NameAddr(SipUri(user="eve", host=SERVER)),
        flow=attacker.flow_to(office.server),
        now=attacker.now,
        sdp=offer(source),
    )
    (request,) = (parse_message(effect.data) for effect in effects)  # type: ignore[attr-defined]
    assert isinstance(request, Request)
    flow = Flow("udp", (SERVER, 5060), (source, 5060))
    office.server.do(office.server.endpoint.receive(request, flow, office.server.now))


def test_a_forged_invite_gets_no_audio_sent_to_its_victim() -> None:
    office = guests(Office())
    forged_invite(office, VICTIM)
    office.run(40)
    assert not office.given(media.SetMedia)
    assert not office.given(media.Play)
    assert office.switchboard.legs == {}


def test_a_guest_is_connected_by_its_ack() -> None:
    office = guests(Office())
    caller = office.desk("192.0.2.1")
    caller.call(office)
    office.run()
    (applied,) = office.given(media.SetMedia)
    assert (applied.remote_ip, applied.remote_port) == ("192.0.2.1", 4000)  # type: ignore[attr-defined]
    assert office.given(media.Play)


def test_a_guest_cannot_point_our_audio_at_somebody_else() -> None:
    office = guests(Office())
    caller = office.desk("192.0.2.1")
    session = caller.call(office, offer(VICTIM))
    office.run()
    (opened,) = office.given(media.OpenLeg)
    assert opened.remote_ip == ""  # type: ignore[attr-defined]  # the engine is promised nothing either
    (applied,) = office.given(media.SetMedia)
    assert (applied.remote_port, applied.remote_rtcp_port) == (0, 0)  # type: ignore[attr-defined]
    caller.phone.do(session.reinvite(offer(VICTIM, rtp_port=9), caller.phone.now))
    office.run()
    assert office.given(media.SetMedia)[-1].remote_port == 0  # type: ignore[attr-defined]
    # The phone's own address is as good as ever.
    caller.phone.do(session.reinvite(offer("192.0.2.1"), caller.phone.now))
    office.run()
    assert office.given(media.SetMedia)[-1].remote_port == 4000  # type: ignore[attr-defined]


def test_a_guest_without_an_offer_is_connected_once_it_has_answered_ours() -> None:
    office = guests(Office())
    caller = office.desk("192.0.2.1")
    session = caller.call(office, without_offer=True)
    office.run()
    assert not office.given(media.SetMedia)
    (answered,) = caller.phone.told(Answered)
    assert answered.sdp is not None
    caller.phone.do(session.answer_offer(caller.answer(answered.sdp), caller.phone.now))
    office.run()
    assert len(office.given(media.SetMedia)) == 1
