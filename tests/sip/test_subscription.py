"""Subscriptions from SUBSCRIBE to the last NOTIFY, on a fake network and clock (RFC 6665)."""

from __future__ import annotations

import pytest

from ringback.sip.effects import Effect, RequestArrived
from ringback.sip.message import SipUri, make_response
from ringback.sip.subscription import Notifier, NotifierSettings
from ringback.testing.lossy_link import LinkQuality
from tests.sip.phones import Network, Phone
from tests.sip.watcher import Watcher

SERVER = "192.0.2.254"


class Weather:
    """A package whose state is a word for each resource."""

    name = "weather"
    content_type = "text/plain"

    def __init__(self) -> None:
        self.words = {"102": "sunny"}

    def picture(self, resource: str, watcher: str) -> str | None:
        del watcher
        return self.words.get(resource)

    def document(self, entity: SipUri, version: int, before: str | None, picture: str) -> bytes:
        return f"{entity.user} {version} {before} {picture}".encode()


class Station:
    """A server with a notifier."""

    def __init__(self, settings: NotifierSettings | None = None, network: Network | None = None) -> None:
        self.network = network or Network()
        self.weather = Weather()
        self.phone = self.network.phone(
            SERVER, on_event=self._on_event, allow=("SUBSCRIBE", "NOTIFY", "OPTIONS")
        )
        self.notifier = Notifier(self.phone.endpoint, (self.weather,), settings)

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        assert isinstance(event, RequestArrived)
        if event.request.method != "SUBSCRIBE":
            return phone.endpoint.respond(event.transaction_id, make_response(event.request, 405), phone.now)
        resource = event.request.uri.username  # type: ignore[union-attr]
        return self.notifier.subscribe(event, "101", resource, phone.now)

    def watcher(self, host: str = "192.0.2.1") -> Watcher:
        return Watcher(self.network, host, SERVER)

    def become(self, word: str | None) -> None:
        self.weather.words = {} if word is None else {"102": word}
        self.phone.do(self.notifier.changed("weather", "102", self.phone.now))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.network.run(0.1)
            self.phone.do(self.notifier.expire(self.phone.now))


@pytest.fixture
def station() -> Station:
    return Station()


def test_a_subscriber_is_told_at_once_and_with_each_change(station: Station) -> None:
    watcher = station.watcher()
    accepted = watcher.subscribe("weather")
    assert accepted.status == 200
    assert accepted.headers.get("Expires") == "3600"
    assert watcher.bodies == ["102 0 None sunny"]
    (first,) = watcher.notified
    assert first.headers.get("Event") == "weather"
    assert first.content_type == "text/plain"
    assert first.contacts
    assert first.from_.tag == accepted.to.tag
    assert watcher.state.state == "active"
    assert watcher.state.expires_s in (3599, 3600)
    station.run(2)
    station.become("rainy")
    station.run(0.2)
    assert watcher.bodies[1:] == ["102 1 sunny rainy"]
    station.become("rainy")
    station.run(2)
    assert len(watcher.notified) == 2


def test_changes_that_follow_fast_are_told_once_a_second_and_as_they_are_then(station: Station) -> None:
    watcher = station.watcher()
    watcher.subscribe("weather")
    for word in ("rainy", "windy", "snowy"):
        station.become(word)
        station.run(0.1)
    assert len(watcher.notified) == 1
    station.run(1)
    assert watcher.bodies[1:] == ["102 1 sunny snowy"]
    station.run(3)
    station.become("dry")
    station.become("snowy")
    station.run(3)
    assert [body.split()[-1] for body in watcher.bodies] == ["sunny", "snowy", "dry", "snowy"]


def test_what_changes_while_a_notify_is_unanswered_waits_for_the_answer(station: Station) -> None:
    watcher = station.watcher()
    watcher.answer = None
    watcher.subscribe("weather")
    station.become("rainy")
    station.run(3)
    assert len(watcher.notified) == 1
    watcher.answer = 200
    station.run(6)
    assert watcher.bodies[1:] == ["102 1 sunny rainy"]


def test_a_subscription_is_renewed_changed_and_ended_by_its_watcher(station: Station) -> None:
    watcher = station.watcher()
    tag = watcher.subscribe("weather", 100).to.tag
    station.run(60)
    assert watcher.subscribe("weather", 100, tag=tag).status == 200
    assert len(watcher.notified) == 2
    station.run(60)
    assert len(station.notifier) == 1
    assert watcher.subscribe("weather", 30, tag=tag).status == 423
    assert watcher.subscribe("other", 100, tag=tag).status == 489
    assert watcher.subscribe("weather", 0, tag=tag).status == 200
    assert watcher.state.terminated
    assert len(station.notifier) == 0
    assert watcher.subscribe("weather", 100, tag=tag).status == 481


