"""What a report's page may do: be styled by its own style, and filter its table by its own script (CSP 3)."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files


@cache
def asset(name: str) -> str:
    """The page's style or script: `page.css`, `page.js`."""
    return files("ringback.diagnosis.report").joinpath(name).read_text(encoding="utf-8")


def source(name: str) -> str:
    """What a policy allows that asset by: the hash of it."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(asset(name).encode()).digest()).decode() + "'"


def content_security_policy() -> str:
    """The policy that stands in the page itself."""
    return (
        f"default-src 'none'; style-src {source('page.css')}; script-src {source('page.js')}; "
        "base-uri 'none'; form-action 'none'"
    )
