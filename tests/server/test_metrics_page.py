"""The documentation names the metrics that a running system shows, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from ringback.config import load_settings
from ringback.server.app import Server
from ringback.store.store import open_store
from ringback.web.metrics import Metrics

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


async def test_every_metric_is_documented_and_every_documented_one_exists(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, environ={})
    store = await open_store(settings)
    try:
        server = Server(settings, store)
        shown = Metrics(server.operations).text().decode()
    finally:
        await store.close()
    existing = {
        name + ("_total" if kind == "counter" and not name.endswith("_total") else "")
        for name, kind in re.findall(r"^# TYPE (ringback_\w+) (\w+)$", shown, re.MULTILINE)
        if not name.endswith("_created")
    }
    documented = set(re.findall(r"^\| `(ringback_\w+)`", PAGE.read_text(), re.MULTILINE))
    assert documented == existing
