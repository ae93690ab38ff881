"""Whatever is pressed, whenever: nothing breaks, nothing is heard without the PIN, nothing is left behind."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ringback.routing.steps import Outcome
from tests.voicemail.counter import PIN, Caller, Counter

KEYS = "0123456789*#"
ACTS = st.one_of(
    st.sampled_from(KEYS),
    st.sampled_from(["hear", "hear", "speak", "silent", "wait", "long"]),
)


def go_through(counter: Counter, caller: Caller, acts: list[str]) -> None:
    for act in acts:
        if caller.gone:
            break
        if act in KEYS:
            caller.press(act)
        elif act == "hear":
            if caller.leg.playing is not None:
                caller.listen()
        elif act in ("speak", "silent"):
            for listener, _ in list(counter.recording.values()):
                listener.speaking(act == "speak", counter.now)
        else:
            counter.wait(2.5 if act == "wait" else 40.0)
    caller.hang_up()
    counter.settle()


def check_nothing_is_left(counter: Counter) -> None:
    assert not counter.recording
    assert counter.box_now is not None
    kept = {message.id for message in counter.kept}
    greetings = {voice.id for voice in counter.box_now.greetings.values()} | counter.replaced
    dropped = set(counter.dropped)
    assert len(dropped) == len(counter.dropped)
    assert set(counter.callers) == kept | greetings | dropped
    assert not dropped & (kept | greetings)


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTS, max_size=25), st.booleans())
def test_whoever_leaves_a_message(acts: list[str], operator: bool) -> None:
    counter = Counter()
    if operator:
        assert counter.box_now is not None
        counter.box_now = replace(counter.box_now, operator="extension:1000")
    go_through(counter, counter.caller(Outcome.BUSY), acts)
    check_nothing_is_left(counter)
    assert len(counter.kept) <= 1
    assert all(1_500 <= message.voice.length_ms <= 180_000 for message in counter.kept)


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTS, max_size=30))
def test_whoever_has_the_pin(acts: list[str]) -> None:
    counter = Counter()
    for name in ("one", "two"):
        counter.callers[name] = counter.message(name).caller
    gone = counter.gone
    go_through(counter, counter.holder().press(PIN + "#"), acts)
    counter.dropped += [name for name in ("one", "two") if name in gone]
    check_nothing_is_left(counter)


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTS, max_size=30), st.booleans())
def test_whoever_has_not(acts: list[str], asks_for_the_mailbox: bool) -> None:
    counter = Counter()
    counter.message("one")
    holder = counter.holder(None if asks_for_the_mailbox else "1001", own=False)
    go_through(counter, holder, acts)
    assert not any(isinstance(command, tuple) for command in counter.commands)
    assert [message.state for message in counter.kept] == ["new"]
