"""An account at work, sans-IO: its registration, the calls it makes and takes, transfers both ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from ringback.agent.account import Account
from ringback.agent.conversation import Conversation
from ringback.agent.events import Transferred
from ringback.agent.outputs import Output, Told
from ringback.agent.registration import ClientRegistration, RegistrationState
from ringback.media.protocol import Codec, Event
from ringback.sdp.negotiated import Local
from ringback.sip.authentication import ClientAuthentication
from ringback.sip.effects import (
    Effect,
    IncomingCall,
    InviteRefused,
    ReferReceived,
    RequestArrived,
    RequestTimedOut,
    ResponseArrived,
    Transmit,
)
from ringback.sip.endpoint import Endpoint, EndpointSettings
from ringback.sip.failover import first_of
from ringback.sip.flow import UNBOUND, Address, Flow, Targets
from ringback.sip.locate import Location
from ringback.sip.message import Headers, Message, NameAddr, SipUri, make_response
from ringback.sip.parse import Malformed
from ringback.sip.timers import Timers

USER_AGENT = "Ringback agent"
KEEPALIVE_S = 25.0
"""Line ends go to the server so often while we are registered, so that NATs let its calls through (RFC 5626
§4.4.1; over UDP without an answer)."""
_LINE_ENDS = b"\r\n\r\n"


class Line:
    """What one agent does, driven by messages, media events and time; what it wants is in `drain`.

    `server` is the next hop's addresses, to be told before anything is sent. Numbers of calls are unique
    among all lines that share an engine.
    """

    def __init__(
        self,
        account: Account,
        *,
        contact_user: str,
        local_for: Callable[[Flow], Address],
        next_call: Callable[[], int],
        new_token: Callable[[], str],
        codecs: tuple[Codec, ...],
        timers: Timers | None = None,
        follow_transfers: bool = True,
    ) -> None:
        """`local_for` says where a peer by a flow reaches us; `codecs` are those that the engine has."""
        self.account = account
        self.contact_user = contact_user
        self.outputs: list[Output] = []
        self.calls: dict[int, Conversation] = {}
        self.registration = ClientRegistration(account, new_token())
        self.follow_transfers = follow_transfers
        self.server: Flow | Targets = ()
        self._known = codecs
        self._codecs = self.usable(account.codecs)
        self._local_for = local_for
        self._next_call = next_call
        self._credentials = (
            ClientAuthentication(account.username, account.password, account.realm)
            if account.password is not None
            else None
        )
        self.endpoint = Endpoint(
            EndpointSettings(
                trusts=lambda _: True,
                user_agent=USER_AGENT,
                contact_for=self._contact,
                supported=("replaces", "from-change"),
                timers=timers or Timers(),
            ),
            new_token,
        )
        self._sessions: dict[str, Conversation] = {}
        self._registering: str | None = None
        self._registered_at: Address | None = None
        self._alive_at: float | None = None

    # Inputs

    def receive(self, message: Message | Malformed, flow: Flow, now: float) -> None:
        """A message that is ours came."""
        self.carry_out(self.endpoint.receive(message, flow, now), now)

    def connection_lost(self, flow: Flow, now: float) -> None:
        """A connection is gone."""
        self.carry_out(self.endpoint.connection_lost(flow, now), now)
        if flow.remote == self._registered_at:
            self.registration.lost(now)

    def media_event(self, call: int, event: Event, now: float) -> None:
        """The engine has something to say of a call of ours."""
        if call in self.calls:
            self.calls[call].media_event(event, now)

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""
        times = (self.endpoint.deadline(), self.registration.due, self._alive_at)
        return min((at for at in times if at is not None), default=None)

    def expire(self, now: float) -> None:
        """Do what is due."""
        self.carry_out(self.endpoint.expire(now), now)
        if self.registration.due is not None and self.registration.due <= now:
            self._register(now)
        if self._alive_at is not None and self._alive_at <= now:
            self._alive_at = now + KEEPALIVE_S
            self.outputs.append(Transmit(first_of(self.server), _LINE_ENDS))

    def drain(self) -> list[Output]:
        """What is to be done and to be told since this was last asked."""
        outputs, self.outputs = self.outputs, []
        return outputs

    # Verbs

    def call(
        self,
        target: SipUri,
        where: Flow | Targets,
        headers: Headers | None = None,
        codecs: tuple[Codec, ...] | None = None,
    ) -> Conversation:
        """Call somebody by a flow, or at the first target that answers; the INVITE goes out when the engine
        has ports."""
        peer = NameAddr(target)
        conversation = Conversation(self._next_call(), self, peer, first_of(where), incoming=False)
        conversation.codecs = codecs or self._codecs
        self.calls[conversation.id] = conversation

        def place(offer: bytes, now: float) -> None:
            session, effects = self.endpoint.invite(
                target=target,
                to=NameAddr(replace(target, headers="")),
                from_=self.account.address,
                flow=where,
                now=now,
                sdp=offer,
                headers=headers,
                route_set=self.account.route_set,
                credentials=self._credentials,
            )
            conversation.session = session
            self._sessions[session.id] = conversation
            self.carry_out(effects, now)

        conversation.place = place
        conversation.open()
        return conversation

    def usable(self, codecs: Sequence[Codec]) -> tuple[Codec, ...]:
        """Those of the codecs that the engine has; ValueError when it has none."""
        usable = tuple(codec for codec in codecs if codec in self._known)
        if not usable:
            raise ValueError(f"none of these codecs is there; the engine has {', '.join(self._known)}")
        return usable

    def forget(self, call: int) -> None:
        """A call is over, and so is its leg: nothing refers to it any more."""
        conversation = self.calls.pop(call, None)
        if conversation is not None and conversation.session is not None:
            self._sessions.pop(conversation.session.id, None)

    def flow_to(self, address: Address) -> Flow:
        """The flow to an address by the account's transport; a connection that is there is used again."""
        return Flow(self.account.transport, UNBOUND, address)

    # What conversations ask for (see conversation.Owner)

    def local(self, flow: Flow, codecs: tuple[Codec, ...], rtp_port: int, rtcp_port: int) -> Local:
        """Our side of a description."""
        address = self._local_for(flow)[0]
        return Local(
            address=address,
            rtp_port=rtp_port,
            rtcp_port=rtcp_port,
            codecs=codecs,
            srtp=self.account.srtp,
            loopback_peers=address == "::1" or address.startswith("127."),
        )

    def carry_out(self, effects: list[Effect], now: float) -> None:
        """Do what the endpoint or a session wants done, and tell everybody whom it concerns."""
        for effect in effects:
            match effect:
                case Transmit():
                    self.outputs.append(effect)
                case IncomingCall():
                    self._arrived(effect, now)
                case RequestArrived():
                    self._requested(effect, now)
                case ResponseArrived() | RequestTimedOut():
                    self._register_answered(effect, now)
                case InviteRefused():
                    # Told where the settings say so: not here.
                    continue
                case ReferReceived():
                    self._refer_received(effect, now)
                case _:
                    conversation = self._sessions.get(effect.session.id)
                    if conversation is not None:
                        conversation.sip_event(effect, now)

    # Calls that come

    def _arrived(self, event: IncomingCall, now: float) -> None:
        caller = event.request.from_
        conversation = Conversation(self._next_call(), self, caller, event.flow, incoming=True)
        conversation.codecs = self._codecs
        self.calls[conversation.id] = conversation
        self._sessions[event.session.id] = conversation
        if event.session.dialog is not None:
            event.session.dialog.credentials = self._credentials
        replaced = None if event.replaced is None else self._sessions.get(event.replaced.id)
        if replaced is not None:
            # Somebody was transferred to us: the new call takes the place of the old one (RFC 3891 §3).
            self.outputs.append(Told(replaced.id, Transferred(conversation.id)))
            conversation.on_progress = lambda status, now: replaced.hangup(now) if status == 200 else None
        conversation.take(event.session, event.request.body, now, at_once=replaced is not None)

    def _requested(self, event: RequestArrived, now: float) -> None:
        response = make_response(event.request, 200 if event.request.method == "OPTIONS" else 405)
        self.carry_out(self.endpoint.respond(event.transaction_id, response, now), now)

    def _refer_received(self, event: ReferReceived, now: float) -> None:
        """The peer sends us on: we call whom it names, and tell it how that goes (RFC 3515 §2.4)."""
        asked = self._sessions.get(event.session.id)
        uri = event.refer_to.uri
        if asked is None or not self.follow_transfers or not isinstance(uri, SipUri):
            self.carry_out(event.session.reject_refer(603, now), now)
            return
        headers = Headers()
        if event.referred_by is not None:
            headers.add("Referred-By", str(event.referred_by))
        if event.replaces is not None:
            headers.add("Replaces", str(event.replaces))
            headers.add("Require", "replaces")
        self.carry_out(event.session.accept_refer(now), now)
        call = self.call(replace(uri, headers=""), self._flow_of(event, uri), headers)
        call.on_progress = lambda status, now: self.carry_out(event.session.notify_refer(status, now), now)
        self.outputs.append(Told(asked.id, Transferred(call.id)))

    def _flow_of(self, event: ReferReceived, uri: SipUri) -> Flow | Targets:
        """Where the new call goes. A name that is not our server's is left for our server to look up."""
        hop = self.account.hop(uri)
        if hop != self.account.server:
            direct = Location(hop, lambda: 0.0).targets
            if direct:
                return direct[0]
        return self.server or event.session.flow

    # Registration

    def _register(self, now: float) -> None:
        if not self.server:
            return
        request = self.registration.request(self._contact(first_of(self.server)))
        self._registering, effects = self.endpoint.request(
            request, self.server, now, credentials=self._credentials
        )
        self.carry_out(effects, now)

    def _register_answered(self, event: ResponseArrived | RequestTimedOut, now: float) -> None:
        if event.transaction_id != self._registering:
            return
        if isinstance(event, RequestTimedOut):
            changed = self.registration.unanswered(event.status, now)
        elif event.response.status < 200:
            return
        else:
            contact = self._contact(first_of(self.server))
            self._registered_at = first_of(self.server).remote
            answered = self.registration.answered(event.response, contact, now)
            if answered is None:
                return
            changed = answered
        self._registering = None
        self._alive_at = now + KEEPALIVE_S if changed.state is RegistrationState.REGISTERED else None
        self.outputs.append(changed)

    def _contact(self, flow: Flow) -> SipUri:
        address, port = self._local_for(flow)
        host = f"[{address}]" if ":" in address else address
        params = {} if flow.transport == "udp" else {"transport": flow.transport}
        return SipUri("sip", self.contact_user, host=host, port=port, params=dict(params))
