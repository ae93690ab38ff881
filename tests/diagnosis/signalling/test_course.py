"""What happens in a call: offers and answers, hold, changes, timers, transfers, its end."""

from __future__ import annotations

import pytest

from ringback.diagnosis.signalling.call import Finding, Side
from tests.diagnosis.signalling.scene import CALLED, CALLER, PROXY, Scene, at, codes, sdp

OFFER, ANSWER = sdp(CALLER[0], 4000), sdp(CALLED[0], 6000)


def only(findings: tuple[Finding, ...], code: str) -> Finding:
    (found,) = (finding for finding in findings if finding.code == code)
    return found


def renewed(scene: Scene, seconds: float, offer: str, answer: str, by: Side = "caller") -> Scene:
    other: Side = "called" if by == "caller" else "caller"
    scene.request(seconds, "INVITE", by, offer).response(seconds + 0.1, 200, "INVITE", other, answer)
    return scene.request(seconds + 0.2, "ACK", by)


def test_what_each_side_wants() -> None:
    body = sdp(CALLER[0], 4000, "111 9 18 101", "rtpmap:111 opus/48000/2", "fmtp:111 useinbandfec=1",
               "ptime:30", "rtcp:4444 IN IP4 192.0.2.10", "rtpmap:9 G722/8000")  # fmt: skip
    call = Scene().invite(0, body).answered(2, sdp(CALLED[0], 6000, "9 101", "ptime:20")).bye().record()
    offer, answer = call.media
    assert (offer.at_ns, offer.by, offer.kind, offer.answers) == (at(0), "caller", "audio", False)
    assert (offer.address, offer.port, offer.rtcp_port, offer.ptime_ms) == (CALLER[0], 4000, 4444, 30.0)
    assert offer.signalled_from == CALLER[0]
    assert offer.order == (111, 9, 18, 101)
    opus = offer.formats[111]
    assert (opus.name, opus.clock_rate, opus.channels, opus.parameters) == (
        "opus",
        48_000,
        2,
        "useinbandfec=1",
    )
    assert (offer.formats[18].name, offer.formats[18].source) == ("g729", "static")
    assert (answer.by, answer.answers, answer.rtcp_port, answer.accepted) == ("called", True, 6001, True)
    assert call.offered == ("opus", "g722", "g729", "telephone-event")
    assert call.negotiated == ("g722", "telephone-event")


@pytest.mark.parametrize(
    ("rtpmap", "name", "rate"),
    [
        ("AMR/8000", "amr", 8_000),
        ("AMR-WB/16000", "amr-wb", 16_000),
        ("EVS/16000", "evs", 16_000),
        ("iLBC/8000", "ilbc", 8_000),
        ("speex/16000", "speex", 16_000),
        ("G7221/16000", "g7221", 16_000),
        ("G729a/8000", "g729", 8_000),
        ("G726-32/8000", "g726-32", 8_000),
        ("red/8000", "red", 8_000),
        ("CN/16000", "cn", 16_000),
        ("L16/44100/2", "l16", 44_100),
        ("telephone-event/48000", "telephone-event", 48_000),
    ],
)
def test_codecs_that_we_do_not_speak(rtpmap: str, name: str, rate: int) -> None:
    call = Scene().invite(0, sdp(CALLER[0], 4000, "97", f"rtpmap:97 {rtpmap}")).record()
    assert (call.media[0].formats[97].name, call.media[0].formats[97].clock_rate) == (name, rate)


def test_both_on_one_port() -> None:
    offer = sdp(CALLER[0], 4000, "0", "rtcp-mux")
    muxed = Scene().invite(0, offer).answered(2, sdp(CALLED[0], 6000, "0", "rtcp-mux")).record()
    assert [told.rtcp_port for told in muxed.media] == [4000, 6000]
    apart = Scene().invite(0, offer).answered(2, sdp(CALLED[0], 6000, "0")).record()
    assert [told.rtcp_port for told in apart.media] == [4001, 6001]


