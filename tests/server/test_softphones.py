"""Phones in pages: good for their extension while the session lasts."""

import pytest
from msgspec.structs import replace

from ringback.server.softphones import FLOWS_A_PAGE, LIFETIME_S, PER_SESSION, Softphones
from ringback.sip.digest import make_ha1
from ringback.sip.flow import Flow, Transport
from ringback.sip.message import SipUri
from tests.server.door import SERVER, Door, Visitor

BY = Flow("wss", ("192.0.2.254", 443), ("192.0.2.7", 50_000), 1)


def stays(_flow: Flow) -> None:
    raise AssertionError("nothing is to be cut here")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_page_logs_in_with_what_it_was_given_for_a_day() -> None:
    clock = Clock()
    phones = Softphones(lambda _session, _extension: True, stays, clock)
    made = phones.open("s1", "1001")
    device = phones.device(made.username, 10.0)
    assert device is not None
    assert device.extension == "1001"
    assert device.ha1_md5 == make_ha1(made.username, made.realm, made.password.reveal())
    assert phones.device("p-guessed", 10.0) is None
    assert phones.device(made.username, LIFETIME_S) is None


def test_who_does_not_hold_the_extension_any_more_is_cut_off_and_stays_so() -> None:
    held = {"1001"}
    phones = Softphones(lambda _session, extension: extension in held, stays, Clock())
    made = phones.open("s1", "1001")
    assert phones.device(made.username, 1.0)
    held.clear()
    assert phones.device(made.username, 2.0) is None
    held.add("1001")
    assert phones.device(made.username, 3.0) is None


def test_one_session_has_a_bounded_number_of_pages() -> None:
    phones = Softphones(lambda _session, _extension: True, stays, Clock())
    other = phones.open("s2", "1002")
    made = [phones.open("s1", "1001") for _ in range(PER_SESSION + 2)]
    alive = [phones.device(one.username, 1.0) is not None for one in made]
    assert alive == [False, False] + [True] * PER_SESSION
    assert phones.device(other.username, 1.0)


def test_the_connections_of_who_has_left_are_cut() -> None:
    clock, held, cut = Clock(), {"1001", "1002"}, []
    phones = Softphones(lambda _session, extension: extension in held, cut.append, clock)
    one, other = phones.open("s1", "1001"), phones.open("s2", "1002")
    phones.came(one.username, BY)
    phones.came(other.username, replace(BY, id=2))
    phones.came("p-guessed", replace(BY, id=3))
    phones.review()
    assert cut == []
    held.remove("1001")
    phones.review()
    phones.review()
    assert cut == [BY]
    clock.now = LIFETIME_S
    phones.review()
    assert cut == [BY, replace(BY, id=2)]
    assert len(phones) == 0


def test_a_page_has_a_bounded_number_of_connections() -> None:
    cut: list[Flow] = []
    phones = Softphones(lambda _session, _extension: True, cut.append, Clock())
    made = phones.open("s1", "1001")
    flows = [replace(BY, id=n) for n in range(FLOWS_A_PAGE + 2)]
    for flow in flows:
        phones.came(made.username, flow)
        phones.came(made.username, flow)
    assert cut == flows[:2]


def register(door: Door, username: str, password: str, transport: Transport) -> int:
    visitor = Visitor(door, "192.0.2.9", transport)
    headers = visitor.credentials(visitor.challenged("101"), username, password, f"sip:{SERVER}", "REGISTER")
    headers.add("Contact", "<sip:101@x.invalid;transport=ws>")
    return visitor.ask("REGISTER", SipUri(host=SERVER), "101", headers)


def test_a_page_is_a_phone_by_its_connection_which_is_cut_after_logging_out() -> None:
    door = Door()
    door.phone.transport = "wss"
    page = door.pages.open("s1", "101")
    assert register(door, page.username, page.password.reveal(), "wss") == 200
    (binding,) = door.registrar.bindings("101", door.phone.now)
    door.ended.add("s1")
    door.pages.review()
    assert door.cut == [binding.flow]


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_what_a_page_was_given_is_good_for_no_other_phone(transport: Transport) -> None:
    door = Door()
    door.phone.transport = transport
    page = door.pages.open("s1", "101")
    assert register(door, page.username, page.password.reveal(), transport) == 401
