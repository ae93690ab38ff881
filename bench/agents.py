"""How many calls the agents of one process carry: half of them call, half answer, all speak and listen."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator

from ringback.agent import Call, Station, UserAgent
from ringback.quality.tones import make_tones, tone_levels

STEPS = (100, 250, 500, 1_000)
"""Legs; two a call."""
APART_S = 0.01
TALK_S = 10.0
TONE_HZ = 440.0
CLEAN_DBFS = -13.0
"""The tone is sent at -12 dBFS: who hears it softer has gaps."""


def measure() -> Iterator[str]:
    """Steps up to the first at which somebody does not hear the whole tone; one process, PCMU, loopback."""
    for legs in STEPS:
        clean, line = asyncio.run(_step(legs))
        yield line
        if not clean:
            break


async def _step(legs: int) -> tuple[bool, str]:
    async with Station(bind="127.0.0.1") as here, Station(bind="127.0.0.1") as there:
        target = f"sip:b@127.0.0.1:{there.port}"
        caller = UserAgent(f"sip:a@127.0.0.1:{here.port}", station=here, codecs=["PCMU"])
        called = UserAgent(target, station=there, codecs=["PCMU"])
        async with caller, called:
            began = time.monotonic()
            calls = await asyncio.gather(*(_connect(caller, called, target, i) for i in range(legs // 2)))
            took_s = time.monotonic() - began
            sides = [side for call in calls for side in call]
            tone = make_tones(16_000, 1, [TONE_HZ])
            await asyncio.gather(*(side.play(tone, loop=True, wait=False) for side in sides))
            await asyncio.sleep(1)
            busy, began = time.process_time(), time.monotonic()
            heard = await asyncio.gather(*(side.record(TALK_S) for side in sides))
            cores = (time.process_time() - busy) / (time.monotonic() - began)
            levels = [float(tone_levels(each.samples, each.rate, [TONE_HZ])[0]) for each in heard]
            await asyncio.gather(*(call.hangup() for call, _ in calls))
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    clean = min(levels) > CLEAN_DBFS
    return clean, (
        f"{legs} legs: {cores:.2f} of a core, {memory_mb:.0f} MB, set up in {took_s:.1f} s, "
        f"tone at {min(levels):.1f} to {max(levels):.1f} dBFS{'' if clean else ': NOT clean'}"
    )


async def _connect(caller: UserAgent, called: UserAgent, target: str, i: int) -> tuple[Call, Call]:
    await asyncio.sleep(i * APART_S)
    call = await caller.call(target)
    other = await called.next_call(timeout_s=30)
    await other.answer()
    await call.answered()
    return call, other