def test_a_subscription_that_is_not_renewed_ends(station: Station) -> None:
    watcher = station.watcher()
    watcher.subscribe("weather", 60)
    station.run(61)
    assert (watcher.state.state, watcher.state.reason) == ("terminated", "timeout")
    assert len(station.notifier) == 0
    station.network.settle()
    assert station.notifier.deadline() is None


def test_nobody_stays_subscribed_by_asking_once(station: Station) -> None:
    watcher = station.watcher()
    assert watcher.subscribe("weather", 0).status == 200
    assert watcher.bodies == ["102 0 None sunny"]
    assert watcher.state.terminated
    assert len(station.notifier) == 0
    station.network.settle()


@pytest.mark.parametrize("answer", [481, 489, None])
def test_who_does_not_want_a_notify_or_is_gone_gets_no_more(station: Station, answer: int | None) -> None:
    watcher = station.watcher()
    watcher.answer = answer
    watcher.subscribe("weather")
    station.run(40)
    assert len(station.notifier) == 0
    station.become("rainy")
    station.run(2)
    assert len(watcher.notified) == 1
    station.network.settle()


def test_a_notify_that_came_out_of_order_does_not_end_it(station: Station) -> None:
    watcher = station.watcher()
    watcher.answer = 500
    watcher.subscribe("weather")
    watcher.answer = 200
    station.run(2)
    station.become("rainy")
    station.run(2)
    assert len(watcher.notified) == 2


def test_what_may_not_be_watched_any_more_is_said(station: Station) -> None:
    watcher = station.watcher()
    watcher.subscribe("weather")
    station.weather.words = {}
    station.phone.do(station.notifier.review(station.phone.now))
    station.run(1)
    assert (watcher.state.state, watcher.state.reason) == ("terminated", "rejected")
    assert watcher.notified[-1].body == b""
    assert len(station.notifier) == 0


def test_what_cannot_be_subscribed_to_is_refused(station: Station) -> None:
    watcher = station.watcher()
    unknown = watcher.subscribe("presence")
    assert (unknown.status, unknown.headers.get("Allow-Events")) == (489, "weather")
    brief = watcher.subscribe("weather", 10, call_id="two")
    assert (brief.status, brief.headers.get("Min-Expires")) == (423, "60")
    assert watcher.subscribe("weather", "soon", call_id="three").status == 400
    assert watcher.subscribe(";", call_id="four").status == 489
    assert watcher.subscribe("weather", to="103", call_id="five").status == 403
    assert watcher.subscribe("weather", contact=False, call_id="six").status == 400
    foreign = watcher.send("SUBSCRIBE", ("Event", "weather"), ("Accept", "text/html"), call_id="seven")
    assert (foreign.status, foreign.headers.get("Accept")) == (406, "text/plain")
    assert len(station.notifier) == 0
    assert watcher.notified == []
    long = watcher.subscribe("weather", "99999999999", call_id="eight")
    assert long.headers.get("Expires") == "7200"
    assert watcher.subscribe("weather", None, call_id="nine").headers.get("Expires") == "3600"


def test_subscriptions_are_bounded() -> None:
    station = Station(NotifierSettings(most_of_a_watcher=3, most=3))
    watcher = station.watcher()
    for number in range(5):
        answer = watcher.subscribe("weather", call_id=str(number))
        assert answer.status == (200 if number < 3 else 503)
    assert answer.headers.get("Retry-After")
    assert len(station.notifier) == 3
    station = Station(NotifierSettings(most_of_a_source=1))
    one, other = station.watcher("192.0.2.1"), station.watcher("192.0.2.2")
    assert one.subscribe("weather").status == 200
    assert one.subscribe("weather", call_id="two").status == 503
    assert other.subscribe("weather").status == 200


@pytest.mark.parametrize("seed", range(20))
def test_on_a_bad_line_the_last_word_arrives_and_nothing_is_left(seed: int) -> None:
    station = Station(network=Network(seed, LinkQuality(loss=0.2, duplication=0.1, jitter=0.3)))
    watcher = station.watcher()
    for attempt in range(20):
        # Each is a subscription of its own: a watcher that heard no answer asks anew.
        watcher.subscribe("weather", 120, call_id=str(attempt))
        station.run(1)
        if watcher.notified:
            break
    for word in ("rainy", "windy", "snowy", "dry"):
        station.become(word)
        station.run(0.7)
    station.run(40)
    latest: dict[str, str] = {}
    for request in sorted(watcher.notified, key=lambda request: request.cseq.number):
        latest[request.call_id] = request.body.decode().split()[-1]
    assert "dry" in latest.values()
    station.run(130)
    assert len(station.notifier) == 0
    station.network.settle()
    assert station.notifier.deadline() is None


def test_requests_that_a_subscription_does_not_know_do_not_disturb_it(station: Station) -> None:
    watcher = station.watcher()
    tag = watcher.subscribe("weather").to.tag
    assert watcher.send("NOTIFY", ("Event", "weather"), tag=tag).status == 405
    station.run(2)
    station.become("rainy")
    station.run(1)
    assert len(watcher.notified) == 2
