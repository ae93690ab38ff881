"""Key sequences: what is held back, for how long, and what reaches the other side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringback.call.keys import SEQUENCES, Act, Keyed, SequenceKeys


def test_a_sequence_is_kept_from_the_other_side() -> None:
    keys = SequenceKeys(SEQUENCES)
    assert keys.receive("5", 0) == Keyed(None, "5")
    assert keys.receive("#", 0) == Keyed(None)
    assert keys.receive("#", 1) == Keyed(Act.BLIND_TRANSFER)
    assert keys.receive("*", 2) == Keyed(None)
    assert keys.receive("2", 3) == Keyed(Act.ATTENDED_TRANSFER)


def test_what_becomes_of_a_beginning_that_comes_to_nothing() -> None:
    keys = SequenceKeys(SEQUENCES, wait_s=1.5)
    assert keys.receive("*", 0) == Keyed(None)
    assert keys.receive("9", 1) == Keyed(None, "*9")
    # A new sequence may begin where another one broke.
    assert keys.receive("#", 2) == Keyed(None)
    assert keys.receive("*", 2) == Keyed(None, "#")
    assert keys.receive("0", 2) == Keyed(Act.BACK)
    assert keys.receive("#", 3) == Keyed(None)
    assert keys.expire(4.4) == Keyed(None)
    assert keys.expire(4.5) == Keyed(None, "#")
    assert keys.expire(9) == Keyed(None)


def test_the_longer_of_two_sequences_is_waited_for() -> None:
    keys = SequenceKeys({"*": Act.HOLD, "*1": Act.PARK}, wait_s=1)
    assert keys.receive("*", 0) == Keyed(None)
    assert keys.expire(1) == Keyed(Act.HOLD)
    keys.receive("*", 2)
    assert keys.receive("1", 2.5) == Keyed(Act.PARK)


@given(st.text("0123456789*#ABCD", max_size=20), st.sets(st.text("*#12", min_size=1, max_size=3)))
def test_no_key_is_lost_or_passed_on_twice(pressed: str, sequences: set[str]) -> None:
    keys = SequenceKeys(dict.fromkeys(sequences, Act.PARK))
    seen, acts = "", 0
    for digit in pressed:
        act, passed_on = keys.receive(digit, 0)
        seen += passed_on
        acts += act is not None
    act, passed_on = keys.expire(10)
    seen += passed_on
    acts += act is not None
    assert not keys.held
    if not acts:
        assert seen == pressed
    assert all(seen.count(one) <= pressed.count(one) for one in set(pressed))
