"""Logging: one line an event on standard error, for people or as JSON; private values show as redacted."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from ringback.config.settings import LogSettings
from ringback.governance.private import Private

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# What libraries have to say of less weight is of no use to who runs this.
_QUIET = ("alembic", "uvicorn", "asyncio", "aiosqlite", "httpx")


def configure_logging(settings: LogSettings) -> None:
    """Send what structlog and the standard library log through the same chain."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering(as_json))
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[settings.level])
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _rendering(as_json: bool) -> list[Any]:
    meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if as_json:
        return [
            meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=_plain, ensure_ascii=False),
        ]
    # Plain tracebacks: the pretty ones print local variables, which may hold what was revealed.
    plain = structlog.dev.plain_traceback
    return [meta, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _plain(value: object) -> str:
    # Never into the fields of an object that JSON does not know: one of them may be private.
    return repr(value) if isinstance(value, Private) else str(value)
