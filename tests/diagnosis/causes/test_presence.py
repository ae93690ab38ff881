"""Media that does not come, or stops: one-way against hold, NAT timeouts against who hung up, faxes."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.diagnosis.capture.captured import Endpoints, IcmpNotice, OtherFlow
from ringback.diagnosis.causes.judge import judge
from ringback.diagnosis.causes.verdict import StreamEvidence
from ringback.diagnosis.signalling.call import Finding
from tests.diagnosis.causes.made import (
    CALLED,
    CALLER,
    START_NS,
    back,
    call,
    evidence,
    offer,
    quiet,
    stream,
)


def test_media_sent_to_a_private_address_is_one_way() -> None:
    finding = Finding(
        "sdp-address-private",
        "c= of the called side has 10.1.2.3 while it signals from 198.51.100.20",
        START_NS,
        "warning",
    )
    verdict = judge(evidence(stream(quiet(60)), record=call(60, (finding,))))
    assert verdict.causes[0].cause == "one-way-media"
    assert verdict.causes[0].confidence > 0.8
    assert verdict.summary.startswith("No media of the called side came in 60 s of the call.")
    assert any("10.1.2.3" in text for text in verdict.causes[0].for_)
    assert any("codec" in text for text in verdict.causes[0].useless)


def test_a_closed_port_is_named_by_who_told_of_it() -> None:
    notices = tuple(
        IcmpNotice(START_NS + i * 10**9, "port-unreachable", "198.51.100.20", CALLER.endpoints)
        for i in range(40)
    )
    verdict = judge(evidence(stream(quiet(60)), record=call(60), notices=notices))
    assert verdict.causes[0].cause == "one-way-media"
    assert verdict.causes[0].confidence > 0.8
    assert any(
        text.startswith(
            "40 ICMP errors from 198.51.100.20 answered the caller's stream to 198.51.100.20:6000"
        )
        for text in verdict.causes[0].for_
    )


def test_a_missing_stream_alone_is_no_certainty() -> None:
    verdict = judge(evidence(stream(quiet(60)), record=call(60)))
    assert verdict.causes[0].cause == "one-way-media"
    assert verdict.causes[0].confidence < 0.8
    assert verdict.causes[0].missing


def test_a_hold_is_no_one_way_media() -> None:
    media = (
        offer("caller", 0.0),
        offer("called", 0.0),
        offer("caller", 5.0, "sendonly"),
        offer("called", 5.0, "recvonly"),
    )
    whole, short = stream(quiet(60)), back(5)
    verdict = judge(evidence(whole, short, record=call(60, media=media)))
    assert [cause.cause for cause in verdict.causes][:1] in ([], ["measurement-artefact"])
    assert all(cause.cause not in ("one-way-media", "nat-timeout") for cause in verdict.causes)


def test_a_fax_is_no_one_way_media() -> None:
    flow = OtherFlow(
        "t38", Endpoints(*CALLED[:4]), "udp", 900, 90_000, START_NS + 10**10, START_NS + 6 * 10**10
    )
    verdict = judge(evidence(stream(quiet(10)), back(10), record=call(60), other=(flow,)))
    assert verdict.causes[0].cause == "measurement-artefact"
    assert "900 packets of T.38" in verdict.causes[0].for_[0]
    assert all(cause.cause not in ("one-way-media", "nat-timeout") for cause in verdict.causes)


def test_a_stream_that_stops_after_silence_the_other_way_is_a_nat_that_forgot() -> None:
    # The caller speaks for 10 s and is silent from then on; 30 s later nothing gets in to it any more.
    verdict = judge(evidence(stream(quiet(10)), back(40), record=call(90)))
    first = verdict.causes[0]
    assert first.cause == "nat-timeout"
    assert any("Nothing had gone the other way for 30 s" in text for text in first.for_)
    assert any("near the 30 s" in text for text in first.for_)


def test_a_stream_that_is_shut_out_until_the_other_side_speaks_again_is_a_nat_that_forgot() -> None:
    # The caller is silent from 10 s to 46 s; from 40 s on nothing is let in to it, until it speaks.
    lost = np.zeros(4500, np.bool_)
    lost[2000:2305] = True
    delay = quiet(54)
    delay[500:] += 36_000.0
    caller = stream(delay, ptime_ms=20.0)
    verdict = judge(evidence(caller, back_with(lost), record=call(90)))
    first = verdict.causes[0]
    assert first.cause == "nat-timeout"
    assert first.confidence > 0.8
    assert any(
        "was let in for 6.1 s" in text and "for 30 s, and until it spoke again" in text for text in first.for_
    )


def back_with(lost: np.ndarray) -> StreamEvidence:
    return stream(quiet(90, 7), lost, key=CALLED, side="called")


def test_who_hung_up_is_no_nat_timeout() -> None:
    verdict = judge(evidence(stream(quiet(40)), back(39), record=call(40)))
    assert verdict.causes == ()
    assert verdict.summary.startswith("This call was good")


def test_a_capture_without_media_is_refused() -> None:
    verdict = judge(evidence(record=call(60)))
    assert verdict.refused == "The capture holds 0 packets of media, too few to say anything by."


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_packets_that_come_twice_are_no_fault_of_the_call(share: float) -> None:
    twice = int(3000 * share)
    whole = stream(quiet(60), duplicates=twice, received=3000 + twice, kernel_duplicates=twice)
    verdict = judge(evidence(whole, back(60), record=call(60)))
    assert verdict.causes[0].cause == "measurement-artefact"
    assert f"{twice:,} packets of the caller's stream came twice" in " ".join(verdict.causes[0].for_)
    assert f"is +{twice:,}" in " ".join(verdict.causes[0].for_)


def test_a_trimmed_capture_is_told_from_loss() -> None:
    keep = np.zeros(9000, np.bool_)
    keep[:300] = keep[5000:5300] = keep[8700:] = True
    cut, other = stream(quiet(180), ~keep), stream(quiet(180, 9), ~keep, key=CALLED, side="called")
    verdict = judge(evidence(cut, other, record=call(180)))
    assert verdict.causes[0].cause == "measurement-artefact"
    assert verdict.causes[0].confidence > 0.8
    assert any("the capture itself paused" in text for text in verdict.causes[0].for_)
