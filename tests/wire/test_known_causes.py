"""Real phones over networks that are bad in a known way: the captures show the symptom of the cause."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ringback.diagnosis import diagnose
from ringback.diagnosis.causes.verdict import Verdict
from tests.testing.captures import tshark
from tests.wire.bad_line import Stream, read, skip_without_wire
from tests.wire.known_causes import NAT_TIMEOUT_S, SERVER, SMALL_MTU, Town, delays_ms
from tests.wire.namespaces import Network, skip_without_namespaces

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.calm, pytest.mark.timeout(400)]
Captures = dict[tuple[str, str], Path]


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captures]:
    """All calls, made once."""
    skip_without_namespaces()
    skip_without_wire()
    with Network() as network, contextlib.ExitStack() as ends:
        yield Town(network, tmp_path_factory.mktemp("causes"), ends).all_calls()


CAUSES = {
    "loss": "constant-path-fault",
    "jitter": "jitter-with-a-small-buffer",
    "crowd": "congestion",
    "wash": "qos-rewritten-at-a-hop",
    "alg": "one-way-media",
    "tunnel": "mtu-or-fragmentation",
    "linphone": "constant-path-fault",
    "forget": "nat-timeout",
}
ONE_OF_SEVERAL = {"flap": "route-flap"}
"""Named, but another may stand before it: phones on a busy machine stall, too (local-side)."""


def verdict(scene: str, captures: Captures) -> Verdict:
    points = {point: [path] for (name, point), path in captures.items() if name == scene}
    one = next(iter(points.values()))
    (call,) = (diagnose([], points=points) if len(points) > 1 else diagnose(one)).calls
    return call.verdict


@pytest.mark.parametrize("scene", CAUSES)
def test_the_cause_is_named(scene: str, captures: Captures) -> None:
    said = verdict(scene, captures)
    assert [cause.cause for cause in said.causes][:1] == [CAUSES[scene]], said


@pytest.mark.parametrize("scene", ONE_OF_SEVERAL)
def test_the_cause_is_among_those_named(scene: str, captures: Captures) -> None:
    said = verdict(scene, captures)
    assert ONE_OF_SEVERAL[scene] in [cause.cause for cause in said.causes], said


def stream_to(path: Path, address: str) -> Stream:
    found = [one for one in read(path).streams if one.destination[0] == address and one.unique > 100]
    assert len(found) == 1, found
    return found[0]


def test_loss(captures: Captures) -> None:
    stream = stream_to(captures["loss", "called"], "10.40.0.2")
    assert 0.02 < 1 - stream.unique / stream.expected < 0.1


def test_jitter(captures: Captures) -> None:
    stream = stream_to(captures["jitter", "called"], "10.40.1.2")
    assert stream.unique == stream.expected == len(stream.sequences)
    low, high = np.percentile(delays_ms(stream.times, 20), [1, 99])
    assert high - low > 50


def test_route_that_changes(captures: Captures) -> None:
    stream = stream_to(captures["flap", "called"], "10.40.2.2")
    assert stream.unique == stream.expected
    # The median of each half second: what single packets do on a busy machine is no part of it.
    delays = delays_ms(stream.times, 20)
    floors = [float(np.median(part)) for part in np.array_split(delays, len(delays) // 25)]
    assert max(floors) - min(floors) == pytest.approx(60, abs=15)


def test_crowded_line(captures: Captures) -> None:
    stream = stream_to(captures["crowd", "called"], "10.40.3.2")
    assert stream.unique < stream.expected


def test_washed_marks(captures: Captures) -> None:
    for point, dscp in (("caller", "46"), ("called", "0")):
        rows = tshark.fields(
            captures["wash", point], "rtp && !icmp && ip.dst == 10.40.4.2", "ip.dsfield.dscp"
        )
        assert {row[0] for row in rows} == {dscp}, point


def test_rewriting_gateway(captures: Captures) -> None:
    path = captures["alg", "called"]
    (invite,) = tshark.fields(path, "sip.Method == INVITE", "sdp.media.port")
    own = stream_to(path, "10.40.5.2")
    assert int(invite[0]) == own.source[1] + 10
    assert tshark.fields(path, "icmp.code == 3 && ip.src == 10.30.5.2", "icmp.code")


def test_small_tunnel(captures: Captures) -> None:
    path = captures["tunnel", "caller"]
    notices = tshark.fields(path, "icmp.type == 3 && icmp.code == 4", "icmp.mtu")
    assert {row[0] for row in notices} == {str(SMALL_MTU)}
    assert len(tshark.fields(path, "ip.flags.mf == 1", "ip.id")) >= 3
    assert not tshark.fields(path, "sip.Status-Code", "sip.Status-Code")


def test_linphone_loses(captures: Captures) -> None:
    stream = stream_to(captures["linphone", "called"], SERVER)
    assert 0.02 < 1 - stream.unique / stream.expected < 0.12


def test_forgetful_nat(captures: Captures) -> None:
    path = captures["forget", "caller"]
    own, peer = stream_to(path, SERVER), stream_to(path, "192.168.30.2")
    pause = own.longest_pause_ms(0)
    assert pause > (NAT_TIMEOUT_S + 5) * 1000
    before = max(at for at, after in zip(own.times, own.times[1:], strict=False) if after - at > 1)
    # The NAT forgot when it should, and the server was not heard until the phone spoke again.
    last = max(at for at in peer.times if at < before + NAT_TIMEOUT_S + 5)
    assert last - before == pytest.approx(NAT_TIMEOUT_S, abs=1)
