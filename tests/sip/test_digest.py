from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.governance.private import Private
from ringback.sip.digest import (
    Accepted,
    Algorithm,
    Challenge,
    Credential,
    DigestAuthenticator,
    Rejected,
    authorize,
    digest_response,
    make_ha1,
    parse_challenge,
    parse_digest,
    same_target,
)
from ringback.sip.uri import SipUri, parse_uri

URI = SipUri.parse("sip:example.com")
PASSWORD = Private("correct horse")
ALICE = Credential(
    "101",
    make_ha1("101", "ringback", "correct horse"),
    make_ha1("101", "ringback", "correct horse", "SHA-256"),
)


def lookup(username: str) -> Credential | None:
    return ALICE if username == "101" else None


@pytest.fixture
def server() -> DigestAuthenticator:
    return DigestAuthenticator("ringback")


def challenged(server: DigestAuthenticator, now: float = 100.0, algorithm: Algorithm = "MD5") -> Challenge:
    challenge = parse_challenge(server.challenge(now, algorithm=algorithm))
    assert challenge is not None
    return challenge


def signed(
    challenge: Challenge, *, user: str = "101", password: Private[str] = PASSWORD, count: int = 1
) -> str:
    value = authorize(challenge, "REGISTER", URI, user, password, nonce_count=count)
    assert value is not None
    return value


class TestVectors:
    @pytest.mark.parametrize(
        ("algorithm", "expected"),
        [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ],
    )
    def test_rfc_7616(self, algorithm: Algorithm, expected: str) -> None:
        response = digest_response(
            make_ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm),
            "GET",
            "/dir/index.html",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            algorithm=algorithm,
            nonce_count="00000001",
            cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        )
        assert response == expected

    def test_rfc_2617(self) -> None:
        response = digest_response(
            make_ha1("Mufasa", "testrealm@host.com", "Circle Of Life"),
            "GET",
            "/dir/index.html",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            nonce_count="00000001",
            cnonce="0a4f113b",
        )
        assert response == "6629fae49393a05397450978507c4ef1"

    def test_rfc_2069_as_corrected(self) -> None:
        response = digest_response(
            make_ha1("Mufasa", "testrealm@host.com", "CircleOfLife"),
            "GET",
            "/dir/index.html",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        )
        assert response == "1949323746fe6a43ef61f9606e7febea"


