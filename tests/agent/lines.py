"""Lines of agents on a link and a clock that obey, with an engine that gives ports and does nothing else."""

from __future__ import annotations

from itertools import count

from ringback.agent.account import make_account
from ringback.agent.conversation import Conversation
from ringback.agent.events import CallEvent
from ringback.agent.line import Line
from ringback.agent.outputs import CallArrived, Output, Told, ToMedia
from ringback.agent.registration import RegistrationChanged
from ringback.media import protocol as media
from ringback.media.protocol import Codec
from ringback.sip.effects import Transmit
from ringback.sip.flow import Flow
from ringback.sip.message import Request, SipUri
from ringback.sip.parse import parse_message
from ringback.testing.lossy_link import Address
from tests.sip.phones import Network

ALL: tuple[Codec, ...] = ("OPUS", "G722", "PCMU", "PCMA")
_calls = count(1)


class AgentLine:
    """A line with an address, and what it was told."""

    def __init__(
        self, network: Network, uri: str, host: str, server: Address | None = None, **account: object
    ):
        self.network = network
        self.address = (host, 5060)
        numbers = count(1)
        self.line = Line(
            make_account(uri, **account),  # type: ignore[arg-type]
            contact_user=SipUri.parse(uri).user or "",
            local_for=lambda _: self.address,
            next_call=lambda: next(_calls),
            new_token=lambda: f"{host.rpartition('.')[2]}.{next(numbers)}",
            codecs=ALL,
        )
        self.line.server = self.line.flow_to(server) if server is not None else ()
        self.commands: list[media.Command] = []
        self.arrived: list[int] = []
        self.told: list[tuple[int, CallEvent]] = []
        self.registration: list[RegistrationChanged] = []
        self.sent: list[Request] = []
        self.kept_alive: list[float] = []
        self.ports_left = 100
        network.link.attach(self.address, self._receive)
        network.phones.append(self)  # type: ignore[arg-type]

    # What Network wants of a phone: its timers, and the effects of these.

    @property
    def endpoint(self) -> Line:
        return self.line

    def do(self, _: object) -> None:
        self.settle()

    def call(self, to: str, at: AgentLine | Address) -> Conversation:
        """Call somebody who is at an address."""
        address = at.address if isinstance(at, AgentLine) else at
        call = self.line.call(self.line.account.target(to), self.line.flow_to(address))
        self.settle()
        return call

    def newest(self) -> Conversation:
        """The call that came in last."""
        return self.line.calls[self.arrived[-1]]

    def events(self, call: Conversation) -> list[CallEvent]:
        """What was told of a call, in order."""
        return [event for number, event in self.told if number == call.id]

    def settle(self) -> None:
        """Carry out what the line wants done."""
        while outputs := self.line.drain():
            for output in outputs:
                self._carry_out(output)

    def _carry_out(self, output: Output) -> None:
        match output:
            case Transmit(flow=flow, data=data):
                if not data.strip():
                    self.kept_alive.append(self.network.clock.now)
                    return
                message = parse_message(data)
                if isinstance(message, Request):
                    self.sent.append(message)
                self.network.link.send(data, self.address, flow.remote)
            case ToMedia(command=command):
                self.commands.append(command)
                self._engine(command)
            case CallArrived(call=call):
                self.arrived.append(call)
            case Told(call=call, event=event):
                self.told.append((call, event))
            case RegistrationChanged():
                self.registration.append(output)
            case _:
                pass

    def _engine(self, command: media.Command) -> None:
        now = self.network.clock.now
        if isinstance(command, media.OpenLeg):
            if not self.ports_left:
                failed = media.CommandFailed(command="OpenLeg", leg=command.leg, reason="no port is left")
                self.line.media_event(command.leg, failed, now)
                return
            self.ports_left -= 1
            port = 40_000 + 2 * command.leg
            self.line.media_event(
                command.leg, media.LegOpened(leg=command.leg, rtp_port=port, rtcp_port=port + 1), now
            )
        elif isinstance(command, media.CloseLeg):
            closed = media.LegClosed(leg=command.leg, totals=media.LegTotals())
            self.line.media_event(command.leg, closed, now)

    def _receive(self, data: bytes, source: Address, destination: Address) -> None:
        flow = Flow("udp", destination, source)
        self.line.receive(parse_message(data), flow, self.network.clock.now)
        self.settle()
