"""What else passes the point of a call: names looked up, and OPTIONS that ask whether somebody is there."""

from __future__ import annotations

import struct

from ringback.testing.captures.call import Call, Side
from ringback.testing.captures.dialog import Dialog
from ringback.testing.captures.packets import Route, udp_packet


def add_background(call: Call) -> None:
    """Add some of it, or none."""
    if call.rng.random() < 0.5:
        return
    end = max([call.ended_s, *(said.at_s for said in call.said)])
    for point in call.points:
        for at in call.rng.uniform(0, end, int(call.rng.integers(1, 8))).tolist():
            _name(call, point.position, at)
        if call.rng.random() < 0.5:
            _ping(call, point.position, end)


def _add(call: Call, position: int, at: float, route: Route, payload: bytes, side: Side) -> None:
    ttl = 64 - call.hops(side, position)
    packet = udp_packet(route, payload, dscp=0, ttl=ttl, ip_id=int(call.rng.integers(65536)))
    call.extras.append((position, at, packet, side))


def _name(call: Call, position: int, at: float) -> None:
    """A question for an address, and the answer (RFC 1035)."""
    question = struct.pack("!HHHHHH", int(call.rng.integers(65536)), 0x0100, 1, 0, 0, 0)
    name = b"\x04host\x07example\x03com\x00\x00\x01\x00\x01"
    answer = question[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + name
    answer += b"\xc0\x0c" + struct.pack("!HHIH4B", 1, 1, 300, 4, 192, 0, 2, 80)
    host = call.sip_place("caller", position)[0]
    route = Route(host, int(call.rng.integers(32768, 60000)), "192.0.2.53", 53)
    _add(call, position, at, route, question + name, "caller")
    back = Route(route.dst, 53, host, route.sport)
    _add(call, position, at + float(call.rng.uniform(0.004, 0.05)), back, answer, "called")


def _ping(call: Call, position: int, end: float) -> None:
    """OPTIONS from the called side every half a minute (RFC 3261, 11)."""
    places = call.sip_place("called", position), call.sip_place("caller", position)
    there, back = Route(*places[0], *places[1]), Route(*places[1], *places[0])
    at = float(call.rng.uniform(0, 25))
    while at < end:
        dialog = Dialog(call.rng, call.dialog.caller, call.dialog.called)
        branch, cseq = dialog.token(12), dialog.next_cseq("called")
        request = dialog.request("called", "OPTIONS", cseq, branch=branch, initial=True)
        answer = dialog.response("caller", 200, "OPTIONS", cseq, branch=branch)
        _add(call, position, at, there, request.encode(), "called")
        _add(call, position, at + 0.03, back, answer.encode(), "caller")
        at += 30
