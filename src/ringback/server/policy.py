"""What is allowed from outside: who must prove an account, what a request may do, where a call goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from ringback.call.application import Application
from ringback.call.bridge import Bridge
from ringback.call.leg import Leg
from ringback.call.party import Party
from ringback.call.switchboard import Switchboard
from ringback.call.transfer import Takeover
from ringback.conference.visits import Visit, Visits
from ringback.governance.private import Private
from ringback.governance.sources import SipSources
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.numbers import DialString, number_in
from ringback.routing.steps import Asked, Decision, Echo, EnterMeeting, GoOut, Ring, Step
from ringback.server.accounts import Accounts, Denied, Proved, user_of
from ringback.server.caller import party_of, shown
from ringback.server.destinations import Call, Refusal
from ringback.server.outside import Outside
from ringback.server.refusals import Refusals
from ringback.server.routed import Ways, is_urgent, note_way
from ringback.server.watching import Watching
from ringback.sip.answer_mode import wanted_answer
from ringback.sip.effects import Effect, IncomingCall, InviteRefused, RequestArrived
from ringback.sip.endpoint import Endpoint
from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow
from ringback.sip.headers import Headers
from ringback.sip.identity import privacy_unmet
from ringback.sip.message import Request, Response, make_response
from ringback.sip.registration import Registrar
from ringback.sip.session import InviteSession
from ringback.sip.uri import NameAddr
from ringback.store.directory import Directory, Trunk

Lookup = Callable[[], Directory]

_NO_SDP: Final = "Bad session description"


class Policy:
    """Decides about everything that comes from outside a call; sans-IO, it only returns effects."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        switchboard: Switchboard,
        accounts: Accounts,
        ways: Ways,
        outside: Outside,
        registrar: Registrar,
        visits: Visits,
        sources: SipSources,
        directory: Lookup,
        services: ServiceNumbers,
        on_registration: Callable[[str, Flow], None],
        watching: Watching,
        allow_answer_mode: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._switchboard = switchboard
        self._accounts = accounts
        self._ways = ways
        self._outside = outside
        self._registrar = registrar
        self._visits = visits
        self._sources = sources
        self._directory = directory
        self._services = services
        self._on_registration = on_registration
        self._watching = watching
        self._allow_answer_mode = allow_answer_mode
        self._refusals = Refusals()
        self.accepting = True

    # Calls

    def call(self, event: IncomingCall, now: float) -> list[Effect]:
        """An INVITE that begins a call: to a meeting from anybody, to everything else from an account.

        Browsers always have an account: of a visit, which reaches its meeting and the echo test alone.
        """
        request, session, flow = event.request, event.session, event.flow
        dialled = number_in(request.uri)
        trunk = self._trunk(request, flow)
        known_trunk = trunk if trunk is not None and trunk.inbound == "address" else None
        if not self._accepts(dialled):
            party = party_of(request, trunk=known_trunk.name if known_trunk is not None else None)
            return self._refuse(event, party, 503, now, "Shutting down")
        if known_trunk is not None:
            return self._from_trunk(known_trunk, event, now)
        proof: Proved | None = None
        visit: Visit | None = None
        if self._needs_account(request, dialled, flow) or trunk or event.replaced is not None:
            urgent = self._ways.calls_help(dialled)
            shown_by = self._accounts.authenticate(request, flow, now, urgent=urgent)
            if isinstance(shown_by, Denied):
                if shown_by.status == 401:
                    return session.reject(401, now, headers=shown_by.headers)
                return self._refuse(
                    event, party_of(request), shown_by.status, now, shown_by.reason, shown_by.headers
                )
            if isinstance(shown_by, Trunk):
                return self._from_trunk(shown_by, event, now)
            proof = shown_by
            visit = self._visits.account(proof.account, now)
        device = proof.device if proof is not None else None
        party = party_of(
            request,
            proof.account if proof is not None else None,
            visit,
            device=device.username if device is not None else "",
        )
        if event.replaced is not None:
            return self._take_place(event, event.replaced, party, now)
        asked = Asked(
            dialled=Private(dialled.number if dialled else ""),
            number=party.number,
            account=proof.account if proof is not None and visit is None else None,
            emergency_location=device.location if device is not None else "",
        )
        if visit is not None and asked.dialled.reveal() == self._services.echo:
            decision = Decision(Echo())
        else:
            decision = self._ways.first(asked)
        if visit is not None and not _open_to(visit, decision.step):
            return self._refuse(event, party, 403, now, "Not with this link", stranger=True)
        itself = (
            self._allow_answer_mode
            and wanted_answer(request.headers) != "manual"
            and _is_extension(decision.step)
        )
        pin = dialled.pin if dialled else None
        call = Call(asked, party, flow, pin, visit, answers_itself=itself)
        return self._take(decision, call, event, now)

    def _take(
        self, decision: Decision, call: Call, event: IncomingCall, now: float, codecs: tuple[str, ...] = ()
    ) -> list[Effect]:
        """Begin the way of a call, or refuse it."""
        request, session, step = event.request, event.session, decision.step
        refused = self._unmet(request, step if call.asked.trunk is None else None)
        stranger = call.visit is not None
        if refused is not None and not (isinstance(step, GoOut) and step.emergency):
            return self._refuse(event, call.caller, refused.status, now, refused.reason, stranger=stranger)
        application = self._ways.take(step, call, now)
        number = call.asked.dialled
        if isinstance(application, Refusal):
            return self._refuse(
                event,
                call.caller,
                application.status,
                now,
                application.reason,
                number=number,
                decision=decision,
                stranger=stranger,
            )
        if not self._switchboard.incoming(
            session, event.flow, request.body, shown(call.caller), number, application, now, codecs
        ):
            return self._refuse(
                event,
                call.caller,
                400,
                now,
                _NO_SDP,
                number=number,
                decision=decision,
                stranger=stranger,
            )
        if application.call is not None:
            note_way(application.call, decision)
        return []

    def _refuse(
        self,
        event: IncomingCall,
        party: Party,
        status: int,
        now: float,
        words: str | None = None,
        headers: Headers | None = None,
        *,
        number: Private[str] | None = None,
        decision: Decision | None = None,
        stranger: bool = False,
    ) -> list[Effect]:
        """Refuse a call before it has come in; the record says so, as long as its source has not too many of
        them. A call for help always has one."""
        if number is None:
            dialled = number_in(event.request.uri)
            number = Private(dialled.number if dialled is not None else "")
        urgent = decision is not None and is_urgent(decision.step)
        if urgent or self._refusals.recorded(party, event.flow.remote[0], now, stranger=stranger):
            record = self._switchboard.refused(event.flow, shown(party), number, status, words, now)
            if decision is not None:
                note_way(record, decision)
        else:
            self._switchboard.calls.unrecorded += 1
        return event.session.reject(status, now, words, headers)

    def refused(self, event: InviteRefused, now: float) -> None:
        """A call was refused before anybody looked at where it leads; its record says so, as long as it can
        be read who calls whom, and its source has not too many of them."""
        request, dialled = event.request, number_in(event.request.uri)
        if event.malformed:
            # What it says of itself was not looked at: no more of it is used than is shown.
            kept = Headers(*((n, v) for n in ("From", "Privacy") for v in request.headers.get_all(n)[:1]))
            request = Request(request.method, request.uri, kept)
        try:
            trunk = None if event.malformed else self._trunk(request, event.flow)
            name = trunk.name if trunk is not None and trunk.inbound == "address" else None
            party = party_of(request, trunk=name)
        except SipSyntaxError:
            return
        if dialled is None or not (party.number.reveal() or party.hidden):
            return
        if self._refusals.recorded(party, event.flow.remote[0], now, stranger=name is None):
            number = Private(dialled.number)
            self._switchboard.refused(event.flow, shown(party), number, event.status, event.reason, now)
        else:
            self._switchboard.calls.unrecorded += 1

    def _take_place(
        self, event: IncomingCall, replaced: InviteSession, party: Party, now: float
    ) -> list[Effect]:
        """An INVITE with Replaces."""
        request, session = event.request, event.session
        refused = self._unmet(request, None)
        if refused is not None:
            return self._refuse(event, party, refused.status, now, refused.reason)
        application = self._takeover(replaced, party.account)
        if isinstance(application, int):
            return self._refuse(event, party, application, now)
        dialled = number_in(request.uri)
        number = Private(dialled.number if dialled else "")
        taken = self._switchboard.incoming(
            session, event.flow, request.body, shown(party), number, application, now
        )
        return [] if taken else self._refuse(event, party, 400, now, _NO_SDP, number=number)

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

        Whoever is sent to an emergency number calls from where it is itself, if it is one of ours: help has
        to find who talks to it.
        """
        account = transferor.party.account
        extension = self._directory().extension(account) if account is not None else None
        dialled = number_in(refer_to.uri)
        number = dialled.number if dialled else ""
        urgent = self._ways.calls_help(dialled)
        allowed = self.accepting and extension is not None and extension.enabled
        if account is None or not (allowed or urgent) or self._visits.account(account, now) is not None:
            return 403
        party = Party(Private(account), None, account, device=transferor.party.device)
        if urgent and remaining.party.account is not None:
            party = Party(
                remaining.party.number, None, remaining.party.account, device=remaining.party.device
            )
        elif extension is not None:
            party = replace(party, name=Private(extension.display_name))
        device = self._directory().devices.get(party.device)
        asked = Asked(
            Private(number), party.number, party.account, emergency_location=device.location if device else ""
        )
        decision = self._ways.first(asked)
        step = decision.step
        caller = remaining.party if isinstance(step, Ring) and not urgent else party
        pin = dialled.pin if dialled else None
        application = self._ways.take(step, Call(asked, caller, remaining.flow, pin), now)
        if isinstance(application, Refusal):
            return application.status
        note_way(remaining.call, decision)
        return application

    def _from_trunk(self, trunk: Trunk, event: IncomingCall, now: float) -> list[Effect]:
        """A call from outside goes where its number leads; out again only where that is allowed."""
        request = event.request
        number = self._outside.dialled(trunk, request)
        party = party_of(request, trunk=trunk.name)
        if number is None:
            return self._refuse(event, party, 404, now)
        if self._outside.is_full(trunk):
            return self._refuse(
                event, party, 486, now, "Too many calls on this trunk", number=Private(number)
            )
        asked = Asked(Private(number), party.number, trunk=trunk.name)
        decision = self._ways.first(asked)
        self._sources.proved(event.flow.remote, now)
        hops = request.max_forwards
        if isinstance(decision.step, GoOut) and hops is not None and hops <= 1:
            return self._refuse(event, party, 483, now, number=Private(number), decision=decision)
        left = 70 if hops is None else hops - 1
        call = Call(asked, party, event.flow, max_forwards=left)
        return self._take(decision, call, event, now, trunk.codecs)

    # Other requests

    def answer_without_state(self, request: Request, flow: Flow, now: float) -> Response | None:
        """The answer to a request outside of calls that needs no memory: what anybody may ask, and the
        challenge for who has to prove an account and does not show a nonce of ours."""
        if request.method == "OPTIONS":
            return _capabilities(request)
        if request.method == "INVITE":
            trunk = self._trunk(request, flow)
            if trunk is not None and trunk.inbound == "address":
                return None
            dialled = number_in(request.uri)
            if not self._accepts(dialled):
                return None
            if trunk is None and not self._needs_account(request, dialled, flow):
                return None
        return self._accounts.without_proof(request, flow, now)

    def _unmet(self, request: Request, step: Step | None) -> Denied | None:
        """What the caller makes a condition and does not get."""
        if privacy_unmet(request.headers):
            return Denied(500, Headers(), "Privacy of this kind is not known")
        may_answer = self._allow_answer_mode and _is_extension(step)
        if wanted_answer(request.headers) == "auto or nothing" and not may_answer:
            return Denied(403, Headers(), "Not answered automatically")
        return None

    def _accepts(self, dialled: DialString | None) -> bool:
        """Whether calls are taken; emergency calls are, as long as anything is."""
        return self.accepting or self._ways.calls_help(dialled)

    def _needs_account(self, request: Request, dialled: DialString | None, flow: Flow) -> bool:
        """Meetings are open to anybody who can reach the server; everything else needs an account."""
        number = dialled.number if dialled is not None else ""
        meeting = number in self._services.dial_in or self._directory().meeting(number) is not None
        return not meeting or flow.by_page or self._accounts.shows_credentials(request)

    def _trunk(self, request: Request, flow: Flow) -> Trunk | None:
        """The trunk that a call seems to come from; a page on a trunk's host is none."""
        if flow.by_page or self._accounts.shows_credentials(request):
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
        proof = self._accounts.account(request, flow, now)
        if isinstance(proof, Denied):
            return proof.response(request)
        response = make_response(request, 405)
        response.headers.set("Allow", ", ".join(self._endpoint.settings.allow))
        return response

    def _register(self, request: Request, flow: Flow, now: float) -> Response:
        proof = self._accounts.account(request, flow, now)
        if isinstance(proof, Denied):
            return proof.response(request)
        account = proof.account
        device = proof.device.username if proof.device is not None else ""
        if (
            user_of(request.to) not in (account, device or account)
            or self._visits.account(account, now) is not None
        ):
            return make_response(request, 403, "Only the account itself may register")
        response = self._registrar.register(request, account, flow, now, device)
        if response.status == 200:
            self._on_registration(account, flow)
        return response

    def _subscribe(self, event: RequestArrived, now: float) -> list[Effect]:
        request = event.request
        if request.to.tag is not None:
            # In the dialog of a call, which has no room for other subscriptions (RFC 6665 §4.5.2).
            return self._endpoint.respond(event.transaction_id, make_response(request, 403), now)
        proof = self._accounts.account(request, event.flow, now)
        if isinstance(proof, Denied):
            return self._endpoint.respond(event.transaction_id, proof.response(request), now)
        return self._watching.subscribe(event, proof.account, now)

    def _publish(self, request: Request, flow: Flow, now: float) -> Response:
        proof = self._accounts.account(request, flow, now)
        if isinstance(proof, Denied):
            return proof.response(request)
        if not self._watching.speaks_for(request, proof.account):
            return make_response(request, 403, "Only the account itself may publish")
        return self._watching.publish(request, proof.account, now)


def _capabilities(request: Request) -> Response:
    response = make_response(request, 200)
    response.headers.set("Accept", "application/sdp")
    return response


def _is_extension(step: Step | None) -> bool:
    """Whether the phones of one extension ring: those of a group never answer by themselves."""
    return isinstance(step, Ring) and step.called.kind == "extension"


def _open_to(visit: Visit, step: Step) -> bool:
    if isinstance(step, EnterMeeting):
        return step.meeting is not None and step.meeting.id == visit.meeting_id
    return isinstance(step, Echo)
