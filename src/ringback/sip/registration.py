"""The registrar: which contacts a user can be reached at, and by which flow (RFC 3261 §10.3, RFC 5626)."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message import Request, Response, make_response
from ringback.sip.uri import NameAddr, SipUri

_EXPIRES = re.compile(r"[0-9]{1,10}")
_Q = re.compile(r"[01](?:\.[0-9]{0,3})?")
_LONGEST_AGENT: Final = 200


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of a user.

    Requests for it go to `flow`, where its REGISTER came from, with `uri` as Request-URI: that reaches phones
    behind NAT too. `expires_at` is on the clock of `now`; `q` is 0 to 1, more is preferred. `instance` and
    `reg_id` are those of RFC 5626.
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


@dataclass(frozen=True, slots=True)
class RegistrarSettings:
    """Bounds of registrations; times in seconds."""

    default_expires_s: int = 3_600
    min_expires_s: int = 60
    max_expires_s: int = 7_200
    max_contacts: int = 10


@dataclass(frozen=True, slots=True)
class _Update:
    """One contact of a REGISTER, checked: what it asks for."""

    address: NameAddr
    uri: SipUri
    expires_s: int
    q: float

    @property
    def instance(self) -> str | None:
        return self.address.params.get("+sip.instance")

    @property
    def reg_id(self) -> str | None:
        return self.address.params.get("reg-id")


class Registrar:
    """Bindings in memory. The caller has authenticated the user and allowed it to change `aor_user`."""

    def __init__(
        self,
        settings: RegistrarSettings | None = None,
        new_tag: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._settings = settings or RegistrarSettings()
        self._new_tag = new_tag
        self._users: dict[str, list[Binding]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._users.values()))

    def register(self, request: Request, aor_user: str, flow: Flow, now: float) -> Response:
        """Apply a REGISTER to a user's bindings, all of it or nothing, and answer it.

        200 lists what is bound now; 400 for a wildcard that is no removal, 403 for too many contacts, 423
        for too short a time, 500 for a request that is older than what it would change.
        """
        self.expire(now)
        present = self._users.get(aor_user, [])
        updates: list[_Update] = []
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
        added = [self._bind(update, request, flow, now) for update in _last_of_each(updates)]
        self._store(aor_user, [*kept, *added])
        return self._confirm(request, aor_user, updates, now)

    def bindings(self, user: str, now: float) -> list[Binding]:
        """Where a user can be reached now: the preferred contact first, of equal ones the newest."""
        alive = (binding for binding in self._users.get(user, ()) if binding.expires_at > now)
        return sorted(alive, key=lambda binding: (-binding.q, -binding.registered_at))

    def users(self) -> list[str]:
        """The users that have a binding."""
        return list(self._users)

    def deadline(self) -> float | None:
        """When the next binding runs out."""
        return min((b.expires_at for bindings in self._users.values() for b in bindings), default=None)

    def expire(self, now: float) -> list[tuple[str, Binding]]:
        """Drop the bindings whose time is over, and tell which they were."""
        return self._drop(lambda binding: binding.expires_at <= now)

    def connection_lost(self, flow: Flow) -> list[tuple[str, Binding]]:
        """Drop the bindings of a closed stream connection, which nobody can be reached by any more."""
        return self._drop(lambda binding: binding.flow.reliable and binding.flow == flow)

    def remove(self, user: str) -> list[Binding]:
        """Drop all bindings of a user whose account is gone."""
        return self._users.pop(user, [])

    def snapshot(self, now: float) -> list[SavedBinding]:
        """Every live binding, to be given to `restore` of a later run."""
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
            )
            for user, bindings in self._users.items()
            for binding in bindings
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
            )
            self._users.setdefault(one.user, []).append(binding)
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
        return _Update(
            address=address,
            uri=address.uri,
            expires_s=min(given, settings.max_expires_s),
            q=min(1.0, float(q)) if _Q.fullmatch(q) else 1.0,
        )

    def _bind(self, update: _Update, request: Request, flow: Flow, now: float) -> Binding | None:
        if update.expires_s == 0:
            return None
        return Binding(
            uri=update.uri,
            flow=flow,
            expires_at=now + update.expires_s,
            registered_at=now,
            call_id=request.call_id,
            cseq=request.cseq.number,
            q=update.q,
            user_agent=(request.headers.get("User-Agent") or "")[:_LONGEST_AGENT],
            instance=update.instance,
            reg_id=update.reg_id,
        )

    def _store(self, user: str, bindings: list[Binding | None]) -> None:
        left = [binding for binding in bindings if binding is not None]
        if left:
            # Phones that restart with a new port leave dead contacts behind: the oldest give way.
            self._users[user] = left[-self._settings.max_contacts :]
        else:
            self._users.pop(user, None)

    def _drop(self, gone: Callable[[Binding], bool]) -> list[tuple[str, Binding]]:
        dropped: list[tuple[str, Binding]] = []
        for user, bindings in list(self._users.items()):
            lost = [binding for binding in bindings if gone(binding)]
            if lost:
                dropped += [(user, binding) for binding in lost]
                self._store(user, [binding for binding in bindings if not gone(binding)])
        return dropped

    def _confirm(self, request: Request, user: str, updates: list[_Update], now: float) -> Response:
        response = make_response(request, 200, to_tag=self._new_tag())
        for binding in self.bindings(user, now):
            response.headers.add("Contact", _contact_value(binding, now))
        supported = {option.lower() for option in request.headers.get_all("Supported")}
        if "outbound" in supported and any(update.reg_id and update.instance for update in updates):
            response.headers.set("Require", "outbound")
        return response

    def _refuse(self, request: Request, status: int, reason: str | None = None) -> Response:
        return make_response(request, status, reason, to_tag=self._new_tag())


def _same(binding: Binding, update: _Update) -> bool:
    """Whether an update is about a binding: by URI, or by instance and reg-id (RFC 5626 §6)."""
    if binding.uri == update.uri:
        return True
    return (
        update.instance is not None
        and update.reg_id is not None
        and (binding.instance, binding.reg_id) == (update.instance, update.reg_id)
    )


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
