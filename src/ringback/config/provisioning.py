"""Settings of the files that set desk phones up."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ringback.config.section import Section
from ringback.config.values import OptionalPath

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
