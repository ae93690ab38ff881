"""/api/v1/devices: phones with accounts of their own, and the files that set them up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from ringback.governance.private import Private
from ringback.governance.roles import Identity, Permission
from ringback.store.devices import DevicePage
from ringback.store.directory import Device
from ringback.store.firmware import Firmware, FirmwareState
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, ForGood, Needs, WebContext, who
from ringback.web.csv_lines import CSV, csv_line
from ringback.web.kept_out import KeptOut
from ringback.web.people_views import (
    DeviceChange,
    DevicesView,
    DeviceView,
    DeviceWithPassword,
    NewDevice,
    NewDevicePassword,
    ProvisioningFile,
    ProvisioningView,
    WantedFirmwareView,
    WantedView,
)
from ringback.web.problems import ProblemError
from ringback.web.provisioning import ProvisioningError
from ringback.web.shapes import Body, Search

_AT_ONCE: Final = 250

router = APIRouter(prefix=f"{API}/devices", tags=["devices"], responses=PROBLEMS)

DevicesReader = Annotated[Identity, Depends(Needs(Permission.DEVICES_READ))]
DevicesWriter = Annotated[Identity, Depends(Needs(Permission.DEVICES_WRITE))]


_OF_FIRMWARE: Final = "Only those whose firmware is so, compared with what is wanted."
OfFirmware = Annotated[FirmwareState | None, Query(description=_OF_FIRMWARE)]


class DeviceFilter(Body):
    """What devices have to be; what is left out stays open."""

    search: str = Field(
        default="",
        max_length=200,
        description="In name, extension, model, MAC address, location or username.",
    )
    firmware: FirmwareState | None = Field(default=None, description=_OF_FIRMWARE)


class DeviceSearch(Search):
    """What devices have to be, and which page of them."""

    firmware: FirmwareState | None = Field(default=None, description=_OF_FIRMWARE)


def _view(device: Device, context: WebContext, viewer: Identity) -> DeviceView:
    seen = context.store.sightings.of(device.id)
    return DeviceView.of(device, seen, _firmware(device, context), viewer)


def _firmware(device: Device, context: WebContext) -> Firmware:
    seen = context.store.sightings.of(device.id)
    return context.wanted_firmware.of(device.model, seen.user_agent if seen is not None else "")


def _page(
    context: WebContext,
    search: str,
    firmware: FirmwareState | None,
    after: str = "",
    limit: int | None = None,
) -> DevicePage:
    def fits(device: Device) -> bool:
        return _firmware(device, context).state == firmware

    devices = context.store.devices
    return devices.page(
        search, after, limit or len(devices.all()), fits=fits if firmware is not None else None
    )


@router.get("", dependencies=[Depends(KeptOut("search", instead=f"{API}/devices/search"))])
async def list_devices(
    context: Context,
    viewer: DevicesReader,
    firmware: OfFirmware = None,
    after: Annotated[str, Query(description="`next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> DevicesView:
    """Devices by name, with what they are and when they were seen."""
    return _found(DeviceSearch(firmware=firmware, after=after, limit=limit), context, viewer)


@router.post("/search")
async def search_devices(body: DeviceSearch, context: Context, viewer: DevicesReader) -> DevicesView:
    """Devices by name, those with `search` in name, extension, model, MAC address, location or username."""
    return _found(body, context, viewer)


def _found(asked: DeviceSearch, context: WebContext, viewer: Identity) -> DevicesView:
    page = _page(context, asked.search, asked.firmware, asked.after, asked.limit)
    items = [_view(device, context, viewer) for device in page.devices]
    return DevicesView(items=items, total=page.total, next=page.next)


@router.get(
    "/export",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}},
    dependencies=[Depends(KeptOut("search", instead=f"{API}/devices/export"))],
)
async def export_devices(
    context: Context, viewer: DevicesReader, firmware: OfFirmware = None
) -> StreamingResponse:
    """The inventory as CSV."""
    return _exported(DeviceFilter(firmware=firmware), context, viewer)


@router.post("/export", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
async def export_found_devices(
    body: DeviceFilter, context: Context, viewer: DevicesReader
) -> StreamingResponse:
    """What is found of the inventory as CSV."""
    return _exported(body, context, viewer)


def _exported(asked: DeviceFilter, context: WebContext, viewer: Identity) -> StreamingResponse:

    async def lines() -> AsyncIterator[str]:
        columns = list(DeviceView.model_fields)
        yield csv_line(columns)
        for place, device in enumerate(_page(context, asked.search, asked.firmware).devices, 1):
            shown = _view(device, context, viewer).model_dump(mode="json")
            yield csv_line(shown[name] for name in columns)
            if place % _AT_ONCE == 0:
                # Calls go on meanwhile.
                await asyncio.sleep(0)

    headers = {"Content-Disposition": 'attachment; filename="devices.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(lines(), media_type=CSV, headers=headers)


@router.get("/firmware")
async def wanted_firmware(context: Context, _viewer: DevicesReader) -> WantedFirmwareView:
    """Which firmware phones should run, by model, and how many do not.

    It is said by the settings (`provisioning.firmware`), and over them by the plan: PUT
    /api/v1/plan/firmware/{name}, where the name is the words of the model with dashes between.
    """
    devices = context.store.devices.all()
    states: dict[str, list[FirmwareState]] = {}
    for device in devices:
        firmware = _firmware(device, context)
        states.setdefault(firmware.model, []).append(firmware.state)
    return WantedFirmwareView(
        wanted=[
            WantedView(
                name=one.name,
                model=one.model,
                version=one.version,
                by_settings=one.by_settings,
                devices=len(states.get(one.name, ())),
                behind=states.get(one.name, []).count("behind"),
            )
            for one in context.wanted()
        ],
        models=sorted({device.model for device in devices if device.model}),
    )


@router.post("", status_code=201)
async def add_device(body: NewDevice, context: Context, viewer: DevicesWriter) -> DeviceWithPassword:
    """Add a device; it gets a username and a password of its own."""
    fields = body.model_dump()
    given = fields.pop("password")
    password = None if given is None else Private(given)
    device, made = await context.store.devices.add(**fields, password=password)
    return DeviceWithPassword.shown(_view(device, context, viewer), made)


@router.get("/{device}")
async def get_device(device: str, context: Context, viewer: DevicesReader) -> DeviceView:
    """One device, by its id or its name."""
    return _view(context.store.devices.get(device), context, viewer)


@router.patch("/{device}")
async def change_device(
    device: str, body: DeviceChange, context: Context, viewer: DevicesWriter
) -> DeviceView:
    """Change a device; what is left out stays as it is."""
    changed = await context.store.devices.change(device, who(viewer), **body.model_dump(exclude_none=True))
    return _view(changed, context, viewer)


@router.post("/{device}/password")
async def set_password(
    device: str, body: NewDevicePassword, context: Context, viewer: DevicesWriter
) -> DeviceWithPassword:
    """Give a device another password; it needs it from then on."""
    given = None if body.password is None else Private(body.password)
    changed, password = await context.store.devices.set_password(device, given)
    return DeviceWithPassword.shown(_view(changed, context, viewer), password)


@router.post("/{device}/provision")
async def provision(
    device: str, body: NewDevicePassword, context: Context, viewer: DevicesWriter
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
        device=_view(changed, context, viewer),
        files=[ProvisioningFile(name=name, content=content) for name, content in files.items()],
    )


@router.delete("/{device}", status_code=204, response_class=Response)
async def remove_device(
    device: str, context: Context, viewer: DevicesWriter, for_good: ForGood = False
) -> None:
    """Delete a device: its account is good for nothing from then on."""
    await context.store.devices.remove(device, who(viewer), for_good=for_good)