def test_a_late_offer() -> None:
    scene = Scene().request(0, "INVITE", in_dialog=False).response(0.5, 180)
    scene.response(2, 200, body=sdp(CALLED[0], 6000, "8 0 101")).request(
        2.9, "ACK", "caller", sdp(CALLER[0], 4000, "8")
    )
    call = scene.bye().record()
    assert call.offered == ("pcma", "pcmu", "telephone-event")
    assert call.negotiated == ("pcma",)
    assert [(offer.by, offer.answers, offer.accepted) for offer in call.media] == [
        ("called", False, True),
        ("caller", True, True),
    ]
    assert codes(call) == ["late-offer", "clipping-risk"]
    assert only(call.findings, "clipping-risk").data == {"seconds": 0.9}


def test_early_media_and_an_update() -> None:
    reliable = ("Require: 100rel", "RSeq: 1")
    scene = Scene().invite(0, OFFER).response(0.5, 183, "INVITE", "called", ANSWER, *reliable)
    scene.request(0.6, "PRACK", "caller", "", "RAck: 1 1 INVITE").response(0.7, 200, "PRACK")
    scene.request(0.8, "UPDATE", "caller", sdp(CALLER[0], 4100)).response(
        0.9, 200, "UPDATE", "called", ANSWER
    )
    call = scene.response(3, 200).request(3.1, "ACK").bye().record()
    assert call.post_dial_ms == 500.0
    assert codes(call) == ["early-media", "media-address-changed"]
    assert [(offer.port, offer.answers, offer.in_dialog) for offer in call.media] == [
        (4000, False, False), (6000, True, False), (4100, False, True), (6000, True, True),
    ]  # fmt: skip


def test_an_offer_in_a_provisional_answer_is_answered_by_prack() -> None:
    scene = Scene().request(0, "INVITE", in_dialog=False)
    scene.response(0.5, 183, "INVITE", "called", ANSWER, "Require: 100rel", "RSeq: 1")
    scene.request(0.6, "PRACK", "caller", OFFER, "RAck: 1 1 INVITE").response(0.7, 200, "PRACK")
    call = scene.response(3, 200).request(3.1, "ACK").bye().record()
    assert [(offer.by, offer.answers, offer.accepted) for offer in call.media] == [
        ("called", False, True),
        ("caller", True, True),
    ]


def test_an_offer_that_is_never_answered() -> None:
    call = Scene().invite(0, OFFER).response(2, 200).request(2.1, "ACK").bye().record()
    assert codes(call) == ["offer-unanswered"]
    assert call.negotiated == ()


def test_no_codec_in_common() -> None:
    scene = (
        Scene().invite(0, sdp(CALLER[0], 4000, "0 101")).answered(2, sdp(CALLED[0], 6000, "18 101")).bye(3)
    )
    call = scene.record()
    finding = only(call.findings, "codec-mismatch")
    assert finding.data == {
        "status": 200, "warning": "", "offered": "pcmu telephone-event", "supported": "g729 telephone-event",
    }  # fmt: skip
    assert call.negotiated == ("telephone-event",)


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
def test_hold_and_its_end(direction: str) -> None:
    scene = Scene().invite(0, OFFER).answered(2, ANSWER)
    renewed(scene, 5, sdp(CALLED[0], 6000, "0", direction), sdp(CALLER[0], 4000, "0", "recvonly"), "called")
    renewed(scene, 15, sdp(CALLED[0], 6000, "0"), sdp(CALLER[0], 4000, "0"), "called")
    call = scene.bye(20).record()
    assert codes(call) == ["media-hold", "media-resumed"]
    assert call.findings[0].data == {"by": "called", "direction": direction}
    assert call.findings[1].data == {"by": "called", "seconds": 10.0}


def test_the_old_way_of_hold() -> None:
    scene = Scene().invite(0, OFFER).answered(2, ANSWER)
    call = renewed(scene, 5, sdp("0.0.0.0", 4000, "0"), ANSWER).bye().record()
    assert codes(call) == ["media-hold"]
    assert call.media[2].direction == "sendonly"


