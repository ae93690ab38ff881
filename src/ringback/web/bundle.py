"""The pages as the build made them: templates, and assets named by their content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

TYPES: Final = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
NOT_BUILT: Final = "the pages are not built: run `make setup` in the checkout, or install the package anew"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, and the same compressed (gzip)."""

    content_type: str
    plain: bytes
    compressed: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """All of it, read at once: a later build cannot mix with an earlier one in a running server."""

    templates: Mapping[str, str]
    """By the file's name without its ending."""
    assets: Mapping[str, Asset]


@cache
def bundle() -> Bundle | None:
    """What was built; None if nothing was."""
    folder = files("ringback.web").joinpath("static", "ui")
    if not folder.joinpath("index.html").is_file():
        return None
    assets, templates = {}, {}
    for file in folder.iterdir():
        if file.name.endswith(".html"):
            templates[file.name.removesuffix(".html")] = file.read_text(encoding="utf-8")
        content_type = TYPES.get("." + file.name.rpartition(".")[2])
        if content_type is not None:
            compressed = folder.joinpath(file.name + ".gz").read_bytes()
            assets[file.name] = Asset(content_type, file.read_bytes(), compressed)
    return Bundle(templates, assets)
