"""A store on a real SQLite file with some voices, a folder for backups, and a keeper without a server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.config import Settings, load_settings
from ringback.server.backups import BackupKeeper
from ringback.store.store import Store, open_store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    elsewhere = {
        "RINGBACK_SECURITY__VAULT_KEY_FILE": str(tmp_path / "keys" / "vault.key"),
        "RINGBACK_BACKUP__FOLDER": str(tmp_path / "backups"),
        "RINGBACK_BACKUP__KEEP": "2",
    }
    return load_settings(environ=elsewhere, data_dir=tmp_path / "data")


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    opened = await open_store(settings)
    yield opened
    await opened.close()


@pytest.fixture
def keeper(settings: Settings, store: Store) -> BackupKeeper:
    return BackupKeeper(settings, store, lambda _: None)
