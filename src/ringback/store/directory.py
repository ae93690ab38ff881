"""The directory of the call path: a frozen snapshot of all numbers, good while the database is away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal, TypeVar

from ringback.governance.private import Private
from ringback.store.plan.plan import Plan

Admission = Literal["direct", "lobby"]
Digest = Literal["md5", "sha-256", "both"]


@dataclass(frozen=True, slots=True)
class Extension:
    """A number that a person's devices register to; the HA1 values are those of RFC 7616 §3.4.2.

    `ha1_md5` is H(number:realm:password) as lower-case hex by MD5, `ha1_sha256` the same by SHA-256;
    `digest` says which of them its devices log in with (RFC 8760).
    """

    id: str
    number: str
    display_name: str
    ha1_md5: Private[str]
    ha1_sha256: Private[str]
    person_id: str | None
    enabled: bool
    created_at: datetime
    digest: Digest = "md5"


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting as it is kept: its number, how people get in, and the secrets that decide their role."""

    id: str
    number: str
    name: str
    admission: Admission
    guest_pin: Private[str]
    host_pin: Private[str]
    link_token: Private[str]
    host_link_token: Private[str]
    created_at: datetime


Inbound = Literal["none", "address", "digest", "both"]
TrunkTransport = Literal["udp", "tcp", "tls"]
Identity = Literal["from", "asserted"]


