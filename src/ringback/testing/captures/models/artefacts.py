"""What looks like a bad call and is none: how it was captured, and what calls do of themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ringback.testing.captures.call import SIDES, Call, Records, Side, other
from ringback.testing.captures.draw import Case, between, draw_call, share_of
from ringback.testing.captures.models.paths import plain_call
from ringback.testing.captures.packets import Route, udp_packet
from ringback.testing.captures.voice import Chance, Voice


def artefact(rng: Chance, severity: float) -> Case:
    """One of the kinds below. Each is whole even when mild: a tenth doubled, three holes, one hold."""
    kinds = tuple(KINDS)
    return KINDS[kinds[int(rng.integers(len(kinds)))]](rng, severity)


def mirrored(rng: Chance, severity: float) -> Case:
    """A mirror port that copies packets on their way in and out."""
    call = draw_call(rng)
    share = between(rng, 0.1, 1.0, severity)
    one_way = bool(rng.random() < 0.3)

    def twice(records: Records, rng: Chance) -> Records:
        again = rng.random(len(records.at)) < share
        if one_way:
            again &= records.from_caller
        copies = records.take(again)
        late = copies.at + rng.uniform(0.000004, 0.00008, len(copies.at))
        return Records(
            np.concatenate((records.at, late)),
            np.concatenate((records.packet, copies.packet)),
            np.concatenate((records.from_caller, copies.from_caller)),
        )

    call.points[0].effects.append(twice)
    plain_call(call)
    call.run()
    return Case(call, f"a mirror port doubles {share:.0%} of the packets", facts={"share": share})


def holes(rng: Chance, severity: float, **wishes: Any) -> Case:
    """A capture that lost packets itself: all of some stretches, of both ways and all kinds; RTCP, and who
    receives, know nothing of it."""
    call = draw_call(rng, reports=True, **wishes)
    plain_call(call)
    stretches = share_of(rng, call, between(rng, 0.01, 0.12, severity), int(rng.integers(3, 9)))

    def dropped(records: Records, _: Chance) -> Records:
        gone = np.zeros(len(records.at), np.bool_)
        for begin, end in stretches:
            gone |= (records.at >= begin) & (records.at < end)
        return records.take(~gone)

    call.points[0].effects.append(dropped)
    call.run()
    return Case(call, f"the capture has {len(stretches)} holes of all packets")


def trimmed(rng: Chance, severity: float) -> Case:
    """A capture of pieces of the call: what lies between was cut out of the file."""
    call = draw_call(rng, seconds=(60, 300), reports=True)
    plain_call(call)
    begin = call.media_s + call.seconds * float(rng.uniform(0.1, 0.3))
    end = begin + call.seconds * between(rng, 0.2, 0.6, severity)

    def cut(records: Records, _: Chance) -> Records:
        return records.take((records.at < begin) | (records.at >= end))

    call.points[0].effects.append(cut)
    call.run()
    return Case(call, f"{end - begin:.0f} s were cut out of the file")


def mixed_clocks(rng: Chance, severity: float) -> Case:
    """Two captures by different clocks merged into one: each way has its own."""
    call = draw_call(rng)
    offset = float(rng.choice((-1, 1))) * between(rng, 0.4, 5.0, severity)
    drift = float(rng.normal(0, 30e-6))

    def merged(records: Records, _: Chance) -> Records:
        moved = records.at * (1 + drift) + offset
        return replace(records, at=np.where(records.from_caller, records.at, moved))

    call.points[0].effects.append(merged)
    plain_call(call)
    call.run()
    return Case(call, f"the clocks of both ways differ by {offset:+.2f} s", facts={"offset_s": offset})


def restart(rng: Chance, severity: float) -> Case:
    """A sender that begins anew during the call, with another source and other numbers, and loses nothing."""
    call = draw_call(rng)
    call.invite()
    call.both_talk()
    side: Side = SIDES[int(rng.integers(2))]
    count = 1 + round(3 * severity)
    for at, _ in share_of(rng, call, 0.01, count):
        call.voices[side] = restarted(rng, call.voices[side], at)
    call.hang_up()
    call.run()
    return Case(call, f"{side}'s stream begins anew {count} times")


def restarted(rng: Chance, voice: Voice, at: float) -> Voice:
    """A voice whose source is another from a time on."""
    late = voice.sent_s >= at
    if not late.any():
        return voice
    ssrc = np.where(late, rng.integers(1, 1 << 32), voice.ssrc).astype(np.uint32)
    marker = voice.marker.copy()
    marker[np.argmax(late)] = True
    jump, step = int(rng.integers(1 << 14)), int(rng.integers(1 << 30))
    sequence = np.where(late, voice.sequence + 7000 + jump, voice.sequence)
    timestamp = np.where(late, voice.timestamp + step, voice.timestamp)
    return replace(voice, ssrc=ssrc, marker=marker, sequence=sequence, timestamp=timestamp)


def hold(rng: Chance, severity: float, *, from_start: bool = False) -> Case:
    """A side puts the call on hold and takes it back: nobody sends meanwhile, as agreed."""
    call = draw_call(rng, seconds=(50, 300))
    call.invite()
    side: Side = SIDES[int(rng.integers(2))]
    begin = call.media_s + call.seconds * float(rng.uniform(0.2, 0.4))
    end = begin + call.seconds * between(rng, 0.15, 0.5, severity)
    music = bool(rng.random() < 0.4)
    if from_start:
        begin, end, music = call.media_s + 1.5, call.ended_s - 2, True
    direction, reply = ("sendonly", "recvonly") if music else ("inactive", "inactive")
    own, peer = call.media(side), call.media(other(side))
    held = call.reinvite(
        side, begin, replace(own, direction=direction, version=2), replace(peer, direction=reply, version=2)
    )
    back = call.reinvite(side, end, replace(own, version=3), replace(peer, version=3))
    for who in SIDES:
        voice = call.talk(who)
        if who == side and direction == "sendonly":
            continue
        quiet = (voice.sent_s > held) & (voice.sent_s < back)
        call.voices[who] = voice.take(~quiet).renumbered()
    call.hang_up()
    call.run()
    return Case(call, f"{side} holds the call for {end - begin:.0f} s ({direction})")


def fax(rng: Chance, _severity: float) -> Case:
    """A fax: audio until a re-INVITE changes to T.38, and then none."""
    call = draw_call(rng, codecs=("pcmu", "pcma"), dtx=False, seconds=(40, 200))
    call.invite()
    at = call.answered_s + float(rng.uniform(5, 9))
    own, peer = (call.media(side) for side in ("called", "caller"))
    changed = call.reinvite(
        "called", at, replace(own, image=True, version=2), replace(peer, image=True, version=2)
    )
    for side in SIDES:
        call.talk(side, end_s=at)
        _pages(call, side, changed + 0.2)
    call.hang_up()
    call.run()
    return Case(call, "a fax that changes to T.38")


def _pages(call: Call, side: Side, begin: float) -> None:
    """UDPTL from the RTP's port, without redundancy (ITU-T T.38, 9.1 and its annex A)."""
    rng, position = call.rng, call.points[0].position
    route: Route = call.usual_route(side)(position)
    device = call.devices[side]
    size = 46 if side == "caller" else 6
    step = 0.04 if side == "caller" else 0.4
    at, number = begin, 0
    while at < call.ended_s - 1:
        # One field of page data, at 14,400 bit/s by V.17.
        facsimile = bytes([0xD0, 0x01, 0xE0, 0x00, size - 1]) + rng.bytes(size)
        body = number.to_bytes(2, "big") + bytes([len(facsimile)]) + facsimile + b"\0\0"
        marks = {"dscp": device.talker.dscp, "ttl": device.ttl - call.hops(side, position)}
        packet = udp_packet(route, body, ip_id=int(rng.integers(65536)), **marks)
        call.extras.append((position, at + call.way_s(side, position), packet, side))
        at, number = at + step, number + 1


KINDS: dict[str, Callable[[Chance, float], Case]] = {
    "mirrored": mirrored,
    "holes": holes,
    "trimmed": trimmed,
    "mixed-clocks": mixed_clocks,
    "restart": restart,
    "hold": hold,
    "fax": fax,
}
