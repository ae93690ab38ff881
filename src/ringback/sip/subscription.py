"""The notifier: subscriptions to event packages, each a dialog in which state is sent (RFC 6665 §4.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from ringback.governance.throttle import source_key
from ringback.sip.dialog import Dialog
from ringback.sip.effects import Effect, RequestArrived
from ringback.sip.errors import SipSyntaxError
from ringback.sip.event import Event, SubscriptionState, seconds
from ringback.sip.message import Headers, Request, Response, SipUri, make_response
from ringback.sip.timers import Ticket, TimerQueue
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from ringback.sip.endpoint import Endpoint

P = TypeVar("P")

_RETRY_AFTER: Final = "60"
_GONE: Final = frozenset({404, 405, 410, 416, *range(480, 486), 489, 501, 604})


class EventPackage(Protocol[P]):
    """What can be watched, as RFC 6665 §5.4 asks of a package; a `P` is a picture of its state."""

    name: str
    content_type: str

    def picture(self, resource: str, watcher: str) -> P | None:
        """The state of the resource as this watcher may see it, to be compared; None when it may not."""

    def document(self, entity: SipUri, version: int, before: P | None, picture: P) -> bytes:
        """The body of a NOTIFY; `before` is what the watcher was told last, `version` counts from 0."""


@dataclass(frozen=True, slots=True)
class NotifierSettings:
    """Bounds of subscriptions; times in seconds. `interval_s` lies at least between two NOTIFYs of one."""

    default_expires_s: int = 3_600
    min_expires_s: int = 60
    max_expires_s: int = 7_200
    interval_s: float = 1.0
    most_of_a_watcher: int = 500
    most_of_a_source: int = 2_000
    most: int = 50_000


class Subscription:
    """One watcher's subscription to one resource, from its SUBSCRIBE to its last NOTIFY.

    One NOTIFY is on its way at a time: what changes meanwhile is told by the next, as the state is then.
    """

    served = frozenset({"SUBSCRIBE"})

    def __init__(
        self,
        notifier: Notifier,
        package: EventPackage[Any],
        resource: str,
        watcher: str,
        event: Event,
        request: Request,
        dialog: Dialog,
    ) -> None:
        self.package = package
        self.resource = resource
        self.watcher = watcher
        self.source = source_key(dialog.flow.remote[0])
        self.scheduled: Ticket | None = None
        self._notifier = notifier
        self._event = event
        self._entity = _entity_of(request)
        self._dialog = dialog
        self._expires_at = 0.0
        self._version = 0
        self._told: Any = None
        self._wanted = False
        self._forced = False
        self._on_its_way = False
        self._next_at = 0.0
        self._over = False

    @property
    def dialog(self) -> Dialog:
        """The subscription's dialog."""
        return self._dialog

    def changed(self, now: float) -> list[Effect]:
        """The state may be another: told if it is, and if the watcher may still see it."""
        picture = self.package.picture(self.resource, self.watcher)
        if picture is None:
            return self._end("rejected", now)
        if picture == self._told:
            return []
        self._wanted = True
        return self._proceed(now)

    # From the watcher

    def renewed(self, expires_s: int, now: float) -> list[Effect]:
        """A SUBSCRIBE was answered: the whole state follows at once (§4.2.1.2); 0 s is the end."""
        if expires_s == 0:
            return self._end("timeout", now)
        self._expires_at = now + expires_s
        self._forced = True
        self._notifier.queue.update(self)
        return [] if self._on_its_way else self._notify(now)

    def request_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        """A SUBSCRIBE within the dialog: more time, or the end."""
        notifier = self._notifier
        duration = notifier.duration(request)
        if not isinstance(duration, int) or _event_of(request) != self._event:
            status, headers = (489, Headers()) if isinstance(duration, int) else duration
            return notifier.agent.respond(transaction, request, status, now, headers=headers)
        self._dialog.refresh_target(request)
        headers = Headers(("Expires", str(duration)), ("Contact", notifier.agent.contact(transaction.flow)))
        answered = notifier.agent.respond(transaction, request, 200, now, headers=headers)
        return [*answered, *self.renewed(duration, now)]

    def ack_received(self, request: Request, now: float) -> list[Effect]:
        """Means nothing here."""
        del request, now
        return []

    def moved(self, transaction: ServerTransaction) -> list[Effect]:
        """Nothing that was lost with a connection has to go again."""
        del transaction
        return []

    # To the watcher

    def _proceed(self, now: float) -> list[Effect]:
        if not self._wanted or self._on_its_way or now < self._next_at:
            self._notifier.queue.update(self)
            return []
        return self._notify(now)

    def _notify(self, now: float, final: str | None = None) -> list[Effect]:
        if self._over:
            return []
        state = SubscriptionState("active", expires_s=max(0, round(self._expires_at - now)))
        if final is not None:
            state = SubscriptionState("terminated", reason=final)
            self._over = True
        agent = self._notifier.agent
        request, flow = agent.in_dialog(self._dialog, "NOTIFY")
        request.headers.add("Event", str(self._event))
        request.headers.add("Subscription-State", str(state))
        picture = self.package.picture(self.resource, self.watcher)
        if picture is not None:
            request.headers.add("Content-Type", self.package.content_type)
            request.body = self.package.document(self._entity, self._version, self._told, picture)
            self._version += 1
            self._told = picture
        self._wanted = self._forced = False
        self._on_its_way = True
        self._next_at = now + self._notifier.settings.interval_s
        if self._over:
            self._notifier.remove(self)
        else:
            self._notifier.queue.update(self)
        return agent.send(request, flow, self, now)[1]

    def _end(self, reason: str, now: float) -> list[Effect]:
        return self._notify(now, final=reason)

    def response_received(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> list[Effect]:
        """The answer to a NOTIFY: some say that nobody watches any more (§4.2.2)."""
        del transaction
        return [] if response.status < 200 else self._answered(response.status in _GONE, now)

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        """A NOTIFY that nobody answered is the end as well."""
        del transaction, status
        return self._answered(True, now)

    def _answered(self, gone: bool, now: float) -> list[Effect]:
        self._on_its_way = False
        if self._over:
            return []
        if gone:
            self._over = True
            self._notifier.remove(self)
            return []
        if self._forced:
            return self._notify(now)
        # What changed and changed back while it was on its way need not be told.
        return self.changed(now) if self._wanted else []

    # Clock

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""
        if self._over:
            return None
        waits = self._wanted and not self._on_its_way
        return min(self._expires_at, self._next_at) if waits else self._expires_at

    def expire(self, now: float) -> list[Effect]:
        """The subscription's time is over, or a NOTIFY that had to wait may go."""
        return self._end("timeout", now) if now >= self._expires_at else self._proceed(now)


class Notifier:
    """All subscriptions. The caller has authenticated watchers, and told what they may watch by `picture`."""

    def __init__(
        self,
        endpoint: Endpoint,
        packages: Iterable[EventPackage[Any]],
        settings: NotifierSettings | None = None,
    ) -> None:
        self.settings = settings or NotifierSettings()
        self.agent = endpoint.agent
        self.queue = TimerQueue()
        self._endpoint = endpoint
        self._packages = {package.name: package for package in packages}
        self._watched: dict[tuple[str, str], dict[Subscription, None]] = {}
        self._watchers: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._watchers.total()

    @property
    def allow_events(self) -> str:
        """The packages there are, as the Allow-Events field has them (§8.2.2)."""
        return ", ".join(self._packages)

    def subscribe(self, arrived: RequestArrived, watcher: str, resource: str, now: float) -> list[Effect]:
        """Answer a SUBSCRIBE that begins a subscription, and send the first NOTIFY.

        Refused are a package that there is not (489), a duration that is too short (423), a type of body
        that the package does not have (406), a resource that may not be watched (403), and too many
        subscriptions of one watcher, one source or in all (503).
        """
        request = arrived.request
        duration = self.duration(request)
        event = _event_of(request)
        package = self._packages.get(event.package) if event is not None else None
        if event is None or package is None:
            return self._answer(arrived, 489, now, Headers(("Allow-Events", self.allow_events)))
        if not isinstance(duration, int):
            return self._answer(arrived, duration[0], now, duration[1])
        if len(request.contacts) != 1:
            return self._answer(arrived, 400, now)
        if not _accepts(request, package.content_type):
            return self._answer(arrived, 406, now, Headers(("Accept", package.content_type)))
        if package.picture(resource, watcher) is None:
            return self._answer(arrived, 403, now)
        tag = self.agent.new_token()
        dialog = Dialog.of_server(request, tag, arrived.flow)
        subscription = Subscription(self, package, resource, watcher, event, request, dialog)
        if duration > 0:
            if self._full(subscription):
                return self._answer(arrived, 503, now, Headers(("Retry-After", _RETRY_AFTER)))
            self._add(subscription)
        headers = Headers(("Expires", str(duration)), ("Contact", self.agent.contact(arrived.flow)))
        headers.copy_from(request.headers, "Record-Route")
        return [*self._answer(arrived, 200, now, headers, tag), *subscription.renewed(duration, now)]

    def duration(self, request: Request) -> int | tuple[int, Headers]:
        """How long a SUBSCRIBE's subscription lasts in seconds; else what refuses it (§4.2.1.1)."""
        settings = self.settings
        if "Expires" not in request.headers:
            return settings.default_expires_s
        wanted = seconds(request.headers.get("Expires"))
        if wanted is None:
            return 400, Headers()
        if 0 < wanted < settings.min_expires_s:
            return 423, Headers(("Min-Expires", str(settings.min_expires_s)))
        return min(wanted, settings.max_expires_s)

    def changed(self, package: str, resource: str, now: float) -> list[Effect]:
        """The state of a resource may be another: its watchers are told."""
        effects: list[Effect] = []
        for subscription in list(self._watched.get((package, resource), ())):
            effects += subscription.changed(now)
        return effects

    def review(self, now: float) -> list[Effect]:
        """What watchers may see has changed: those that may not any more are told that it is over."""
        effects: list[Effect] = []
        for package, resource in list(self._watched):
            effects += self.changed(package, resource, now)
        return effects

    def remove(self, subscription: Subscription) -> None:
        """A subscription is over; it calls this itself."""
        self.agent.forget(subscription.dialog)
        key = (subscription.package.name, subscription.resource)
        watching = self._watched.get(key, {})
        if subscription not in watching:
            return
        del watching[subscription]
        if not watching:
            del self._watched[key]
        for counter, who in ((self._watchers, subscription.watcher), (self._sources, subscription.source)):
            counter[who] -= 1
            if not counter[who]:
                del counter[who]
        self.queue.update(subscription)

    # Clock

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""
        return self.queue.deadline()

    def expire(self, now: float) -> list[Effect]:
        """Do all that is due."""
        effects: list[Effect] = []
        while (item := self.queue.pop_due(now)) is not None:
            if isinstance(item, Subscription):
                effects += item.expire(now)
                self.queue.update(item)
        return effects

    def _add(self, subscription: Subscription) -> None:
        self.agent.enlist(subscription.dialog, subscription)
        self._watched.setdefault((subscription.package.name, subscription.resource), {})[subscription] = None
        self._watchers[subscription.watcher] += 1
        self._sources[subscription.source] += 1

    def _full(self, subscription: Subscription) -> bool:
        settings = self.settings
        return (
            len(self) >= settings.most
            or self._watchers[subscription.watcher] >= settings.most_of_a_watcher
            or self._sources[subscription.source] >= settings.most_of_a_source
        )

    def _answer(
        self,
        arrived: RequestArrived,
        status: int,
        now: float,
        headers: Headers | None = None,
        to_tag: str | None = None,
    ) -> list[Effect]:
        response = make_response(arrived.request, status, to_tag=to_tag)
        for name, value in (headers or Headers()).items():
            response.headers.add(name, value)
        return self._endpoint.respond(arrived.transaction_id, response, now)


def _event_of(request: Request) -> Event | None:
    try:
        return Event.parse(request.headers.get("Event") or "")
    except SipSyntaxError:
        return None


def _accepts(request: Request, content_type: str) -> bool:
    wanted = {value.partition(";")[0].strip(" \t").lower() for value in request.headers.get_all("Accept")}
    return not wanted or bool(wanted & {content_type, content_type.partition("/")[0] + "/*", "*/*"})


def _entity_of(request: Request) -> SipUri:
    """Who is watched, as the watcher calls it."""
    uri = request.uri
    return SipUri(uri.scheme, uri.user, None, uri.host, uri.port) if isinstance(uri, SipUri) else SipUri()