class TestServer:
    @pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
    def test_who_knows_the_password_is_let_in(
        self, server: DigestAuthenticator, algorithm: Algorithm
    ) -> None:
        value = signed(challenged(server, algorithm=algorithm))
        assert server.check(value, "REGISTER", URI, lookup, 101.0) == Accepted("101")

    def test_the_default_is_one_md5_challenge_that_old_phones_read(self, server: DigestAuthenticator) -> None:
        value = server.challenge(100.0)
        assert value.startswith('Digest realm="ringback", nonce="')
        assert value.endswith(', algorithm=MD5, qop="auth"')
        assert server.challenge(100.0) != value

    def test_wrong_password_and_unknown_user_look_the_same(self, server: DigestAuthenticator) -> None:
        wrong = signed(challenged(server), password=Private("wrong"))
        unknown = signed(challenged(server), user="999")
        for value in (wrong, unknown):
            assert server.check(value, "REGISTER", URI, lookup, 101.0) == Rejected("credentials")

    def test_an_unknown_user_cannot_use_the_hash_that_stands_in(self, server: DigestAuthenticator) -> None:
        challenge = challenged(server)
        response = digest_response(
            Private("0" * 32), "REGISTER", str(URI), challenge.nonce, nonce_count="00000001", cnonce="c"
        )
        value = (
            f'Digest username="999", realm="ringback", nonce="{challenge.nonce}", uri="{URI}", '
            f'response="{response}", cnonce="c", qop=auth, nc=00000001'
        )
        assert server.check(value, "REGISTER", URI, lookup, 101.0) == Rejected("credentials")

    def test_another_method_or_target_is_refused(self, server: DigestAuthenticator) -> None:
        value = signed(challenged(server))
        assert server.check(value, "INVITE", URI, lookup, 101.0) == Rejected("credentials")
        other = SipUri.parse("sip:102@example.com")
        assert server.check(value, "REGISTER", other, lookup, 101.0) == Rejected("uri")

    def test_a_captured_request_is_good_once(self, server: DigestAuthenticator) -> None:
        value = signed(challenged(server))
        assert server.check(value, "REGISTER", URI, lookup, 101.0) == Accepted("101")
        assert server.check(value, "REGISTER", URI, lookup, 101.0) == Rejected("replay", stale=True)

    def test_counts_may_overtake_each_other_but_not_repeat(self, server: DigestAuthenticator) -> None:
        challenge = challenged(server)
        outcomes = [
            isinstance(server.check(signed(challenge, count=count), "REGISTER", URI, lookup, 101.0), Accepted)
            for count in (1, 3, 2, 2, 3, 100, 99, 99, 37, 36, 2**32 - 1, 100)
        ]
        assert outcomes == [True, True, True, False, False, True, True, False, True, False, True, False]

    def test_a_count_that_jumps_costs_no_memory(self, server: DigestAuthenticator) -> None:
        challenge = challenged(server)
        tracemalloc.start()
        for count in (2**32 - 1, 1):
            server.check(signed(challenge, count=count), "REGISTER", URI, lookup, 101.0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000

    def test_an_old_nonce_is_stale_and_says_nothing_about_the_password(
        self, server: DigestAuthenticator
    ) -> None:
        challenge = challenged(server)
        late = 100.0 + server.lifetime_s + 1.0
        assert server.check(signed(challenge), "REGISTER", URI, lookup, late) == Rejected("stale", stale=True)
        wrong = signed(challenge, password=Private("wrong"))
        assert server.check(wrong, "REGISTER", URI, lookup, late) == Rejected("stale", stale=True)
        again = parse_challenge(server.challenge(late, stale=True))
        assert again is not None
        assert again.stale
        assert server.check(signed(again), "REGISTER", URI, lookup, late) == Accepted("101")

    def test_a_nonce_of_an_earlier_run_or_from_nowhere_is_stale(self, server: DigestAuthenticator) -> None:
        earlier = challenged(DigestAuthenticator("ringback"))
        for nonce in (earlier.nonce, "0" * 60, "x", earlier.nonce.upper()):
            value = signed(Challenge("ringback", nonce, "MD5", qop=True))
            assert server.check(value, "REGISTER", URI, lookup, 101.0) == Rejected("stale", stale=True)

    def test_a_nonce_is_good_from_the_address_it_was_given_to(self, server: DigestAuthenticator) -> None:
        challenge = parse_challenge(server.challenge(100.0, source="192.0.2.1"))
        assert challenge is not None
        for password in (PASSWORD, Private("wrong")):
            value = signed(challenge, password=password)
            elsewhere = server.check(value, "REGISTER", URI, lookup, 101.0, source="192.0.2.66")
            assert elsewhere == Rejected("stale", stale=True)
        value = signed(challenge)
        assert server.check(value, "REGISTER", URI, lookup, 101.0, source="192.0.2.1") == Accepted("101")

    def test_a_nonce_from_the_future_is_stale(self, server: DigestAuthenticator) -> None:
        value = signed(challenged(server, now=500.0))
        assert server.check(value, "REGISTER", URI, lookup, 100.0) == Rejected("stale", stale=True)

    def test_a_phone_without_qop_gets_in_once_a_nonce(self, server: DigestAuthenticator) -> None:
        nonce = challenged(server).nonce
        value = signed(Challenge("ringback", nonce, "MD5", qop=False))
        assert "qop" not in value
        assert server.check(value, "REGISTER", URI, lookup, 101.0) == Accepted("101")
        assert server.check(value, "REGISTER", URI, lookup, 101.0) == Rejected("replay", stale=True)

    def test_memory_is_bounded_and_what_is_forgotten_cannot_be_replayed(self) -> None:
        server = DigestAuthenticator("ringback", max_used_nonces=10)
        values = [signed(challenged(server, now=100.0 + index)) for index in range(30)]
        for value in values:
            assert server.check(value, "REGISTER", URI, lookup, 140.0) == Accepted("101")
        assert len(server._used) == 10
        for value in values:
            assert isinstance(server.check(value, "REGISTER", URI, lookup, 140.0), Rejected)

    def test_nothing_is_remembered_of_those_who_do_not_know_the_password(self) -> None:
        server = DigestAuthenticator("ringback")
        for _ in range(20):
            server.check(signed(challenged(server), user="999"), "REGISTER", URI, lookup, 101.0)
        assert not server._used

    def test_an_algorithm_without_a_stored_hash_lets_nobody_in(self, server: DigestAuthenticator) -> None:
        md5_only = Credential("101", ALICE.ha1_md5)
        value = signed(challenged(server, algorithm="SHA-256"))
        assert server.check(value, "REGISTER", URI, lambda _: md5_only, 101.0) == Rejected("credentials")
        strict = DigestAuthenticator("ringback", algorithms=("SHA-256",))
        assert strict.check(signed(challenged(strict)), "REGISTER", URI, lookup, 101.0) == Rejected(
            "unsupported"
        )

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (("qop=auth", "qop=auth-int"), "unsupported"),
            (("algorithm=MD5", "algorithm=MD5-sess"), "unsupported"),
            (('realm="ringback"', 'realm="elsewhere"'), "realm"),
            (("Digest ", "Basic "), "malformed"),
            (('username="101", ', ""), "malformed"),
            (('username="101"', 'username=""'), "malformed"),
            (("nc=00000001", "nc=1"), "malformed"),
            (("nc=00000001", "nc=00000000"), "malformed"),
            (("nc=00000001", "nc=0000000\u0661"), "malformed"),
            ((", nc=00000001", ""), "malformed"),
            (("qop=auth", 'qop=auth, username="102"'), "malformed"),
            (('response="', 'response="\u00e4'), "credentials"),
            (("sip:example.com", "sip:[broken"), "uri"),
        ],
    )
    def test_malformed_credentials_are_refused(
        self, server: DigestAuthenticator, change: tuple[str, str], reason: str
    ) -> None:
        value = signed(challenged(server))
        assert change[0] in value
        outcome = server.check(value.replace(*change), "REGISTER", URI, lookup, 101.0)
        assert outcome == Rejected(reason)  # type: ignore[arg-type]

    def test_quoted_names_and_odd_spacing_are_read(self, server: DigestAuthenticator) -> None:
        value = signed(challenged(server))
        odd = value.replace("Digest ", "dIGEST \t").replace(", ", " ,\t").replace("qop=auth", 'qop = "auth"')
        assert server.check(odd, "REGISTER", URI, lookup, 101.0) == Accepted("101")

    def test_the_value_for_our_realm_is_found_among_others(self, server: DigestAuthenticator) -> None:
        ours = signed(challenged(server))
        theirs = signed(Challenge("elsewhere", "n", "MD5", qop=True))
        assert server.find(["rubbish", theirs, ours]) == ours
        assert server.find([theirs]) is None

    def test_secrets_are_not_printed(self, server: DigestAuthenticator) -> None:
        assert server.secret.reveal().hex() not in repr(server)
        assert ALICE.ha1_md5.reveal() not in repr(ALICE)

    @given(
        st.text(max_size=200)
        | st.text(alphabet='Digest ="\\,usernamocqp0123', max_size=200).map("Digest ".__add__)
    )
    def test_no_value_raises(self, value: str) -> None:
        assert isinstance(
            DigestAuthenticator("ringback").check(value, "REGISTER", URI, lookup, 1.0), Rejected
        )

    def test_bytes_that_are_no_text_are_refused_without_raising(self, server: DigestAuthenticator) -> None:
        raw = signed(challenged(server)).encode().replace(b'"101"', b'"\xff\xfe"')
        value = raw.decode("utf-8", "surrogateescape")
        assert server.check(value, "REGISTER", URI, lookup, 101.0) == Rejected("credentials")

    @pytest.mark.parametrize("text", ['a="' + "\\" * 4_000, "a=" + " " * 4_000, 'a="b"' * 800, "a=b, " * 800])
    def test_no_value_takes_long(
        self, text: str, least_cpu_s: Callable[[Callable[[], object]], float]
    ) -> None:
        assert least_cpu_s(lambda: parse_digest("Digest " + text)) < 0.05

    def test_users_that_do_not_exist_cost_the_same(self, server: DigestAuthenticator) -> None:
        challenge = challenged(server)
        wrong, unknown = signed(challenge, password=Private("no")), signed(challenge, user="102")

        def cost(value: str) -> float:
            times = [time.perf_counter()]
            for _ in range(200):
                server.check(value, "REGISTER", URI, lookup, 101.0)
                times.append(time.perf_counter())
            return sorted(after - before for before, after in pairwise(times))[100]

        ratios = sorted(cost(wrong) / cost(unknown) for _ in range(9))
        assert 0.8 < ratios[4] < 1.25


