"""How the media clock comes before other work of the machine."""

from __future__ import annotations

import contextlib
import os

NICENESS = -15
REALTIME_PRIORITY = 10


def ask_for_priority() -> None:
    """For the calling thread: real-time scheduling if we may, a better niceness if we may, else as we are.

    Round robin at a low priority, and reset on fork: nothing that the worker might start inherits it.
    """
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(REALTIME_PRIORITY))
        return
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
