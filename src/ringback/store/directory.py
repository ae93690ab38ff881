"""The directory of the call path: a frozen snapshot of all numbers, good while the database is away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal, TypeVar

from ringback.governance.private import Private

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


_T = TypeVar("_T", Extension, Meeting)


def _by_number(things: Iterable[_T]) -> Mapping[str, _T]:
    return MappingProxyType({thing.number: thing for thing in things})


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything that routing a call needs to know; a change makes a new one."""

    extensions: Mapping[str, Extension] = field(default_factory=lambda: MappingProxyType({}))
    meetings: Mapping[str, Meeting] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, extensions: Iterable[Extension] = (), meetings: Iterable[Meeting] = ()) -> Directory:
        """A directory of these extensions and meetings."""
        return cls(_by_number(extensions), _by_number(meetings))

    def extension(self, number: str) -> Extension | None:
        """The extension with this number, enabled or not."""
        return self.extensions.get(number)

    def meeting(self, number: str) -> Meeting | None:
        """The meeting with this number."""
        return self.meetings.get(number)

    def with_extension(self, extension: Extension) -> Directory:
        """This directory with `extension` added, or in the place of the one with the same id."""
        others = (other for other in self.extensions.values() if other.id != extension.id)
        return replace(self, extensions=_by_number([*others, extension]))

    def without_extension(self, number: str) -> Directory:
        """This directory without that extension."""
        return replace(self, extensions=_by_number(e for e in self.extensions.values() if e.number != number))

    def with_meeting(self, meeting: Meeting) -> Directory:
        """This directory with `meeting` added, or in the place of the one with the same id."""
        others = (other for other in self.meetings.values() if other.id != meeting.id)
        return replace(self, meetings=_by_number([*others, meeting]))

    def without_meeting(self, number: str) -> Directory:
        """This directory without that meeting."""
        return replace(self, meetings=_by_number(m for m in self.meetings.values() if m.number != number))