@dataclass(frozen=True, slots=True)
class Trunk:
    """A way to and from another telephone system: a carrier, or an exchange of somebody else's.

    Calls to numbers that begin with one of `prefixes` go out there: `strip` digits are taken away, `prepend`
    is put in front; of trunks with the same prefix the lowest `priority` is tried first. `dids` maps what is
    dialled from outside to the number here that it reaches, or to a target of the plan as it is written
    there (`group:sales`). `inbound` says how the other side proves that a call is its own: by its address
    (one of `networks`; none given: where the trunk's host is), by this trunk's account, by both, or not at
    all. `realm` is the only one that the password is used for, where it is given. Calls that came in by this
    trunk may leave through one again only with `transit`.
    """

    id: str
    name: str
    host: str
    created_at: datetime
    port: int | None = None
    transport: TrunkTransport = "udp"
    username: str = ""
    password: Private[str] | None = None
    realm: str = ""
    register: bool = False
    expires_s: int = 3600
    inbound: Inbound = "address"
    networks: tuple[str, ...] = ()
    caller_id: str = ""
    identity: Identity = "from"
    codecs: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    strip: int = 0
    prepend: str = ""
    priority: int = 10
    dids: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    max_calls: int = 30
    transit: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a name; `role` names a `Role` of the plan, which says what they may call."""

    id: str
    name: str
    created_at: datetime
    role: str = "standard"
    e_mail: str = ""
    site: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """A phone with credentials of its own: it logs in as `username` and registers for `extension`.

    Devices that log in as the extension itself have no entry of their own. `model` says which provisioning
    file it gets, `mac` names it (12 lower-case hexadecimal digits), `location` a `Location` of the plan.
    """

    id: str
    name: str
    extension: str
    username: str
    ha1_md5: Private[str]
    ha1_sha256: Private[str]
    created_at: datetime
    digest: Digest = "md5"
    model: str = ""
    mac: str = ""
    location: str = ""
    shared: bool = False
    enabled: bool = True


_T = TypeVar("_T", Extension, Meeting)


def _by_number(things: Iterable[_T]) -> Mapping[str, _T]:
    return MappingProxyType({thing.number: thing for thing in things})


def _by_name(trunks: Iterable[Trunk]) -> Mapping[str, Trunk]:
    return MappingProxyType({trunk.name: trunk for trunk in trunks})


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything that routing a call needs to know; a change makes a new one."""

    extensions: Mapping[str, Extension] = field(default_factory=lambda: MappingProxyType({}))
    meetings: Mapping[str, Meeting] = field(default_factory=lambda: MappingProxyType({}))
    trunks: Mapping[str, Trunk] = field(default_factory=lambda: MappingProxyType({}))
    plan: Plan = field(default_factory=Plan)
    people: Mapping[str, Person] = field(default_factory=lambda: MappingProxyType({}))
    """By their identifier."""
    devices: Mapping[str, Device] = field(default_factory=lambda: MappingProxyType({}))
    """By the name that they log in with."""

    @classmethod
    def of(
        cls,
        extensions: Iterable[Extension] = (),
        meetings: Iterable[Meeting] = (),
        trunks: Iterable[Trunk] = (),
        plan: Plan | None = None,
        people: Iterable[Person] = (),
        devices: Iterable[Device] = (),
    ) -> Directory:
        """A directory of these."""
        return cls(
            _by_number(extensions),
            _by_number(meetings),
            _by_name(trunks),
            plan or Plan(),
            MappingProxyType({person.id: person for person in people}),
            MappingProxyType({device.username: device for device in devices}),
        )

    def extension(self, number: str) -> Extension | None:
        """The extension with this number, enabled or not."""
        return self.extensions.get(number)

    def meeting(self, number: str) -> Meeting | None:
        """The meeting with this number."""
        return self.meetings.get(number)

    def with_extension(self, extension: Extension) -> Directory:
        """This directory with `extension` added, or in the place of the one with the same id."""
        return self.with_extensions([extension])

    def with_extensions(self, extensions: Sequence[Extension]) -> Directory:
        """This directory with these added, or in the places of those with the same ids."""
        changed = {extension.id for extension in extensions}
        others = (other for other in self.extensions.values() if other.id not in changed)
        return replace(self, extensions=_by_number([*others, *extensions]))

    def without_extension(self, number: str) -> Directory:
        """This directory without that extension."""
        return replace(self, extensions=_by_number(e for e in self.extensions.values() if e.number != number))

    def with_people(self, people: Iterable[Person]) -> Directory:
        """This directory with these people added, or in the places of those with the same id."""
        added = {person.id: person for person in people}
        return replace(self, people=MappingProxyType({**self.people, **added}))

    def without_person(self, person_id: str) -> Directory:
        """This directory without that person."""
        return replace(
            self, people=MappingProxyType({i: p for i, p in self.people.items() if i != person_id})
        )

    def with_devices(self, devices: Iterable[Device]) -> Directory:
        """This directory with these devices added, or in the places of those with the same username."""
        added = {device.username: device for device in devices}
        return replace(self, devices=MappingProxyType({**self.devices, **added}))

    def without_devices(self, gone: Iterable[Device]) -> Directory:
        """This directory without these devices."""
        names = {device.username for device in gone}
        kept = {name: device for name, device in self.devices.items() if name not in names}
        return replace(self, devices=MappingProxyType(kept))

    def with_meeting(self, meeting: Meeting) -> Directory:
        """This directory with `meeting` added, or in the place of the one with the same id."""
        others = (other for other in self.meetings.values() if other.id != meeting.id)
        return replace(self, meetings=_by_number([*others, meeting]))

    def without_meeting(self, number: str) -> Directory:
        """This directory without that meeting."""
        return replace(self, meetings=_by_number(m for m in self.meetings.values() if m.number != number))

    def trunk_of(self, username: str) -> Trunk | None:
        """The trunk whose other side shows this account when it calls."""
        return next(
            (
                trunk
                for trunk in self.trunks.values()
                if trunk.enabled and trunk.username == username and trunk.inbound in ("digest", "both")
            ),
            None,
        )

    def with_trunk(self, trunk: Trunk) -> Directory:
        """This directory with `trunk` added, or in the place of the one with the same id."""
        others = (other for other in self.trunks.values() if other.id != trunk.id)
        return replace(self, trunks=_by_name([*others, trunk]))

    def without_trunk(self, name: str) -> Directory:
        """This directory without that trunk."""
        return replace(self, trunks=_by_name(t for t in self.trunks.values() if t.name != name))
