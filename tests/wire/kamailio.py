"""Kamailio, a SIP proxy that others wrote, with the routing that a test gives it: what stands between peers.

Debian's version 5.6 without its TLS package: UDP and TCP. It ends with its children by the SIGTERM that its
main process gets.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.wire.namespaces import Host
from tests.wire.ports import free_ports

MODULES = Path("/usr/lib/x86_64-linux-gnu/kamailio/modules")
START_S = 15

PRELUDE = """\
debug=2
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
server_signature=no
{listen}
mpath="{modules}/"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
modparam("tm", "fr_timer", 5000)
modparam("tm", "fr_inv_timer", 60000)
modparam("tm", "auto_inv_100", 1)
"""


class KamailioError(AssertionError):
    """The proxy did not start."""


class Kamailio:
    """One proxy on its own port, UDP and TCP; `config` is what follows the prelude above.

    `config` loads what more modules it needs, and has the `request_route`. With `host` it runs there, at its
    address `local`. `port` may be given where the configuration or a peer has to know it before.
    """

    def __init__(
        self,
        folder: Path,
        config: str,
        *,
        port: int = 0,
        local: str = "127.0.0.1",
        host: Host | None = None,
    ) -> None:
        self.folder, self.host, self.local = folder, host, local
        self.port = port or free_ports()
        folder.mkdir(parents=True)
        listen = "\n".join(f"listen={kind}:{local}:{self.port}" for kind in ("udp", "tcp"))
        text = PRELUDE.format(listen=listen, modules=MODULES) + config
        self._config = folder / "kamailio.cfg"
        self._config.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return (self.local, self.port)

    def start(self) -> Kamailio:
        """Start it and wait until it listens."""
        words = ["kamailio", "-DD", "-E", "-f", self._config, "-Y", self.folder, "-m", "24", "-M", "4"]
        with (self.folder / "kamailio.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*(self.host.prefix if self.host else ()), *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        deadline = time.monotonic() + START_S
        while not self._listens():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise KamailioError(f"kamailio did not start:\n{self.output()[-3000:]}")
            time.sleep(0.05)
        return self

    def _listens(self) -> bool:
        inside = self.host.entered() if self.host else contextlib.nullcontext()
        with inside, contextlib.suppress(OSError), socket.create_connection(self.address, timeout=1):
            return True
        return False

    def stop(self, patience_s: float = 5) -> None:
        """End it, by its process id."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def output(self) -> str:
        """What it has printed, `xlog` of the configuration included."""
        return (self.folder / "kamailio.log").read_text(errors="replace")
