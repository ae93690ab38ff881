"""Registrations and the like, and what goes wrong with them."""

from __future__ import annotations

from ringback.diagnosis.capture.captured import SipPacket
from ringback.diagnosis.signalling.call import Finding
from ringback.diagnosis.signalling.follow import follow
from tests.diagnosis.signalling.scene import CALLED, CALLER, Scene

CREDENTIALS = "Authorization: Digest a=b"


def found(packets: list[SipPacket]) -> list[Finding]:
    signalling = follow(packets)
    assert signalling.calls == ()
    return list(signalling.other.findings)


def test_a_registration_with_a_wrong_password() -> None:
    scene = Scene().request(0, "REGISTER", in_dialog=False).response(0.1, 401, "REGISTER")
    scene.request(0.2, "REGISTER", "caller", "", CREDENTIALS, in_dialog=False).response(0.3, 403, "REGISTER")
    (finding,) = found(scene.packets)
    assert finding.code == "registration-authentication-failed"
    assert finding.data == {"status": 403, "count": 1}


def test_registrations_that_are_refused() -> None:
    packets = []
    for number in range(3):
        scene = Scene(f"r{number}@example.com").request(number, "REGISTER", in_dialog=False)
        packets += scene.response(number + 0.1, 404, "REGISTER").packets
    (finding,) = found(packets)
    assert (finding.code, finding.data) == ("registration-failed", {"status": 404, "count": 3})


def test_silence() -> None:
    scene = (
        Scene().request(0, "REGISTER", in_dialog=False).request(0.5, "REGISTER", repeat=True, in_dialog=False)
    )
    other = Scene("o@example.com").request(1, "OPTIONS", in_dialog=False).request(1.5, "OPTIONS", repeat=True)
    first, second = found([*scene.packets, *other.packets])
    assert (first.code, first.data) == ("registration-unanswered", {"count": 1, "address": CALLED[0]})
    assert (second.code, second.data) == ("options-unanswered", {"count": 1, "address": CALLED[0]})


def test_subscriptions_that_are_refused() -> None:
    (finding,) = found(
        Scene().request(0, "SUBSCRIBE", in_dialog=False).response(0.1, 489, "SUBSCRIBE").packets
    )
    assert (finding.code, finding.data) == (
        "subscription-failed",
        {"status": 489, "count": 1, "method": "SUBSCRIBE"},
    )


def test_somebody_who_looks_for_accounts() -> None:
    packets = []
    for number in range(25):
        scene = Scene(f"r{number}@example.com").request(number, "REGISTER", in_dialog=False)
        packets += scene.response(number + 0.1, 404, "REGISTER").packets
    codes = {finding.code: finding for finding in found(packets)}
    assert codes["scan-suspected"].data == {"count": 25, "address": CALLER[0]}
