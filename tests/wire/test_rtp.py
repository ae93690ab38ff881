"""The media stream that a phone gets, packet by packet (RFC 3550): identity, clock, reports, keys."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import numpy as np
import pytest

from ringback.quality.tones import make_tones
from tests.wire.rtp_stream import FRAME, RATE
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakePhone = Callable[..., SipPhone]


def two_in_a_meeting(server: RingbackServer, make_phone: MakePhone) -> tuple[Call, Call]:
    """Two phones that dialled in, the first speaks."""
    meeting = server.add_meeting()
    speaker, listener = (
        make_phone(server).dial(f"{meeting['number']}*{meeting['guest_pin']}") for _ in range(2)
    )
    speaker.media.speak(make_tones(RATE, 2, [440]))
    server.wait_participants(meeting["number"], 2)
    return speaker, listener


def test_a_stream_keeps_its_identity_order_and_clock(server: RingbackServer, make_phone: MakePhone) -> None:
    speaker, listener = two_in_a_meeting(server, make_phone)
    time.sleep(4)
    packets = list(listener.media.received)
    assert packets[0].marker, "a stream begins with a marker (RFC 3551 4.1)"
    assert len({packet.ssrc for packet in packets}) == 1
    assert packets[0].ssrc not in {0, speaker.media.received[0].ssrc}
    sequence = np.unwrap([packet.sequence for packet in packets], period=1 << 16)
    timestamp = np.unwrap([packet.timestamp for packet in packets], period=1 << 32)
    assert set(np.diff(sequence)) == {1}
    assert set(np.diff(timestamp)) == {FRAME}
    spans = np.diff([packet.at for packet in packets[50:]])
    assert np.median(spans) == pytest.approx(0.02, abs=0.001)
    assert np.percentile(spans, 95) < 0.03


def test_the_clock_goes_on_while_a_call_is_held(server: RingbackServer, make_phone: MakePhone) -> None:
    _, listener = two_in_a_meeting(server, make_phone)
    assert listener.reinvite("sendonly").status == 200
    time.sleep(0.3)
    before = listener.media.received[-1]
    time.sleep(2)
    assert listener.media.received[-1].at - before.at < 0.1, "a phone that holds is sent nothing"
    assert listener.reinvite("sendrecv").status == 200
    time.sleep(0.5)
    after = next(packet for packet in listener.media.received if packet.at > before.at + 0.5)
    assert after.ssrc == before.ssrc
    elapsed = (after.timestamp - before.timestamp) % (1 << 32) / RATE
    assert elapsed == pytest.approx(after.at - before.at, abs=0.1)


def test_reports_say_what_was_sent_and_received(server: RingbackServer, make_phone: MakePhone) -> None:
    _, listener = two_in_a_meeting(server, make_phone)
    time.sleep(8)
    assert listener.media.rtcp_received, "RTCP every five seconds or so"
    compound = listener.media.rtcp_received[-1]
    kind = compound[1]
    (ssrc,) = struct.unpack_from("!I", compound, 4)
    assert kind == 200, "who sends, sends SR (RFC 3550 6.4.1)"
    assert ssrc == listener.media.received[-1].ssrc
    packets, _ = struct.unpack_from("!II", compound, 20)
    assert 0 < packets <= len(listener.media.received) + 5
    assert b"\xca" in compound[28:], "a compound packet holds SDES with a CNAME"


@pytest.mark.calm
def test_lost_packets_are_concealed(server: RingbackServer, make_phone: MakePhone) -> None:
    """One frame in fifty does not come: nobody hears a hole."""
    speaker, listener = two_in_a_meeting(server, make_phone)
    time.sleep(4)
    speaker.media.lose_every = 50
    began = time.monotonic()
    time.sleep(5)
    heard, times = listener.media.heard_with_times()
    recent = heard[np.nan_to_num(times) > began + 0.5]
    frames = recent[: len(recent) // 40 * 40].reshape(-1, 40)
    loud = np.sqrt(2 * (frames**2).mean(axis=1))
    # 5 ms frames: a hole of 20 ms would leave three of them empty.
    assert 20 * np.log10(loud.min()) > -25
