"""Nobody hears themselves, at any rate, muted or not; who wants an echo hears one, not two."""

from __future__ import annotations

import pytest

from ringback.media.protocol import Codec, SetVoice
from tests.media.world import Peer, World

LEVEL = -13.98
OWN, OTHER = 440.0, 1000.0


@pytest.mark.parametrize("others", ["PCMU", "OPUS"])
@pytest.mark.parametrize("codec", ["PCMA", "G722", "OPUS"])
def test_what_one_hears_of_oneself(codec: Codec, others: Codec) -> None:
    world = World()
    one = world.add(Peer(1, codec, OWN))
    other = world.add(Peer(2, others, OTHER))
    silent = world.add(Peer(3, others, amplitude=0.0))
    for voice, itself, by_others in (
        (SetVoice(leg=1), False, True),
        (SetVoice(leg=1, muted=True), False, False),
        (SetVoice(leg=1, echo=True), True, True),
        (SetVoice(leg=1, echo=True, muted=True), True, False),
        (SetVoice(leg=1, echo=True, deaf=True), True, True),
        (SetVoice(leg=1), False, True),
    ):
        world.apply(voice)
        world.run(1.6)
        heard = one.level(OWN)
        assert (heard == pytest.approx(LEVEL, abs=1.5)) if itself else (heard < -40), voice
        for listener in (other, silent):
            heard = listener.level(OWN)
            assert (heard == pytest.approx(LEVEL, abs=1.5)) if by_others else (heard < -40), voice
        assert other.level(OTHER) < -40
        heard = one.level(OTHER)
        assert (heard < -40) if voice.deaf else (heard == pytest.approx(LEVEL, abs=1.5)), voice
