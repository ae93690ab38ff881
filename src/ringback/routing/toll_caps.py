"""How much of which class of numbers an extension has called today, and when that is enough; sans-IO."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ringback.config.routing import CallClass
from ringback.routing.classes import class_of
from ringback.store.tolls import StoredToll


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A cap that holds a call back: of which class, and which cap it is."""

    call_class: str
    cap: str


@dataclass(slots=True, eq=False)
class TollCall:
    """One call that counts, from when it is begun; `answered_at` once it costs something."""

    account: str = field(repr=False)
    call_class: str
    answered_at: float | None = None


@dataclass(slots=True)
class _Count:
    calls: int = 0
    seconds: float = 0.0


_Key = tuple[str, str]


class TollCaps:
    """Counts answered calls and their seconds by account and class, of one day; `today` gives that as text.

    Calls under way count for as long as they have been answered, so that many long ones at once are no way
    around a cap.
    """

    def __init__(self, classes: Mapping[str, CallClass], today: Callable[[], str]) -> None:
        self.classes = classes
        self.refused: dict[str, int] = dict.fromkeys(classes, 0)
        self._today = today
        self._day = today()
        self._counts: dict[_Key, _Count] = {}
        self._under_way: dict[_Key, list[TollCall]] = {}
        self._changed: set[_Key] = set()

    def class_of(self, number: str) -> str:
        """The class with the longest prefix that the number begins with."""
        return class_of(self.classes, "", number)

    # One call

    def exceeded(
        self, account: str, number: str, now: float, call_class: str | None = None
    ) -> Exceeded | None:
        """The cap that forbids another call, if there is one; `call_class` where it is known already."""
        self._turn(now)
        name = call_class or self.class_of(number)
        caps = self.classes[name]
        count = self._counts.get((account, name), _Count())
        calls = self._under_way.get((account, name), [])
        if caps.concurrent is not None and len(calls) >= caps.concurrent:
            return self._refuse(name, "concurrent")
        unanswered = sum(call.answered_at is None for call in calls)
        if caps.calls_a_day is not None and count.calls + unanswered >= caps.calls_a_day:
            return self._refuse(name, "calls_a_day")
        left = self._seconds_left((account, name), now)
        return self._refuse(name, "minutes_a_day") if left <= 0 else None

    def begin(self, account: str, number: str, call_class: str | None = None) -> TollCall:
        """A call goes out."""
        call = TollCall(account, call_class or self.class_of(number))
        self._under_way.setdefault((account, call.call_class), []).append(call)
        return call

    def answered(self, call: TollCall, now: float) -> None:
        """It costs from now on."""
        self._turn(now)
        call.answered_at = now
        self._count(call).calls += 1

    def ended(self, call: TollCall, now: float) -> None:
        """It is over; a second end is none."""
        self._turn(now)
        key = (call.account, call.call_class)
        calls = self._under_way.get(key, [])
        if call not in calls:
            return
        calls.remove(call)
        if not calls:
            del self._under_way[key]
        if call.answered_at is not None:
            self._count(call).seconds += now - call.answered_at

    def seconds_left(self, call: TollCall, now: float) -> float:
        """How long it may go on, as things are; infinity without a cap."""
        self._turn(now)
        key = (call.account, call.call_class)
        left = self._seconds_left(key, now)
        talking = sum(other.answered_at is not None for other in self._under_way.get(key, []))
        return left / max(1, talking)

    # All of them

    def usage(self, now: float) -> list[StoredToll]:
        """What was called today, by account and class; calls under way are in it."""
        self._turn(now)
        keys = sorted(self._counts.keys() | self._under_way.keys())
        return [self._stored(key, now) for key in keys]

    def restore(self, saved: Iterable[StoredToll]) -> None:
        """Take back what was saved of today."""
        for toll in saved:
            if toll.day == self._day:
                self._counts[toll.account, toll.call_class] = _Count(toll.calls, float(toll.seconds))

    def reset(self, account: str | None, now: float) -> int:
        """Let an account (None: all) begin the day anew; returns how many counts that were."""
        chosen = [key for key in self._counts if account in (None, key[0])]
        for key in chosen:
            self._counts[key] = _Count()
            for call in self._under_way.get(key, []):
                call.answered_at = None if call.answered_at is None else now
        self._changed.update(chosen)
        return len(chosen)

    def take_changed(self, now: float) -> list[StoredToll]:
        """What is to be saved: counts that changed, and those of calls under way."""
        self._turn(now)
        changed, self._changed = self._changed | self._under_way.keys(), set()
        return [self._stored(key, now) for key in sorted(changed)]

    def _refuse(self, name: str, cap: str) -> Exceeded:
        self.refused[name] += 1
        return Exceeded(name, cap)

    def _count(self, call: TollCall) -> _Count:
        key = (call.account, call.call_class)
        self._changed.add(key)
        return self._counts.setdefault(key, _Count())

    def _seconds(self, key: _Key, now: float) -> float:
        running = sum(
            now - call.answered_at for call in self._under_way.get(key, []) if call.answered_at is not None
        )
        return self._counts.get(key, _Count()).seconds + running

    def _seconds_left(self, key: _Key, now: float) -> float:
        minutes = self.classes[key[1]].minutes_a_day
        return math.inf if minutes is None else 60 * minutes - self._seconds(key, now)

    def _stored(self, key: _Key, now: float) -> StoredToll:
        calls = self._counts.get(key, _Count()).calls
        return StoredToll(self._day, *key, calls, round(self._seconds(key, now)))

    def _turn(self, now: float) -> None:
        """At midnight all counts begin anew; of calls under way only what comes after it counts then."""
        today = self._today()
        if today == self._day:
            return
        self._day = today
        self._counts.clear()
        self._changed.clear()
        for calls in self._under_way.values():
            for call in calls:
                call.answered_at = None if call.answered_at is None else now
