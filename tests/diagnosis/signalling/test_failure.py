"""Calls that did not come about, and what is said of them."""

from __future__ import annotations

import pytest

from tests.diagnosis.signalling.scene import CALLED, PROXY, Scene, codes, sdp


def refused(status: int, *headers: str, body: str = "") -> Scene:
    scene = Scene().invite().response(0.2, 100)
    return scene.response(1, status, "INVITE", "called", body, *headers).request(1.01, "ACK")


@pytest.mark.parametrize(
    ("status", "code", "severity"),
    [
        (302, "call-redirected", "info"),
        (400, "call-refused", "fault"),
        (401, "authentication-not-answered", "fault"),
        (403, "call-forbidden", "fault"),
        (404, "number-not-found", "fault"),
        (407, "authentication-not-answered", "fault"),
        (408, "call-timed-out", "fault"),
        (413, "message-too-large", "fault"),
        (415, "body-type-unsupported", "fault"),
        (420, "extension-unsupported", "fault"),
        (422, "session-interval-too-small", "fault"),
        (480, "callee-unavailable", "fault"),
        (481, "dialog-unknown", "fault"),
        (482, "routing-loop", "fault"),
        (483, "routing-loop", "fault"),
        (484, "number-incomplete", "fault"),
        (486, "callee-busy", "info"),
        (487, "no-answer", "info"),
        (488, "codec-mismatch", "fault"),
        (491, "request-collision", "warning"),
        (500, "server-error", "fault"),
        (503, "server-overloaded", "fault"),
        (504, "call-timed-out", "fault"),
        (600, "callee-busy", "info"),
        (603, "call-declined", "info"),
        (604, "number-not-found", "fault"),
        (606, "codec-mismatch", "fault"),
        (699, "call-refused", "fault"),
    ],
)
def test_each_status_has_its_likely_fault(status: int, code: str, severity: str) -> None:
    (finding,) = refused(status).record().findings
    assert (finding.code, finding.severity) == (code, severity)
    assert "5550101" not in finding.text
    assert finding.text.endswith(".")


def test_a_wrong_password() -> None:
    credentials = 'Authorization: Digest username="u"'
    scene = Scene().invite().response(0.1, 401).request(0.11, "ACK")
    scene.invite(0.2, None, credentials).response(0.3, 401).request(0.31, "ACK")
    call = scene.invite(0.4, None, credentials).response(0.5, 401).request(0.51, "ACK").record()
    (finding,) = call.findings
    assert finding.code == "authentication-failed"
    assert finding.data == {"status": 401, "count": 2, "by": "caller"}
    assert (call.outcome, call.status) == ("failed", 401)


def test_forbidden_after_credentials_is_a_wrong_password_too() -> None:
    scene = Scene().invite().response(0.1, 407).request(0.11, "ACK")
    scene.invite(0.2, None, "Proxy-Authorization: Digest x=y").response(0.3, 403).request(0.31, "ACK")
    (finding,) = scene.record().findings
    assert finding.code == "authentication-failed"
    assert finding.data == {"status": 403, "count": 1, "by": "caller"}


def test_codecs_offered_against_codecs_supported() -> None:
    call = refused(488, 'Warning: 305 example.com "Incompatible"', body=sdp(CALLED[0], 6000, "18 4")).record()
    (finding,) = call.findings
    assert finding.data == {
        "status": 488,
        "offered": "pcmu pcma telephone-event",
        "supported": "g729 g723",
        "warning": "incompatible media format",
    }
    assert "the other side speaks g729, g723" in finding.text


def test_encryption_that_only_one_side_has() -> None:
    scene = Scene().invite(0, sdp("192.0.2.10", 4000, "0 8", protocol="RTP/SAVP")).response(1, 488)
    (finding,) = scene.request(1.1, "ACK").record().findings
    assert finding.code == "media-protocol-mismatch"
    assert "RTP/SAVP" in finding.text


def test_an_offer_that_is_switched_off() -> None:
    call = Scene().invite(0, sdp("0.0.0.0", 0, "0")).response(1, 488).request(1.1, "ACK").record()
    (finding,) = call.findings
    assert finding.text.startswith("The offer holds no media: every section has port 0")
    assert call.offered == ("pcmu",)


def test_how_long_an_overloaded_server_wants_to_be_left_alone() -> None:
    (finding,) = refused(503, "Retry-After: 120 (maintenance)").record().findings
    assert finding.data == {"status": 503, "retry_after_s": 120}


def test_the_extension_that_is_missing() -> None:
    (finding,) = refused(420, "Unsupported: 100rel, foo").record().findings
    assert finding.data == {"status": 420, "extension": "100rel foo"}


def test_ringing_that_nobody_answered() -> None:
    scene = Scene().invite().response(1, 180).response(31, 480).request(31.1, "ACK")
    (finding,) = scene.record().findings
    assert (finding.code, finding.data) == ("no-answer", {"seconds": 31.0})


def test_giving_up_before_it_rang() -> None:
    scene = Scene().invite().response(0.1, 100)
    scene.request(12, "CANCEL", branch="z9hG4bKcaller1", in_dialog=False).response(12.1, 200, "CANCEL")
    call = scene.response(12.2, 487).request(12.3, "ACK").record()
    assert (call.outcome, codes(call)) == ("cancelled", ["call-cancelled"])


def test_an_invite_that_comes_past_one_proxy_again_and_again() -> None:
    vias = [f"{PROXY[0]}:5060;branch=z9hG4bK{number}" for number in range(4)]
    call = Scene().request(0, "INVITE", in_dialog=False, more_vias=vias).response(0.1, 100).record()
    finding = next(finding for finding in call.findings if finding.code == "routing-loop")
    assert finding.data == {"status": 0, "vias": 5}
