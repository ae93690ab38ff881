"""The installed command as a process: quick, with the right streams and exit codes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringback import __version__
from ringback.cli.serve import _command

COMMAND = str(Path(sys.executable).with_name("ringback"))


@pytest.mark.parametrize(
    ("words", "environ", "again"),
    [
        (["/x/ringback", "serve", "--data-dir", "my data"], {}, "ringback serve --data-dir 'my data'"),
        (["/x/ringback", "serve"], {"MAKELEVEL": "1"}, "make run"),
        (
            ["/x/ringback", "serve", "--config", "a.toml"],
            {"MAKELEVEL": "1"},
            "make run ARGS='--config a.toml'",
        ),
    ],
)
def test_how_to_start_again_is_how_it_was_started(words, environ, again, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert _command(words, environ) == again
    if not environ:
        monkeypatch.setattr("shutil.which", lambda _name: None)
        assert _command(words, environ) == "/x/" + again


def call(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False, **options
    )


def best_of_three(*arguments: str) -> float:
    def once() -> float:
        started = time.monotonic()
        call(*arguments)
        return time.monotonic() - started

    return min(once() for _ in range(3))


def test_the_version_is_there_at_once():
    assert call("--version").stdout == f"ringback {__version__}\n"
    assert best_of_three("--version") < 0.3


def test_listing_meetings_is_quick_and_loads_no_web_framework(data_dir):
    assert call("meeting", "add", "Weekly").returncode == 0
    script = "import sys; from ringback.cli.main import run; run(['meeting', 'list']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "Weekly" in loaded
    assert not {"fastapi", "uvicorn", "alembic", "numpy", "structlog", "argon2"} & set(loaded.split())


def test_a_running_server_is_asked_without_loading_the_store(server):
    script = "import sys; from ringback.cli.main import run; run(['meeting', 'list']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not {"sqlalchemy", "fastapi", "cryptography"} & set(loaded.split())


def test_errors_go_to_standard_error_and_json_to_standard_output(data_dir):
    plain = call("status")
    assert (plain.returncode, plain.stdout) == (3, "")
    assert plain.stderr.startswith("ringback: no server runs")
    as_json = call("status", "--json")
    assert (as_json.returncode, as_json.stderr) == (3, "")
    assert "no server runs" in json.loads(as_json.stdout)["error"]


def test_a_password_comes_from_standard_input(data_dir):
    answer = call("extension", "add", "1001", "--password-stdin", "--json", input="correct horse\n")
    assert json.loads(answer.stdout)["password"] == "correct horse"
    assert "correct horse" not in " ".join(answer.args)


def test_a_reader_that_stops_reading_is_no_error_worth_a_traceback(data_dir):
    for number in range(3):
        call("meeting", "add", f"Meeting {number}")
    shell = f"'{COMMAND}' meeting list | head -c 1 >/dev/null"
    answer = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert answer.stderr == ""


def test_no_color_is_respected(data_dir):
    call("meeting", "add", "Weekly")
    environ = os.environ | {"NO_COLOR": "1", "FORCE_COLOR": "1"}
    assert "\x1b[3" not in call("meeting", "list", env=environ).stdout


@pytest.mark.slow
def test_answers_stay_quick(data_dir):
    call("meeting", "add", "Weekly")
    # Loose on purpose: others may be at work on this machine.
    assert best_of_three("meeting", "list") < 3.0
