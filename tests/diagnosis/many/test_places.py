"""Addresses told apart: by a table where there is one, else by what they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringback.diagnosis.many.places import Places, read_places

TABLE = """network, site, trunk, kind
10.1.0.0/16, north, , wired
10.1.40.0/24, north, , wifi
198.51.100.0/24, , carrier-a,
nonsense, east, ,
"""


def test_the_narrowest_network_counts() -> None:
    places, problems = read_places(TABLE)
    assert places.of("10.1.40.7") == {"site": "north", "network": "wifi"}
    assert places.of("10.1.7.7") == {"site": "north", "network": "wired"}
    assert places.of("198.51.100.9") == {"trunk": "carrier-a"}
    assert places.is_inside("10.1.7.7")
    assert not places.is_inside("198.51.100.9")
    assert [one.line for one in problems] == [5]


def test_without_a_table_addresses_speak_for_themselves() -> None:
    places = Places()
    assert places.of("192.168.7.30") == {"site": "192.168.7.0/24"}
    assert places.of("198.51.100.9") == {"trunk": "198.51.100.9"}
    assert places.of("172.32.0.1") == {"trunk": "172.32.0.1"}
    assert places.of("fd00:1:2:3::4") == {"site": "fd00:1:2:3::/64"}
    assert places.of("no address") == {}


@given(st.text(max_size=200))
def test_any_table_is_read(text: str) -> None:
    read_places(text)
    read_places("network,site\n" + text)
