"""Ten seconds of a flood from everywhere: who talks hears no gap, who calls gets through, memory stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.wire.flood import under_flood
from tests.wire.server import RingbackServer

pytestmark = [pytest.mark.wire, pytest.mark.alone]


def test_a_flood_of_datagrams_is_not_heard(
    make_server: Callable[..., RingbackServer], measured: Callable[[str], None]
) -> None:
    seen = under_flood(make_server(limits=True), 10.0)
    measured(
        f"{seen.datagrams / seen.seconds:.0f} datagrams/s: lost {seen.lost_to_phone:.2%} to the phones, "
        f"{seen.lost_to_server:.2%} to the server; {seen.connected} of {seen.called} calls; "
        f"PSS {seen.pss_kb[0] / 1024:.0f} to {max(seen.pss_kb) / 1024:.0f} MB"
    )
    assert seen.datagrams > 10_000, "the flood was none"
    assert seen.lost_to_phone < 0.005
    assert seen.lost_to_server < 0.005
    assert seen.connected_share >= 0.99, seen.failures
    assert max(seen.pss_kb) - seen.pss_kb[0] < 60_000
