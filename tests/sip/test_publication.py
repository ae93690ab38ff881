"""What devices publish: taken, renewed, changed, removed, and forgotten in time (RFC 3903)."""

from __future__ import annotations

from itertools import count

import pytest

from ringback.sip.errors import SipSyntaxError
from ringback.sip.message import Headers, Request, Response, SipUri
from ringback.sip.publication import MOST_OF_AN_ACCOUNT, Publications


def read(body: bytes) -> str:
    if body == b"garbage":
        raise SipSyntaxError("garbage")
    return body.decode()


@pytest.fixture
def publications() -> Publications[str]:
    numbers = count(1)
    return Publications("mood", "text/plain", read, lambda: f"tag-{next(numbers)}")


def publish(
    publications: Publications[str],
    body: bytes = b"",
    *,
    match: str | None = None,
    expires: str | None = "600",
    event: str = "mood",
    kind: str = "text/plain",
    now: float = 0.0,
) -> Response:
    headers = Headers(("Event", event), ("Content-Type", kind))
    for name, value in (("SIP-If-Match", match), ("Expires", expires)):
        if value is not None:
            headers.add(name, value)
    return publications.publish(Request("PUBLISH", SipUri(user="101"), headers, body), "101", now)


def tag_of(response: Response) -> str:
    assert response.status == 200
    return response.headers.get("SIP-ETag") or ""


def moods(publications: Publications[str]) -> list[str]:
    return [state for _, state in publications.of("101")]


def test_a_publication_is_taken_renewed_changed_and_removed(publications: Publications[str]) -> None:
    first = publish(publications, b"calm")
    assert first.headers.get("Expires") == "600"
    assert moods(publications) == ["calm"]
    renewed = tag_of(publish(publications, match=tag_of(first), now=500))
    assert renewed != tag_of(first)
    assert publications.expire(700) == set()
    assert moods(publications) == ["calm"]
    changed = tag_of(publish(publications, b"glad", match=renewed, now=700))
    assert moods(publications) == ["glad"]
    publish(publications, match=changed, expires="0", now=800)
    assert moods(publications) == []
    assert len(publications) == 0


def test_what_is_not_renewed_is_forgotten(publications: Publications[str]) -> None:
    tag = tag_of(publish(publications, b"calm"))
    assert publications.deadline() == 600
    assert publications.expire(599) == set()
    assert publish(publications, match=tag, now=600).status == 412
    assert publications.expire(600) == {"101"}
    assert moods(publications) == []
    assert publications.deadline() is None


def test_two_devices_publish_side_by_side(publications: Publications[str]) -> None:
    publish(publications, b"calm")
    publish(publications, b"glad")
    assert moods(publications) == ["calm", "glad"]
    for _ in range(MOST_OF_AN_ACCOUNT - 2):
        publish(publications, b"more")
    assert publish(publications, b"too many").status == 503
    assert len(publications) == MOST_OF_AN_ACCOUNT


def test_what_cannot_be_published_is_refused(publications: Publications[str]) -> None:
    assert publish(publications, b"calm", event="presence").status == 489
    assert publish(publications, b"calm", event=";").status == 489
    assert publish(publications, b"calm", match="unknown").status == 412
    assert publish(publications, b"calm", expires="5").headers.get("Min-Expires") == "60"
    assert publish(publications, b"calm", expires="later").status == 400
    assert publish(publications, b"calm", kind="text/html").status == 415
    assert publish(publications, b"garbage").status == 400
    assert publish(publications).status == 400
    assert len(publications) == 0
    kept = tag_of(publish(publications, b"calm"))
    assert publish(publications, b"garbage", match=kept).status == 400
    assert moods(publications) == ["calm"]
