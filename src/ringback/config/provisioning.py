"""Settings of the files that set desk phones up."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from ringback.config.section import Section, table
from ringback.config.values import OptionalPath

_MODEL = re.compile(r"[A-Za-z0-9]")
_LONGEST_MODEL = 40
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,8}){1,5}")
_HOST = r"^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])?$"


class ProvisioningSettings(Section):
    """What desk phones are told that fetch their files at /provisioning."""

    server: str = Field(
        default="",
        pattern=_HOST,
        description="Name or IP address that phones register to; "
        "empty means `sip.domain`, or the bound address.",
    )
    second_server: str = Field(
        default="",
        pattern=_HOST,
        description="Another server that phones turn to while the first does not answer; empty: none.",
    )
    transport: Literal["udp", "tcp", "tls"] = Field(
        default="tls", description="How phones register; with tls their audio is encrypted too."
    )
    lamps: int = Field(
        default=10,
        ge=0,
        le=60,
        description="At most so many keys with lamps, for the others of the phone's groups and queues; "
        "in none, for all.",
    )
    templates: OptionalPath = Field(
        default=None,
        description="Folder with templates of your own, a folder a family (`yealink/MAC.cfg`); "
        "those come before the built-in ones of the same name.",
    )
    firmware: Annotated[dict[str, str], BeforeValidator(table)] = Field(
        default={},
        description="The firmware that phones should run, by model: "
        '`{ "Yealink T46U" = "108.86.0.70" }`; the list of devices tells which are behind.',
    )

    @field_validator("firmware")
    @classmethod
    def _can_be_compared(cls, value: dict[str, str]) -> dict[str, str]:
        for model, version in value.items():
            if not _MODEL.search(model) or len(model) > _LONGEST_MODEL:
                raise ValueError(f"a model has letters or digits, and at most {_LONGEST_MODEL} characters")
            if not _VERSION.fullmatch(version):
                raise ValueError("a version is numbers with dots between them, as 108.86.0.70")
        return value
