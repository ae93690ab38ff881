"""Passages are cut and compared alike by the compiled loops and by the plain code."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media import passages


@pytest.fixture(params=[True, False], ids=["compiled", "plain"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(passages, "kernels", None)


@pytest.mark.usefixtures("either")
def test_a_passage_begins_where_it_is_asked_for_and_goes_on_with_the_last_sample() -> None:
    sound = np.arange(12, dtype=np.float32).reshape(3, 4)
    cut = passages.passages(sound[:, ::-1], np.array([1, -2, 3]), 3)
    assert cut.tolist() == [[2, 1, 0], [7, 7, 7], [8, 8, 8]]
    beyond = passages.passages(sound, np.array([-9, 9, 2]), 3)
    assert beyond.tolist() == [[0, 0, 0], [7, 7, 7], [10, 11, 11]]
    assert passages.passages(sound[:0], np.zeros(0, np.int64), 3).shape == (0, 3)


@pytest.mark.usefixtures("either")
def test_a_sound_is_most_like_a_passage_where_it_was_cut() -> None:
    random = np.random.default_rng(1)
    sound = random.standard_normal((5, 90)).astype(np.float32)
    starts = np.array([0, 7, 30, 44, 50])
    product, energy = passages.correlations(sound, passages.passages(sound, starts, 40))
    assert product.shape == energy.shape == (5, 51)
    assert (product / np.sqrt(energy)).argmax(axis=1).tolist() == starts.tolist()
    for row, start in enumerate(starts.tolist()):
        assert product[row, start] == pytest.approx(energy[row, start], rel=1e-5)
    expected = [
        [float(np.dot(row[lag : lag + 40], row[lag : lag + 40])) for lag in range(51)] for row in sound
    ]
    np.testing.assert_allclose(energy, expected, rtol=1e-5)


@pytest.mark.usefixtures("either")
def test_of_silence_there_is_no_energy() -> None:
    # Loud before: what is taken away again leaves nothing behind.
    sound = np.concatenate((np.ones((1, 40)), np.zeros((1, 80))), axis=1).astype(np.float32)
    _, energy = passages.correlations(sound, np.ones((1, 20), np.float32))
    assert energy[0, 40:].tolist() == [0.0] * 61
    assert (energy >= 0).all()


@pytest.mark.parametrize("every", [1, 2, 3])
def test_neighbours_are_added(every: int) -> None:
    sound = np.arange(12, dtype=np.float32).reshape(1, 12)
    assert passages.thinned(sound, every).tolist() == sound.reshape(1, -1, every).sum(axis=2).tolist()
