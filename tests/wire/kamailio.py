"""kamailio, a SIP server that others wrote, as the far side of a test: a carrier, a proxy, a registrar.

What it does is a routing script of the test's: `CARRIER` is one. Quirks of Debian's version 5.6:
- Its TLS is in a package of its own, which is not needed here.
- It stays in the foreground with `-DD`, and writes its log to standard error with `-E`.
- `-m` and `-M` bound its memory in MB; without them it takes 64 and 8 for each of its processes.
- A signal to the main process ends all of them.
"""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

from tests.wire.ending import end
from tests.wire.ports import free_ports

COMMAND = Path("/usr/sbin/kamailio")

START = """\
debug=2
log_stderror=yes
children=1
auto_aliases=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
loadmodule "path.so"
loadmodule "corex.so"
loadmodule "xlog.so"
"""

CARRIER = """\
modparam("registrar", "max_expires", {expires})
modparam("registrar", "min_expires", 1)
modparam("auth", "secret", "of the test")
modparam("auth", "algorithm", "{algorithm}")
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS") && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{ loose_route(); t_relay(); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("carrier.example", "{password}", "0")) {{
            www_challenge("carrier.example", "1");
            exit;
        }}
        save("location");
        exit;
    }}
    record_route();
    if ($ua =~ "^Ringback") {{
        # A call of the customer's: to the phone, if the password is right.
        if (!pv_proxy_authenticate("carrier.example", "{password}", "0")) {{
            proxy_challenge("carrier.example", "1");
            exit;
        }}
        consume_credentials();
        $du = "sip:127.0.0.1:{phone}";
        t_relay();
        exit;
    }}
    # A call to the customer: to where it has registered. To keeps the number.
    $rU = "{username}";
    if (!lookup("location")) {{ sl_send_reply("480", "Not Registered"); exit; }}
    t_relay();
}}
"""


class KamailioError(AssertionError):
    """kamailio did not start."""


class Kamailio:
    """One kamailio on a port of loopback, UDP and TCP; can be stopped, and started again on the same port.

    `script` comes after `START`; its words in braces are filled from `values`.
    """

    def __init__(self, folder: Path, script: str, **values: object) -> None:
        self.folder = folder
        self.port = free_ports()
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "kamailio.cfg"
        self._config.write_text(START.format(port=self.port) + script.format(**values))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return ("127.0.0.1", self.port)

    def start(self, timeout: float = 10) -> Kamailio:
        """Start it, and wait until it answers."""
        words = [COMMAND, "-DD", "-E", "-f", self._config, "-w", self.folder, "-m", "64", "-M", "4"]
        with (self.folder / "kamailio.log").open("ab") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + timeout
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise KamailioError(f"kamailio does not answer:\n{self.log()[-3000:]}")
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0

    def stop(self) -> None:
        """End it and all its processes."""
        if self._process is None:
            return
        end(self._process, 10)
        self._process = None

    def log(self) -> str:
        """What it has written so far, `xlog` of the script included."""
        path = self.folder / "kamailio.log"
        return path.read_text(errors="replace") if path.exists() else ""
