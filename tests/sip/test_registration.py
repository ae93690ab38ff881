from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response, encode
from ringback.sip.parse import parse_message
from ringback.sip.registration import Registrar, RegistrarSettings

UDP = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 40_001))
TLS = Flow("tls", ("192.0.2.1", 5061), ("198.51.100.7", 50_001), id=3)
PHONE = "<sip:101@10.0.0.5:5060>"


def register(
    *contacts: str,
    cseq: int = 1,
    call_id: str = "one",
    expires: str | None = None,
    lines: tuple[str, ...] = (),
) -> Request:
    text = [
        "REGISTER sip:example.com SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1;rport",
        "From: <sip:101@example.com>;tag=a",
        "To: <sip:101@example.com>",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER",
        "User-Agent: phone/1.0",
        *(f"Contact: {contact}" for contact in contacts),
        *([f"Expires: {expires}"] if expires is not None else []),
        *lines,
    ]
    request = parse_message(("\r\n".join(text) + "\r\n\r\n").encode())
    assert isinstance(request, Request), request
    return request


def contacts_of(response: Response) -> list[str]:
    assert parse_message(encode(response)) is not None
    return response.headers.get_all("Contact")


class TestRegister:
    def test_a_phone_is_bound_to_the_flow_it_came_by(self) -> None:
        registrar = Registrar()
        response = registrar.register(register(PHONE), "101", UDP, 10.0)
        assert response.status == 200
        assert response.to.tag
        assert contacts_of(response) == ["<sip:101@10.0.0.5:5060>;expires=3600"]
        (binding,) = registrar.bindings("101", 10.0)
        assert binding.flow == UDP
        assert str(binding.uri) == "sip:101@10.0.0.5:5060"
        assert binding.user_agent == "phone/1.0"
        assert registrar.bindings("102", 10.0) == []

    def test_time_comes_from_the_contact_then_the_header_then_the_default(self) -> None:
        for contact, header, expected in [
            (PHONE + ";expires=120", "300", 120),
            (PHONE, "300", 300),
            (PHONE, None, 3_600),
            (PHONE + ";expires=soon", None, 3_600),
            (PHONE, "never", 3_600),
            (PHONE, "999999999", 7_200),
        ]:
            registrar = Registrar()
            registrar.register(register(contact, expires=header), "101", UDP, 0.0)
            assert registrar.deadline() == expected

    def test_the_answer_counts_down_and_the_binding_ends(self) -> None:
        registrar = Registrar()
        registrar.register(register(PHONE, expires="100"), "101", UDP, 0.0)
        fetched = registrar.register(register(cseq=2), "101", UDP, 40.5)
        assert contacts_of(fetched) == ["<sip:101@10.0.0.5:5060>;expires=60"]
        assert registrar.bindings("101", 100.0) == []
        assert [user for user, _ in registrar.expire(100.0)] == ["101"]
        assert registrar.users() == []
        assert registrar.deadline() is None

    def test_a_refresh_replaces_by_uri_comparison(self) -> None:
        registrar = Registrar()
        registrar.register(register("<sip:101@Phone.example.com>"), "101", UDP, 0.0)
        moved = Flow("udp", UDP.local, ("198.51.100.7", 40_002))
        registrar.register(register("<sip:101@phone.EXAMPLE.com;foo=bar>", cseq=2), "101", moved, 10.0)
        (binding,) = registrar.bindings("101", 10.0)
        assert binding.flow == moved

    def test_several_phones_are_ordered_by_preference_and_age(self) -> None:
        registrar = Registrar()
        registrar.register(register("<sip:a@10.0.0.1>;q=0.5, <sip:b@10.0.0.2>;q=1.0"), "101", UDP, 0.0)
        registrar.register(register("<sip:c@10.0.0.3>;q=0.5", call_id="two"), "101", UDP, 1.0)
        assert [b.uri.user for b in registrar.bindings("101", 2.0)] == ["b", "c", "a"]

    def test_zero_removes_one_and_star_removes_all(self) -> None:
        registrar = Registrar()
        registrar.register(register("<sip:a@10.0.0.1>", "<sip:b@10.0.0.2>"), "101", UDP, 0.0)
        registrar.register(register("<sip:a@10.0.0.1>;expires=0", cseq=2), "101", UDP, 1.0)
        assert [b.uri.user for b in registrar.bindings("101", 1.0)] == ["b"]
        response = registrar.register(register("*", cseq=3, expires="0"), "101", UDP, 2.0)
        assert (response.status, contacts_of(response)) == (200, [])
        assert len(registrar) == 0

    def test_star_without_zero_is_refused(self) -> None:
        registrar = Registrar()
        registrar.register(register(PHONE), "101", UDP, 0.0)
        for expires in (None, "1", "00x"):
            assert registrar.register(register("*", cseq=2, expires=expires), "101", UDP, 1.0).status == 400
        assert len(registrar) == 1

    def test_too_short_a_time_names_the_shortest(self) -> None:
        response = Registrar().register(register(PHONE, expires="5"), "101", UDP, 0.0)
        assert response.status == 423
        assert response.headers.get("Min-Expires") == "60"

    def test_an_old_request_changes_nothing(self) -> None:
        registrar = Registrar()
        registrar.register(register(PHONE, cseq=5), "101", UDP, 0.0)
        for cseq in (4, 5):
            late = register(PHONE + ";expires=0", "<sip:new@10.0.0.9>", cseq=cseq)
            assert registrar.register(late, "101", UDP, 1.0).status == 500
        assert registrar.register(register("*", cseq=5, expires="0"), "101", UDP, 1.0).status == 500
        assert len(registrar) == 1
        assert registrar.register(register(PHONE, cseq=1, call_id="rebooted"), "101", UDP, 1.0).status == 200

    def test_all_of_a_request_or_nothing(self) -> None:
        registrar = Registrar()
        mixed = register("<sip:a@10.0.0.1>", "<sip:b@10.0.0.2>;expires=5")
        assert registrar.register(mixed, "101", UDP, 0.0).status == 423
        assert (
            registrar.register(register("<sip:a@10.0.0.1>", "<tel:+15550100>"), "101", UDP, 0.0).status == 400
        )
        assert len(registrar) == 0

    def test_contacts_are_bounded_and_the_oldest_give_way(self) -> None:
        registrar = Registrar(RegistrarSettings(max_contacts=3))
        for index in range(10):
            contact = f"<sip:101@10.0.0.5:{6_000 + index}>"
            registrar.register(register(contact, call_id=f"c{index}"), "101", UDP, float(index))
        assert [b.uri.port for b in registrar.bindings("101", 10.0)] == [6_009, 6_008, 6_007]
        many = register(*(f"<sip:{index}@10.0.0.5>" for index in range(4)))
        assert registrar.register(many, "101", UDP, 10.0).status == 403

    def test_a_phone_with_outbound_replaces_its_old_flow(self) -> None:
        registrar = Registrar()
        instance = ';+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>";reg-id=1'
        first = register(
            f"<sip:101@10.0.0.5:50001;transport=tls>{instance}", lines=("Supported: path, outbound",)
        )
        assert registrar.register(first, "101", TLS, 0.0).headers.get("Require") == "outbound"
        again = Flow("tls", TLS.local, ("198.51.100.7", 50_002), id=4)
        second = register(f"<sip:101@10.0.0.5:50002;transport=tls>{instance}", call_id="two")
        response = registrar.register(second, "101", again, 1.0)
        assert response.headers.get("Require") is None
        assert [b.flow for b in registrar.bindings("101", 1.0)] == [again]
        assert "reg-id=1" in contacts_of(response)[0]

    def test_a_lost_connection_takes_its_bindings_with_it(self) -> None:
        registrar = Registrar()
        registrar.register(register("<sip:a@10.0.0.1>"), "101", TLS, 0.0)
        registrar.register(register("<sip:b@10.0.0.1>", call_id="two"), "101", UDP, 0.0)
        assert [b.uri.user for _, b in registrar.connection_lost(TLS)] == ["a"]
        assert registrar.connection_lost(UDP) == []
        assert [b.uri.user for b in registrar.bindings("101", 1.0)] == ["b"]

    def test_an_account_that_is_gone_loses_its_bindings(self) -> None:
        registrar = Registrar()
        registrar.register(register(PHONE), "101", UDP, 0.0)
        assert len(registrar.remove("101")) == 1
        assert registrar.remove("101") == []


