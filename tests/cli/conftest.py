"""The command line as a person meets it: on a stopped system, and on a running one without phones."""

import asyncio
import json
import sys
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from ringback.cli.main import run
from ringback.config import load_settings
from ringback.server.provisioning import PhoneFiles
from ringback.server.voicemail_desk import VoicemailDesk
from ringback.server.voicemail_pages import VoicemailPages
from ringback.store.store import Store, open_store
from ringback.testing.fake_operations import FakeOperations
from ringback.web.app import announce, create_app
from ringback.web.serving import WebServer


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("RINGBACK_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def log_apart():
    """The server of these tests lives in the same process: what it logs is not what the command answers."""
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    yield
    if before is None:
        structlog.reset_defaults()
    else:
        structlog.configure(**before)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def ringback(capsys):
    def call(*arguments: str) -> Answer:
        code = run(arguments)
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return call


class RunningServer:
    """The real web on a store, in a thread with its own loop."""

    def __init__(self, data_dir: Path) -> None:
        self.operations = FakeOperations()
        self.store: Store
        self.port = 0
        self._settings = load_settings(environ={"RINGBACK_WEB__PORT": "0"}, data_dir=data_dir)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.store = await open_store(self._settings)
        files = PhoneFiles(self._settings, lambda: self.store.directory, lambda: "http://127.0.0.1")
        nobody: Any = None
        desk = VoicemailDesk(self.store, nobody, nobody, 6, changed=nobody, received=nobody)
        self.mailboxes = VoicemailPages(self.store, desk, 6, nobody)
        app = create_app(
            self.store, self.operations, self._settings, provisioning=files, voicemail=self.mailboxes
        )
        server = WebServer(app, self._settings)
        await server.start()
        self.port = server.address[1]
        announce(app, web_port=self.port, sip_port=5070)
        self._ready.set()
        await self._stop.wait()
        await server.stop()
        await self.store.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Let the server's loop do something."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(20)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)


@pytest.fixture
def server(data_dir: Path) -> Iterator[RunningServer]:
    running = RunningServer(data_dir)
    running.start()
    yield running
    running.stop()
