"""What the web needs to set desk phones up; implemented by the server, which knows all addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ringback.governance.private import Private
from ringback.store.directory import Device


class ProvisioningError(Exception):
    """There are no files for this device; the message says why."""


class Provisioning(Protocol):
    """What makes the files of devices."""

    def files(self, device: Device, password: Private[str]) -> Mapping[str, str]:
        """The files by name; raises ProvisioningError."""