def test_another_codec_and_another_address_in_the_call() -> None:
    scene = (
        Scene()
        .invite(0, sdp(CALLER[0], 4000, "0 8 9", "ptime:20"))
        .answered(2, sdp(CALLED[0], 6000, "0", "ptime:20"))
    )
    renewed(scene, 5, sdp(CALLER[0], 4000, "9"), sdp("198.51.100.99", 7000, "9", "ptime:40"))
    call = scene.bye().record()
    assert codes(call)[:3] == ["codec-changed", "ptime-changed", "media-address-changed"]
    assert only(call.findings, "codec-changed").data == {"by": "caller", "before": "pcmu", "after": "g722"}
    assert only(call.findings, "ptime-changed").data == {"by": "caller", "before": 20.0, "after": 40.0}
    assert only(call.findings, "media-address-changed").data == {
        "by": "called", "before": "198.51.100.20:6000", "after": "198.51.100.99:7000",
    }  # fmt: skip
    assert call.negotiated == ("pcmu", "g722")


def test_fax() -> None:
    image = sdp(CALLED[0], 6000, "t38", media="image", protocol="udptl")
    scene = Scene().invite(0, OFFER).answered(2, ANSWER)
    call = renewed(
        scene, 5, image, sdp(CALLER[0], 4000, "t38", media="image", protocol="udptl"), "called"
    ).record()
    assert only(call.findings, "t38-switch").data == {"by": "called"}
    assert [offer.kind for offer in call.media] == ["audio", "audio", "image", "image"]
    refused = Scene().invite(0, OFFER).answered(2, ANSWER).request(5, "INVITE", "called", image)
    refused.response(5.1, 488, "INVITE", "caller").request(5.2, "ACK", "called").bye()
    assert only(refused.record().findings, "t38-refused").data == {"by": "called", "status": 488}


def test_a_reinvite_that_is_refused_changes_nothing() -> None:
    scene = (
        Scene()
        .invite(0, OFFER)
        .answered(2, ANSWER)
        .request(5, "INVITE", "caller", sdp(CALLER[0], 4000, "18"))
    )
    call = scene.response(5.1, 488).request(5.2, "ACK").bye().record()
    assert only(call.findings, "reinvite-refused").data == {"by": "caller", "status": 488, "method": "INVITE"}
    assert call.negotiated == ("pcmu", "telephone-event")
    assert (call.outcome, call.status) == ("answered", 200)


def timed(
    expires: str, *, refreshed: tuple[float, ...] = (), ended: float, by: Side = "called"
) -> tuple[Finding, ...]:
    scene = Scene().invite(0, OFFER, "Supported: timer", "Session-Expires: 600").answered(2, ANSWER, expires)
    for seconds in refreshed:
        scene.request(seconds, "UPDATE").response(seconds + 0.1, 200, "UPDATE", "called", "", expires)
    return scene.bye(ended, by).record().findings


def test_a_session_timer_that_runs_out() -> None:
    found = only(timed("Session-Expires: 600;refresher=uac", ended=570), "session-timer-expired")
    assert found.data == {"by": "called", "refresher": "caller", "seconds": 568.0, "session_expires_s": 600}
    later = timed("Session-Expires: 600;refresher=uac", refreshed=(302, 602), ended=1_202)
    assert only(later, "session-timer-expired").data == {
        "by": "called", "refresher": "caller", "seconds": 599.9, "session_expires_s": 600,
    }  # fmt: skip
    half = timed("Session-Expires: 600;refresher=uas", ended=302, by="caller")
    assert only(half, "session-timer-expired").data == {
        "by": "caller", "refresher": "called", "seconds": 300.0, "session_expires_s": 600,
    }  # fmt: skip


def test_a_session_timer_that_is_refreshed_or_not_yet_due() -> None:
    assert timed("Session-Expires: 600;refresher=uac", refreshed=(302,), ended=450) == ()
    assert timed("Session-Expires: 600;refresher=uac", ended=120) == ()


def test_a_refresh_that_does_not_come_while_the_call_goes_on() -> None:
    (found,) = timed("Session-Expires: 600;refresher=uac", ended=900)
    assert found.code == "session-refresh-missing"
    assert found.at_ns == at(602)


def test_a_refresh_that_fails() -> None:
    scene = Scene().invite(0, OFFER).answered(2, ANSWER, "Session-Expires: 600;refresher=uac")
    scene.request(302, "UPDATE", "caller", "", "Session-Expires: 600;refresher=uac").response(
        302.1, 500, "UPDATE"
    )
    found = scene.bye(303, "caller").record().findings
    assert [finding.code for finding in found] == ["session-refresh-failed", "reinvite-refused"]
    assert found[0].data == {
        "by": "caller", "status": 500, "session_expires_s": 600, "refresher": "caller",
    }  # fmt: skip


