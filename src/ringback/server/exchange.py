"""Drives the sans-IO parts with real messages, events and time: the running heart of the control process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
import structlog

from ringback.call.effects import Fault, KeepOpen, Notice, ToMedia
from ringback.call.switchboard import Switchboard
from ringback.media import protocol as media
from ringback.server.edge import Edge
from ringback.sip.effects import (
    Effect,
    IncomingCall,
    InviteRefused,
    RequestArrived,
    RequestTimedOut,
    ResponseArrived,
    Transmit,
)
from ringback.sip.endpoint import Endpoint
from ringback.sip.flow import Flow
from ringback.sip.message import Message, make_response
from ringback.sip.parse import Malformed

GRAIN_S: Final = 0.01
"""Timers may be late by this: many calls have some due every moment, and one wake-up serves them all."""

_NEVER: Final = float("inf")

log = structlog.get_logger(__name__)


class Policy(Protocol):
    """Decides about what comes in from outside."""

    def call(self, event: IncomingCall, now: float) -> list[Effect]:
        """An INVITE that begins a call."""

    def request(self, event: RequestArrived, now: float) -> list[Effect]:
        """Any other request outside a call."""

    def refused(self, event: InviteRefused, now: float) -> None:
        """An INVITE was refused that was to begin a call."""


class Watching(Protocol):
    """Tells those who watch others, once what happened is over."""

    def settled(self, now: float) -> list[Effect]:
        """What is to be sent now."""

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""

    def expire(self, now: float) -> list[Effect]:
        """What is to be sent because its time has come."""


class Own(Protocol):
    """What sends requests of our own outside of calls, and has times of its own."""

    def answered(self, event: ResponseArrived | RequestTimedOut, now: float) -> list[Effect]:
        """What came of a request; nothing happens where it was none of its own."""

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""

    def expire(self, now: float) -> list[Effect]:
        """Do what is due."""


class Exchange:
    """Joins endpoint, switchboard, transports and media: every input runs to its end before the next one."""

    def __init__(
        self,
        endpoint: Endpoint,
        switchboard: Switchboard,
        send: Callable[[Flow, bytes], object],
        keep_open: Callable[[Flow], object],
        to_media: Callable[[media.Command], None],
        resolve: Callable[[list[str]], list[str]],
        publish: Callable[[Notice], None],
        on_talking: Callable[[media.Talking], None],
        on_statistics: Callable[[media.Statistics], None],
        edge: Edge | None = None,
    ) -> None:
        self.policy: Policy | None = None
        self.watching: Watching | None = None
        self.own: Own | None = None
        self.voices: Callable[[media.Event, float], bool] | None = None
        """Told what the engine says of sounds and recordings first; True where that concerns nobody else."""
        self._edge = edge
        self._endpoint = endpoint
        self._switchboard = switchboard
        self._send = send
        self._keep_open = keep_open
        self._to_media = to_media
        self._resolve = resolve
        self._publish = publish
        self._on_talking = on_talking
        self._on_statistics = on_statistics
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = _NEVER
        self._arming = False
        self._acts: dict[type, Callable[[Any], object]] = {
            ToMedia: self._command,
            KeepOpen: lambda out: self._keep_open(out.flow),
            Notice: lambda out: self._publish(out),  # noqa: PLW0108 - may be replaced
            Fault: _log_fault,
        }

    # Inputs

    def on_message(self, message: Message | Malformed, flow: Flow) -> None:
        """A SIP message, or what came in place of one."""
        now = time.monotonic()
        if self._edge is not None and not self._edge.admits(message, flow, now):
            return
        effects = self._endpoint.receive(message, flow, now)
        if self._edge is not None:
            self._edge.answered(message, flow, effects, now)
        self._take(effects, now)

    def on_connection_lost(self, flow: Flow) -> None:
        """A TCP or TLS connection is gone."""
        now = time.monotonic()
        self._take(self._endpoint.connection_lost(flow, now), now)

    def on_media_event(self, event: media.Event) -> None:
        """The media engine has something to say."""
        now = time.monotonic()
        if self.voices is not None and self.voices(event, now):
            self._flush(now)
            return
        if isinstance(event, media.Talking):
            self._on_talking(event)
            return
        if isinstance(event, media.Statistics):
            self._on_statistics(event)
        if isinstance(event, media.LegClosed):
            # That was our own wish: only who keeps records wants to know, and has nothing to say to it.
            self._switchboard.calls.counted(event.leg, event.totals, now)
            return
        self._switchboard.media_event(event, now)
        self._flush(now)

    def on_media_lost(self, legs: list[int]) -> None:
        """The media of these legs is gone for good."""
        now = time.monotonic()
        self._switchboard.media_lost(legs, now)
        self._flush(now)

    def act(self, operation: Callable[[float], int]) -> int:
        """Run an operator's act on the calls and carry out what follows; returns the operation's count."""
        now = time.monotonic()
        result = operation(now)
        self._flush(now)
        return result

    def perform(self, act: Callable[[float], list[Effect]]) -> None:
        """Carry out what an act asks for, and what follows."""
        now = time.monotonic()
        self._take(act(now), now)

    def hang_up_all(self, reason: str, *, spare_emergencies: bool = False) -> None:
        """End every call."""
        now = time.monotonic()
        self._switchboard.hang_up_all(now, reason, spare_emergencies=spare_emergencies)
        self._flush(now)

    # Work

    def _take(self, effects: list[Effect], now: float) -> None:
        pending = effects
        while pending:
            session_effects: list[Effect] = []
            following: list[Effect] = []
            for effect in pending:
                if isinstance(effect, Transmit):
                    session_effects.append(effect)
                elif isinstance(effect, (IncomingCall, RequestArrived)):
                    following += self._decide(effect, now)
                elif isinstance(effect, InviteRefused):
                    self._note_refused(effect, now)
                elif isinstance(effect, (ResponseArrived, RequestTimedOut)):
                    following += self.own.answered(effect, now) if self.own is not None else []
                else:
                    session_effects.append(effect)
            self._switchboard.sip_events(session_effects, now)
            pending = following
        self._flush(now)

    def _decide(self, event: IncomingCall | RequestArrived, now: float) -> list[Effect]:
        """Ask the policy; a fault of ours costs the request, which is answered all the same."""
        if self.policy is None:
            return []
        try:
            if isinstance(event, IncomingCall):
                return self.policy.call(event, now)
            return self.policy.request(event, now)
        except Exception:
            log.exception("a request met a fault of ours", method=event.request.method)
        if isinstance(event, IncomingCall):
            return event.session.reject(500, now)
        return self._endpoint.respond(event.transaction_id, make_response(event.request, 500), now)

    def _note_refused(self, event: InviteRefused, now: float) -> None:
        try:
            if self.policy is not None:
                self.policy.refused(event, now)
        except Exception:
            log.exception("a refused call met a fault of ours")

    def _flush(self, now: float) -> None:
        if self.watching is not None:
            self._tell(self.watching.settled, now)
        acts = self._acts
        for out in self._switchboard.drain():
            try:
                if isinstance(out, Transmit):
                    self._send(out.flow, out.data)
                else:
                    acts[type(out)](out)
            except Exception:
                log.exception("an effect could not be carried out", effect=type(out).__name__)
        if not self._arming:
            self._arm_soon()

    def _tell(self, watchers: Callable[[float], list[Effect]], now: float) -> None:
        """Send what watchers are to hear; a fault there costs no call."""
        try:
            wanted = watchers(now)
            if wanted:
                self._switchboard.sip(wanted)
        except Exception:
            log.exception("watchers could not be told")

    def _command(self, out: ToMedia) -> None:
        command = out.command
        if isinstance(command, (media.Play, media.PlayToRoom)):
            command = msgspec.structs.replace(command, sounds=self._resolve(command.sounds))
        self._to_media(command)

    def _arm_soon(self) -> None:
        """Look for what is due next once for all inputs of this moment."""
        self._arming = True
        if self._loop is None:
            # Asking for it is a system call each time.
            self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._arm)

    def _arm(self) -> None:
        self._arming = False
        at = min(
            self._endpoint.deadline() or _NEVER,
            self._switchboard.deadline() or _NEVER,
            (self.watching.deadline() if self.watching is not None else None) or _NEVER,
            (self.own.deadline() if self.own is not None else None) or _NEVER,
        )
        now = time.monotonic()
        at = max(at, now + GRAIN_S)
        if at >= self._timer_at and self._timer is not None and not self._timer.cancelled():
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = at
        if at != _NEVER:
            assert self._loop is not None
            self._timer = self._loop.call_later(at - now, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._timer_at = _NEVER
        now = time.monotonic()
        try:
            self._switchboard.expire(now)
            if self.watching is not None:
                self._tell(self.watching.expire, now)
            self._take(self._endpoint.expire(now), now)
            if self.own is not None:
                self._take(self.own.expire(now), now)
        finally:
            # Whatever happened, time goes on for everybody else.
            if not self._arming:
                self._arm_soon()


def _log_fault(fault: Fault) -> None:
    log.error("a call was ended by a fault of ours", leg=fault.leg, exc_info=fault.error)
