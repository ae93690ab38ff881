"""Trunks: ways to and from other telephone systems, with their passwords sealed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, get_args

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.private import Private
from ringback.governance.sealing import Sealer
from ringback.store import schema
from ringback.store.agreement import leads_nowhere, not_unasked, taken_by
from ringback.store.changes import Change, Changes, Undone, cannot, gone, put_back, taken
from ringback.store.database import Database
from ringback.store.directory import Identity, Inbound, Trunk, TrunkTransport
from ringback.store.emergency_numbers import emergency_in
from ringback.store.errors import ConflictError, InvalidError, NotFoundError
from ringback.store.holder import DirectoryHolder
from ringback.store.objects import Objects
from ringback.store.plan.target import Target
from ringback.store.rules import new_id

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_NUMBER: Final = re.compile(r"\+?[0-9*#]{1,32}")
_PREFIX: Final = re.compile(r"\+?[0-9*#]{0,32}")
_LONGEST_TEXT: Final = 128
_MOST: Final = 1_000
_CODECS: Final = ("PCMU", "PCMA", "G722", "OPUS", "L16")
_OWN_COLUMNS: Final = ("id", "name", "password", "created_at")
DETAILS: Final = tuple(field.name for field in fields(Trunk) if field.name not in _OWN_COLUMNS)
"""What can be said of a trunk beside its name and its password."""


class Trunks:
    """The trunks; every change shows in the directory as soon as it is committed."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        holder: DirectoryHolder,
        objects: Objects,
        changes: Changes,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._holder = holder
        self._objects = objects
        self._changes = changes

    def all(self) -> list[Trunk]:
        """All trunks, by name."""
        return sorted(self._holder.current.trunks.values(), key=lambda trunk: trunk.name)

    def get(self, name: str) -> Trunk:
        """One trunk; raises NotFoundError."""
        trunk = self._holder.current.trunks.get(name)
        if trunk is None:
            raise NotFoundError("there is no such trunk")
        return trunk

    async def add(self, name: str, details: Mapping[str, Any], password: Private[str] | None = None) -> Trunk:
        """A new trunk; `details` are values of `DETAILS`. Raises InvalidError or ConflictError."""
        if not _NAME.fullmatch(name):
            raise InvalidError("a trunk's name has up to 32 small letters, digits and dashes")
        if "host" not in details:
            raise InvalidError("a trunk needs a host")
        given = _known(details)
        trunk = checked_trunk(Trunk(id=new_id(), name=name, created_at=datetime.now(UTC), **given))
        trunk = replace(trunk, password=_checked_password(password))
        _check_account(trunk)
        async with self._database.write() as connection:
            self._check_dids(trunk)
            try:
                await connection.execute(insert(schema.trunks).values(_values(self._sealer, trunk)))
            except IntegrityError:
                raise ConflictError("a trunk of this name exists already") from None
        self._holder.replace(self._holder.current.with_trunk(trunk))
        return trunk

    async def change(
        self,
        name: str,
        details: Mapping[str, Any],
        password: Private[str] | None = None,
        by: str = "",
        *,
        undoes: int | None = None,
    ) -> Trunk:
        """Change what is given, keep the rest; an empty password takes it away."""
        async with self._database.write() as connection:
            # Read inside the transaction: two changes at once must not undo each other.
            before = self.get(name)
            trunk = checked_trunk(replace(before, **_known(details)))
            if password is not None:
                trunk = replace(trunk, password=_checked_password(password))
            _check_account(trunk)
            self._check_dids(trunk, before)
            statement = update(schema.trunks).where(schema.trunks.c.id == trunk.id)
            await connection.execute(statement.values(_values(self._sealer, trunk)))
            await self._changes.note(
                connection, "trunk", name, _details(before), _details(trunk), by, undoes=undoes
            )
        self._holder.replace(self._holder.current.with_trunk(trunk))
        return trunk

    async def remove(self, name: str, by: str = "", *, for_good: bool = False) -> None:
        """Delete a trunk; raises NotFoundError, or ConflictError that names what needs it.

        It can be taken back for a while, unless it is `for_good`.
        """
        table = schema.trunks
        async with self._database.write() as connection:
            trunk = self.get(name)
            self._objects.check_unused("trunk", name)
            if for_good:
                await self._changes.forget(connection, "trunk", name)
            else:
                rows = await taken(connection, table, table.c.id == trunk.id)
                await self._changes.note(connection, "trunk", name, _details(trunk), None, by, rows=rows)
            await connection.execute(delete(table).where(table.c.id == trunk.id))
        self._holder.replace(self._holder.current.without_trunk(name))

    def _check_dids(self, trunk: Trunk, before: Trunk | None = None) -> None:
        """Raise InvalidError where a number leads to what is not there, unless it has led to that before."""
        directory, fixed = self._holder.current, self._objects.fixed
        known = before.dids if before is not None else {}
        for did, leads_to in trunk.dids.items():
            if known.get(did) == leads_to:
                continue
            if emergency_in(did, fixed.emergency, fixed.country) is not None:
                # Who dials it there, in a house of ours behind the trunk, asks for help.
                continue
            wrong = None
            if not _NUMBER.fullmatch(leads_to):
                target = Target.parse(leads_to)
                wrong = leads_nowhere(target, directory, fixed) if target is not None else None
            elif leads_to in fixed.emergency or (trunk.transit and not taken_by(leads_to, directory, fixed)):
                wrong = not_unasked(leads_to, directory, fixed)
            if wrong is not None:
                raise InvalidError(f"{did} cannot lead to {leads_to}: {wrong}")

    async def undo(self, change: Change, by: str) -> Undone:
        """Take a change back; raises ConflictError or NotFoundError that say why it cannot be."""
        revision, name = change.revision, change.revision.name
        undone = Undone("trunk", name, name)
        if revision.before is None:
            await self.remove(name, by)
            return undone
        if revision.after is not None:
            try:
                await self.change(name, change.fields, by=by, undoes=revision.id)
            except NotFoundError:
                raise gone("trunk", name) from None
            except InvalidError as error:
                raise cannot(error) from None
            return undone
        table = schema.trunks
        async with self._database.write() as connection:
            if name in self._holder.current.trunks:
                raise ConflictError(f"this cannot be put back: there is another trunk {name}")
            await put_back(connection, table, change.rows)
            row = (await connection.execute(select(table).where(table.c.name == name))).one()
            trunk = _trunk(self._sealer, row)
            try:
                self._check_dids(trunk)
            except InvalidError as error:
                raise cannot(error) from None
            await self._changes.note(connection, "trunk", name, None, _details(trunk), by, undoes=revision.id)
        self._holder.replace(self._holder.current.with_trunk(trunk))
        return undone


