"""Which family a leg's media is of: that of the offer it came with, or of the phone it is dialled at."""

from __future__ import annotations

from msgspec.structs import replace

from ringback.call.application import Application
from ringback.call.bridge import Device
from ringback.call.party import Party
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.sdp.negotiated import Local
from ringback.sip.flow import Flow
from ringback.sip.message import NameAddr, SipUri
from tests.call.office import SERVER, Office, offer

SERVER_6, PHONE_6 = "fd00::fe", "fd00::7"
REACHED_BY = ((SERVER_6, PHONE_6), (SERVER, "192.0.2.7"))


class BothOffice(Office):
    """Has an address of each family, and tells the one of whom it talks to first."""

    def _local_media(self, flow: Flow, rtp_port: int, rtcp_port: int) -> Local:
        four = super()._local_media(flow, rtp_port, rtcp_port)
        if ":" in flow.remote[0]:
            return replace(four, address=SERVER_6, other_address=SERVER)
        return replace(four, other_address=SERVER_6)


def families(office: Office) -> list[bool]:
    """Of each leg that was opened, whether it is of IPv6."""
    return [one.ipv6 for one in office.given(media.OpenLeg)]  # type: ignore[attr-defined]


def connection_in(body: bytes) -> str:
    return next(line for line in body.decode().splitlines() if line.startswith("c="))


def test_each_leg_of_a_call_has_its_own_family() -> None:
    office = BothOffice()
    called = office.desk(PHONE_6)
    office.devices.append(
        Device(SipUri(user="102", host=f"[{PHONE_6}]"), Flow("udp", (SERVER_6, 5060), (PHONE_6, 5060)))
    )
    caller = office.desk("192.0.2.1")
    caller.call(office)
    office.run()
    assert caller.talking
    assert families(office) == [False, True]
    assert connection_in(called.sessions[0].request.body) == f"c=IN IP6 {SERVER_6}"
    applied = {one.leg: one.remote_ip for one in office.given(media.SetMedia)}  # type: ignore[attr-defined]
    assert sorted(applied.values()) == ["192.0.2.1", PHONE_6]


def test_an_offer_of_the_other_family_than_its_signalling_is_answered_in_its_own() -> None:
    office = BothOffice()
    office.desk("192.0.2.2", device=True)
    caller = office.desk("192.0.2.1")
    session = caller.call(office, offer(PHONE_6))
    office.run()
    assert families(office) == [True, False]
    # It stays so: the engine's address is of that family.
    caller.phone.do(session.reinvite(offer("192.0.2.1"), caller.phone.now))
    office.run()
    assert "488 INVITE" in office.server.names()
    assert caller.talking


def test_a_carrier_with_addresses_of_both_families_is_offered_ipv4() -> None:
    office = BothOffice()
    carrier = office.desk("192.0.2.7")
    address = NameAddr(SipUri(user="102", host=SERVER))
    targets = tuple(Flow("udp", (host, 5060), (there, 5060)) for host, there in REACHED_BY)
    for order in (targets, targets[::-1]):
        office.switchboard.dial(
            SipUri(user="102", host="192.0.2.7"),
            order,
            address,
            address,
            Party(Private("102")),
            Application(),
            office.server.now,
        )
    office.run()
    assert families(office) == [False, False]
    assert connection_in(carrier.sessions[-1].request.body) == f"c=IN IP4 {SERVER}"


def test_without_an_offer_the_signalling_says_which() -> None:
    office = BothOffice()
    office.desk("192.0.2.2", device=True)
    caller = office.desk("192.0.2.1")
    caller.call(office, without_offer=True)
    office.run()
    assert families(office)[0] is False
