"""Which of our addresses a peer is told for media, by its family and by the settings."""

from __future__ import annotations

import pytest

from ringback.config import SettingsError, load_settings
from ringback.server.addresses import MediaAddresses


def test_a_peer_is_told_the_address_of_its_family_and_then_the_other() -> None:
    addresses = MediaAddresses(("192.0.2.1", "2001:db8::1"), ())
    assert addresses.towards("198.51.100.1") == ("192.0.2.1", "2001:db8::1")
    assert addresses.towards("fd00::1") == ("2001:db8::1", "192.0.2.1")
    # A name may be of either.
    assert addresses.towards("phone.example.com") == ("192.0.2.1", "2001:db8::1")
    assert not addresses.everywhere


def test_without_its_family_it_is_told_what_there_is() -> None:
    assert MediaAddresses(("192.0.2.1",), ()).towards("fd00::1") == ("192.0.2.1", "")
    assert MediaAddresses(("2001:db8::1",), ()).towards("192.0.2.9") == ("2001:db8::1", "")


def test_what_is_said_outside_is_said_of_each_family() -> None:
    addresses = MediaAddresses(("0.0.0.0", "::"), ("203.0.113.1",))
    assert addresses.towards("127.0.0.1") == ("203.0.113.1", "::1")
    assert addresses.towards("::1") == ("::1", "203.0.113.1")
    assert addresses.everywhere


def test_on_every_interface_a_port_of_ipv6_is_one_of_ipv4_too() -> None:
    everywhere = MediaAddresses(("0.0.0.0", "::"), ())
    assert everywhere.also_at("2001:db8::1", "192.0.2.1") == "192.0.2.1"
    assert everywhere.also_at("192.0.2.1", "2001:db8::1") == "192.0.2.1"
    for bound in (("0.0.0.0", "2001:db8::1"), ("192.0.2.1", "::"), ("::",)):
        assert MediaAddresses(bound, ()).also_at("2001:db8::1", "192.0.2.1") == ""


@pytest.mark.parametrize(
    ("sip", "media", "expected"),
    [
        ("", "", ("127.0.0.1",)),
        ("0.0.0.0,::", "", ("0.0.0.0", "::")),
        ("192.0.2.1,192.0.2.2,fd00::1", "", ("0.0.0.0", "fd00::1")),
        ("::", "", ("::",)),
        ("0.0.0.0,::", "192.0.2.1", ("192.0.2.1",)),
        ("127.0.0.1", "::1,192.0.2.1", ("::1", "192.0.2.1")),
    ],
)
def test_media_is_received_where_phones_signal_unless_that_is_set(
    sip: str, media: str, expected: tuple[str, ...]
) -> None:
    wanted = {"RINGBACK_SIP__BIND": sip, "RINGBACK_MEDIA__BIND": media}
    settings = load_settings(environ={name: value for name, value in wanted.items() if value})
    assert settings.media_addresses == expected


@pytest.mark.parametrize("name", ["BIND", "PUBLIC_ADDRESS"])
def test_two_addresses_of_a_family_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="at most one IPv4 and one IPv6 address"):
        load_settings(environ={f"RINGBACK_MEDIA__{name}": "192.0.2.1,192.0.2.2"})
