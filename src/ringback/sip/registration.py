"""The registrar: which contacts a user has, and how they are reached (RFC 3261 §10.3, RFC 3327, RFC 5626)."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message import Request, Response, make_response
from ringback.sip.timers import Ticket, TimerQueue
from ringback.sip.uri import NameAddr, SipUri

_EXPIRES = re.compile(r"[0-9]{1,10}")
_Q = re.compile(r"[01](?:\.[0-9]{0,3})?")
_LONGEST_AGENT: Final = 200
_MOST_HOPS: Final = 8
_LONGEST_HOP: Final = 512

REGISTRAR_TAGS: Final = ("path", "outbound")
"""Extensions that a registrar has, and calls have not (RFC 3327, RFC 5626)."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of a user.

    Requests for it go to `flow`, where its REGISTER came from, with `uri` as Request-URI: that reaches phones
    behind NAT too. `expires_at` is on the clock of `now`; `q` is 0 to 1, more is preferred. `instance` and
    `reg_id` are those of RFC 5626: bindings of one instance are flows to one phone. `path` is the route set
    of requests (RFC 3327): they visit its hosts, but by this flow too, whatever address it names. `device` is
    the name that it logged in with, where that is not the user's.
    """

    uri: SipUri
    flow: Flow
    expires_at: float
    registered_at: float
    call_id: str
    cseq: int
    q: float = 1.0
    user_agent: str = ""
    instance: str | None = None
    reg_id: str | None = None
    path: tuple[str, ...] = ()
    device: str = ""

    @property
    def route_set(self) -> tuple[NameAddr, ...]:
        """`path`, parsed."""
        return tuple(NameAddr.parse(value) for value in self.path)


@dataclass(frozen=True, slots=True)
class SavedBinding:
    """A binding as a store can keep it; `expires_in_s` counts from when it was saved."""

    user: str
    uri: str
    transport: Transport
    local: Address
    remote: Address
    expires_in_s: float
    call_id: str
    cseq: int
    q: float
    user_agent: str
    instance: str | None = None
    reg_id: str | None = None
    path: tuple[str, ...] = ()
    device: str = ""


@dataclass(frozen=True, slots=True)
class RegistrarSettings:
    """Bounds of registrations; times in seconds.

    What is granted is down to `spread` of what was asked for, so that phones that all came back at one moment
    do not all refresh at one moment. `flow_timer_udp_s` and `flow_timer_stream_s`
    are how often a phone is to show that its flow lives (RFC 5626 §5.4).
    """

    default_expires_s: int = 3_600
    min_expires_s: int = 60
    max_expires_s: int = 7_200
    max_contacts: int = 10
    spread: float = 0.85
    flow_timer_udp_s: int = 30
    flow_timer_stream_s: int = 120


@dataclass(frozen=True, slots=True)
class _Update:
    """One contact of a REGISTER, checked: what it asks for."""

    address: NameAddr
    uri: SipUri
    expires_s: int
    q: float

    instance: str | None
    # Means nothing without an instance.
    reg_id: str | None


class _Registered:
    """A user's bindings, for the queue of those that run out."""

    __slots__ = ("bindings", "scheduled", "user")

    def __init__(self, user: str) -> None:
        self.user = user
        self.bindings: list[Binding] = []
        self.scheduled: Ticket | None = None

    def deadline(self) -> float | None:
        """When the first of them runs out."""
        return min((binding.expires_at for binding in self.bindings), default=None)


