"""`ringback route simulate`: the same answer from a running and from a stopped server."""

import pytest


@pytest.fixture(params=["stopped", "running"])
def system(request):
    return request.getfixturevalue("server") if request.param == "running" else None


def test_where_a_call_would_go(ringback, system):
    for number in ("1001", "1002"):
        ringback("extension", "add", number)
    carrier = ("carrier", "192.0.2.1", "--prefix", "+", "--did")
    refused = ringback("trunk", "add", *carrier, "+14155550100=group:sales")
    assert refused.code == 1
    assert refused.err == "ringback: +14155550100 cannot lead to group:sales: there is no group sales\n"
    ringback("trunk", "add", *carrier, "+14155550100=1009")
    moment = ("--at", "2026-12-24 19:00", "--time-zone", "Europe/Berlin")
    out = ringback("route", "simulate", "--from", "1001", "--to", "+14155550100", *moment)
    assert out.out.splitlines() == [
        "1001 calls +14155550100 at 2026-12-24 19:00 (Europe/Berlin)",
        "├── trunk carrier: the number begins with its prefix: goes out by carrier",
        "└── → goes out: +14155550100 by carrier",
    ]
    came = ("--from-trunk", "carrier", "--from", "+442079460018", "--to", "+14155550100")
    nothing = "nothing here has the number that it leads to, and calls by carrier may not go out"
    assert ringback("route", "simulate", *came).out.splitlines()[-2:] == ["", f"! {nothing}"]
    data = ringback("route", "simulate", "--from", "1001", "--to", "1002", *moment, "--json").json
    assert data["at"] == "2026-12-24T19:00:00+01:00"
    assert data["nodes"][0]["step"]["said"] == "rings 1002 for 60 s"
    wrong = ringback("route", "simulate", "--to", "1002", "--at", "tomorrow")
    assert wrong.code == 1
    assert wrong.err.startswith("ringback: at: must be a valid datetime")
