"""The server's front door without sockets: strangers' messages through policy, meetings and SDP."""

from __future__ import annotations

from typing import Final

from fuzz.calls import PAUSES, SEPARATOR
from ringback.sip.flow import Flow
from ringback.sip.parse import Malformed, parse_message
from tests.server.door import Door

STRANGER: Final = ("192.0.2.9", 5060)
_AFTERWARDS_S: Final = 100.0


def knock(data: bytes) -> None:
    """Take the messages in `data`, as `calls` cuts them, from a stranger; at the end hang up every call.

    Raises AssertionError when a call stays behind, and whatever policy, meetings or SDP raise.
    """
    door = Door()
    phone = door.phone
    flow = Flow("udp", phone.address, STRANGER)
    for number, part in enumerate(data.split(SEPARATOR)[:8]):
        what = part[0] if number and part else 0
        if what & 3:
            door.run(PAUSES[what & 3])
        message = parse_message(part[1:] if number else part)
        effects = phone.endpoint.receive(message, flow, phone.now)
        if not isinstance(message, Malformed):
            # The answer to a malformed one repeats what cannot be read.
            phone.do(effects)
        door.switchboard.expire(phone.now)
        phone.do(door._flush())
    door.run(1.0)
    door.switchboard.hang_up_all(phone.now, "over")
    phone.do(door._flush())
    door.network.run(_AFTERWARDS_S)
    assert phone.endpoint.sessions == 0
    assert phone.endpoint.deadline() is None
