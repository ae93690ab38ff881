"""Calls in order, drawn at random: codecs, clocks, delays, addresses, marking, place of the capture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ringback.testing.captures.call import SIDES, Call, Device, Point, Side
from ringback.testing.captures.file import Link
from ringback.testing.captures.hops import Hop, Line
from ringback.testing.captures.voice import CODECS, Chance, Codec, Talker

POSITIONS = {"near-caller": 0, "middle": 1, "near-called": 2}
_CODEC_SHARES = {"pcmu": 0.3, "pcma": 0.25, "g722": 0.15, "opus": 0.15, "g729": 0.15}
_PTIMES = (20, 20, 20, 20, 20, 20, 20, 30, 30, 10, 40)
_PRODUCTS = ("Example Phone 7.2", "Example Desk 4.1.0", "Softphone/3.9", "Example SBC 12", "Handset-200 1.8")
_FORMS = ("pcap", "pcap", "pcap-ns", "pcapng")


@dataclass(frozen=True, slots=True)
class Case:
    """A call made bad, what was done to it, and which other causes say the same of it."""

    call: Call
    description: str
    also: frozenset[str] = frozenset()
    complaint_s: tuple[float, float] | None = None
    facts: dict[str, float] = field(default_factory=dict)


def between(rng: Chance, mild: float, severe: float, severity: float, spread: float = 0.2) -> float:
    """A figure that grows with the severity, some part of it by chance."""
    low, high = min(mild, severe), max(mild, severe)
    value = mild + (severe - mild) * min(1.0, max(0.0, severity + rng.uniform(-spread, spread)))
    return float(min(high, max(low, value)))


def pick_codec(rng: Chance, names: Sequence[str] = ()) -> Codec:
    """One of the codecs, G.711 oftener than others."""
    known = [name for name in _CODEC_SHARES if not names or name in names]
    weights = np.array([_CODEC_SHARES[name] for name in known])
    return CODECS[known[int(rng.choice(len(known), p=weights / weights.sum()))]]


def draw_call(
    rng: Chance,
    *,
    seconds: tuple[float, float] = (30, 300),
    codecs: Sequence[str] = (),
    positions: Sequence[str] = ("near-caller", "middle", "near-called"),
    marked: bool | None = None,
    dtx: bool | None = None,
    reports: bool | None = None,
) -> Call:
    """A call without fault. `marked` tells whether voice has DSCP EF and SIP CS3; where it is not given, a
    softphone that marks nothing may talk to a device that does."""
    length = math.exp(rng.uniform(math.log(seconds[0]), math.log(seconds[1])))
    codec = pick_codec(rng, codecs)
    ptime = 20 if codec.name == "opus" else int(rng.choice(_PTIMES))
    silent = bool(rng.random() < 0.2) if dtx is None else dtx
    is_marked = bool(rng.random() < 0.75) if marked is None else marked
    softphone = SIDES[int(rng.integers(2))] if marked is None and rng.random() < 0.15 else None
    position = POSITIONS[str(rng.choice(list(positions)))]
    devices = dict(zip(SIDES, _addresses(rng, position), strict=True))
    for side, device in devices.items():
        device.talker = Talker(
            codec=codec,
            ptime_ms=ptime,
            dtx=silent,
            level_db=float(rng.uniform(-27, -18)),
            noise_db=float(rng.uniform(-70, -58)),
            skew_ppm=float(rng.normal(0, 8)),
            device_jitter_s=float(rng.uniform(0.00003, 0.0006)),
            dscp=46 if is_marked and side != softphone else 0,
        )
        device.sip_dscp = 24 if is_marked and side != softphone else 0
        devices[side] = device
    stages: dict[Side, list[list[Hop]]] = {"caller": [[], [], [], []], "called": [[], [], [], []]}
    for stage in range(4):
        edge = stage in (0, 3)
        delay = float(rng.uniform(0.0002, 0.0015) if edge else rng.uniform(0.001, 0.022))
        hops = int(rng.integers(0, 2) if edge else rng.integers(2, 7))
        for side in SIDES:
            jitter = float(rng.uniform(0.00002, 0.0001) if edge else rng.uniform(0.00005, 0.0006))
            stages[side][stage].append(Line(delay * float(rng.uniform(0.9, 1.1)), jitter, hops))
    every = float(rng.uniform(4, 6)) if (rng.random() < 0.85 if reports is None else reports) else None
    return Call(
        rng=rng,
        epoch_ns=1_750_000_000_000_000_000 + int(rng.integers(40_000_000_000)) * 1_000_000,
        seconds=float(length),
        devices=devices,
        stages=stages,
        points=[Point(_name(position), position, str(rng.choice(_FORMS)))],
        link=_link(rng),
        reports_every_s=every,
        keys=int(rng.integers(1, 8)) if rng.random() < 0.12 else 0,
    )


def _name(position: int) -> str:
    return next(name for name, value in POSITIONS.items() if value == position)


def _link(rng: Chance) -> Link:
    near, far = (b"\x02" + rng.bytes(5) for _ in range(2))
    if rng.random() < 0.25:
        return Link(near, far, vlan=int(rng.integers(2, 4000)), priority=5)
    return Link(near, far)


def _addresses(rng: Chance, position: int) -> tuple[Device, Device]:
    def device(address: str, sip_address: str, user: str) -> Device:
        return Device(
            address=address,
            sip_address=sip_address,
            user=user,
            product=str(rng.choice(_PRODUCTS)),
            rtp_port=int(rng.integers(5000, 30000)) * 2,
            talker=Talker(CODECS["pcmu"]),
            ttl=int(rng.choice((64, 64, 64, 128, 255))),
            ip_id_counts=bool(rng.random() < 0.8),
            dont_fragment=bool(rng.random() < 0.4),
        )

    users = [f"+1555{rng.integers(1000000, 9999999)}", f"{rng.integers(100, 9999)}"]
    if rng.random() < 0.5:
        near = f"10.{rng.integers(1, 120)}.{rng.integers(256)}.{rng.integers(2, 250)}"
        far = f"10.{rng.integers(121, 250)}.{rng.integers(256)}.{rng.integers(2, 250)}"
    elif rng.random() < 0.4 and position == 0:
        # Inside of the caller's own NAT; who is called answers to where packets come from.
        near, far = f"192.168.{rng.integers(256)}.{rng.integers(2, 250)}", f"203.0.113.{rng.integers(2, 250)}"
    else:
        near, far = f"198.51.100.{rng.integers(2, 250)}", f"203.0.113.{rng.integers(2, 250)}"
    first = device(near, near, users[1])
    signalled = far if rng.random() < 0.6 else far.rpartition(".")[0] + f".{rng.integers(251, 255)}"
    return first, device(far, signalled, users[0])


def upstream(call: Call) -> Side:
    """A side whose packets come over the long way before they pass the point."""
    position = call.points[0].position
    if position == 1:
        return SIDES[int(call.rng.integers(2))]
    return "called" if position == 0 else "caller"


def stage_before(call: Call, side: Side, *, distance: int = 0) -> list[Hop]:
    """The stage of the long way that a side's packets pass just before the point (or one further back)."""
    position = call.points[0].position
    stage = position - distance if side == "caller" else position + 1 + distance
    return call.stages[side][min(2, max(1, stage))]


