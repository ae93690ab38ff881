"""A cable between two hosts with a middlebox in it, such as a NAT that forgets (`middlebox_program`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.wire.bad_line import START_S, without_offload
from tests.wire.namespaces import Host, Network

PROGRAM = Path(__file__).with_name("middlebox_program.py")


class Middlebox:
    """The box works from its making until the network is closed; `one` is inside, `other` outside."""

    def __init__(
        self,
        network: Network,
        name: str,
        one: Host,
        other: Host,
        plan: dict[str, Any],
        *,
        other_name: str = "",
    ) -> None:
        """`name` is of small letters and digits."""
        box = network.host(f"box{name}")
        self.one, near = network.cable(one, box, "eth0")
        self.other, far = network.cable(other, box, other_name or name, other_name="eth1")
        for end in (self.one, self.other):
            without_offload(end)
        words = [sys.executable, PROGRAM, near.name, far.name, json.dumps(plan)]
        self._process = box.popen(words, stdin=subprocess.DEVNULL)

    def cut(self) -> None:
        """Nothing passes any more."""
        self._process.terminate()
        self._process.wait(START_S)
