"""The real application on a real uvicorn, TCP and Unix socket, with a store on SQLite and no phones."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from ringback.config import Settings, load_settings
from ringback.server.provisioning import PhoneFiles
from ringback.store.store import Store, open_store
from ringback.testing.fake_operations import FakeOperations
from ringback.web.app import announce, create_app
from ringback.web.serving import WebServer


@dataclass
class Web:
    app: FastAPI
    store: Store
    operations: FakeOperations
    settings: Settings
    server: WebServer
    stranger: httpx.AsyncClient
    owner: httpx.AsyncClient

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.address[1]}"

    async def client(self, role: str) -> httpx.AsyncClient:
        _, token = await self.store.tokens.add(role)
        headers = {"Authorization": f"Bearer {token.reveal()}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(environ={"RINGBACK_WEB__PORT": "0"}, data_dir=tmp_path / "data")


@pytest.fixture
async def web(settings: Settings) -> AsyncIterator[Web]:
    store = await open_store(settings)
    operations = FakeOperations()
    files = PhoneFiles(settings, lambda: store.directory, lambda: "http://127.0.0.1:8080")
    app = create_app(store, operations, settings, provisioning=files)
    server = WebServer(app, settings)
    await server.start()
    announce(app, web_port=server.address[1], sip_port=5060)
    transport = httpx.AsyncHTTPTransport(uds=str(settings.control_socket))
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.address[1]}", trust_env=False) as stranger,
        httpx.AsyncClient(transport=transport, base_url="http://local", trust_env=False) as owner,
    ):
        yield Web(app, store, operations, settings, server, stranger, owner)
    operations.events.close()
    await server.stop()
    await store.close()
