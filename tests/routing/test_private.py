"""Numbers that routing looks at are in nothing that prints itself."""

from __future__ import annotations

from ringback.governance.private import Private
from ringback.routing.outbound import WayOut
from ringback.routing.steps import Asked, GoOut, Ring, Round
from ringback.store.plan.target import Target
from tests.routing.office import Office, trunk

NUMBER, ACCOUNT = "+14155550177", "1001"
DIGITS = (NUMBER, "4155550188", ACCOUNT, "1002")


def test_what_is_asked_and_decided_shows_no_number() -> None:
    asked = Asked(Private(NUMBER), Private("+14155550188"), account=ACCOUNT)
    office = Office()
    shown = [
        asked,
        office.call("1002"),
        office.call(NUMBER),
        Target("outside", NUMBER),
        Ring(
            rounds=(Round((ACCOUNT,), 20.0),),
            called=Target("extension", ACCOUNT),
            path=(Target("outside", NUMBER),),
        ),
        GoOut(ways=(WayOut(trunk("carrier"), NUMBER, caller_id=NUMBER),), payer=ACCOUNT),
    ]
    for one in shown:
        for text in (repr(one), f"{[one]}"):
            assert not [digits for digits in DIGITS if digits in text], type(one)