class TestClient:
    def test_a_challenge_of_another_realm_is_not_answered(self) -> None:
        challenge = Challenge("elsewhere", "n", "MD5", qop=True)
        assert authorize(challenge, "REGISTER", URI, "101", PASSWORD, realm="ringback") is None

    def test_what_cannot_be_answered_is_none(self) -> None:
        assert parse_challenge('Digest realm="r", nonce="n", algorithm=MD5-sess') is None
        assert parse_challenge('Digest realm="r", nonce="n", qop="auth-int"') is None
        assert parse_challenge('Digest realm="r"') is None
        assert parse_challenge("Negotiate abc") is None

    def test_the_answer_keeps_opaque_and_escapes(self) -> None:
        challenge = parse_challenge(
            'Digest realm="a \\"b\\"", nonce="n", opaque="o", qop="auth-int, auth", stale=TRUE'
        )
        assert challenge == Challenge('a "b"', "n", "MD5", qop=True, opaque="o", stale=True)
        value = authorize(challenge, "INVITE", "sip:1@example.com", 'u"1', PASSWORD, cnonce="c")
        assert value is not None
        parameters = parse_digest(value)
        assert parameters is not None
        assert parameters["realm"] == 'a "b"'
        assert parameters["username"] == 'u"1'
        assert parameters["opaque"] == "o"


@pytest.mark.parametrize(
    ("given_uri", "request_uri", "same"),
    [
        ("sip:101@example.com", "sip:101@example.com", True),
        ("sip:101@EXAMPLE.com", "sip:101@example.com;transport=tcp", True),
        ("sip:%3101@example.com", "sip:101@example.com", True),
        ("sip:101@example.com:5060", "sip:101@example.com", True),
        ("sips:101@example.com", "sip:101@example.com:5061", True),
        ("sip:102@example.com", "sip:101@example.com", False),
        ("sip:101@example.org", "sip:101@192.0.2.1:5070", True),
        ("sip:example.org", "sip:101@example.com", False),
        ("tel:+1-555-0100", "tel:+15550100", True),
        ("tel:+15550101", "tel:+15550100", False),
        ("sip:101@example.com", "tel:+15550100", False),
        ("*", "sip:101@example.com", False),
    ],
)
def test_digest_uris_are_compared_leniently_but_not_blindly(
    given_uri: str, request_uri: str, same: bool
) -> None:
    assert same_target(given_uri, parse_uri(request_uri)) == same
