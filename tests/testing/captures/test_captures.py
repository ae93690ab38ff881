"""Captures with a known cause: read by tshark, the same each time, and bad in the way that they say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ringback.diagnosis.causes.verdict import CAUSES
from ringback.testing.captures import LABELS, PAIRS, LabelledCapture, make, make_pair
from ringback.testing.captures.make import Model, finished
from ringback.testing.captures.models import artefacts, setup
from tests.testing.captures import tshark


@pytest.fixture(autouse=True)
def _tshark() -> None:
    if shutil.which("tshark") is None:
        pytest.fail("tshark is missing: scripts/setup test installs it")


def written(capture: LabelledCapture, folder: Path) -> dict[str, Path]:
    paths = {}
    for name, data in capture.points.items():
        paths[name] = folder / f"{name}.pcap"
        paths[name].write_bytes(data)
    return paths


def check_counts(capture: LabelledCapture, folder: Path) -> None:
    for name, path in written(capture, folder).items():
        seen, errors = tshark.streams(path)
        assert errors == "", capture.description
        true = {
            (one.src, one.sport, one.dst, one.dport, one.ssrc): tshark.Stream(
                one.unique + one.duplicates, one.expected - one.unique - one.duplicates
            )
            for one in capture.streams
            if one.point == name
        }
        assert seen == true, capture.description


def test_there_is_a_model_of_every_cause() -> None:
    assert set(LABELS) == {*CAUSES, "none", "refuse"}


@pytest.mark.parametrize("label", LABELS)
def test_tshark_reads_what_was_made_and_counts_the_same(label: str, tmp_path: Path) -> None:
    check_counts(make(label, 7), tmp_path)


KINDS = [*artefacts.KINDS.items(), *setup.ONE_WAY.items()]


@pytest.mark.parametrize(("kind", "model"), KINDS, ids=[kind for kind, _ in KINDS])
def test_each_kind_is_whole(kind: str, model: Model, tmp_path: Path) -> None:
    case = model(np.random.default_rng(5), 0.2)
    check_counts(finished(case, kind, 5, 0.2), tmp_path)


@pytest.mark.parametrize("name", PAIRS)
def test_lookalikes_are_whole_and_of_different_causes(name: str, tmp_path: Path) -> None:
    one, other = make_pair(name, 1, 0.3)
    assert one.label != other.label
    assert make_pair(name, 1, 0.3) == (one, other)
    check_counts(one, tmp_path)


@pytest.mark.parametrize("label", LABELS)
def test_the_same_seed_makes_the_same_octets(label: str) -> None:
    assert make(label, 3, 0.4) == make(label, 3, 0.4)
    assert make(label, 3, 0.4).pcap != make(label, 4, 0.4).pcap


SYMPTOMS: dict[str, Callable[[LabelledCapture], bool]] = {
    "congestion": lambda made: max(one.lost for one in made.streams) >= 4,
    "constant-path-fault": lambda made: max(one.lost for one in made.streams) >= 8,
    "radio": lambda made: max(one.lost for one in made.streams) >= 3,
    "jitter-with-a-small-buffer": lambda made: sum(one.far_lost for one in made.streams) == 0,
    "carrier-or-interconnect": lambda made: made.streams[0].lost == 0 < made.streams[0].far_lost,
    "one-way-media": lambda made: (
        len(made.streams) == 1 or any(one.far_lost == one.sent for one in made.streams)
    ),
    "nat-timeout": lambda made: made.streams[0].lost == 0,
    "none": lambda made: max(one.lost / one.expected for one in made.streams) < 0.002,
}


@pytest.mark.parametrize("label", SYMPTOMS)
def test_the_mildest_has_its_symptom(label: str) -> None:
    wrong = [seed for seed in range(10) if not SYMPTOMS[label](make(label, seed, 0.0))]
    assert not wrong


def test_reports_tell_what_the_far_end_missed(tmp_path: Path) -> None:
    made = make("carrier-or-interconnect", 1, 0.6)
    stream = made.streams[0]
    path = written(made, tmp_path)[stream.point]
    rows = tshark.fields(path, f"rtcp && ip.src == {stream.dst}", "rtcp.ssrc.cum_nr rtcp.ssrc.identifier")
    cumulative = [int(row[0]) for row in rows if row[0]]
    assert cumulative == sorted(cumulative)
    # What was lost after the last report, nobody reported.
    assert stream.far_lost * 0.7 < cumulative[-1] <= stream.far_lost
    assert (stream.lost, stream.expected) == (0, stream.sent)


def test_marks_are_lost_between_two_points() -> None:
    made = next(
        made
        for made in (make("qos-rewritten-at-a-hop", seed, 0.5) for seed in range(30))
        if len(made.points) == 2
    )
    assert list(made.points) == ["near-caller", "near-called"]
    near, far = (one for one in made.streams if one.src == made.streams[0].src)
    assert (near.sent, near.ssrc) == (far.sent, far.ssrc)
    assert near.lost == 0 < far.lost


def test_a_call_is_captured_at_three_places_by_three_clocks(tmp_path: Path) -> None:
    made = make("constant-path-fault", 5, 0.5, everywhere=True)
    assert list(made.points) == ["near-caller", "middle", "near-called"]
    check_counts(made, tmp_path)
    assert sum(name.startswith("clock_") for name in made.facts) == 2
    # What is lost at one place is so at all that come after it, and at none before.
    ways: dict[str, list[int]] = {}
    for one in made.streams:
        ways.setdefault(one.src, []).append(one.lost)
    caller, called = ways.values()
    assert caller == sorted(caller)
    assert called == sorted(called, reverse=True)
    assert caller[-1] + called[0] >= 8


def test_a_refused_complaint_lies_within_the_call() -> None:
    for seed in range(8):
        made = make("refuse", seed)
        assert made.complaint is not None
        begin, end = made.complaint
        assert 0 < end - begin <= 30_000_000_000


def test_an_unknown_cause_is_an_error() -> None:
    with pytest.raises(KeyError):
        make("bad-luck", 1)