def via_proxy(request: Request, proxy: str = "SIP/2.0/UDP 192.0.2.50;branch=z9hG4bK9") -> Request:
    request.headers.prepend("Via", proxy)
    return request


class TestPath:
    """RFC 3327."""

    EDGE = "<sip:edge.example.com;lr>"
    INNER = "<sip:inner.example.com;lr>"

    def test_requests_visit_the_hosts_of_the_path_by_the_flow_that_it_came_by(self) -> None:
        registrar = Registrar()
        lines = ("Supported: path", f"Path: {self.INNER}, {self.EDGE}")
        response = registrar.register(via_proxy(register(PHONE, lines=lines)), "101", UDP, 0.0)
        assert response.headers.get_all("Path") == [self.INNER, self.EDGE]
        (binding,) = registrar.bindings("101", 1.0)
        assert [str(hop) for hop in binding.route_set] == [self.INNER, self.EDGE]
        assert binding.flow == UDP

    def test_a_phone_that_does_not_know_of_it_has_none(self) -> None:
        registrar = Registrar()
        response = registrar.register(register(PHONE, lines=(f"Path: {self.EDGE}",)), "101", UDP, 0.0)
        assert "Path" not in response.headers
        assert registrar.bindings("101", 1.0)[0].route_set == ()

    def test_a_path_that_nobody_could_follow_is_refused(self) -> None:
        for path in ("<tel:+15550100>", "<sip:", ", ".join([self.EDGE] * 9), f"<sip:{'a' * 600};lr>"):
            registrar = Registrar()
            request = register(PHONE, lines=("Supported: path", f"Path: {path}"))
            assert registrar.register(request, "101", UDP, 0.0).status == 400
            assert len(registrar) == 0

    def test_it_is_there_after_a_restart(self) -> None:
        before, after = Registrar(), Registrar()
        before.register(register(PHONE, lines=("Supported: path", f"Path: {self.EDGE}")), "101", UDP, 0.0)
        after.restore(before.snapshot(1.0), 1.0)
        assert [str(hop) for hop in after.bindings("101", 2.0)[0].route_set] == [self.EDGE]


