"""Devices: phones with an account of their own, so that one can be shut out without the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.private import Private, same_secret
from ringback.governance.sealing import Sealer
from ringback.governance.shown import fit_to_show
from ringback.store import schema
from ringback.store.changes import Change, Changes, Rows, Undone, cannot, gone, put_back, taken
from ringback.store.database import Database
from ringback.store.directory import Device, Digest, Directory
from ringback.store.errors import ConflictError, FieldProblem, InvalidError, InvalidValueError, NotFoundError
from ringback.store.holder import DirectoryHolder
from ringback.store.revisions import Revision
from ringback.store.rules import (
    checked_digest,
    checked_name,
    checked_password,
    digests_of,
    new_id,
    new_password,
    new_username,
)

LONGEST_MODEL = 40


@dataclass(frozen=True, slots=True)
class DevicePage:
    """Some devices of all that were found; after the last of them comes `next`."""

    devices: list[Device]
    total: int
    next: str | None


class Devices:
    """The devices; every change shows in the directory as soon as it is committed."""

    def __init__(self, database: Database, sealer: Sealer, holder: DirectoryHolder, changes: Changes) -> None:
        self._database = database
        self._sealer = sealer
        self._holder = holder
        self._changes = changes
        self._sorted: tuple[Mapping[str, Device], list[tuple[Device, str]]] = ({}, [])

    def all(self) -> list[Device]:
        """All devices, by name."""
        return [device for device, _ in self._in_order()]

    def page(
        self,
        search: str = "",
        after: str = "",
        limit: int = 100,
        *,
        fits: Callable[[Device], bool] | None = None,
    ) -> DevicePage:
        """Devices by name, with `search` in their name, extension, model, MAC address, location or account.

        Only those that `fits` likes. `after` is the id of the last one seen; raises InvalidError when that
        one is gone.
        """
        wanted = search.casefold()
        found = [device for device, text in self._in_order() if wanted in text]
        if fits is not None:
            found = [device for device in found if fits(device)]
        begin = 0
        if after:
            begin = next((place for place, device in enumerate(found, 1) if device.id == after), -1)
            if begin < 0:
                raise InvalidError("the list has changed; begin it anew")
        shown = found[begin : begin + limit]
        more = len(found) > begin + limit
        return DevicePage(shown, len(found), shown[-1].id if shown and more else None)

    def _in_order(self) -> list[tuple[Device, str]]:
        """All devices by name, with what a search looks through."""
        devices = self._holder.current.devices
        if self._sorted[0] is not devices:
            rows = [(device, _text(device)) for device in devices.values()]
            rows.sort(key=lambda row: (row[0].name.casefold(), row[0].id))
            self._sorted = devices, rows
        return self._sorted[1]

    def get(self, name_or_id: str) -> Device:
        """One device by its id or its name; raises NotFoundError."""
        devices = self._holder.current.devices.values()
        found = next((device for device in devices if name_or_id in (device.id, device.name)), None)
        if found is None:
            raise NotFoundError(f"there is no device {fit_to_show(name_or_id)}")
        return found

    async def add(
        self,
        name: str,
        extension: str,
        *,
        model: str = "",
        mac: str = "",
        location: str = "",
        digest: str = "md5",
        shared: bool = False,
        password: Private[str] | None = None,
    ) -> tuple[Device, Private[str]]:
        """A new device and its password, a generated one if none is given; it cannot be read again.

        Raises InvalidValueError with all that is wrong, or ConflictError.
        """
        async with self._database.write() as connection:
            device, password = new_device(
                name, extension, self._holder.current, model, mac, location, password, checked_digest(digest)
            )
            device = checked_device(replace(device, shared=shared), self._holder.current)
            with _conflicts_of(device.name):
                await connection.execute(insert(schema.devices).values(row_of(self._sealer, device)))
        self._holder.replace(self._holder.current.with_devices([device]))
        return device, password

    async def change(self, name_or_id: str, by: str = "", **changes: Any) -> Device:
        """Change name, extension, model, mac, location, digest, shared or enabled."""
        return await self._update(name_or_id, changes, by)

    async def set_password(
        self, name_or_id: str, password: Private[str] | None = None
    ) -> tuple[Device, Private[str]]:
        """Another password, a generated one if none is given; the phone needs it from now on."""
        device = self.get(name_or_id)
        password = new_password() if password is None else checked_password(password, device.username)
        md5, sha256 = digests_of(device.username, password)
        return await self._update(device.id, {"ha1_md5": md5, "ha1_sha256": sha256}), password

    async def remove(self, name_or_id: str, by: str = "", *, for_good: bool = False) -> None:
        """Delete a device: its account is good for nothing from then on. Raises NotFoundError.

        It can be taken back for a while, unless it is `for_good`.
        """
        table = schema.devices
        async with self._database.write() as connection:
            device = self.get(name_or_id)
            if for_good:
                await self._changes.forget(connection, "device", device.id)
            else:
                rows = await taken(connection, table, table.c.id == device.id)
                await self._changes.note(connection, "device", device.id, shown(device), None, by, rows=rows)
            await connection.execute(delete(table).where(table.c.id == device.id))
        self._holder.replace(self._holder.current.without_devices([device]))

    async def undo(self, change: Change, by: str) -> Undone:
        """Take a change back; raises ConflictError or NotFoundError that say why it cannot be."""
        revision = change.revision
        if revision.before is None:
            await self.remove(revision.name, by)
            return Undone("device", revision.name, _title(revision))
        if revision.after is not None:
            try:
                device = await self._update(revision.name, change.fields, by, undoes=revision.id)
            except NotFoundError:
                raise gone("device", _title(revision)) from None
            except InvalidError as error:
                raise cannot(error) from None
            return Undone("device", device.id, device.name)
        async with self._database.write() as connection:
            (device,) = await self.put_back(connection, change.rows)
            await self._changes.note(
                connection, "device", device.id, None, shown(device), by, undoes=revision.id
            )
        self._holder.replace(self._holder.current.with_devices([device]))
        return Undone("device", device.id, device.name)

    async def put_back(
        self, connection: AsyncConnection, rows: Rows, numbers: Container[str] = ()
    ) -> list[Device]:
        """Insert devices again within a transaction; `numbers` are of extensions that come with them.

        Raises ConflictError.
        """
        devices = []
        for row in rows.get("devices", []):
            with _conflicts_of(row["name"]):
                await put_back(connection, schema.devices, rows, only=[row])
            query = select(schema.devices).where(schema.devices.c.id == row["id"])
            device = _device(self._sealer, (await connection.execute(query)).one())
            try:
                devices.append(checked_device(device, self._holder.current, numbers))
            except InvalidError as error:
                raise cannot(error) from None
        return devices

    async def _update(
        self,
        name_or_id: str,
        changes: dict[str, Any],
        by: str = "",
        *,
        undoes: int | None = None,
    ) -> Device:
        async with self._database.write() as connection:
            # Read inside the transaction: two changes at once must not undo each other.
            before = self.get(name_or_id)
            device = checked_device(replace(before, **changes), self._holder.current)
            statement = update(schema.devices).where(schema.devices.c.id == device.id)
            with _conflicts_of(device.name):
                await connection.execute(statement.values(row_of(self._sealer, device)))
            await self._changes.note(
                connection, "device", device.id, shown(before), shown(device), by, undoes=undoes
            )
        self._holder.replace(self._holder.current.with_devices([device]))
        return device


_SHOWN: Final = ("name", "extension", "model", "mac", "location", "digest", "shared", "enabled")


def shown(device: Device) -> dict[str, Any]:
    """What the history says of a device."""
    return {name: getattr(device, name) for name in _SHOWN}


def _title(revision: Revision) -> str:
    return str((revision.after or revision.before or {}).get("name", revision.name))


def new_device(
    name: str,
    extension: str,
    directory: Directory,
    model: str = "",
    mac: str = "",
    location: str = "",
    password: Private[str] | None = None,
    digest: Digest = "md5",
) -> tuple[Device, Private[str]]:
    """A device that is not stored and not checked yet, and its password."""
    username = new_username()
    while username in directory.devices:
        username = new_username()
    password = new_password() if password is None else checked_password(password, username)
    md5, sha256 = digests_of(username, password)
    device = Device(
        new_id(), name, extension, username, md5, sha256, datetime.now(UTC), digest, model, mac, location
    )
    return device, password


def is_password(device: Device, password: Private[str]) -> bool:
    """Whether this is the device's password."""
    return same_secret(digests_of(device.username, password)[1], device.ha1_sha256)


