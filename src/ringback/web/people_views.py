"""The shapes of people, of who holds extensions when, and of devices in the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from ringback.governance.private import Private
from ringback.governance.roles import Identity, Permission
from ringback.store.agreement import STANDARD_ROLE
from ringback.store.directory import Device, Digest, Person
from ringback.store.firmware import Firmware, FirmwareState
from ringback.store.holdings import Holding
from ringback.store.importing import Imported
from ringback.store.sightings import Sighting
from ringback.web.problems import FieldError
from ringback.web.shapes import Body, View

_DIGEST = "What it logs in with (RFC 8760); many phones know md5 only."
_ROLE = "A role of the plan: what may be called."


class PersonView(View):
    """Somebody with a name; addresses are empty for those who may not see accounts."""

    id: str = Field(examples=["8f14e45fceea167a"])
    name: str = Field(examples=["Ada Example"])
    created_at: datetime
    role: str = Field(examples=[STANDARD_ROLE])
    e_mail: str = Field(examples=["ada@example.com"])
    site: str = Field(examples=["Main office"])
    extensions: list[str] = Field(examples=[["1001"]], description="Numbers that they hold now.")

    @classmethod
    def of(cls, person: Person, numbers: Sequence[str], viewer: Identity) -> PersonView:
        """A person as the viewer may see them."""
        return cls(
            id=person.id,
            name=person.name,
            created_at=person.created_at,
            role=person.role,
            e_mail=person.e_mail if viewer.may(Permission.EXTENSIONS_READ) else "",
            site=person.site,
            extensions=list(numbers),
        )


class PeopleView(View):
    """People by name; `next` is the `after` of the next page, null at the end."""

    items: list[PersonView]
    total: int
    next: str | None


class NewPerson(Body):
    """A person to be added."""

    name: str = Field(examples=["Ada Example"])
    role: str = Field(STANDARD_ROLE, description=_ROLE)
    e_mail: str = ""
    site: str = ""


class PersonChange(Body):
    """What is left out stays as it is."""

    name: str | None = None
    role: str | None = Field(None, description=_ROLE)
    e_mail: str | None = None
    site: str | None = None


class ImportedRow(View):
    """A row of the table; passwords are there once it is stored, and never again."""

    row: int = Field(description="As a spreadsheet counts: the columns' names are in row 1.")
    cells: dict[str, str]
    problems: list[FieldError] = Field(description="`field` is the column.")
    password: str | None = Field(None, description="Of the extension.")
    device_username: str | None = None
    device_password: str | None = None


class ImportView(View):
    """What an import did, or would do; nothing was stored if there is a problem in any row."""

    dry_run: bool
    imported: int
    problems: int
    rows: list[ImportedRow]

    @classmethod
    def of(cls, rows: Sequence[Imported], dry_run: bool) -> ImportView:
        """All rows as JSON."""
        problems = sum(len(row.problems) for row in rows)
        shown = [
            ImportedRow(
                row=row.row,
                cells=row.cells,
                problems=[FieldError(field=each.field, message=each.message) for each in row.problems],
                password=_revealed(row.password),
                device_username=row.device_username or None,
                device_password=_revealed(row.device_password),
            )
            for row in rows
        ]
        return cls(
            dry_run=dry_run,
            imported=0 if dry_run or problems else len(rows),
            problems=problems,
            rows=shown,
        )


class NewHolding(Body):
    """Somebody is to hold an extension."""

    extension: str = Field(examples=["1001"])
    person_id: str
    first_day: str = Field("", description="YYYY-MM-DD; left out: today.", examples=["2026-12-01"])
    last_day: str | None = Field(None, description="The last day, included; left out: for good.")


class HoldingChange(Body):
    """Another end."""

    last_day: str | None = Field(description="The last day, included; null: for good.")


class HoldingView(View):
    """Who holds an extension from which day to which, both included."""

    id: str
    extension: str
    person_id: str
    first_day: str
    last_day: str | None
    now: bool = Field(description="Whether that is today.")

    @classmethod
    def of(cls, number: str, holding: Holding, today: str) -> HoldingView:
        """A holding as JSON."""
        return cls(
            id=holding.id,
            extension=number,
            person_id=holding.person_id,
            first_day=holding.first_day,
            last_day=holding.last_day,
            now=holding.on(today),
        )


class HoldingsView(View):
    """Holdings by extension and day; `next` is the `after` of the next page, null at the end."""

    items: list[HoldingView]
    total: int
    next: str | None


class DeviceView(View):
    """A phone with an account of its own."""

    id: str
    name: str = Field(examples=["Front desk"])
    extension: str = Field(examples=["1001"], description="The extension that it registers for.")
    username: str = Field(examples=["d-k7mqw3xe"], description="What it logs in as.")
    digest: Digest
    model: str = Field(examples=["Yealink T46U"])
    mac: str = Field(examples=["001565abcdef"])
    location: str = Field(description="A location of the plan: where help is sent to.")
    shared: bool = Field(description="Whether several people use it: it shows nobody's history.")
    enabled: bool
    created_at: datetime
    user_agent: str = Field("", description="What it said that it is, when it registered last.")
    firmware: str = Field("", examples=["108.86.0.45"], description="The version in that; empty: not known.")
    wanted_firmware: str = Field("", description="What `provisioning.firmware` wants for its model.")
    firmware_state: FirmwareState = "unknown"
    seen_at: datetime | None = Field(None, description="When it registered last; null: never.")
    address: str | None = Field(None, description="From where; null for roles that may not see that.")

    @classmethod
    def of(cls, device: Device, seen: Sighting | None, firmware: Firmware, viewer: Identity) -> DeviceView:
        """A device as the viewer may see it."""
        view = cls.model_validate(device)
        told: dict[str, object] = {"wanted_firmware": firmware.wanted}
        if seen is not None:
            told |= {
                "user_agent": seen.user_agent,
                "firmware": firmware.seen,
                "firmware_state": firmware.state,
                "seen_at": seen.seen_at,
                "address": seen.address if viewer.may(Permission.DEVICE_ADDRESSES_READ) else None,
            }
        return view.model_copy(update=told)


class DeviceWithPassword(DeviceView):
    """A new device, or one with a new password, which is shown this once."""

    password: str = Field(description="Shown once: only digests of it are kept.")

    @classmethod
    def shown(cls, view: DeviceView, password: Private[str]) -> DeviceWithPassword:
        """A device with its password."""
        return cls(**view.model_dump(), password=password.reveal())


class DevicesView(View):
    """Devices by name; `next` is the `after` of the next page, null at the end."""

    items: list[DeviceView]
    total: int
    next: str | None


class WantedView(View):
    """A firmware that phones of a model should run."""

    name: str = Field(description="The words of the model, as the plan has them.", examples=["yealink-t46u"])
    model: str = Field(examples=["Yealink T46U"])
    version: str = Field(examples=["108.86.0.70"])
    by_settings: bool = Field(description="Said by `provisioning.firmware`, not by the plan.")
    devices: int = Field(description="Devices that it is wanted of.")
    behind: int = Field(description="Of these, how many are behind.")


class WantedFirmwareView(View):
    """What firmware is wanted, and which models there are."""

    wanted: list[WantedView]
    models: list[str]


class DeviceChange(Body):
    """What is left out stays as it is."""

    name: str | None = None
    extension: str | None = None
    model: str | None = None
    mac: str | None = None
    location: str | None = None
    digest: Digest | None = Field(None, description=_DIGEST)
    shared: bool | None = None
    enabled: bool | None = Field(None, description="A disabled device cannot register or call.")


class NewDevice(Body):
    """A device to be added."""

    name: str = Field(examples=["Front desk"])
    extension: str = Field(examples=["1001"])
    model: str = ""
    mac: str = ""
    location: str = ""
    digest: Digest = Field("md5", description=_DIGEST)
    shared: bool = False
    password: str | None = Field(None, description="Left out: a good one is made and returned, this once.")


class NewDevicePassword(Body):
    """Another password."""

    password: str | None = Field(None, description="Left out: a good one is made and returned, this once.")


class ProvisioningFile(View):
    """A file that a phone fetches."""

    name: str = Field(examples=["001565abcdef.cfg"])
    content: str


class ProvisioningView(View):
    """All files of a device; they hold its password."""

    device: DeviceView
    files: list[ProvisioningFile]


def _revealed(secret: Private[str] | None) -> str | None:
    return None if secret is None else secret.reveal()
