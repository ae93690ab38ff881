"""A store on a real SQLite file in a folder of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.config import Settings, load_settings
from ringback.store.store import Store, open_store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    elsewhere = {"RINGBACK_SECURITY__VAULT_KEY_FILE": str(tmp_path / "vault.key")}
    return load_settings(environ=elsewhere, data_dir=tmp_path / "data")


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    opened = await open_store(settings)
    yield opened
    await opened.close()
