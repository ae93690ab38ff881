"""The log: one line an event, and nothing private in it, however it got there."""

import json
import logging
import subprocess
import sys

import pytest

SCRIPT = """
import logging, sys, structlog
from ringback.config import load_settings
from ringback.config.log import configure_logging
from ringback.governance.private import Private
settings = load_settings(environ={"RINGBACK_LOG__FORMAT": sys.argv[1], "RINGBACK_LOG__LEVEL": "info"})
configure_logging(settings.log)
log = structlog.get_logger("ringback.test")
pin = Private("274113")
log.info("wrong pin", pin=pin, nested={"pin": [pin]})
log.debug("not shown")
logging.getLogger("some.library").warning("said %s", pin)
logging.getLogger("uvicorn.error").info("not shown")
try:
    revealed = pin.reveal()
    raise RuntimeError("broken")
except RuntimeError:
    log.exception("failed")
"""


def lines(kind: str) -> list[str]:
    command = [sys.executable, "-c", SCRIPT, kind]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout == ""
    return answer.stderr.splitlines()


@pytest.mark.parametrize("kind", ["json", "console", "auto"])
def test_private_values_stay_private(kind):
    text = "\n".join(lines(kind))
    assert "wrong pin" in text
    assert "[private]" in text
    assert "274113" not in text
    assert "not shown" not in text


def test_json_is_one_object_a_line_with_what_a_reader_needs():
    first, second, third = map(json.loads, lines("json"))
    assert (first["event"], first["level"], first["logger"]) == ("wrong pin", "info", "ringback.test")
    assert first["nested"] == {"pin": ["[private]"]}
    assert second["event"] == "said [private]"
    assert "RuntimeError: broken" in third["exception"]
    assert logging.getLevelName(third["level"].upper()) == logging.ERROR
