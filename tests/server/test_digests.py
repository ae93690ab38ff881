"""Which digest each account is asked for and logs in with, and that nobody learns by it who there is."""

from __future__ import annotations

import pytest

from ringback.governance.private import Private
from ringback.server.challenges import DigestChoice
from ringback.sip.digest import authorize, parse_challenge
from ringback.sip.message import Headers, Request, Response, SipUri
from ringback.store.directory import Digest, Directory
from tests.server.door import SERVER, Door, Visitor, extension


def door_with(digest: Digest) -> Door:
    door = Door()
    door.directory = door.directory.with_extension(extension("201", digest=digest))
    return door


def register(visitor: Visitor, user: str, challenge: str = "", password: str = "secret") -> Response:
    """REGISTER, answering this challenge if any; the answer."""
    uri = SipUri(host=SERVER)
    headers = Headers(("From", f"<sip:{user}@{SERVER}>"), ("To", f"<sip:{user}@{SERVER}>"))
    headers.add("Contact", f"<sip:{user}@{visitor.phone.address[0]}>")
    if challenge:
        parsed = parse_challenge(challenge)
        assert parsed is not None
        value = authorize(parsed, "REGISTER", uri, user, Private(password))
        assert value is not None
        headers.add("Authorization", value)
    flow = visitor.phone.flow_to(visitor.door.phone)
    _, effects = visitor.phone.endpoint.request(Request("REGISTER", uri, headers), flow, visitor.phone.now)
    visitor.phone.do(effects)
    visitor.door.run(0.3)
    return visitor.answers()[-1]


def algorithms(answer: Response) -> list[str]:
    challenges = map(parse_challenge, answer.headers.get_all("WWW-Authenticate"))
    return [challenge.algorithm for challenge in challenges if challenge is not None]


@pytest.mark.parametrize(
    ("digest", "asked"), [("md5", ["MD5"]), ("sha-256", ["SHA-256"]), ("both", ["SHA-256", "MD5"])]
)
def test_an_account_is_asked_for_its_digest_and_logs_in_with_each(digest: Digest, asked: list[str]) -> None:
    visitor = Visitor(door_with(digest), "192.0.2.1")
    answer = register(visitor, "201")
    assert answer.status == 401
    assert algorithms(answer) == asked
    for challenge in answer.headers.get_all("WWW-Authenticate"):
        assert register(visitor, "201", challenge).status == 200
        assert register(visitor, "201", challenge, "wrong").status == 401


@pytest.mark.parametrize(("digest", "other"), [("sha-256", "MD5"), ("md5", "SHA-256")])
def test_the_other_digest_does_not_do_whoever_asks_for_it(digest: Digest, other: str) -> None:
    visitor = Visitor(door_with(digest), "192.0.2.1")
    (challenge,) = register(visitor, "201").headers.get_all("WWW-Authenticate")
    asked = parse_challenge(challenge)
    assert asked is not None
    forged = challenge.replace(f"algorithm={asked.algorithm}", f"algorithm={other}")
    refused = register(visitor, "201", forged)
    assert refused.status == 401
    assert algorithms(refused) == [asked.algorithm]


def test_names_without_an_account_are_asked_as_if_they_had_one() -> None:
    accounts = [extension(str(number), digest="sha-256") for number in range(200, 220)]
    accounts += [extension(str(number)) for number in range(220, 280)]
    directory = Directory.of(accounts)
    choice = DigestChoice(Private(b"k" * 32))
    asked = [choice.algorithms(str(number), directory) for number in range(1_000, 3_000)]
    assert 0.2 < sum(one == ("SHA-256",) for one in asked) / len(asked) < 0.3, "as among the accounts: 1 of 4"
    again = DigestChoice(Private(b"k" * 32))
    assert [again.algorithms(str(number), directory) for number in range(1_000, 3_000)] == asked


def test_a_disabled_account_is_asked_as_before() -> None:
    door = door_with("sha-256")
    before = algorithms(register(Visitor(door, "192.0.2.1"), "201"))
    door.directory = door.directory.with_extension(extension("201", digest="sha-256", enabled=False))
    assert algorithms(register(Visitor(door, "192.0.2.2"), "201")) == before == ["SHA-256"]


def test_a_nonce_that_was_used_is_not_taken_again() -> None:
    visitor = Visitor(Door(), "192.0.2.1")
    (challenge,) = register(visitor, "101").headers.get_all("WWW-Authenticate")
    assert register(visitor, "101", challenge).status == 200
    replayed = register(visitor, "101", challenge)
    assert replayed.status == 401
    assert "stale=true" in (replayed.headers.get("WWW-Authenticate") or "")
