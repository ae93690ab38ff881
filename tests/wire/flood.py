"""A flood of mixed datagrams from thousands of made-up loopback sources, and what calls notice of it."""

from __future__ import annotations

import itertools
import json
import random
import re
import secrets
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from tests.wire.rtp_stream import RATE
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipPhone

SOURCES = 2_000
_ROUND_S = 0.002
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)


# What is sent


def _request(method: str, target: str, to: str = "") -> bytes:
    token = secrets.token_hex(6)
    name = random.randrange(1_000, 9_999)
    return (
        f"{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{token};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{name}@127.0.0.1>;tag={token}\r\nTo: <{target}>{to}\r\n"
        f"Call-ID: {token}\r\nCSeq: 1 {method}\r\nContact: <sip:{name}@127.0.0.1>\r\n"
        "User-Agent: Desk phone\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def _mixture(server: str) -> dict[Callable[[], bytes], float]:
    """Makers of datagrams with their shares."""
    anybody = f"sip:{{}}@{server}"
    return {
        lambda: secrets.token_bytes(random.randrange(16, 400)): 0.15,
        lambda: b"\x00\x01\x00\x00\x21\x12\xa4\x42" + secrets.token_bytes(12): 0.1,
        lambda: _request("INVITE", anybody.format("101"))[: random.randrange(20, 200)]: 0.15,
        lambda: _request("OPTIONS", f"sip:{server}"): 0.15,
        lambda: _request("REGISTER", f"sip:{server}"): 0.2,
        lambda: _request("INVITE", anybody.format(random.randrange(1_000, 9_999))): 0.2,
        lambda: _request("BYE", anybody.format("101"), ";tag=none"): 0.05,
    }


def pour(port: int, seconds: float, rate: int) -> int:
    """Send `rate` datagrams a second to a port on loopback; how many went out."""
    makers = _mixture(f"127.0.0.1:{port}")
    choices = random.choices(list(makers), list(makers.values()), k=4_096)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # Nobody reads the answers.
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    # Each datagram names its own source, all on loopback.
    sender.bind(("0.0.0.0", 0))
    sources = [
        struct.pack("@i4s4s", 0, bytes((127, 1 + n // 250, n % 250, 1)), bytes(4)) for n in range(SOURCES)
    ]
    sent, began = 0, time.monotonic()
    with sender:
        while (now := time.monotonic()) - began < seconds:
            due = int((now - began) * rate)
            # A delay is not made up for: a burst is another test.
            for _ in range(min(due - sent, rate // 50)):
                pktinfo = (socket.IPPROTO_IP, _IP_PKTINFO, random.choice(sources))
                sender.sendmsg([random.choice(choices)()], [pktinfo], 0, ("127.0.0.1", port))
                sent += 1
            time.sleep(_ROUND_S)
    return sent


# What is noticed


@dataclass
class Seen:
    """What happened while it poured."""

    seconds: float
    datagrams: int = 0
    lost_to_phone: float = 0.0
    """Share of the call's packets from the server that did not come."""
    lost_to_server: float = 0.0
    """Share of all packets to the server that did not come, as it counts them."""
    called: int = 0
    connected: int = 0
    failures: list[str] = field(default_factory=list)
    pss_kb: list[int] = field(default_factory=list)
    """Of all processes, once a second, the first before it poured."""
    dropped: dict[str, float] = field(default_factory=dict)

    @property
    def connected_share(self) -> float:
        """Share of the calls of others that were set up."""
        return self.connected / max(1, self.called)


def under_flood(server: RingbackServer, seconds: float, rate: int = 5_000) -> Seen:
    """Pour on a server with limits while a call goes on and others are made from other sources."""
    meeting = server.add_meeting()
    guest_number = f"{meeting['number']}*{meeting['guest_pin']}"
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    seen = Seen(seconds)
    with _phones(server, ["8001", "8002", "8003"]) as (caller, called, account):
        for phone in (called, account):
            assert phone.register().status == 200
        talk = _connect(caller, called, "8002")
        for call in talk:
            call.media.speak(tone)
        time.sleep(1)
        before, places = _counts(server), [len(call.media.received) for call in talk]
        seen.pss_kb.append(_pss_kb(server))
        command = [sys.executable, "-m", "tests.wire.flood", str(server.udp_port), str(seconds), str(rate)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flood:
            others = [
                threading.Thread(target=_call_again, args=(seen, seconds, _accounts(account))),
                threading.Thread(target=_call_again, args=(seen, seconds, _guests(server, guest_number))),
            ]
            for thread in others:
                thread.start()
            while flood.poll() is None:
                time.sleep(1)
                seen.pss_kb.append(_pss_kb(server))
            for thread in others:
                thread.join()
            assert flood.stdout is not None
            seen.datagrams = json.loads(flood.stdout.read())
        time.sleep(0.5)
        after = _counts(server)
        seen.lost_to_phone = max(_lost_share(call, place) for call, place in zip(talk, places, strict=True))
        expected, lost = (after[name] - before[name] for name in ("expected", "lost"))
        assert expected > 40 * seconds, "the server heard nothing"
        seen.lost_to_server = lost / max(1.0, expected)
        seen.dropped = {
            why: after[why] - before.get(why, 0.0) for why in after if why not in ("expected", "lost")
        }
        assert not any(call.ended.is_set() for call in talk), "the call has ended"
    return seen


@contextmanager
def _phones(server: RingbackServer, numbers: list[str]) -> Iterator[list[SipPhone]]:
    phones = [
        SipPhone(server.udp, number, server.add_extension(number), local=f"127.0.0.{place}")
        for place, number in enumerate(numbers, 3)
    ]
    try:
        yield phones
    finally:
        for phone in phones:
            phone.close()


def _connect(caller: SipPhone, called: SipPhone, number: str) -> tuple[Call, Call]:
    answered: list[Call] = []
    thread = threading.Thread(target=lambda: answered.append(called.answer()))
    thread.start()
    call = caller.dial(number)
    thread.join()
    return call, answered[0]


def _accounts(phone: SipPhone) -> Iterator[tuple[SipPhone, str, bool]]:
    while True:
        yield phone, "600", False


def _guests(server: RingbackServer, number: str) -> Iterator[tuple[SipPhone, str, bool]]:
    """Somebody new from somewhere else each time."""
    for place in itertools.count(1):
        yield SipPhone(server.udp, local=f"127.200.{place // 250}.{place % 250 + 1}"), number, True


def _call_again(seen: Seen, seconds: float, who: Iterator[tuple[SipPhone, str, bool]]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        phone, number, leaves = next(who)
        try:
            call = phone.dial(number)
            time.sleep(0.2)
            call.hang_up()
            seen.connected += 1
        except AssertionError as failure:
            seen.failures.append(str(failure))
        seen.called += 1
        if leaves:
            phone.close()
        time.sleep(0.2)


def _lost_share(call: Call, first: int) -> float:
    """Share of the RTP packets that are missing between the first and the last that came since then."""
    came = [packet.sequence for packet in list(call.media.received)[first:]]
    assert came, "nothing was heard"
    place, highest, places = came[0], came[0], set()
    for sequence in came:
        place = highest + (sequence - highest + 0x8000) % 0x10000 - 0x8000
        highest = max(highest, place)
        places.add(place)
    return 1.0 - len(places) / (highest - min(places) + 1)


def _counts(server: RingbackServer) -> dict[str, float]:
    """What the server counts of all lines, and of what it did not read."""
    text = server.fetch("/metrics")
    found = {
        name: float(value)
        for name, value in re.findall(
            r"^ringback_media_packets_(expected|lost)_total ([0-9.e+]+)$", text, re.MULTILINE
        )
    }
    dropped = re.findall(
        r'^ringback_sip_messages_dropped_total{why="(\w+)"} ([0-9.e+]+)$', text, re.MULTILINE
    )
    return found | {why: float(value) for why, value in dropped}


def _pss_kb(server: RingbackServer) -> int:
    status = server.ask("status")["pids"]
    total = 0
    for pid in (status["control"], *status["media"]):
        with open(f"/proc/{pid}/smaps_rollup") as lines:
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


if __name__ == "__main__":
    print(json.dumps(pour(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))))
