"""Keeps the registrar's bindings in the store, so that a restart finds the phones again."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from ringback.server.lasting import Lasting
from ringback.sip.flow import Flow
from ringback.sip.registration import Binding, Registrar, SavedBinding
from ringback.store.directory import Device, Directory, Extension
from ringback.store.registrations import Registrations, StoredRegistration

_GATHER_S: Final = 0.5
_REMEMBERED_S: Final = 600.0
_MOST_REMEMBERED: Final = 1_000

log = structlog.get_logger(__name__)


class RegistrationKeeper:
    """Saves what changed, gathered into one transaction; the call path never waits."""

    def __init__(self, registrar: Registrar, store: Registrations) -> None:
        self._registrar = registrar
        self._store = store
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._work = Lasting()
        self._left: deque[_Left] = deque(maxlen=_MOST_REMEMBERED)
        self.hosts: frozenset[str] = frozenset()
        """Where the phones were that are known from before the start, those of connections too."""

    async def restore(self, directory: Directory) -> int:
        """Give the registrar what was saved of accounts that exist; returns how many bindings came back."""
        now = datetime.now(UTC)
        saved = [
            SavedBinding(**{**row.details, "expires_in_s": (row.expires_at - now).total_seconds()})
            for row in await self._store.load()
            if _account(directory, row.number, row.details.get("device", "")) is not None
        ]
        self.hosts = frozenset(binding.remote[0] for binding in saved)
        return self._registrar.restore(saved, time.monotonic())

    def start(self) -> None:
        """Begin to save changes."""
        self._work.start(self._run())

    def follow(self, before: Directory, after: Directory) -> None:
        """Accounts were changed: devices are forgotten that could not register any more as they did.

        Those of an account that is back within ten minutes, as it was, are reached again at once.
        """
        for user in list(self._registrar.users()):

            def changed(binding: Binding, user: str = user) -> bool:
                device = binding.device
                return _account(before, user, device) != _account(after, user, device)

            gone = self._registrar.remove(user, changed)
            for binding in gone:
                account = _account(before, user, binding.device)
                if account is not None:
                    self._left.append(_Left(user, account, binding, time.monotonic()))
            if gone:
                self.changed(user)
        self._bring_back(after)

    def connection_lost(self, flow: Flow) -> None:
        """Nobody is reached by this flow any more."""
        kept = [left for left in self._left if left.binding.flow != flow]
        if len(kept) < len(self._left):
            self._left = deque(kept, maxlen=_MOST_REMEMBERED)

    def _bring_back(self, directory: Directory) -> None:
        now = time.monotonic()
        kept = []
        for left in self._left:
            if now > left.at + _REMEMBERED_S:
                continue
            if _account(directory, left.user, left.binding.device) != left.account:
                kept.append(left)
            elif self._registrar.take_back(left.user, left.binding, now):
                self.changed(left.user)
        self._left = deque(kept, maxlen=_MOST_REMEMBERED)

    def changed(self, user: str) -> None:
        """A user's bindings are not what they were."""
        self._changed.add(user)
        self._wake.set()

    async def stop(self) -> None:
        """Save what is left and end."""
        await self._work.stop()
        await self._save()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER_S)
            self._wake.clear()
            await self._save()

    async def _save(self) -> None:
        changed, self._changed = self._changed, set()
        if not changed:
            return
        now = datetime.now(UTC)
        rows: dict[str, list[StoredRegistration]] = {user: [] for user in changed}
        for binding in self._registrar.snapshot(time.monotonic(), changed):
            details: dict[str, Any] = asdict(binding)
            expires_at = now + timedelta(seconds=details.pop("expires_in_s"))
            rows[binding.user].append(StoredRegistration(binding.user, expires_at, details))
        try:
            await self._store.save(rows)
        except Exception:
            # The phones stay registered in memory; they are saved with their next REGISTER.
            log.exception("registrations could not be saved")


@dataclass(frozen=True, slots=True)
class _Left:
    """Where a device was that lost its account."""

    user: str
    account: tuple[object, ...]
    binding: Binding
    at: float


def _account(directory: Directory, user: str, device: str) -> tuple[object, ...] | None:
    """What a device has to know to register for a user; None when it cannot. `device` is its own name, empty
    for those that log in as the extension."""
    extension = directory.extension(user)
    if extension is None or not extension.enabled:
        return None
    account: Extension | Device | None = directory.devices.get(device) if device else extension
    if account is None or not account.enabled or (isinstance(account, Device) and account.extension != user):
        return None
    return (extension.id, account.id, account.ha1_md5, account.ha1_sha256, account.digest)