class TestOutbound:
    """RFC 5626."""

    INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"'
    SUPPORTED = "Supported: path, outbound"

    def contact(self, reg_id: int) -> str:
        return f"<sip:101@10.0.0.5;ob>;{self.INSTANCE};reg-id={reg_id}"

    def test_flows_of_one_phone_live_side_by_side(self) -> None:
        registrar = Registrar()
        other = Flow("udp", UDP.local, ("198.51.100.7", 40_002))
        for reg_id, flow in ((1, UDP), (2, other)):
            request = register(self.contact(reg_id), call_id=f"c{reg_id}", lines=(self.SUPPORTED,))
            response = registrar.register(request, "101", flow, float(reg_id))
            assert response.headers.get("Require") == "outbound"
            assert response.headers.get("Flow-Timer") == "30"
        assert [b.flow for b in registrar.bindings("101", 3.0)] == [other, UDP]

    def test_on_a_connection_it_is_shown_less_often_that_the_flow_lives(self) -> None:
        request = register(self.contact(1), lines=(self.SUPPORTED,))
        assert Registrar().register(request, "101", TLS, 0.0).headers.get("Flow-Timer") == "120"

    def test_a_proxy_on_the_way_has_to_take_part(self) -> None:
        for path, expected in (
            ("<sip:edge.example.com;lr;ob>", "outbound"),
            ("<sip:edge.example.com;lr>", None),
        ):
            request = via_proxy(register(self.contact(1), lines=(self.SUPPORTED, f"Path: {path}")))
            response = Registrar().register(request, "101", UDP, 0.0)
            assert (response.status, response.headers.get("Require")) == (200, expected)

    def test_one_flow_a_request(self) -> None:
        request = register(self.contact(1), self.contact(2), lines=(self.SUPPORTED,))
        assert Registrar().register(request, "101", UDP, 0.0).status == 400


def test_times_are_spread_but_never_below_the_shortest() -> None:
    for asked, chance, expected in ((1_000, 0.0, 850), (1_000, 1.0, 1_000), (64, 0.0, 60), (60, 0.5, 60)):
        registrar = Registrar(chance=lambda chance=chance: chance)  # type: ignore[misc]
        response = registrar.register(register(PHONE, expires=str(asked)), "101", UDP, 0.0)
        assert contacts_of(response) == [f"{PHONE};expires={expected}"]


class TestSnapshot:
    def test_phones_on_udp_are_reached_after_a_restart(self) -> None:
        before = Registrar()
        before.register(register(PHONE, expires="600"), "101", UDP, 1_000.0)
        before.register(register("<sip:102@10.0.0.6>"), "102", TLS, 1_000.0)
        saved = before.snapshot(1_100.0)
        after = Registrar()
        assert after.restore(saved, 5.0) == 1
        (binding,) = after.bindings("101", 5.0)
        assert (binding.flow, binding.expires_at) == (UDP, 505.0)
        assert after.bindings("102", 5.0) == []
        assert after.register(register(PHONE, cseq=2), "101", UDP, 6.0).status == 200
        assert len(after) == 1

    def test_what_is_newer_than_the_snapshot_is_kept(self) -> None:
        before = Registrar()
        before.register(register(PHONE), "101", UDP, 0.0)
        saved = before.snapshot(0.0)
        after = Registrar()
        after.register(register("<sip:101@10.0.0.99>", call_id="new"), "101", UDP, 1.0)
        assert after.restore(saved, 2.0) == 0
        assert [b.uri.host for b in after.bindings("101", 2.0)] == ["10.0.0.99"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["<sip:a@10.0.0.1>", "<sip:b@10.0.0.2>", "sip:c@10.0.0.3", "<sips:d@10.0.0.4>"]),
            st.text(alphabet="0123456789.-expirsq;=ab ", max_size=12),
        ),
        max_size=5,
    ),
    st.none() | st.text(alphabet="0123456789-x", max_size=12),
    st.integers(0, 2**31 - 1),
)
def test_no_register_raises(pairs: list[tuple[str, str]], expires: str | None, cseq: int) -> None:
    lines = [
        "REGISTER sip:example.com SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1",
        "From: <sip:101@example.com>;tag=a",
        "To: <sip:101@example.com>",
        "Call-ID: x",
        f"CSeq: {cseq} REGISTER",
        *(f"Contact: {contact};q={extra};expires={extra}" for contact, extra in pairs),
        *([f"Expires: {expires}"] if expires is not None else []),
    ]
    request = parse_message(("\r\n".join(lines) + "\r\n\r\n").encode())
    if isinstance(request, Request):
        response = Registrar().register(request, "101", UDP, 0.0)
        assert response.status in (200, 400, 403, 423, 500)
        assert isinstance(parse_message(encode(response)), Response)