def change_talker(call: Call, side: Side, **changes: object) -> None:
    """Give a side's device other habits."""
    device = call.devices[side]
    device.talker = replace(device.talker, **changes)  # type: ignore[arg-type]


def share_of(rng: Chance, call: Call, share: float, parts: int) -> list[tuple[float, float]]:
    """So many stretches within the talk that together are a share of it, at random places."""
    begin, length = call.media_s + 2, call.seconds - 4
    cell = length / parts
    stretches = []
    for part in range(parts):
        size = cell * share * float(rng.uniform(0.8, 1.2))
        at = begin + part * cell + float(rng.uniform(0, max(0.01, cell - size)))
        stretches.append((at, min(at + size, begin + (part + 1) * cell)))
    return stretches


def lost_at_point(call: Call, side: Side) -> int:
    """How many packets of a side the point missed between the first and the last that it saw."""
    row = _seen_rows(call, side)
    return int(row.max() - row.min() + 1 - len(np.unique(row))) if len(row) else 0


def spread_s(call: Call, side: Side, share: float = 99.5) -> float:
    """How far the delay of a side's packets at the point goes above its floor."""
    traffic, voice = call.seen[side, call.points[0].position], call.voices[side]
    mine = traffic.row < len(voice)
    if not mine.any():
        return 0.0
    delay = traffic.at[mine] - voice.sent_s[traffic.row[mine]]
    low, high = np.percentile(delay, [0.5, share])
    return float(high - low)


def _seen_rows(call: Call, side: Side) -> np.ndarray:
    traffic = call.seen[side, call.points[0].position]
    return traffic.row[traffic.row < len(call.voices[side])]
