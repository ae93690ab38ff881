"""How the programs that a test started are ended: by their process id, as a person would first."""

from __future__ import annotations

import signal
import subprocess


def end(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """Ask it to end (SIGTERM), wait, then insist."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
