"""How long a voice takes from one phone's mouth to another's ear, through a meeting."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.test_delay import describe, talk

SECONDS = 15


def measure(server: RingbackServer) -> Iterator[str]:
    """PCMU to PCMU: packetisation, jitter buffer, mixing; the network is loopback."""
    meeting = server.add_meeting()
    phones = [SipPhone(server.udp) for _ in range(2)]
    try:
        speaker, listener = (phone.dial(f"{meeting['number']}*{meeting['guest_pin']}") for phone in phones)
        time.sleep(6)
        delays = talk(speaker, listener, SECONDS)
        yield f"mouth to ear, PCMU to PCMU, packetisation included: {describe(delays)} (aim: under 60 ms)"
    finally:
        for phone in phones:
            phone.close()
