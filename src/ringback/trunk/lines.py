"""All trunks of the directory: watched, found for calls to them, and recognised in calls from them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from ringback.governance.throttle import SourceList, unmapped
from ringback.sip.effects import Effect, RequestTimedOut, ResponseArrived
from ringback.sip.flow import Flow
from ringback.sip.message import Request
from ringback.sip.timers import TimerQueue
from ringback.store.directory import Directory, Trunk
from ringback.trunk.keepalive import TrunkKeepalive
from ringback.trunk.registration import TrunkRegistration
from ringback.trunk.watch import Ask, Changed, KeepOpen, Locate, Surroundings, TrunkState, Wanted, Watch


class Requests(Protocol):
    """What is needed of the endpoint."""

    def request(self, request: Request, flow: Flow, now: float) -> tuple[str, list[Effect]]:
        """Send a request outside of dialogs."""


class Tell(Protocol):
    """How happenings are told."""

    def __call__(self, kind: str, **facts: object) -> None:
        """Tell one; facts hold nothing private."""


class TrunkLines:
    """A watch for each trunk that is enabled. `locate` asks where a host is; `located` is the answer."""

    def __init__(
        self,
        requests: Requests,
        surroundings: Surroundings,
        locate: Callable[[Trunk], None],
        keep_open: Callable[[Flow], object],
        tell: Tell,
    ) -> None:
        self._requests = requests
        self._around = surroundings
        self._locate = locate
        self._keep_open = keep_open
        self._tell = tell
        self._watches: dict[str, Watch] = {}
        # Until when an address of a trunk's is not called, for it has asked for that.
        self._resting: dict[tuple[str, Flow], float] = {}
        self._queue = TimerQueue()
        # Requests under way, by the id of their transaction; those of watches that have ended among them.
        self._asked: dict[str, Watch] = {}

    # What is

    def state(self, trunk: Trunk, now: float) -> TrunkState:
        """Up or down, and why."""
        watch = self._watches.get(trunk.name)
        if watch is None:
            return TrunkState(False, "disabled", now)
        rests = [self.rests_for(trunk, flow, now) for flow in watch.targets]
        if rests and min(rests) > 0:
            reason = f"wants no calls for {min(rests):.0f} s (503 with Retry-After)"
            return TrunkState(False, reason, watch.state.since)
        return watch.state

    def rest(self, trunk: Trunk, flow: Flow, until: float) -> None:
        """An address of the trunk's has asked not to be called until then (RFC 3261 §21.5.4)."""
        self._resting[trunk.name, flow] = until
        self._tell("trunk.rests", trunk=trunk.name)

    def rests_for(self, trunk: Trunk, flow: Flow, now: float) -> float:
        """How long that still holds; 0 for an address that may be called."""
        until = self._resting.get((trunk.name, flow), now)
        if until <= now:
            self._resting.pop((trunk.name, flow), None)
        return max(0.0, until - now)

    def asking(self, name: str) -> bool:
        """Whether an answer is waited for."""
        watch = self._watches.get(name)
        return watch is not None and watch.asking

    def targets(self, trunk: Trunk) -> tuple[Flow, ...]:
        """Where calls to it go, the best first; empty until it is known."""
        watch = self._watches.get(trunk.name)
        return watch.targets if watch is not None else ()

    def recognised(self, flow: Flow) -> list[Trunk]:
        """The trunks whose other side sends from there, of those that prove themselves by their address."""
        return [
            watch.trunk
            for watch in self._watches.values()
            if watch.trunk.inbound in ("address", "both") and _is_from(watch, flow)
        ]

    # Inputs

    def follow(self, directory: Directory, now: float) -> list[Effect]:
        """The directory changed: begin, begin anew, or end."""
        effects: list[Effect] = []
        for name, watch in list(self._watches.items()):
            trunk = directory.trunks.get(name)
            if trunk is None or not trunk.enabled or _asked_by(trunk) != _asked_by(watch.trunk):
                del self._watches[name]
                self._resting = {key: until for key, until in self._resting.items() if key[0] != name}
                effects += self._do(watch, watch.end(now), now)
            else:
                watch.trunk = trunk
        for name, trunk in directory.trunks.items():
            if trunk.enabled and name not in self._watches:
                kind = TrunkRegistration if trunk.register else TrunkKeepalive
                watch = self._watches[name] = kind(trunk, self._around, now)
                effects += self._do(watch, watch.begin(now), now)
        return effects

    def check(self, name: str, now: float) -> list[Effect]:
        """Ask at once; nothing happens for a trunk that is not there or disabled."""
        watch = self._watches.get(name)
        return [] if watch is None else self._do(watch, watch.begin(now), now)

    def located(self, trunk: Trunk, found: tuple[Flow, ...] | str, now: float) -> list[Effect]:
        """Where a trunk's host is, or in words why nobody knows."""
        watch = self._watches.get(trunk.name)
        if watch is None or _asked_by(watch.trunk) != _asked_by(trunk):
            return []
        return self._do(watch, watch.located(found, now), now)

    def answered(self, event: ResponseArrived | RequestTimedOut, now: float) -> list[Effect]:
        """What came of a request outside of calls, if it was one of ours."""
        final = isinstance(event, RequestTimedOut) or event.response.status >= 200
        find = self._asked.pop if final else self._asked.get
        watch = find(event.transaction_id, None)
        if watch is None:
            return []
        if isinstance(event, ResponseArrived):
            return self._do(watch, watch.answered(event.response, now), now)
        return self._do(watch, watch.unanswered(now), now)

    def connection_lost(self, flow: Flow, now: float) -> list[Effect]:
        """A connection broke: those registered by it do so again."""
        for watch in self._watches.values():
            watch.connection_lost(flow, now)
            self._queue.update(watch)
        return []

    def stop(self, now: float) -> list[Effect]:
        """Take registrations back."""
        watches, self._watches = self._watches, {}
        return [effect for watch in watches.values() for effect in self._do(watch, watch.end(now), now)]

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""
        return self._queue.deadline()

    def expire(self, now: float) -> list[Effect]:
        """Do what is due."""
        effects: list[Effect] = []
        while (watch := self._queue.pop_due(now)) is not None:
            if isinstance(watch, Watch):
                effects += self._do(watch, watch.expire(now), now)
        return effects

    def _do(self, watch: Watch, wanted: list[Wanted], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for one in wanted:
            match one:
                case Locate():
                    self._locate(watch.trunk)
                case Ask(request=request, flow=flow):
                    # What was asked before does not matter any more, whatever comes of it.
                    self._asked = {key: other for key, other in self._asked.items() if other is not watch}
                    transaction, sent = self._requests.request(request, flow, now)
                    self._asked[transaction] = watch
                    effects += sent
                case KeepOpen(flow=flow):
                    self._keep_open(flow)
                case Changed():
                    self._tell_of(watch)
        self._queue.update(watch)
        return effects

    def _tell_of(self, watch: Watch) -> None:
        if watch.state.up:
            self._tell("trunk.up", trunk=watch.trunk.name)
        else:
            self._tell("trunk.down", trunk=watch.trunk.name, reason=watch.state.reason)


def _asked_by(trunk: Trunk) -> tuple[object, ...]:
    """What makes a watch: all else of a trunk can change without asking anew."""
    return (
        trunk.id,
        trunk.host,
        trunk.port,
        trunk.transport,
        trunk.username,
        trunk.password,
        trunk.realm,
        trunk.register,
        trunk.expires_s,
    )


def _is_from(watch: Watch, flow: Flow) -> bool:
    """Whether a message by this flow comes from the trunk's networks or, without any, from its own address:
    over UDP from its port too, so that others behind the same address are not taken for it."""
    host = unmapped(flow.remote[0])
    if watch.trunk.networks:
        return host in _members_of(watch.trunk.networks)
    if flow.reliable:
        return any(host == target.remote[0] for target in watch.targets)
    return any((host, flow.remote[1]) == target.remote for target in watch.targets)


@lru_cache(maxsize=1_024)
def _members_of(networks: tuple[str, ...]) -> SourceList:
    return SourceList(networks)
