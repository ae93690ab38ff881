"""Causes in what was agreed: media sent to where nobody is, in a form not agreed, or in a new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ringback.testing.captures.call import SIDES, Call, Point, Side, other
from ringback.testing.captures.draw import POSITIONS, Case, change_talker, draw_call
from ringback.testing.captures.hops import Outage
from ringback.testing.captures.models.paths import plain_call
from ringback.testing.captures.packets import Route, icmp_error, udp_packet
from ringback.testing.captures.voice import CODECS, Chance, Codec, Voice, speak

ALWAYS = [(-1.0, 1e9)]


def hello_s(severity: float) -> tuple[float, float]:
    """How long people say hello before they hang up."""
    return 12.0, 100.0 - 60 * severity


def one_way_media(rng: Chance, severity: float) -> Case:
    """What one side sends goes to where the other does not hear it. There is no milder form of that; calls
    that are less severe last longer."""
    kinds = tuple(ONE_WAY)
    return ONE_WAY[kinds[int(rng.integers(len(kinds)))]](rng, severity)


def behind_nat(call: Call, *, stage: int = 0) -> None:
    """Put the caller behind a NAT that is fair to SIP and gives the RTP port another number."""
    rng, device = call.rng, call.devices["caller"]
    device.nat_stage, device.nat_address = stage, f"198.51.100.{rng.integers(2, 250)}"
    device.address = device.sip_address = f"192.168.{rng.integers(256)}.{rng.integers(2, 250)}"
    device.nat_port, device.nat_sip_port = (int(port) for port in rng.integers(20000, 60000, 2))
    call.devices["called"].address = f"203.0.113.{rng.integers(2, 120)}"
    call.devices["called"].sip_address = f"203.0.113.{rng.integers(121, 250)}"
    for side in SIDES:
        agent, its = call.dialog.agent(side), call.devices[side]
        agent.host = its.sip_address
        agent.contact = f"{its.sip_address}:{its.sip_port}"


def notices(
    call: Call,
    about: Side,
    reporter: str,
    *,
    from_side: Side,
    route: Callable[[int], Route],
    begin: float = 0.0,
    end: float = 1e9,
    code: int = 3,
    ttl: int = 60,
) -> None:
    """ICMP errors about a side's RTP, from somebody on `from_side`, at most one a second (RFC 1812,
    4.3.2.8)."""
    voice = call.voices[about]
    for point in call.points:
        last = -1.0
        for row in range(len(voice)):
            at = float(voice.sent_s[row])
            if not begin <= at < end or at < last + 1:
                continue
            last = at
            dropped = udp_packet(
                route(point.position), bytes(12 + int(voice.size[row])), dscp=0, ttl=50, ip_id=row & 0xFFFF
            )
            packet = icmp_error(reporter, dropped, code=code, ttl=ttl, ip_id=int(call.rng.integers(65536)))
            back = call.way_s(about) + 0.0005 + call.way_s(from_side, point.position)
            call.extras.append((point.position, at + back, packet, from_side))


def private_address(rng: Chance, severity: float) -> Case:
    """c= of a caller behind NAT is private: who is called sends to an address that its network does not
    know."""
    call = draw_call(rng, seconds=hello_s(severity), positions=("middle", "near-called"))
    behind_nat(call)
    device = call.devices["caller"]
    call.routes["called"] = [
        lambda position: Route(*call.place("called", position), device.address, device.rtp_port)
    ]
    call.stages["called"][1].append(Outage(ALWAYS))
    plain_call(call)
    if rng.random() < 0.5:
        router = f"203.0.113.{rng.integers(251, 255)}"
        notices(call, "called", router, from_side="caller", route=call.routes["called"][0], code=1, ttl=250)
    call.run()
    return Case(call, "the caller's c= has a private address")


def unmapped_port(rng: Chance, severity: float) -> Case:
    """The SDP has the public address, but the port before the NAT, which changed it."""
    call = draw_call(rng, seconds=hello_s(severity), positions=("middle", "near-called"))
    behind_nat(call)
    device = call.devices["caller"]
    call.routes["called"] = [
        lambda position: Route(*call.place("called", position), device.nat_address, device.rtp_port)
    ]
    call.stages["called"][0].insert(0, Outage(ALWAYS))
    call.described["caller"] = {"address": device.nat_address}
    plain_call(call)
    if rng.random() < 0.5:
        notices(call, "called", device.nat_address, from_side="caller", route=call.routes["called"][0])
    call.run()
    return Case(call, "the NAT gave the caller's RTP another port than its SDP has")


def closed_port(rng: Chance, severity: float) -> Case:
    """Nobody listens at the port that one side described: its host says so by ICMP."""
    call = draw_call(rng, seconds=hello_s(severity))
    deaf: Side = SIDES[int(rng.integers(2))]
    talker = other(deaf)
    plain_call(call)
    call.stages[talker][0 if talker == "called" else 3].append(Outage(ALWAYS))
    notices(
        call,
        talker,
        call.devices[deaf].address,
        from_side=deaf,
        route=call.routes[talker][0],
        ttl=call.devices[deaf].ttl,
    )
    call.run()
    return Case(call, f"nobody listens at {deaf}'s port")


def gateway_rewrites(rng: Chance, severity: float) -> Case:
    """An ALG in the caller's network changes the port in its SDP and forwards nothing to the right one."""
    two = bool(rng.random() < 0.3)
    call = draw_call(rng, seconds=hello_s(severity), positions=("near-called",) if two else tuple(POSITIONS))
    device = call.devices["caller"]
    wrong = device.rtp_port + 2 * int(rng.integers(1, 500))
    call.routes["called"] = [lambda position: Route(*call.place("called", position), device.address, wrong)]
    if two:
        call.points.insert(0, Point("near-caller", 0))
    # The ALG stands in stage 1: nearer points see what the device wrote.
    call.rewritten = (1, f"m=audio {device.rtp_port} ", f"m=audio {wrong} ")
    plain_call(call)
    call.stages["called"][0].append(Outage(ALWAYS))
    if rng.random() < 0.7:
        notices(
            call,
            "called",
            device.address,
            from_side="caller",
            route=call.routes["called"][0],
            ttl=device.ttl,
        )
    call.run()
    return Case(call, "an ALG changes the port in the caller's SDP")