def checked_device(device: Device, directory: Directory, numbers: Container[str] = ()) -> Device:
    """The device with values in their usual form; raises InvalidValueError with all that is wrong.

    `numbers` are of extensions that come with it.
    """
    problems = []
    changes: dict[str, Any] = {}
    try:
        changes["name"] = checked_name(device.name)
    except InvalidError as error:
        problems.append(FieldProblem("name", str(error).removeprefix("the name ")))
    if device.extension not in directory.extensions and device.extension not in numbers:
        problems.append(
            FieldProblem("extension", f"there is no extension {fit_to_show(device.extension, 20)}")
        )
    changes["model"] = device.model.strip()
    if len(device.model) > LONGEST_MODEL or not device.model.isprintable():
        problems.append(FieldProblem("model", f"has at most {LONGEST_MODEL} printable characters"))
    mac = plain_mac(device.mac)
    if mac is None:
        problems.append(FieldProblem("mac", "has 12 hexadecimal digits, as 00:15:65:ab:cd:ef"))
    else:
        changes["mac"] = mac
    if device.location and device.location not in directory.plan.values.get("location", {}):
        problems.append(FieldProblem("location", f"there is no location {fit_to_show(device.location, 40)}"))
    try:
        checked_digest(device.digest)
    except InvalidError as error:
        problems.append(FieldProblem("digest", str(error).removeprefix("the digest ")))
    if problems:
        raise InvalidValueError("the device", problems)
    return replace(device, **changes)


