"""Where a dialled number goes, decided from a snapshot of the directory alone: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.routing.numbering import ServiceNumbers
from ringback.routing.outbound import WayOut, ways_out
from ringback.store.directory import Directory, Extension, Meeting


@dataclass(frozen=True, slots=True)
class ToMeeting:
    """The meeting with this number; open to anybody who reaches the server, its PIN decides."""

    meeting: Meeting


@dataclass(frozen=True, slots=True)
class ToDialIn:
    """A dial-in number: the caller is asked for the meeting's number first; open to anybody."""


@dataclass(frozen=True, slots=True)
class ToExtension:
    """The devices of an extension; for callers with an account."""

    extension: Extension


@dataclass(frozen=True, slots=True)
class ToEcho:
    """The echo test; for callers with an account."""


@dataclass(frozen=True, slots=True)
class Nowhere:
    """Nothing has this number: 404 for callers with an account, and the usual 401 for anybody else."""


@dataclass(frozen=True, slots=True)
class ToOutside:
    """A number elsewhere, and the trunks that it can go by, the best first; for callers with an account."""

    ways: tuple[WayOut, ...]


Destination = ToMeeting | ToDialIn | ToExtension | ToEcho | ToOutside | Nowhere


def route(number: str, directory: Directory, services: ServiceNumbers) -> Destination:
    """Return where `number` leads. Services come first, then meetings, extensions, and what is outside."""
    if number == services.echo:
        return ToEcho()
    if number in services.dial_in:
        return ToDialIn()
    meeting = directory.meeting(number)
    if meeting is not None:
        return ToMeeting(meeting)
    extension = directory.extension(number)
    if extension is not None and extension.enabled:
        return ToExtension(extension)
    if extension is None and (ways := ways_out(number, directory, services.emergency)):
        return ToOutside(ways)
    return Nowhere()


def needs_account(destination: Destination) -> bool:
    """Meetings are open to anybody who can reach the server; everything else needs an account."""
    return not isinstance(destination, ToMeeting | ToDialIn)