def test_the_timer_of_a_call() -> None:
    scene = Scene().invite(0, OFFER).answered(2, ANSWER, "Session-Expires: 1800;refresher=uas").bye()
    call = scene.record()
    assert (call.session_expires_s, call.refresher) == (1800, "called")
    assert codes(call) == []


def test_transfers() -> None:
    scene = Scene().invite(0, OFFER).answered(2, ANSWER)
    scene.request(5, "REFER", "called", "", "Refer-To: <sip:5550199@example.com>").response(
        5.1, 202, "REFER", "caller"
    )
    scene.request(5.2, "NOTIFY", "caller", "SIP/2.0 200 OK").response(5.3, 200, "NOTIFY", "called")
    (found,) = scene.bye().record().findings
    assert (found.code, found.data) == ("call-transferred", {"by": "called", "status": 200})
    assert "5550199" not in found.text


def test_a_transfer_that_fails() -> None:
    scene = (
        Scene()
        .invite(0, OFFER)
        .answered(2, ANSWER)
        .request(5, "REFER", "called")
        .response(5.1, 202, "REFER", "caller")
    )
    scene.request(5.2, "NOTIFY", "caller", "SIP/2.0 486 Busy").response(5.3, 200, "NOTIFY", "called")
    (found,) = scene.bye().record().findings
    assert (found.code, found.data) == ("transfer-failed", {"by": "called", "status": 486})


def test_a_call_that_ends_because_nothing_was_heard() -> None:
    reason = 'Reason: Q.850;cause=41;text="RTP timeout"'
    (found,) = Scene().invite(0, OFFER).answered(2, ANSWER).bye(32, "called", reason).record().findings
    assert (found.code, found.severity) == ("ended-by-media-timeout", "fault")
    assert found.data == {"by": "called", "seconds": 32.0}


def test_slow_ringing() -> None:
    call = Scene().invite(0, OFFER).response(9.5, 180).record()
    assert only(call.findings, "post-dial-delay").data == {"seconds": 9.5}


def test_both_sides_change_the_session_at_once() -> None:
    scene = Scene().invite(0, OFFER).answered(2, ANSWER)
    scene.request(5, "INVITE", "caller", OFFER).request(5.01, "INVITE", "called", ANSWER)
    scene.response(5.1, 491).response(5.11, 491, "INVITE", "caller")
    call = scene.request(5.2, "ACK").request(5.21, "ACK", "called").bye().record()
    assert only(call.findings, "request-collision").data == {"count": 2}


def test_two_who_hang_up_at_once_find_the_call_gone() -> None:
    scene = Scene().invite(0, OFFER).answered(2, ANSWER).request(9, "BYE").request(9.01, "BYE", "called")
    scene.response(9.05, 481, "BYE").response(9.06, 481, "BYE", "caller")
    call = scene.record()
    assert (call.ended_by, codes(call)) == ("caller", [])
    alone = Scene().invite(0, OFFER).answered(2, ANSWER).request(9, "BYE").response(9.05, 481, "BYE")
    assert codes(alone.record()) == ["dialog-unknown"]


def test_a_call_that_somebody_between_the_sides_ends() -> None:
    scene = Scene()
    scene.request(0, "INVITE", "caller", OFFER, in_dialog=False, branch="z9hG4bKa", cseq=1, target=PROXY)
    scene.request(0.1, "INVITE", "caller", OFFER, in_dialog=False, branch="z9hG4bKb", cseq=1, source=PROXY,
                  more_vias=["192.0.2.10;branch=z9hG4bKa"])  # fmt: skip
    scene.response(1.9, 200, body=ANSWER)
    scene.request(30, "BYE", "caller", source=PROXY).response(30.1, 200, "BYE")
    scene.request(30, "BYE", "called", source=PROXY).response(30.1, 200, "BYE", "caller")
    call = scene.record()
    assert call.ended_by == "network"
    assert "ended-by-network" in codes(call)


def test_a_call_that_ends_about_the_half_of_a_short_timer_by_chance() -> None:
    assert timed("Session-Expires: 90;refresher=uac", ended=47) == ()
    assert timed("Session-Expires: 600;refresher=uac", ended=300.5) == ()
