"""What is allowed from outside: who must prove an account, what a request may do, where a call goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from ringback.call.application import Application
from ringback.call.bridge import Bridge, Device
from ringback.call.echo import EchoTest
from ringback.call.leg import Leg, Party
from ringback.call.switchboard import Switchboard
from ringback.call.transfer import Takeover
from ringback.conference.entry import Entry
from ringback.conference.meetings import EntryTimings, Meetings
from ringback.conference.pin_guard import PinGuard
from ringback.conference.visits import Visit, Visits
from ringback.governance.identity import SIP_REALM
from ringback.governance.private import Private
from ringback.governance.sources import SipSources
from ringback.governance.throttle import SourceList
from ringback.routing.dialplan import (
    Destination,
    Nowhere,
    ServiceNumbers,
    ToDialIn,
    ToEcho,
    ToExtension,
    ToMeeting,
    ToOutside,
    needs_account,
    route,
)
from ringback.routing.numbers import DialString, number_in, parse_dial_string
from ringback.server.caller import fields_for, party_of, shown
from ringback.server.challenges import ALGORITHMS, DigestChoice
from ringback.server.outside import Outside, TooMuch
from ringback.server.watching import Watching
from ringback.sip.answer_mode import wanted_answer
from ringback.sip.digest import (
    Accepted,
    Credential,
    DigestAuthenticator,
    Rejected,
    make_ha1,
    parse_digest,
)
from ringback.sip.effects import Effect, IncomingCall, RequestArrived
from ringback.sip.endpoint import Endpoint
from ringback.sip.flow import Flow
from ringback.sip.headers import Headers
from ringback.sip.identity import is_anonymous, privacy_unmet
from ringback.sip.message import Request, Response, make_response
from ringback.sip.registration import Binding, Registrar
from ringback.sip.session import InviteSession
from ringback.sip.uri import NameAddr, SipUri, escape_user
from ringback.store.directory import Directory, Extension, Trunk

BROWSER_TRANSPORTS: Final = ("ws", "wss")

Lookup = Callable[[], Directory]


@dataclass(frozen=True, slots=True)
class Denied:
    """The request may not go on: the status and headers to answer with."""

    status: int
    headers: Headers
    reason: str | None = None

    def response(self, request: Request) -> Response:
        """The answer to `request`."""
        response = make_response(request, self.status, self.reason)
        for name, value in self.headers.items():
            response.headers.add(name, value)
        return response


class Policy:
    """Decides about everything that comes from outside a call; sans-IO, it only returns effects."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        switchboard: Switchboard,
        meetings: Meetings,
        registrar: Registrar,
        visits: Visits,
        authenticator: DigestAuthenticator,
        digests: DigestChoice,
        guard: PinGuard,
        sources: SipSources,
        directory: Lookup,
        services: ServiceNumbers,
        timings: EntryTimings,
        contact_for: Callable[[Flow], SipUri],
        on_registration: Callable[[str, Flow], None],
        watching: Watching,
        outside: Outside | None = None,
        trusted_peers: SourceList | None = None,
        allow_answer_mode: bool = False,
    ) -> None:
        """Calls to devices in `trusted_peers` tell them who calls, also where others may not know."""
        self._endpoint = endpoint
        self._switchboard = switchboard
        self._meetings = meetings
        self._registrar = registrar
        self._visits = visits
        self._authenticator = authenticator
        self._digests = digests
        self._guard = guard
        self._sources = sources
        self._directory = directory
        self._services = services
        self._timings = timings
        self._contact_for = contact_for
        self._on_registration = on_registration
        self._watching = watching
        self._outside = outside
        self._trusted_peers = trusted_peers or SourceList()
        self._allow_answer_mode = allow_answer_mode
        self.accepting = True

    # Calls

    def call(self, event: IncomingCall, now: float) -> list[Effect]:
        """An INVITE that begins a call: to a meeting from anybody, to everything else from an account.

        Browsers always have an account: of a visit, which reaches its meeting and the echo test alone.
        """
        request, session, flow = event.request, event.session, event.flow
        if not self.accepting:
            return session.reject(503, now, "Shutting down")
        trunk = self._trunk(request, flow)
        if trunk is not None and trunk.inbound == "address":
            return self._from_trunk(trunk, event, now)
        dialled = number_in(request.uri)
        destination = self._route(dialled)
        account: str | None = None
        visit: Visit | None = None
        if self._needs_account(request, destination, flow) or trunk or event.replaced is not None:
            proof = self._authenticate(request, flow, now)
            if isinstance(proof, Denied):
                return session.reject(proof.status, now, proof.reason, proof.headers)
            if isinstance(proof, Trunk):
                return self._from_trunk(proof, event, now)
            account = proof
            visit = self._visits.account(account, now)
        if visit is not None and event.replaced is None and not _open_to(visit, destination):
            return session.reject(403, now, "Not with this link")
        party = party_of(request, account, visit)
        refused = self._unmet(request, destination)
        if refused is not None:
            return session.reject(refused.status, now, refused.reason)
        application: Application | TooMuch | int | None
        if event.replaced is not None:
            application = self._takeover(event.replaced, account)
        else:
            itself = self._allow_answer_mode and wanted_answer(request.headers) != "manual"
            application = self._application(
                destination, dialled, party, visit, flow, now, answers_itself=itself
            )
        if application is None or isinstance(application, int):
            return session.reject(application or 404, now)
        if isinstance(application, TooMuch):
            return session.reject(403, now, application.reason)
        number = Private(dialled.number if dialled else "")
        self._switchboard.incoming(session, flow, request.body, shown(party), number, application, now)
        return []

    def _takeover(self, session: InviteSession, account: str | None) -> Application | int:
        """What an INVITE with Replaces gets: an account takes over calls of its own devices (RFC 3891 §3)."""
        leg = self._switchboard.leg_of(session)
        if leg is None:
            return 481
        bridge = leg.application
        if leg.party.account != account or not isinstance(bridge, Bridge) or not bridge.may_replace(leg):
            return 403
        return Takeover(bridge, leg)

    def destination(
        self, transferor: Leg, remaining: Leg, refer_to: NameAddr, now: float
    ) -> Application | int:
        """Where a transfer goes: whatever the transferor may call itself, and nowhere else. A phone there is
        shown who remains.
        """
        account = transferor.party.account
        extension = self._directory().extension(account) if account is not None else None
        if not self.accepting or account is None or extension is None or not extension.enabled:
            return 403
        dialled = number_in(refer_to.uri)
        party = Party(Private(account), Private(extension.display_name), account)
        destination = self._route(dialled)
        if isinstance(destination, ToExtension):
            return self._bridge(destination.extension, remaining.party, remaining.flow, now)
        application = self._application(destination, dialled, party, None, remaining.flow, now)
        return 403 if isinstance(application, TooMuch) else application or 404

    def _from_trunk(self, trunk: Trunk, event: IncomingCall, now: float) -> list[Effect]:
        """A call from outside goes where its number leads; out again only where that is allowed."""
        request, session = event.request, event.session
        assert self._outside is not None
        number = self._outside.destination(trunk, request)
        dialled = parse_dial_string(number)
        if dialled is None:
            return session.reject(404, now)
        if self._outside.is_full(trunk):
            return session.reject(486, now, "Too many calls on this trunk")
        destination = self._route(dialled)
        if isinstance(destination, ToOutside) and not trunk.transit:
            return session.reject(403, now, "Not from this trunk")
        self._sources.proved(event.flow.remote, now)
        party = party_of(request, trunk=trunk.name)
        refused = self._unmet(request, None)
        if refused is not None:
            return session.reject(refused.status, now, refused.reason)
        hops = request.max_forwards
        if isinstance(destination, ToOutside) and hops is not None and hops <= 1:
            return session.reject(483, now)
        application = self._application(destination, dialled, party, None, event.flow, now, hops)
        if application is None:
            return session.reject(404, now)
        if isinstance(application, TooMuch):
            return session.reject(403, now, application.reason)
        self._switchboard.incoming(
            session,
            event.flow,
            request.body,
            shown(party),
            Private(dialled.number),
            application,
            now,
            trunk.codecs,
        )
        return []

    def _route(self, dialled: DialString | None) -> Destination:
        return route(dialled.number, self._directory(), self._services) if dialled else Nowhere()

    def _application(
        self,
        destination: Destination,
        dialled: DialString | None,
        party: Party,
        visit: Visit | None,
        flow: Flow,
        now: float,
        max_forwards: int | None = None,
        *,
        answers_itself: bool = False,
    ) -> Application | TooMuch | None:
        match destination:
            case ToMeeting(meeting=meeting):
                pin = dialled.pin if dialled else None
                return self._entry(meeting_number=meeting.number, pin=pin, visit=visit)
            case ToDialIn():
                return self._entry(meeting_number=None, pin=None)
            case ToEcho():
                return EchoTest()
            case ToExtension(extension=extension):
                return self._bridge(extension, party, flow, now, answers_itself=answers_itself)
            case ToOutside():
                return self._call_out(destination, party, now, max_forwards)
            case Nowhere():
                return None

    def _entry(
        self, meeting_number: str | None, pin: Private[str] | None, visit: Visit | None = None
    ) -> Entry:
        return Entry(
            meetings=self._meetings,
            find_meeting=lambda number: self._directory().meeting(number),
            guard=self._guard,
            alarm=self._switchboard,
            timings=self._timings,
            meeting=self._directory().meeting(meeting_number) if meeting_number else None,
            pin=pin,
            visit=visit,
        )

    def _call_out(
        self, destination: ToOutside, party: Party, now: float, max_forwards: int | None
    ) -> Application | TooMuch | None:
        if self._outside is None:
            return None
        extension = self._directory().extension(party.account or "")
        caller = party
        if extension is not None:
            caller = replace(party, name=Private(extension.display_name))
        return self._outside.call(
            destination,
            caller,
            now,
            account=party.account or f"trunk:{party.trunk}",
            extension_id=extension.id if extension is not None else None,
            max_forwards=70 if max_forwards is None else max_forwards - 1,
        )

    def _bridge(
        self, extension: Extension, party: Party, flow: Flow, now: float, *, answers_itself: bool = False
    ) -> Bridge:
        caller = self._directory().extension(party.account or "")
        name = caller.display_name if caller else ""
        if party.trunk is not None and party.name is not None:
            name = party.name.reveal()
        user = escape_user(party.number.reveal()) or "anonymous"
        host = self._contact_for(flow).host
        from_ = NameAddr(SipUri("sip", user, host=host), name)
        devices = _devices(
            self._registrar.bindings(extension.number, now),
            lambda peer: fields_for(
                from_,
                host,
                hidden=party.hidden,
                trusted=peer in self._trusted_peers,
                answers_itself=answers_itself,
            ),
        )
        return Bridge(
            line=self._switchboard,
            devices=devices,
            to=NameAddr(SipUri("sip", extension.number, host=host)),
            from_=from_,
            called=Party(Private(extension.number), Private(extension.display_name), extension.number),
            room=next(self._switchboard.media_rooms),
        )

    # Other requests

    def answer_without_state(self, request: Request, flow: Flow, now: float) -> Response | None:
        """The answer to a request outside of calls that needs no memory: what anybody may ask, and the
        challenge for who has to prove an account and does not show a nonce of ours."""
        if request.method == "OPTIONS":
            return _capabilities(request)
        if request.method == "INVITE":
            trunk = self._trunk(request, flow)
            if not self.accepting or (trunk is not None and trunk.inbound == "address"):
                return None
            destination = self._route(number_in(request.uri))
            if trunk is None and not self._needs_account(request, destination, flow):
                return None
        value = self._authenticator.find(request.headers.get_all("Authorization"))
        proof = value is not None and self._authenticator.proves_source(value, now, flow.remote[0])
        if proof is True:
            return None
        stale = isinstance(proof, Rejected) and proof.stale
        return self._challenge(request, flow, now, stale=stale).response(request)

    def _unmet(self, request: Request, destination: Destination | None) -> Denied | None:
        """What the caller makes a condition and does not get."""
        if privacy_unmet(request.headers):
            return Denied(500, Headers(), "Privacy of this kind is not known")
        may_answer = self._allow_answer_mode and isinstance(destination, ToExtension)
        if wanted_answer(request.headers) == "auto or nothing" and not may_answer:
            return Denied(403, Headers(), "Not answered automatically")
        return None

    def _needs_account(self, request: Request, destination: Destination, flow: Flow) -> bool:
        browser = flow.transport in BROWSER_TRANSPORTS
        return needs_account(destination) or browser or self._shows_credentials(request)

    def _shows_credentials(self, request: Request) -> bool:
        # Guests need no account, and what they have for another server is none of our business.
        return self._authenticator.find(request.headers.get_all("Authorization")) is not None

    def _trunk(self, request: Request, flow: Flow) -> Trunk | None:
        """The trunk that a call seems to come from."""
        if self._outside is None or self._shows_credentials(request):
            return None
        return self._outside.trunk_of(request, flow)

    def request(self, event: RequestArrived, now: float) -> list[Effect]:
        """What is no call is served or refused; the endpoint has refused what we do not know already."""
        request, flow = event.request, event.flow
        if request.method == "SUBSCRIBE":
            return self._subscribe(event, now)
        if request.method == "REGISTER":
            response = self._register(request, flow, now)
        elif request.method == "PUBLISH":
            response = self._publish(request, flow, now)
        elif request.method == "OPTIONS":
            response = _capabilities(request)
        else:
            response = self._unserved(request, flow, now)
        return self._endpoint.respond(event.transaction_id, response, now)

    def _unserved(self, request: Request, flow: Flow, now: float) -> Response:
        proof = self._account(request, flow, now)
        if isinstance(proof, Denied):
            return proof.response(request)
        response = make_response(request, 405)
        response.headers.set("Allow", ", ".join(self._endpoint.settings.allow))
        return response

    def _register(self, request: Request, flow: Flow, now: float) -> Response:
        proof = self._account(request, flow, now)
        if isinstance(proof, Denied):
            return proof.response(request)
        if _user_of(request.to) != proof or self._visits.account(proof, now) is not None:
            return make_response(request, 403, "Only the account itself may register")
        if flow.transport in BROWSER_TRANSPORTS:
            # We only answer offers of WebRTC: nobody could call it.
            return make_response(request, 403, "Pages cannot be called")
        response = self._registrar.register(request, proof, flow, now)
        if response.status == 200:
            self._on_registration(proof, flow)
        return response

    def _subscribe(self, event: RequestArrived, now: float) -> list[Effect]:
        request = event.request
        if request.to.tag is not None:
            # In the dialog of a call, which has no room for other subscriptions (RFC 6665 §4.5.2).
            return self._endpoint.respond(event.transaction_id, make_response(request, 403), now)
        proof = self._account(request, event.flow, now)
        if isinstance(proof, Denied):
            return self._endpoint.respond(event.transaction_id, proof.response(request), now)
        return self._watching.subscribe(event, proof, now)

    def _publish(self, request: Request, flow: Flow, now: float) -> Response:
        proof = self._account(request, flow, now)
        if isinstance(proof, Denied):
            return proof.response(request)
        if not self._watching.speaks_for(request, proof):
            return make_response(request, 403, "Only the account itself may publish")
        return self._watching.publish(request, proof, now)

    # Who is it

    def _account(self, request: Request, flow: Flow, now: float) -> str | Denied:
        """As `_authenticate`, for what trunks have no business with."""
        proof = self._authenticate(request, flow, now)
        return Denied(403, Headers(), "Not as a trunk") if isinstance(proof, Trunk) else proof

    def _authenticate(self, request: Request, flow: Flow, now: float) -> str | Trunk | Denied:
        """The account whose credentials the request carries, bound to its From; else what to answer.

        A trunk's account is shown for calls of anybody beyond it: its From is whoever calls.

        Nothing about the account is looked at before the credentials are checked, and unknown accounts are
        checked like known ones, so that neither code nor time tells which extensions exist.
        """
        value = self._authenticator.find(request.headers.get_all("Authorization"))
        if value is None:
            return self._challenge(request, flow, now, stale=False)
        banned_s = self._sources.banned_for(flow.remote[0], now)
        if banned_s > 0 and not self._sources.knows(flow.remote, now):
            return Denied(403, Headers(("Retry-After", str(int(banned_s) + 1))), "Too many wrong passwords")
        verdict = self._authenticator.check(
            value,
            request.method,
            request.uri,
            lambda username: self._credential(username, now),
            now,
            source=flow.remote[0],
        )
        if not isinstance(verdict, Accepted):
            if verdict.reason == "credentials":
                self._sources.wrong_password(flow.remote, now)
            return self._challenge(request, flow, now, stale=verdict.stale)
        self._sources.proved(flow.remote, now)
        trunk = self._trunk_account(verdict.username, now)
        if trunk is not None:
            return trunk
        anonymous = request.method == "INVITE" and is_anonymous(request.from_)
        if _user_of(request.from_) != verdict.username and not anonymous:
            return Denied(403, Headers(), "From is not the authenticated account")
        return verdict.username

    def _challenge(self, request: Request, flow: Flow, now: float, *, stale: bool) -> Denied:
        """401 with a challenge for each digest that the account's devices log in with."""
        value = self._authenticator.find(request.headers.get_all("Authorization"))
        given = parse_digest(value) if value is not None else None
        username = (given or {}).get("username") or _user_of(request.from_)
        algorithms = self._digests.algorithms(username, self._directory())
        if self._visits.account(username, now) is not None:
            algorithms = ALGORITHMS["md5"]
        headers = Headers()
        for algorithm in algorithms:
            challenge = self._authenticator.challenge(
                now, stale=stale, algorithm=algorithm, source=flow.remote[0]
            )
            headers.add("WWW-Authenticate", challenge)
        return Denied(401, headers)

    def _credential(self, username: str, now: float) -> Credential | None:
        extension = self._directory().extension(username)
        if extension is None or not extension.enabled:
            visit = self._visits.account(username, now)
            if visit is not None:
                return visit.credential
            trunk = self._trunk_account(username, now)
            return _credential_of(trunk) if trunk is not None else None
        return Credential(
            extension.number,
            extension.ha1_md5 if extension.digest != "sha-256" else None,
            extension.ha1_sha256 if extension.digest != "md5" else None,
        )

    def _trunk_account(self, username: str, now: float) -> Trunk | None:
        """The trunk whose account this is; extensions and visits come first."""
        directory = self._directory()
        if self._outside is None or directory.extension(username) is not None:
            return None
        return directory.trunk_of(username) if self._visits.account(username, now) is None else None


