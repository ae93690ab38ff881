"""What a person writes of an account, and what is made of it."""

from __future__ import annotations

import pytest

from ringback.agent.account import make_account
from ringback.governance.private import Private


def test_the_server_is_the_host_of_the_address() -> None:
    account = make_account("sip:101@192.0.2.10", password="secret")
    assert str(account.server) == "sip:192.0.2.10;transport=udp"
    assert account.transport == "udp"
    assert account.username == "101"
    assert "secret" not in repr(account)
    assert account.password == Private("secret")
    assert account.srtp == "refused"


def test_tls_encrypts_media_too() -> None:
    account = make_account("sips:101@example.com")
    assert account.transport == "tls"
    assert str(account.server) == "sips:example.com;transport=tcp"
    assert account.srtp == "required"
    assert make_account("sip:101@example.com;transport=tcp").transport == "tcp"


def test_a_proxy_is_the_next_hop_of_everything() -> None:
    account = make_account("sip:101@example.com", proxy="192.0.2.20:5070")
    assert str(account.server) == "sip:192.0.2.20:5070;transport=udp"
    assert [str(route) for route in account.route_set] == ["<sip:192.0.2.20:5070;transport=udp;lr>"]
    assert account.hop(account.target("sip:bob@192.0.2.99")) == account.server


def test_whom_to_call() -> None:
    account = make_account("sip:101@example.com:5070")
    assert str(account.target("102")) == "sip:102@example.com:5070"
    assert str(account.target("*97#")) == "sip:*97%23@example.com:5070"
    assert account.hop(account.target("102")) == account.server
    assert str(account.hop(account.target("sip:bob@192.0.2.99"))) == "sip:192.0.2.99;transport=udp"
    with pytest.raises(ValueError, match="not empty"):
        account.target("")


@pytest.mark.parametrize(
    ("uri", "options", "says"),
    [
        ("101", {}, "not a SIP URI"),
        ("sip:example.com", {}, "user part"),
        ("sip:101@example.com", {"transport": "wss"}, "one of udp, tcp, tls"),
        ("sip:101@example.com", {"srtp": "required"}, "transport=.tls"),
        ("sip:101@example.com", {"codecs": ()}, "at least one codec"),
    ],
)
def test_what_is_wrong_is_said(uri: str, options: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_account(uri, **options)  # type: ignore[arg-type]
