"""The snapshot of the whole plan, and the register of its kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar, cast

from ringback.store.plan.answering import Answering, Role
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.hours import Hours
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.plan.outbound import Blocked, Route
from ringback.store.plan.phones import Firmware
from ringback.store.plan.safety import EmergencyTest, Location
from ringback.store.plan.target import Target, TargetKind
from ringback.store.plan.value import Value
from ringback.store.plan.voice import MailboxPlan, RecordingPolicy

KINDS: Final[Mapping[str, type[Value]]] = MappingProxyType(
    {
        "answering": Answering,
        "role": Role,
        "hours": Hours,
        "group": Group,
        "queue": Queue,
        "announcement": Announcement,
        "menu": Menu,
        "route": Route,
        "blocked": Blocked,
        "location": Location,
        "emergency-test": EmergencyTest,
        "mailbox": MailboxPlan,
        "recording-policy": RecordingPolicy,
        "firmware": Firmware,
    }
)
"""Every kind by its name in the API, on the command line and in files."""

NAMES: Final[Mapping[type[Value], str]] = MappingProxyType({kind: name for name, kind in KINDS.items()})

_V = TypeVar("_V", bound=Value)
_NONE: Final[Mapping[str, Value]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Plan:
    """All values by kind and name; a change makes a new one."""

    values: Mapping[str, Mapping[str, Value]] = field(default_factory=lambda: MappingProxyType({}))
    numbers: Mapping[str, Target] = field(default_factory=lambda: MappingProxyType({}))
    """What has a number of its own: where that number leads."""

    @classmethod
    def of(cls, values: Iterable[Value]) -> Plan:
        """A plan of these values; of two with the same kind and name the later counts."""
        by_kind: dict[str, dict[str, Value]] = {}
        for value in values:
            by_kind.setdefault(NAMES[type(value)], {})[value.name] = value
        return cls._made(by_kind)

    @classmethod
    def _made(cls, by_kind: Mapping[str, Mapping[str, Value]]) -> Plan:
        numbers = {
            number: Target(cast("TargetKind", kind), name)
            for kind, values in by_kind.items()
            for name, value in values.items()
            if (number := getattr(value, "number", ""))
        }
        frozen = {kind: MappingProxyType(dict(values)) for kind, values in by_kind.items()}
        return cls(MappingProxyType(frozen), MappingProxyType(numbers))

    def get(self, kind: type[_V], name: str) -> _V | None:
        """The value of that kind and name."""
        return cast("_V | None", self.values.get(NAMES[kind], _NONE).get(name))

    def all(self, kind: type[_V]) -> Mapping[str, _V]:
        """All values of a kind, by name."""
        return cast("Mapping[str, _V]", self.values.get(NAMES[kind], _NONE))

    def with_value(self, value: Value) -> Plan:
        """This plan with `value` added, or in the place of the one with its kind and name."""
        return self.changed({(NAMES[type(value)], value.name): value})

    def without(self, kind: str, name: str) -> Plan:
        """This plan without that value."""
        return self.changed({(kind, name): None})

    def changed(self, changes: Mapping[tuple[str, str], Value | None]) -> Plan:
        """This plan with what each kind and name is from now on, None for what is gone.

        Kinds without a change are taken over as they are: a change among thousands copies one dictionary.
        """
        kinds: dict[str, dict[str, Value]] = {}
        renumbered = False
        for (kind, name), value in changes.items():
            values = kinds.get(kind)
            if values is None:
                values = kinds[kind] = dict(self.values.get(kind, _NONE))
            before = values.pop(name, None)
            if value is not None:
                values[name] = value
            renumbered |= getattr(before, "number", "") != getattr(value, "number", "")
        numbers = self.numbers
        if renumbered:
            kept = {n: to for n, to in self.numbers.items() if (to.kind, to.name) not in changes}
            new = {
                number: Target(cast("TargetKind", kind), name)
                for (kind, name), value in changes.items()
                if (number := getattr(value, "number", ""))
            }
            numbers = MappingProxyType({**kept, **new})
        frozen = {kind: MappingProxyType(values) for kind, values in kinds.items()}
        return Plan(MappingProxyType({**self.values, **frozen}), numbers)