class Registrar:
    """Bindings in memory. The caller has authenticated the user and allowed it to change `aor_user`."""

    def __init__(
        self,
        settings: RegistrarSettings | None = None,
        new_tag: Callable[[], str] = lambda: secrets.token_hex(8),
        chance: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """`chance` gives numbers from 0 to 1 for the spread of times; without it what is asked is granted."""
        self._settings = settings or RegistrarSettings()
        self._new_tag = new_tag
        self._chance = chance
        self._users: dict[str, _Registered] = {}
        self._queue = TimerQueue()
        # Who is reached by a stream connection.
        self._by_connection: dict[Flow, set[str]] = {}

    def __len__(self) -> int:
        return sum(len(registered.bindings) for registered in self._users.values())

    def register(self, request: Request, aor_user: str, flow: Flow, now: float, device: str = "") -> Response:
        """Apply a REGISTER to a user's bindings, all of it or nothing, and answer it.

        200 lists what is bound now; 400 for a wildcard that is no removal and for a Path that cannot be read,
        403 for too many contacts, 423 for too short a time, 500 for a request that is older than what it
        would change.
        """
        self.expire(now)
        present = self._of(aor_user)
        updates: list[_Update] = []
        path = _path(request)
        if path is None:
            return self._refuse(request, 400, "Bad Path")
        if request.contact_star:
            if request.headers.get("Expires") != "0" or request.headers.count("Contact") != 1:
                return self._refuse(request, 400, "Wildcard Without Expires: 0")
            touched = present
        else:
            for address in request.contacts:
                update = self._read_contact(address, request)
                if update is None:
                    return self._refuse(request, 400, "Contact Is No SIP URI")
                updates.append(update)
            touched = [binding for binding in present if any(_same(binding, update) for update in updates)]
        if len(updates) > 1 and _by_outbound(request) and any(update.reg_id for update in updates):
            return self._refuse(request, 400, "One Contact With reg-id")
        if len(updates) > self._settings.max_contacts:
            return self._refuse(request, 403, "Too Many Contacts")
        if any(0 < update.expires_s < self._settings.min_expires_s for update in updates):
            response = self._refuse(request, 423)
            response.headers.set("Min-Expires", str(self._settings.min_expires_s))
            return response
        number = request.cseq.number
        if any(binding.call_id == request.call_id and number <= binding.cseq for binding in touched):
            return self._refuse(request, 500, "Out of Order")
        kept = [binding for binding in present if binding not in touched]
        added = [self._bind(update, request, flow, path, now, device) for update in _last_of_each(updates)]
        self._store(aor_user, [*kept, *added])
        return self._confirm(request, aor_user, updates, flow, path, now)

    def bindings(self, user: str, now: float) -> list[Binding]:
        """Where a user can be reached now: the preferred contact first, of equal ones the newest."""
        alive = (binding for binding in self._of(user) if binding.expires_at > now)
        return sorted(alive, key=lambda binding: (-binding.q, -binding.registered_at))

    def users(self) -> list[str]:
        """The users that have a binding."""
        return list(self._users)

    def deadline(self) -> float | None:
        """When the next binding runs out."""
        return self._queue.deadline()

    def expire(self, now: float) -> list[tuple[str, Binding]]:
        """Drop the bindings whose time is over, and tell which they were."""
        dropped: list[tuple[str, Binding]] = []
        while (due := self._queue.pop_due(now)) is not None:
            if isinstance(due, _Registered):
                dropped += self._drop(due.user, lambda binding: binding.expires_at <= now)
        return dropped

    def connection_lost(self, flow: Flow) -> list[tuple[str, Binding]]:
        """Drop the bindings of a closed stream connection, which nobody can be reached by any more."""
        dropped: list[tuple[str, Binding]] = []
        for user in list(self._by_connection.get(flow, ())):
            dropped += self._drop(user, lambda binding: binding.flow == flow)
        return dropped

    def remove(self, user: str, gone: Callable[[Binding], bool] | None = None) -> list[Binding]:
        """Drop the bindings of a user that are `gone`, all of them without that; tells which they were."""
        dropped = self._drop(user, gone or (lambda _: True))
        return [binding for _, binding in dropped]

    def take_back(self, user: str, binding: Binding, now: float) -> bool:
        """Have a binding again that was removed, unless its time is over or the phone has registered anew."""
        known = self._of(user)
        if binding.expires_at <= now or any(_same_contact(binding, other) for other in known):
            return False
        self._store(user, [binding, *known])
        return True

    def snapshot(self, now: float, users: Iterable[str] | None = None) -> list[SavedBinding]:
        """Every live binding, or those of `users`, to be given to `restore` of a later run."""
        return [
            SavedBinding(
                user=user,
                uri=str(binding.uri),
                transport=binding.flow.transport,
                local=binding.flow.local,
                remote=binding.flow.remote,
                expires_in_s=binding.expires_at - now,
                call_id=binding.call_id,
                cseq=binding.cseq,
                q=binding.q,
                user_agent=binding.user_agent,
                instance=binding.instance,
                reg_id=binding.reg_id,
                path=binding.path,
                device=binding.device,
            )
            for user in (self._users if users is None else users)
            if (registered := self._users.get(user)) is not None
            for binding in registered.bindings
            if binding.expires_at > now
        ]

    def restore(self, saved: Iterable[SavedBinding], now: float) -> int:
        """Take back saved bindings with the time they have left; returns how many.

        Those of streams are left out: their connections did not survive, and the phone registers again when
        it makes a new one. A user who has registered in the meantime keeps what is new.
        """
        count = 0
        fresh = set(self._users)
        for one in saved:
            if one.transport != "udp" or one.expires_in_s <= 0 or one.user in fresh:
                continue
            binding = Binding(
                uri=SipUri.parse(one.uri),
                flow=Flow(one.transport, _address(one.local), _address(one.remote)),
                expires_at=now + min(one.expires_in_s, self._settings.max_expires_s),
                registered_at=now,
                call_id=one.call_id,
                cseq=one.cseq,
                q=one.q,
                user_agent=one.user_agent,
                instance=one.instance,
                reg_id=one.reg_id,
                path=tuple(one.path),
                device=one.device,
            )
            self._keep(one.user, [*self._of(one.user), binding])
            count += 1
        return count

    def _read_contact(self, address: NameAddr, request: Request) -> _Update | None:
        if not isinstance(address.uri, SipUri) or not address.uri.host:
            return None
        settings = self._settings
        text = address.params.get("expires")
        if text is None:
            text = request.headers.get("Expires")
        # A value that cannot be read counts as none (RFC 3261 §10.2.1.1).
        given = int(text) if text is not None and _EXPIRES.fullmatch(text) else settings.default_expires_s
        q = address.params.get("q") or "1"
        instance = address.params.get("+sip.instance")
        return _Update(
            address=address,
            uri=address.uri,
            expires_s=min(given, settings.max_expires_s),
            q=min(1.0, float(q)) if _Q.fullmatch(q) else 1.0,
            instance=instance,
            reg_id=address.params.get("reg-id") if instance else None,
        )

    def _bind(
        self, update: _Update, request: Request, flow: Flow, path: tuple[str, ...], now: float, device: str
    ) -> Binding | None:
        if update.expires_s == 0:
            return None
        settings = self._settings
        share = settings.spread + (1 - settings.spread) * self._chance()
        granted = max(math.floor(update.expires_s * share), min(update.expires_s, settings.min_expires_s))
        return Binding(
            uri=update.uri,
            flow=flow,
            expires_at=now + granted,
            registered_at=now,
            call_id=request.call_id,
            cseq=request.cseq.number,
            q=update.q,
            user_agent=(request.headers.get("User-Agent") or "")[:_LONGEST_AGENT],
            instance=update.instance,
            reg_id=update.reg_id,
            path=path,
            device=device,
        )

    def _of(self, user: str) -> list[Binding]:
        registered = self._users.get(user)
        return [] if registered is None else registered.bindings

    def _store(self, user: str, bindings: list[Binding | None]) -> None:
        # Phones that restart with a new port leave dead contacts behind: the oldest give way.
        self._keep(user, [b for b in bindings if b is not None][-self._settings.max_contacts :])

    def _keep(self, user: str, bindings: list[Binding]) -> None:
        """Make these the bindings of a user."""
        registered = self._users.get(user)
        if registered is None:
            registered = self._users[user] = _Registered(user)
        for binding in registered.bindings:
            if (users := self._by_connection.get(binding.flow)) is not None:
                users.discard(user)
                if not users:
                    del self._by_connection[binding.flow]
        registered.bindings = bindings
        for binding in bindings:
            if binding.flow.reliable:
                self._by_connection.setdefault(binding.flow, set()).add(user)
        self._queue.update(registered)
        if not bindings:
            del self._users[user]

    def _drop(self, user: str, gone: Callable[[Binding], bool]) -> list[tuple[str, Binding]]:
        bindings = self._of(user)
        self._keep(user, [binding for binding in bindings if not gone(binding)])
        return [(user, binding) for binding in bindings if gone(binding)]

    def _confirm(
        self,
        request: Request,
        user: str,
        updates: list[_Update],
        flow: Flow,
        path: tuple[str, ...],
        now: float,
    ) -> Response:
        response = make_response(request, 200, to_tag=self._new_tag())
        for binding in self.bindings(user, now):
            response.headers.add("Contact", _contact_value(binding, now))
        response.headers.set("Supported", ", ".join(REGISTRAR_TAGS))
        for value in path:
            response.headers.add("Path", value)
        if _by_outbound(request) and any(update.reg_id and update.expires_s for update in updates):
            response.headers.set("Require", "outbound")
            settings = self._settings
            timer_s = settings.flow_timer_stream_s if flow.reliable else settings.flow_timer_udp_s
            response.headers.set("Flow-Timer", str(timer_s))
        return response

    def _refuse(self, request: Request, status: int, reason: str | None = None) -> Response:
        return make_response(request, status, reason, to_tag=self._new_tag())


def _same(binding: Binding, update: _Update) -> bool:
    """Whether an update is about a binding: of flows by instance and reg-id, else by URI (RFC 5626 §6)."""
    if update.reg_id is not None and binding.reg_id is not None:
        return (binding.instance, binding.reg_id) == (update.instance, update.reg_id)
    return binding.uri == update.uri


def _same_contact(one: Binding, other: Binding) -> bool:
    """Whether two bindings are of one contact, by the same rule."""
    if one.reg_id is not None and other.reg_id is not None:
        return (one.instance, one.reg_id) == (other.instance, other.reg_id)
    return one.uri == other.uri


def _supports(request: Request, tag: str) -> bool:
    return any(tag == option.lower() for option in request.headers.get_all("Supported"))


def _by_outbound(request: Request) -> bool:
    """Whether a flow of RFC 5626 is wanted and possible (§6): one through a proxy only when that takes part.

    The RFC would have 439 then; phones that ask for outbound by default would not register at all.
    """
    if not _supports(request, "outbound"):
        return False
    if request.headers.count("Via") == 1:
        return True
    path = request.headers.get_all("Path")
    try:
        edge = NameAddr.parse(path[-1]).uri if path else None
    except SipSyntaxError:
        return False
    return isinstance(edge, SipUri) and "ob" in edge.params


def _path(request: Request) -> tuple[str, ...] | None:
    """The Path of a phone that knows of it (RFC 3327 §5.3), none of others; None when it cannot be used."""
    values = request.headers.get_all("Path")
    if not values or not _supports(request, "path"):
        return ()
    if len(values) > _MOST_HOPS or max(map(len, values)) > _LONGEST_HOP:
        return None
    try:
        hops = [NameAddr.parse(value) for value in values]
    except SipSyntaxError:
        return None
    return tuple(map(str, hops)) if all(isinstance(hop.uri, SipUri) for hop in hops) else None


def _last_of_each(updates: list[_Update]) -> list[_Update]:
    """Of several mentions of one contact in a request the last one."""
    return [
        update
        for index, update in enumerate(updates)
        if not any(update.uri == later.uri for later in updates[index + 1 :])
    ]


def _contact_value(binding: Binding, now: float) -> str:
    params = {"expires": str(max(1, math.ceil(binding.expires_at - now)))}
    if binding.q != 1.0:
        params["q"] = f"{binding.q:.3g}"
    if binding.instance is not None:
        params["+sip.instance"] = binding.instance
    if binding.reg_id is not None:
        params["reg-id"] = binding.reg_id
    return str(NameAddr(binding.uri, params=params))


def _address(address: Iterable[object]) -> Address:
    host, port = address
    return str(host), int(str(port))
