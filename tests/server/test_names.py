"""Calls to domains on real sockets: found by a server of names, by TCP when large, on to the next server."""

from __future__ import annotations

import asyncio
import socket
import time

from ringback.sip.effects import Answered, Ended, IncomingCall, RequestTimedOut
from ringback.sip.flow import UNBOUND, Flow, Targets
from ringback.sip.headers import Headers
from ringback.sip.message import NameAddr, Request, SipUri
from ringback.sip.session import InviteSession
from tests.net.name_server import name_server
from tests.net.test_transports import until
from tests.server.agents import ANSWER, Agent, agent

DOMAIN = SipUri(user="101", host="example.com")


def call(caller: Agent, targets: Targets, subject: str = "hello") -> InviteSession:
    session, effects = caller.endpoint.invite(
        target=DOMAIN,
        to=NameAddr(DOMAIN),
        from_=NameAddr(SipUri(user="102", host="example.com")),
        flow=targets,
        now=time.monotonic(),
        sdp=ANSWER,
        headers=Headers(("Subject", subject)),
    )
    caller.do(effects)
    return session


def silent_port() -> tuple[socket.socket, int]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


def srv(*ports: int) -> dict[tuple[str, str], list[str]]:
    return {
        ("example.com", "NAPTR"): ['1 1 "s" "SIP+D2U" "" _sip._udp.example.com.'],
        ("_sip._udp.example.com", "SRV"): [f"{n} 0 {port} host.example.com." for n, port in enumerate(ports)],
        ("host.example.com", "A"): ["127.0.0.1"],
    }


async def test_a_call_to_a_domain_whose_first_server_is_dead_is_answered_by_the_second() -> None:
    dead, dead_port = silent_port()
    async with agent() as callee:
        port = callee.transports.addresses["udp"][1]
        async with (
            name_server(srv(dead_port, port)) as names,
            agent(name_servers=[f"127.0.0.1:{names.address[1]}"]) as caller,
        ):
            began = time.monotonic()
            call(caller, await caller.names.locate(DOMAIN))
            await until(lambda: caller.told(Answered))
            assert time.monotonic() - began < 4
            # The second call knows already.
            began = time.monotonic()
            session = call(caller, await caller.names.locate(DOMAIN))
            await until(lambda: len(caller.told(Answered)) == 2)
            assert time.monotonic() - began < 1
            caller.do(session.hangup(time.monotonic()))
            await until(lambda: len(callee.told(Ended)) == 1)
    dead.close()


async def test_a_large_request_goes_by_tcp_and_by_udp_where_there_is_none() -> None:
    for tcp in (True, False):
        async with agent(tcp=tcp) as callee, agent() as caller:
            port = callee.transports.addresses["udp"][1]
            call(caller, (Flow("udp", UNBOUND, ("127.0.0.1", port)),), "x" * 1_400)
            await until(lambda: caller.told(Answered))
            assert callee.heard[0][0] == "INVITE"
            assert callee.heard[0][1].transport == ("tcp" if tcp else "udp")
            via = callee.told(IncomingCall)[0].request.top_via
            assert via.transport == ("TCP" if tcp else "UDP")


async def test_requests_in_a_call_find_a_contact_that_is_a_name() -> None:
    async with name_server({("host.example.com", "A"): ["127.0.0.1"]}) as names, agent(tcp=False) as callee:
        port = callee.transports.addresses["udp"][1]
        callee.contact = SipUri(host="host.example.com", port=port)
        async with agent(name_servers=[f"127.0.0.1:{names.address[1]}"]) as caller:
            session = call(caller, (Flow("udp", UNBOUND, ("127.0.0.1", port)),))
            await until(lambda: "ACK" in [method for method, _ in callee.heard])
            caller.do(session.hangup(time.monotonic()))
            await until(lambda: callee.told(Ended))
            assert ("host.example.com", "A") in names.asked


async def test_a_name_that_leads_nowhere_ends_the_request_and_not_the_patience() -> None:
    async with name_server({}) as names, agent(name_servers=[f"127.0.0.1:{names.address[1]}"]) as caller:
        headers = Headers(("From", "<sip:102@example.com>"), ("To", "<sip:101@example.com>"))
        request = Request("OPTIONS", DOMAIN, headers)
        _, effects = caller.endpoint.request(
            request, Flow("udp", UNBOUND, ("gone.example.com", 0)), time.monotonic()
        )
        caller.do(effects)
        await until(lambda: caller.told(RequestTimedOut))
        await asyncio.sleep(0)
        assert caller.endpoint.transactions == 0