def filtered(rng: Chance, severity: float) -> Case:
    """A firewall lets one way of the media through; the point sees nothing of the other."""
    call = draw_call(rng, seconds=hello_s(severity), reports=True, positions=("near-caller", "near-called"))
    silent: Side = "called" if call.points[0].position == 0 else "caller"
    plain_call(call)
    call.stages[silent][1 if silent == "caller" else 2].append(Outage(ALWAYS))
    call.run()
    return Case(call, f"nothing of {silent}'s media comes, though it was agreed")


ONE_WAY: dict[str, Callable[[Chance, float], Case]] = {
    "private-address": private_address,
    "unmapped-port": unmapped_port,
    "closed-port": closed_port,
    "gateway-rewrites": gateway_rewrites,
    "filtered": filtered,
}


def codec_mismatch(rng: Chance, severity: float) -> Case:
    """One side sends what was not agreed: another payload type, an unknown one, or another clock than its
    format has. Mild: one side for the second half of the call."""
    kind = str(rng.choice(("other", "unknown", "clock")))
    names = {"other": ("pcmu", "pcma", "g729"), "unknown": ("opus", "g722"), "clock": ("g722", "pcmu")}[kind]
    call = draw_call(rng, codecs=names, dtx=False)
    side: Side = SIDES[int(rng.integers(2))]
    agreed = call.devices[side].talker.codec
    call.invite()
    call.both_talk()
    begin = call.answered_s + call.seconds * max(0.0, 0.5 - severity) if rng.random() < 0.3 else 0.0
    wrong = _wrong(rng, kind, agreed)
    if kind == "clock":
        change_talker(call, side, codec=wrong)
        call.talk(side)
    else:
        call.voices[side] = _from(rng, call, side, begin, wrong)
    call.codecs[wrong.payload_type] = wrong
    call.hang_up()
    call.run()
    return Case(
        call, f"{side} sends payload type {wrong.payload_type} ({kind}) where {agreed.name} was agreed"
    )


