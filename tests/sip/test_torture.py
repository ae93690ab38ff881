"""The torture messages of RFC 4475 and RFC 5118: read without raising, answered as the RFCs ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ringback.sip.effects import Transmit
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response
from ringback.sip.parse import Malformed, StreamFramer, parse_message
from tests.sip.phones import Network

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "sip-torture"
INDEX = FOLDER / "INDEX.json"

if not INDEX.exists():
    pytest.skip("the torture messages are not beside the checkout", allow_module_level=True)

MESSAGES: list[dict[str, Any]] = json.loads(INDEX.read_text())["messages"]
FLOW = Flow("udp", ("192.0.2.200", 5060), ("192.0.2.100", 5060))
ALLOW = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "REGISTER", "MESSAGE")


def named(name: str) -> bytes:
    (entry,) = (entry for entry in MESSAGES if entry["name"] == name)
    return (FOLDER / entry["file"]).read_bytes()


def request(name: str) -> Request:
    message = parse_message(named(name))
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize("entry", MESSAGES, ids=lambda entry: entry["name"])
def test_the_parser(entry: dict[str, Any]) -> None:
    data = (FOLDER / entry["file"]).read_bytes()
    message = parse_message(data)
    if entry["validity"] == "valid" and 400 not in entry["expected"]:
        assert isinstance(message, Request)
    elif entry["validity"] == "valid-response":
        assert isinstance(message, Response)
    elif entry["expected"] == [400]:
        assert isinstance(message, Malformed)
    StreamFramer().feed(data)


@pytest.mark.parametrize("entry", MESSAGES, ids=lambda entry: entry["name"])
def test_the_answer(entry: dict[str, Any]) -> None:
    network = Network()
    phone = network.phone("192.0.2.200", allow=ALLOW)
    message = parse_message((FOLDER / entry["file"]).read_bytes())
    effects = phone.endpoint.receive(message, FLOW, phone.now)
    sent = [effect for effect in effects if isinstance(effect, Transmit)]
    finals = [int(effect.data[8:11]) for effect in sent if effect.data[8:9] != b"1"]
    assert all(effect.data.startswith(b"SIP/2.0 ") for effect in sent)
    outcome: object = "drop"
    if len(effects) > len(sent):
        outcome = "accept"
    elif finals:
        outcome = finals[0]
    expected = set(entry["expected"])
    if "response" in entry["validity"]:
        assert outcome == "drop"
    elif entry["name"] in ("wsinv", "via-received-param-with-delim"):
        # Well-formed, but they name a dialog that we do not have.
        assert outcome == 481
    else:
        assert outcome in expected | ({"accept"} if "accept-liberal" in expected else set())


def test_details_that_the_rfc_points_out() -> None:
    wsinv = request("wsinv")
    assert (wsinv.to.tag, wsinv.max_forwards, wsinv.cseq.number) == ("1918181833n", 68, 9)
    assert [via.branch for via in wsinv.vias] == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    assert wsinv.from_.display == 'J Rosenberg \\"'
    assert wsinv.contacts[0].display == 'Quoted string ""'
    assert request("esc01").contacts[0].uri.params["n%61me"] == "v%61lue%25%34%31"
    assert request("esc02").method == "RE%47IST%45R"
    assert [contact.uri.username for contact in request("escnull").contacts] == ["\0", "\0\0"]
    assert request("semiuri").uri.username == "user;par=u@example.net"
    assert request("semiuri").uri.params == {}
    assert "\0" in request("intmeth").to.display
    assert len(request("mpart01").body) == 553
    assert request("dblreq").method == "REGISTER"
    assert request("cparam01").contacts[0].params == {"unknownparam": None}
    assert request("cparam02").contacts[0].uri.params == {"unknownparam": None}
    assert request("regescrt").contacts[0].uri.headers == "Route=%3Csip:sip.example.com%3E"
    assert request("port-ambiguous").uri.port is None
    assert request("port-unambiguous").uri.port == 5070
    assert len(request("longreq").vias) == 34