async def load_trunks(connection: AsyncConnection, sealer: Sealer) -> list[Trunk]:
    """All trunks with their passwords opened."""
    return [_trunk(sealer, row) for row in await connection.execute(select(schema.trunks))]


def checked_trunk(trunk: Trunk) -> Trunk:
    """The trunk with its values in their usual form; raises InvalidError."""
    try:
        networks = tuple(str(ipaddress.ip_network(text, strict=False)) for text in trunk.networks)
    except ValueError:
        raise InvalidError("networks are addresses or CIDR, e.g. 192.0.2.0/24") from None
    trunk = replace(
        trunk,
        networks=networks,
        codecs=tuple(dict.fromkeys(name.upper().replace(".", "") for name in trunk.codecs)),
        prefixes=tuple(dict.fromkeys(trunk.prefixes)),
        dids=MappingProxyType(dict(trunk.dids)),
    )
    for wrong, complaint in _complaints(trunk):
        if wrong:
            raise InvalidError(complaint)
    return trunk


def _complaints(trunk: Trunk) -> list[tuple[bool, str]]:
    texts = (trunk.username, trunk.realm, trunk.caller_id, trunk.prepend)
    return [
        (not _is_host(trunk.host), "the host is a name such as sip.example.com, or an IP address"),
        (trunk.port is not None and not 1 <= trunk.port <= 65_535, "a port is 1 to 65535"),
        (trunk.transport not in get_args(TrunkTransport), "the transport is udp, tcp or tls"),
        (trunk.inbound not in get_args(Inbound), "inbound is none, address, digest or both"),
        (trunk.identity not in get_args(Identity), "identity is from or asserted"),
        (not 30 <= trunk.expires_s <= 86_400, "a registration lasts 30 to 86400 seconds"),
        (not 1 <= trunk.max_calls <= 10_000, "a trunk has 1 to 10000 calls at once"),
        (not 0 <= trunk.strip <= 32, "0 to 32 digits can be stripped"),
        (not 0 <= trunk.priority <= 1_000, "a priority is 0 to 1000"),
        (
            any(len(text) > _LONGEST_TEXT or not text.isprintable() for text in texts),
            f"texts of a trunk are printable and have at most {_LONGEST_TEXT} characters",
        ),
        (bool(trunk.caller_id) and not _NUMBER.fullmatch(trunk.caller_id), "the caller ID is a number"),
        (not _PREFIX.fullmatch(trunk.prepend), "what is put in front is digits"),
        (
            any(not _PREFIX.fullmatch(p) for p in trunk.prefixes),
            "a prefix is digits, or empty for all numbers",
        ),
        (
            any(not _NUMBER.fullmatch(did) or not _leads_somewhere(to) for did, to in trunk.dids.items()),
            "a number from outside leads to a number, or to a target: +15550100 to 101, or to group:sales",
        ),
        (max(len(trunk.prefixes), len(trunk.dids), len(trunk.networks)) > _MOST, f"at most {_MOST} of each"),
        (any(codec not in _CODECS for codec in trunk.codecs), f"codecs are {', '.join(_CODECS)}"),
    ]