def _wrong(rng: Chance, kind: str, agreed: Codec) -> Codec:
    if kind == "clock":
        return replace(
            agreed, timestamp_rate=16000 if agreed.name == "g722" else int(rng.choice((16000, 5333)))
        )
    if kind == "unknown":
        return replace(agreed, payload_type=int(rng.choice((96, 98, 103, 120))))
    others = {"pcmu": "pcma", "pcma": "pcmu", "g729": "pcmu"}
    return CODECS[others[agreed.name]]


def _from(rng: Chance, call: Call, side: Side, begin: float, codec: Codec) -> Voice:
    """A side's voice, in another format from a time on; the time stamps go on."""
    voice = call.voices[side]
    late = voice.sent_s >= begin
    if not late.any():
        return voice
    talker = replace(call.devices[side].talker, codec=codec)
    first = int(np.argmax(late))
    if first == 0:
        return speak(rng, talker, call.talks[side], float(voice.sent_s[0]), call.ended_s)
    rest = speak(
        rng,
        talker,
        call.talks[side],
        float(voice.sent_s[first]),
        call.ended_s,
        ssrc=int(voice.ssrc[0]),
        sequence=int(voice.sequence[first]),
        timestamp=int(voice.timestamp[first]),
    )
    return voice.take(slice(0, first)).then(rest)


_LESS = {"g722": ("g729", "pcmu"), "pcmu": ("g729",), "pcma": ("g729",)}


def renegotiation(rng: Chance, severity: float) -> Case:
    """A re-INVITE (or a gateway, without a word) changes the codec to a lesser one, with a gap in the voice.
    Mild: one change with a gap of 0.35 s."""
    quiet = bool(rng.random() < 0.25)
    call = draw_call(rng, codecs=tuple(_LESS), dtx=False, seconds=(40, 300))
    first = call.devices["caller"].talker.codec
    second = CODECS[str(rng.choice(_LESS[first.name]))]
    both = (first, second)
    call.invite(offer=both, answer=both)
    changes = 1 + int(rng.integers(0, 1 + round(3 * severity)))
    side: Side = SIDES[int(rng.integers(2))]
    cell = (call.seconds - 8) / changes
    now, voices = first, {who: call.talk(who) for who in SIDES}
    for number in range(changes):
        at = call.media_s + 3 + cell * (number + float(rng.uniform(0.1, 0.6)))
        gap = 0.35 + float(rng.uniform(0, 0.3)) + 1.8 * severity * float(rng.random())
        now = second if now is first else first
        done = at if quiet else _renegotiate(call, side, at, now, 2 + number)
        for who in (side,) if quiet else SIDES:
            voices[who] = _after_gap(call, who, voices[who], at, done + gap, now)
    call.voices = voices
    call.codecs |= {codec.payload_type: codec for codec in both}
    call.hang_up()
    call.run()
    how = "a gateway changes" if quiet else "re-INVITEs change"
    return Case(call, f"{how} {first.name} to {second.name} {changes} times, with gaps")


def _renegotiate(call: Call, side: Side, at: float, codec: Codec, version: int) -> float:
    own, peer = (replace(call.media(who), codecs=(codec,), version=version) for who in (side, other(side)))
    return call.reinvite(side, at, own, peer)


def _after_gap(call: Call, side: Side, voice: Voice, stop: float, go_on: float, codec: Codec) -> Voice:
    early = voice.take(voice.sent_s < stop)
    if not len(early) or go_on >= call.ended_s - 0.5:
        return voice
    passed = int((go_on - float(early.sent_s[-1])) * codec.clock_rate)
    talker = replace(call.devices[side].talker, codec=codec)
    numbers = {"ssrc": int(early.ssrc[-1]), "sequence": int(early.sequence[-1]) + 1}
    timestamp = int(early.timestamp[-1]) + passed
    rest = speak(call.rng, talker, call.talks[side], go_on, call.ended_s, timestamp=timestamp, **numbers)
    return early.then(rest)
