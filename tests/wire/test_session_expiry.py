"""Sessions are refreshed by what the other side takes, and calls go on (RFC 4028 section 10)."""

from __future__ import annotations

import re
import time

import pytest

from tests.wire.long_calls import AGREED, LongCalls

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.long]
PATIENCE_S = 60


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_sipp_is_refreshed_by_the_method_that_it_takes(long_calls: LongCalls, method: str) -> None:
    run = long_calls.runs[method]
    run.finish(PATIENCE_S)
    described = re.findall(r"^o=- (\d+) (\d+)", run.messages(), re.M)
    ours = [each for each in described if each[0] != "1"]
    assert len(ours) == (1 if method == "UPDATE" else 2)
    assert len(set(ours)) == 1, "the session is described as before"


def test_baresip_and_linphone_go_on_after_a_refresh(long_calls: LongCalls) -> None:
    ways = {"INVITE": long_calls.baresip, "UPDATE": long_calls.linphone}
    deadline = time.monotonic() + PATIENCE_S
    for method, phone in ways.items():
        refresh = re.compile(rf"^{method} sip:.*?\r?\n\r?\n", re.M | re.S)
        while not any(AGREED in each for each in refresh.findall(phone.log())):
            assert time.monotonic() < deadline, f"{phone.name} was not refreshed by {method}"
            time.sleep(0.2)
    # Whoever does not know the call any more would say so within a moment.
    time.sleep(1)
    assert not long_calls.baresip.has_event("CALL_CLOSED")
    after = long_calls.linphone.said
    long_calls.baresip.hang_up()
    long_calls.linphone.expect("ended", after=after)