def plain_mac(text: str) -> str | None:
    """A MAC address as 12 small hexadecimal digits, however it was written; None if it is none."""
    plain = re.sub(r"[\s:.-]", "", text).lower()
    return plain if re.fullmatch(r"([0-9a-f]{12})?", plain) else None


async def load_devices(connection: AsyncConnection, sealer: Sealer) -> list[Device]:
    """All devices with their secrets opened."""
    return [_device(sealer, row) for row in await connection.execute(select(schema.devices))]


def _text(device: Device) -> str:
    fields = (device.name, device.extension, device.model, device.mac, device.location, device.username)
    return "\n".join(fields).casefold()


@contextmanager
def _conflicts_of(name: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if "FOREIGN KEY" in str(error.orig).upper():
            raise ConflictError(f"the extension of {name} is not there any more") from None
        if "mac" in str(error.orig):
            raise ConflictError("another device has this MAC address") from None
        raise ConflictError(f"a device with the name {name} exists already") from None


def row_of(sealer: Sealer, device: Device) -> dict[str, Any]:
    """A device as a row of the table, its secrets sealed."""
    plain = ("id", "name", "extension", "username", "digest", "model", "location", "shared", "enabled")
    return {
        **{column: getattr(device, column) for column in plain},
        "mac": device.mac or None,
        "ha1_md5": sealer.seal(device.ha1_md5, "devices", "ha1_md5", device.id),
        "ha1_sha256": sealer.seal(device.ha1_sha256, "devices", "ha1_sha256", device.id),
        "created_at": device.created_at,
    }


def _device(sealer: Sealer, row: Row[Any]) -> Device:
    return Device(
        id=row.id,
        name=row.name,
        extension=row.extension,
        username=row.username,
        ha1_md5=sealer.open(row.ha1_md5, "devices", "ha1_md5", row.id),
        ha1_sha256=sealer.open(row.ha1_sha256, "devices", "ha1_sha256", row.id),
        created_at=row.created_at,
        digest=checked_digest(row.digest),
        model=row.model,
        mac=row.mac or "",
        location=row.location,
        shared=row.shared,
        enabled=row.enabled,
    )
