"""SIPp as the caller of a measurement: one scenario, one rate, what failed and what came late."""

from __future__ import annotations

import csv
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.rig import LOAD_CORE
from tests.wire.ports import free_ports

LATE_MS = 500
"""By then a request is sent again (RFC 3261 T1): who answers later makes work for both."""

_SCENARIO = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="a call from its INVITE to its BYE">
  <send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
  ]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="183" optional="true"/>
  <recv response="200" rtd="1" rrs="true"/>
  <send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

  ]]></send>
  @PAUSE@
  <send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

  ]]></send>
  <recv response="200"/>
  <ResponseTimeRepartition value="50, 100, 200, 500, 1000"/>
</scenario>
"""


_ANSWERS = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="answers">
  <recv request="INVITE" crlf="true"/>
  <send><![CDATA[
SIP/2.0 180 Ringing
[last_Via:]
[last_From:]
[last_To:];tag=[pid]a[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
Content-Length: 0

  ]]></send>
  <send retrans="500"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[pid]a[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
  ]]></send>
  <recv request="ACK" crlf="true"/>
  <recv request="BYE"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

  ]]></send>
</scenario>
"""
"""Its Contact has no transport: sippy fails on SIPp's own, which is in capitals."""


@contextmanager
def answering(port: int) -> Iterator[None]:
    """SIPp rings and answers on a port of loopback."""
    with tempfile.TemporaryDirectory(prefix="ringback-sipp-") as folder:
        scenario = Path(folder, "scenario.xml")
        scenario.write_text(_ANSWERS)
        words = ["taskset", "-c", LOAD_CORE, "sipp", "-sf", str(scenario), "-i", "127.0.0.1"]
        silent = subprocess.DEVNULL
        with subprocess.Popen(
            [*words, "-p", str(port), "-nostdin"], cwd=folder, stdout=silent, stderr=silent
        ) as process:
            try:
                yield
            finally:
                process.kill()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the calls of one rate: how many began, failed, and were answered after `LATE_MS`."""

    calls: int
    failed: int
    late: int

    @property
    def clean(self) -> bool:
        """No call failed, and 99 of 100 were answered before anybody asked again."""
        return not self.failed and self.late <= self.calls / 100


def call(
    port: int,
    target: str,
    rate: int,
    seconds: int,
    *,
    talk_ms: int = 0,
    host: str = "127.0.0.1",
    more: tuple[str, ...] = (),
) -> Outcome:
    """Call `target` at so many calls a second; each ends `talk_ms` after its answer."""
    pause = f'<pause milliseconds="{talk_ms}"/>' if talk_ms else ""
    with tempfile.TemporaryDirectory(prefix="ringback-sipp-") as folder:
        scenario, statistics = Path(folder, "scenario.xml"), Path(folder, "stat.csv")
        scenario.write_text(_SCENARIO.replace("@PAUSE@", pause))
        words = ["taskset", "-c", LOAD_CORE] if shutil.which("taskset") else []
        words += ["sipp", f"{host}:{port}", "-sf", str(scenario), "-s", target, "-r", str(rate)]
        words += ["-m", str(rate * seconds), "-l", "50000", "-i", host, "-p", str(free_ports(4))]
        words += ["-timeout", f"{seconds + 30}s", "-trace_stat", "-stf", str(statistics)]
        words += ["-nostdin", "-recv_timeout", "10000", *more]
        subprocess.run(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        last = list(csv.DictReader(statistics.read_text().splitlines(), delimiter=";"))[-1]
    late = sum(
        int(count)
        for name, count in last.items()
        if name and name.startswith("ResponseTimeRepartition1") and ("1000" in name or ">=" in name)
    )
    calls = int(last["TotalCallCreated"])
    return Outcome(calls, calls - int(last["SuccessfulCall(C)"]), late)
