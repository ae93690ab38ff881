"""Who is heard, decided by the compiled loops and by the plain code alike."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from ringback.media import attention, hearing, in_band, jitter_buffer, playout, sending
from ringback.media.protocol import JoinRoom, LeaveRoom, SetVoice, Whisper
from tests.media.test_usual import CODECS, expect_equal, trouble, troubled
from tests.media.world import Peer, World


def stir(world: World, tick: int, denoise: bool) -> None:
    """What people do besides talking: the same in every world of the same seed."""
    chance = world.random
    leg = 1 + tick % len(CODECS)
    if tick % 13 == 0:
        flags = {name: chance.random() < 0.3 for name in ("muted", "deaf", "echo", "agc")}
        suppressed = denoise and chance.random() < 0.5
        world.apply(SetVoice(leg=leg, denoise=suppressed, gain_db=chance.choice([0, 3]), **flags))
    if tick % 71 == 0:
        world.apply(Whisper(leg=leg, target=chance.choice([None, 1 + leg % len(CODECS)])))
    if tick % 43 == 0:
        world.apply(LeaveRoom(leg=leg))
    if tick % 43 == 7:
        world.apply(JoinRoom(leg=1 + (tick - 7) % len(CODECS), room=chance.choice([1, 2])))
    if tick % 29 == 0:
        one = world.peers[leg]
        one.amplitude = chance.choice([0.0, 0.001, 0.1, 1.0])


def remembered(world: World) -> dict[str, np.ndarray]:
    voices = world.engine.voices
    parts = {"attention": voices._attention, "ears": voices.in_band._ears, "playout": voices._narrow}
    found = {
        f"{name}.{column}": getattr(part, column) for name, part in parts.items() for column in part.SPEC
    }
    return found | {f"gate.{name}": column for name, column in voices.gate._columns()}


@pytest.mark.parametrize("denoise", [False, True])
@pytest.mark.parametrize("module", [attention, hearing, in_band, jitter_buffer, playout, sending])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_ways_hear_the_same(
    seed: int, module: ModuleType, denoise: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if attention.kernels is None:
        pytest.skip("the engine's loops are not compiled here")
    compiled, plain = troubled(seed), troubled(seed)
    for world in (compiled, plain):
        # They may press keys as tones.
        for leg, codec in ((21, "PCMU"), (22, "PCMA"), (23, "G722")):
            world.add(Peer(leg, codec), telephone_event=None)  # type: ignore[arg-type]
    for tick in range(1, 400):
        for world in (compiled, plain):
            trouble(world, tick)
            stir(world, tick, denoise)
        compiled.tick()
        with monkeypatch.context() as patch:
            patch.setattr(module, "kernels", None)
            plain.tick()
        expect_equal(compiled, plain, tick)
        others = remembered(plain)
        for name, column in remembered(compiled).items():
            np.testing.assert_array_equal(column, others[name], err_msg=f"{name} at tick {tick}")
    assert compiled.engine.voices._attention.heard.any()


def test_columns_that_grew_are_followed() -> None:
    world = World()
    world.add(Peer(1))
    world.run(0.1)
    for leg in range(2, 80):
        world.add(Peer(leg), room=leg // 4)
    assert world.engine.legs.capacity > 64
    world.run(0.6)
    assert int(world.engine.voices._attention.heard[: len(world.peers)].sum()) > 70
