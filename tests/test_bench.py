"""What measurements work out of what they heard."""

from __future__ import annotations

import numpy as np
import pytest

from bench import lossy


@pytest.mark.parametrize("seed", range(6))
def test_a_piece_is_found_although_a_buffer_grew_within_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    second = lossy.RATE
    piece = rng.normal(0, 0.1, lossy.PIECE_S * second).astype(np.float32)
    lead = piece[-lossy.LEAD_S * second :]
    silence, grown = np.zeros(2 * second, np.float32), np.zeros(lossy.FRAME, np.float32)
    parts = [
        part for begin in range(0, len(piece), 2 * second) for part in (grown, piece[begin:][: 2 * second])
    ]
    heard = np.concatenate((silence, lead, *parts, silence))

    found = lossy.aligned(heard, np.concatenate((lead, piece)))

    # What is said first is the end as well: heard in one piece, it must not be taken for it.
    np.testing.assert_array_equal(found[lossy.FRAME : second], piece[: second - lossy.FRAME])
