"""Where things are kept when nobody says where (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def default_data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """$XDG_DATA_HOME/ringback; unset: /var/lib/ringback for root, ~/.local/share/ringback for others."""
    base = (os.environ if environ is None else environ).get("XDG_DATA_HOME", "")
    if base.startswith("/"):
        return Path(base) / "ringback"
    return Path("/var/lib/ringback") if os.geteuid() == 0 else Path.home() / ".local" / "share" / "ringback"


def default_config_dir(environ: Mapping[str, str] | None = None) -> Path:
    """$XDG_CONFIG_HOME/ringback; unset: /etc/ringback for root, ~/.config/ringback for others."""
    base = (os.environ if environ is None else environ).get("XDG_CONFIG_HOME", "")
    if base.startswith("/"):
        return Path(base) / "ringback"
    return Path("/etc/ringback") if os.geteuid() == 0 else Path.home() / ".config" / "ringback"
