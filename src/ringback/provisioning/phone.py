"""What a phone is told, whatever its family writes it like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ringback.store.directory import Device, Directory
from ringback.store.plan.groups import Group, Queue

_FAMILIES: Final = (
    ("yealink", re.compile(r"(yealink\b.*|(sip-)?t[345][0-9].*)", re.IGNORECASE)),
    ("polycom", re.compile(r"(poly(com)?\b.*|vvx ?[0-9].*)", re.IGNORECASE)),
)


@dataclass(frozen=True, slots=True)
class Server:
    """Where a phone registers: host, port, and udp, tcp or tls."""

    host: str
    port: int
    transport: str


@dataclass(frozen=True, slots=True)
class Key:
    """A key with a lamp: pressing it calls the number, the lamp shows whether that rings or talks."""

    label: str
    number: str


@dataclass(frozen=True, slots=True)
class Phone:
    """All that templates may use, as `phone`; `mac` is empty where it is not known.

    `voicemail` is dialled to hear messages, `pickup` before the number of a colleague whose call is taken.
    `url` is where the files are fetched from, `authority_url` where the certificate of our own authority is,
    empty if there is none.
    """

    name: str
    extension: str
    label: str
    username: str
    password: str
    mac: str
    model: str
    servers: tuple[Server, ...]
    keys: tuple[Key, ...]
    voicemail: str
    pickup: str
    url: str
    authority_url: str
    shared: bool


def family_of(model: str) -> str:
    """The family of a model, whose folder has the templates: by its first word where it is none of ours."""
    text = model.strip()
    for family, pattern in _FAMILIES:
        if pattern.fullmatch(text):
            return family
    return re.sub(r"[^a-z0-9-]", "", text.lower().split(" ", 1)[0])


def lamps(device: Device, directory: Directory, most: int) -> tuple[Key, ...]:
    """The keys of a device: the others of its groups and queues, or everybody if it is in none of these."""
    own = device.extension
    beside: Iterable[str] = dict.fromkeys(_colleagues(own, directory))
    if not beside:
        beside = sorted(directory.extensions, key=lambda number: (len(number), number))
    keys = (
        Key(extension.display_name or number, number)
        for number in beside
        if number != own and (extension := directory.extension(number)) is not None and extension.enabled
    )
    return tuple(key for key, _ in zip(keys, range(most), strict=False))


def _colleagues(number: str, directory: Directory) -> Iterator[str]:
    for group in directory.plan.all(Group).values():
        if number in group.members:
            yield from group.members
    for queue in directory.plan.all(Queue).values():
        if number in queue.agents:
            yield from queue.agents
