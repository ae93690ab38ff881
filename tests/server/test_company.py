"""How who rings is shown where a label stands before the name: in queues, from slots, on coming back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ringback.call.party import Party
from ringback.governance.private import Private
from ringback.server.company import party_named
from ringback.store.directory import Directory, Extension

NOBODY = Private("")
BOB = Extension("id", "1002", "Bob Builder", NOBODY, NOBODY, None, True, datetime(2026, 1, 1, tzinfo=UTC))
NAMELESS = Extension("other", "1003", "", NOBODY, NOBODY, None, True, datetime(2026, 1, 1, tzinfo=UTC))
DIRECTORY = Directory.of([BOB, NAMELESS])


@pytest.mark.parametrize(
    ("party", "shown"),
    [
        (Party(Private("1002"), None, "1002"), "Support: Bob Builder"),
        (Party(Private("1002"), Private("bobby"), "1002"), "Support: Bob Builder"),
        (Party(Private("1003"), Private("Carol"), "1003"), "Support: Carol"),
        (Party(Private("1003"), None, "1003"), "Support: 1003"),
        (Party(Private("+14155550177"), Private("A customer"), None, "carrier"), "Support: A customer"),
        (Party(Private("+14155550177"), None, None, "carrier"), "Support: +14155550177"),
        (Party(Private("1002"), Private("Bob"), "1002", hidden=True), "Support"),
    ],
)
def test_the_name_behind_a_label(party: Party, shown: str) -> None:
    named = party_named(party, "Support", DIRECTORY)
    assert named.name is not None
    assert named.name.reveal() == shown
    assert named.account is None
