"""The delay follows what packets need: up with the second that is late, down when the need has passed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ringback.media import delay as delay_module
from ringback.media.delay import MOST_TICKS, WINDOW_TICKS, Delay

from .plain_buffer import PlainDelay

ONE = np.array([0])


def note(delay: Delay, due: int, frame: int, leg: int = 0) -> None:
    delay.note(np.array([leg]), np.array([due]), np.array([frame]))


def second(delay: Delay, tick: int) -> None:
    if tick % WINDOW_TICKS == 0:
        delay.rotate()
        delay.aim(ONE, only_down=True)


def begun(capacity: int = 1) -> Delay:
    delay = Delay(capacity)
    legs = np.arange(capacity)
    delay.begin(legs, np.zeros(capacity, np.int64), np.zeros(capacity, np.int64))
    return delay


def test_the_plain_delay_agrees() -> None:
    line = random.Random(3)
    for spread in (0, 1, 3, 6, 12):
        delay, plain = begun(), PlainDelay()
        plain.wanted = 0
        for tick in range(1, 600):
            for frame in range(line.choice([0, 1, 1, 1, 3])):
                lateness = line.randint(0, spread) if line.random() < 0.2 else 0
                note(delay, tick, tick - lateness - frame)
                plain.note(tick, tick - lateness - frame)
                assert delay.wanted[0] == plain.wanted
            if tick % WINDOW_TICKS == 0:
                delay.rotate()
                delay.aim(ONE, only_down=True)
                plain.second()
        assert delay.wanted[0] == plain.wanted


def test_one_late_packet_is_chance_and_two_are_not() -> None:
    delay = begun()
    for tick in range(1, 100):
        note(delay, tick, tick)
    note(delay, 100, 97)
    assert delay.wanted[0] == 0
    note(delay, 120, 117)
    assert delay.wanted[0] == 3


def test_packets_held_up_together_are_one_misfortune() -> None:
    delay = begun()
    for tick in range(1, 50):
        note(delay, tick, tick)
    for frame in range(50, 56):
        note(delay, 55, frame)
    assert delay.wanted[0] == 0
    for tick in range(56, 80):
        note(delay, tick, tick)
    for frame in range(80, 86):
        note(delay, 85, frame)
    assert delay.wanted[0] == 5


def test_it_falls_within_five_seconds_of_calm() -> None:
    delay, line = begun(), random.Random(1)
    for tick in range(1, 1000):
        note(delay, tick, tick - line.choice([0, 0, 4]))
        second(delay, tick)
    assert delay.wanted[0] == 4
    for tick in range(1000, 1251):
        note(delay, tick, tick)
        second(delay, tick)
    assert delay.wanted[0] == 0


def test_a_pause_is_no_experience() -> None:
    delay, line = begun(), random.Random(1)
    for tick in range(1, 250):
        note(delay, tick, tick - line.choice([0, 3]))
    for _ in range(20):
        delay.rotate()
        delay.aim(ONE, only_down=True)
    assert delay.wanted[0] == 3


def test_it_is_200_ms_at_most() -> None:
    delay = begun()
    for tick in range(1, 250):
        note(delay, tick, tick - (15 if tick % 10 == 0 else 0))
    assert delay.wanted[0] == MOST_TICKS


def test_a_clock_that_stood_still_is_followed() -> None:
    delay = begun()
    for tick in range(1, 250):
        second(delay, tick)
        note(delay, tick, tick - (2 if tick % 10 == 0 else 0))
    for tick in range(250, 330):
        second(delay, tick)
        note(delay, tick, tick - 150)
    assert 150 <= delay.wanted[0] <= 152


def test_a_new_stream_keeps_what_the_way_needs() -> None:
    delay = begun(2)
    for tick in range(1, 250):
        for leg in (0, 1):
            note(delay, tick, tick - (3 if tick % 10 == leg == 0 else 0), leg)
    assert delay.wanted.tolist() == [3, 0]
    delay.begin(np.arange(2), np.array([300, 300]), np.array([7, 1000]))
    assert delay.wanted.tolist() == [296, -700]
    for tick in range(301, 400):
        note(delay, tick, tick - 293)
        note(delay, tick, tick + 700, 1)
    assert delay.wanted.tolist() == [296, -700]


def test_legs_do_not_mix() -> None:
    delay = begun(3)
    for tick in range(1, 100):
        late = 2 if tick % 5 == 0 else 0
        delay.note(np.array([0, 2]), np.array([tick, tick]), np.array([tick, tick - late]))
    assert delay.wanted.tolist() == [0, 0, 2]
    delay.grow(6)
    assert delay.wanted.tolist() == [0, 0, 2, 0, 0, 0]


def test_aiming_is_the_same_compiled_and_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    if delay_module.kernels is None:
        pytest.skip("the engine's loops are not compiled here")
    chance = np.random.default_rng(4)
    for turn in range(60):
        compiled, plain = Delay(50), Delay(50)
        shape = compiled.counts.shape
        counts = chance.integers(0, 60, shape) * (chance.random(shape) < chance.choice([0.01, 0.1, 0.9]))
        wanted = chance.integers(-1000, 1000, 50)
        legs = np.flatnonzero(chance.random(50) < 0.7)
        for one in (compiled, plain):
            one.counts[:], one.wanted[:] = counts, wanted
        only_down = bool(turn % 2)
        compiled.aim(legs, only_down)
        with monkeypatch.context() as patch:
            patch.setattr(delay_module, "kernels", None)
            plain.aim(legs, only_down)
        np.testing.assert_array_equal(compiled.wanted, plain.wanted, err_msg=str(turn))
