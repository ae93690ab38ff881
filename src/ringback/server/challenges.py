"""Which digests a request is asked for: those of the account it names, or as if it were one (RFC 8760 §2)."""

from __future__ import annotations

import hmac
from collections import Counter
from typing import Final

from ringback.governance.private import Private
from ringback.sip.digest import Algorithm
from ringback.store.directory import Digest, Directory

ALGORITHMS: Final[dict[Digest, tuple[Algorithm, ...]]] = {
    "md5": ("MD5",),
    "sha-256": ("SHA-256",),
    "both": ("SHA-256", "MD5"),
}
"""What each is asked for, the preferred one first (RFC 8760 §2.4)."""


class DigestChoice:
    """Chooses for names without an account as it would be among the accounts there are.

    If a tenth of the accounts want SHA-256, so do a tenth of all other names, always the same ones: what a
    name is asked for tells no stranger whether it exists. `key` has to be the same after each start.
    """

    def __init__(self, key: Private[bytes]) -> None:
        self._key = key
        self._directory: Directory | None = None
        self._counts: Counter[Digest] = Counter()
        self._of_devices: dict[str, set[Digest]] = {}

    def algorithms(self, username: str, directory: Directory) -> tuple[Algorithm, ...]:
        """The algorithms to challenge for, in order."""
        made_up = self._as_if(username, directory)
        device = directory.devices.get(username)
        extension = directory.extension(username)
        if device is not None or extension is None:
            return ALGORITHMS[device.digest if device is not None else made_up]
        # Its devices name the extension too, before they say how they log in.
        of_all = self._of_devices.get(username, set()) | {extension.digest}
        return ALGORITHMS[of_all.pop() if len(of_all) == 1 else "both"]

    def _as_if(self, username: str, directory: Directory) -> Digest:
        if directory is not self._directory:
            self._directory = directory
            self._counts = Counter(extension.digest for extension in directory.extensions.values())
            self._of_devices = {}
            for device in directory.devices.values():
                self._of_devices.setdefault(device.extension, set()).add(device.digest)
        text = username.encode("utf-8", "surrogateescape")
        place = int.from_bytes(hmac.digest(self._key.reveal(), text, "sha256")[:8], "big") / 2**64
        place *= self._counts.total()
        for digest in ALGORITHMS:
            place -= self._counts[digest]
            if place < 0.0:
                return digest
        return "md5"