def _leads_somewhere(text: str) -> bool:
    if _NUMBER.fullmatch(text):
        return True
    try:
        return len(text) <= _LONGEST_TEXT and Target.parse(text) is not None
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None
    return True


def _known(details: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(details) - set(DETAILS)
    if unknown:
        raise InvalidError(f"a trunk has no {', '.join(sorted(unknown))}")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in details.items()}


def _checked_password(password: Private[str] | None) -> Private[str] | None:
    if password is None or not password.reveal():
        return None
    if len(password.reveal()) > _LONGEST_TEXT or not password.reveal().isprintable():
        raise InvalidError(f"the password must be printable and not longer than {_LONGEST_TEXT} characters")
    return password


def _check_account(trunk: Trunk) -> None:
    complete = bool(trunk.username) and trunk.password is not None
    if trunk.inbound in ("digest", "both") and not complete:
        raise InvalidError("calls that come in by digest need a username and a password")
    if trunk.register and not trunk.username:
        raise InvalidError("a trunk that registers needs a username")


def _details(trunk: Trunk) -> dict[str, Any]:
    """What can be said of a trunk, as JSON."""
    return {
        **{name: getattr(trunk, name) for name in DETAILS},
        "dids": dict(trunk.dids),
        "networks": list(trunk.networks),
        "codecs": list(trunk.codecs),
        "prefixes": list(trunk.prefixes),
    }


def _values(sealer: Sealer, trunk: Trunk) -> dict[str, Any]:
    sealed = None
    if trunk.password is not None:
        sealed = sealer.seal(trunk.password, "trunks", "password", trunk.id)
    return {
        "id": trunk.id,
        "name": trunk.name,
        "password": sealed,
        "details": _details(trunk),
        "created_at": trunk.created_at,
    }


def _trunk(sealer: Sealer, row: Row[Any]) -> Trunk:
    # A value that a newer version put in is left where it is.
    details = {key: value for key, value in row.details.items() if key in DETAILS}
    return Trunk(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        password=None if row.password is None else sealer.open(row.password, "trunks", "password", row.id),
        **{
            **_known(details),
            "dids": MappingProxyType(dict(details.get("dids", {}))),
        },
    )
