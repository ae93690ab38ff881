"""What the web and the command line may ask of trunks and of what is called by them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from ringback.call.switchboard import Switchboard
from ringback.routing.toll_caps import TollCaps
from ringback.store.directory import Directory
from ringback.trunk.lines import TrunkLines
from ringback.trunk.watch import uri_host
from ringback.web.operations import Metric, TollUsage, TrunkLine


class OutsideOperations:
    """Implements the web's `OutsideLines`."""

    def __init__(
        self,
        lines: TrunkLines,
        caps: TollCaps,
        switchboard: Switchboard,
        check: Callable[[str], None],
        directory: Callable[[], Directory],
    ) -> None:
        self._lines = lines
        self._caps = caps
        self._switchboard = switchboard
        self._check = check
        self._directory = directory

    def trunks(self) -> list[TrunkLine]:
        """How all trunks are, by name."""
        now, clock = datetime.now(UTC), time.monotonic()
        lines = []
        for name, trunk in sorted(self._directory().trunks.items()):
            state = self._lines.state(trunk, clock)
            targets = self._lines.targets(trunk)
            lines.append(
                TrunkLine(
                    name=name,
                    up=state.up,
                    reason=state.reason,
                    since=now - timedelta(seconds=clock - state.since),
                    calls=self._switchboard.on_trunk(name),
                    targets=tuple(f"{uri_host(flow.remote[0])}:{flow.remote[1]}" for flow in targets),
                )
            )
        return lines

    def check(self, name: str) -> None:
        """Ask a trunk's other side now."""
        self._check(name)

    def checking(self, name: str) -> bool:
        """Whether an answer to that is still waited for."""
        return self._lines.asking(name)

    def usage(self) -> list[TollUsage]:
        """What was called today, by account and class."""
        return [
            TollUsage(
                account=toll.account,
                call_class=toll.call_class,
                calls=toll.calls,
                minutes=toll.seconds / 60,
                most_calls=self._caps.classes[toll.call_class].calls_a_day,
                most_minutes=self._caps.classes[toll.call_class].minutes_a_day,
            )
            for toll in self._caps.usage(time.monotonic())
            if toll.call_class in self._caps.classes
        ]

    def reset(self, account: str | None) -> int:
        """Let one (None: all) begin the day anew."""
        return self._caps.reset(account, time.monotonic())

    def metrics(self) -> Iterable[Metric]:
        """Trunks by name, refused calls by class: neither is anybody's number."""
        trunks = self.trunks()
        yield Metric(
            "ringback_trunk_up",
            "gauge",
            "1 while a trunk's other side answers, or has registered us.",
            tuple(({"trunk": trunk.name}, 1.0 if trunk.up else 0.0) for trunk in trunks),
        )
        yield Metric(
            "ringback_trunk_calls",
            "gauge",
            "Calls by a trunk, in and out.",
            tuple(({"trunk": trunk.name}, float(trunk.calls)) for trunk in trunks),
        )
        yield Metric(
            "ringback_toll_refusals",
            "counter",
            "Calls out that a cap has refused, by class of number.",
            tuple(({"call_class": name}, float(count)) for name, count in self._caps.refused.items()),
        )
