"""/api/v1/devices: phones with accounts of their own, and the files that set them up."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from ringback.governance.private import Private
from ringback.governance.roles import Identity, Permission
from ringback.web.api import API
from ringback.web.context import Context, Needs
from ringback.web.people_views import (
    DeviceChange,
    DevicesView,
    DeviceView,
    DeviceWithPassword,
    NewDevice,
    NewDevicePassword,
    ProvisioningFile,
    ProvisioningView,
)
from ringback.web.problems import ProblemError
from ringback.web.provisioning import ProvisioningError

router = APIRouter(prefix=f"{API}/devices", tags=["devices"])

DevicesReader = Annotated[Identity, Depends(Needs(Permission.DEVICES_READ))]
DevicesWriter = Annotated[Identity, Depends(Needs(Permission.DEVICES_WRITE))]


@router.get("")
async def list_devices(
    context: Context,
    _viewer: DevicesReader,
    search: str = "",
    after: Annotated[str, Query(description="`next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> DevicesView:
    """Devices by name, those with `search` in name, extension, model, MAC address, location or username."""
    page = context.store.devices.page(search, after, limit)
    items = [DeviceView.model_validate(device) for device in page.devices]
    return DevicesView(items=items, total=page.total, next=page.next)


@router.post("", status_code=201)
async def add_device(body: NewDevice, context: Context, _viewer: DevicesWriter) -> DeviceWithPassword:
    """Add a device; it gets a username and a password of its own."""
    fields = body.model_dump()
    given = fields.pop("password")
    password = None if given is None else Private(given)
    return DeviceWithPassword.shown(*await context.store.devices.add(**fields, password=password))


@router.get("/{device}")
async def get_device(device: str, context: Context, _viewer: DevicesReader) -> DeviceView:
    """One device, by its id or its name."""
    return DeviceView.model_validate(context.store.devices.get(device))


@router.patch("/{device}")
async def change_device(
    device: str, body: DeviceChange, context: Context, _viewer: DevicesWriter
) -> DeviceView:
    """Change a device; what is left out stays as it is."""
    changed = await context.store.devices.change(device, **body.model_dump(exclude_none=True))
    return DeviceView.model_validate(changed)


@router.post("/{device}/password")
async def set_password(
    device: str, body: NewDevicePassword, context: Context, _viewer: DevicesWriter
) -> DeviceWithPassword:
    """Give a device another password; it needs it from then on."""
    given = None if body.password is None else Private(body.password)
    return DeviceWithPassword.shown(*await context.store.devices.set_password(device, given))


@router.post("/{device}/provision")
async def provision(
    device: str, body: NewDevicePassword, context: Context, _viewer: DevicesWriter
) -> ProvisioningView:
    """Give a device another password, and return the files that set it up with that."""
    if context.provisioning is None:
        raise ProblemError(503, "phones are not provisioned here")
    given = None if body.password is None else Private(body.password)
    found = context.store.devices.get(device)
    try:
        # Before the password: a phone that cannot be set up keeps the one it has.
        context.provisioning.files(found, Private(""))
        changed, password = await context.store.devices.set_password(found.id, given)
        files = context.provisioning.files(changed, password)
    except ProvisioningError as error:
        raise ProblemError(409, str(error)) from None
    return ProvisioningView(
        device=DeviceView.model_validate(changed),
        files=[ProvisioningFile(name=name, content=content) for name, content in files.items()],
    )


@router.delete("/{device}", status_code=204, response_class=Response)
async def remove_device(device: str, context: Context, _viewer: DevicesWriter) -> None:
    """Delete a device: its account is good for nothing from then on."""
    await context.store.devices.remove(device)