def _credential_of(trunk: Trunk) -> Credential | None:
    if trunk.password is None:
        return None
    password = trunk.password.reveal()
    return Credential(
        trunk.username,
        make_ha1(trunk.username, SIP_REALM, password),
        make_ha1(trunk.username, SIP_REALM, password, "SHA-256"),
    )


def _capabilities(request: Request) -> Response:
    response = make_response(request, 200)
    response.headers.set("Accept", "application/sdp")
    return response


def _devices(bindings: Sequence[Binding], told: Callable[[str], tuple[NameAddr, Headers]]) -> list[Device]:
    """One device for each phone: its flows (RFC 5626) are tried one after the other, the newest first."""
    flows: dict[object, list[Binding]] = {}
    for index, binding in enumerate(bindings):
        one = binding.instance is not None and binding.reg_id is not None
        flows.setdefault(binding.instance if one else index, []).append(binding)
    devices: list[Device] = []
    for group in flows.values():
        device: Device | None = None
        for binding in reversed(group):
            from_, headers = told(binding.flow.remote[0])
            device = Device(binding.uri, binding.flow, binding.route_set, device, from_, headers)
        if device is not None:
            devices.append(device)
    return devices


def _open_to(visit: Visit, destination: Destination) -> bool:
    match destination:
        case ToMeeting(meeting=meeting):
            return meeting.id == visit.meeting_id
        case _:
            return isinstance(destination, ToEcho)


def _user_of(address: NameAddr) -> str:
    return address.uri.username if isinstance(address.uri, SipUri) else ""
