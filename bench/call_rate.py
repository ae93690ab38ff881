"""Calls set up a second: SIPp calls into a meeting and hangs up, ever faster, until answers come late."""

from __future__ import annotations

import csv
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.wire.ports import free_ports
from tests.wire.server import RingbackServer

SECONDS = 8
RATES = (10, 20, 40, 80, 120, 160, 200, 300, 400)
LATE_MS = 500

SCENARIO = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="into a meeting and out again">
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
  <pause milliseconds="1000"/>
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


def measure(server: RingbackServer) -> Iterator[str]:
    """The highest rate at which no call fails and 99 of 100 are answered within half a second."""
    meeting = server.add_meeting()
    best = 0
    for rate in RATES:
        failed, late, calls = run_sipp(server, f"{meeting['number']}*{meeting['guest_pin']}", rate)
        yield f"{rate} a second for {SECONDS} s: {calls} calls, {failed} failed, {late} after {LATE_MS} ms"
        if failed or late > calls / 100:
            break
        best = rate
    yield f"{best} calls set up a second, each answered, in a meeting and hung up after a second"


def run_sipp(server: RingbackServer, target: str, rate: int, seconds: int = SECONDS) -> tuple[int, int, int]:
    """Failed calls, late answers and all calls at one rate."""
    with tempfile.TemporaryDirectory(prefix="ringback-sipp-") as folder:
        scenario = Path(folder, "scenario.xml")
        scenario.write_text(SCENARIO)
        port = free_ports(4)
        words = ["sipp", f"127.0.0.1:{server.udp_port}", "-sf", str(scenario), "-s", target]
        words += [
            "-r",
            str(rate),
            "-m",
            str(rate * seconds),
            "-l",
            "5000",
            "-i",
            "127.0.0.1",
            "-p",
            str(port),
        ]
        words += ["-timeout", f"{seconds + 30}s", "-trace_stat", "-stf", str(Path(folder, "stat.csv"))]
        words += ["-nostdin", "-recv_timeout", "10000"]
        subprocess.run(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        rows = list(csv.DictReader(Path(folder, "stat.csv").read_text().splitlines(), delimiter=";"))
    last = rows[-1]
    late = sum(
        int(last[name])
        for name in last
        if name and name.startswith("ResponseTimeRepartition1") and ("1000" in name or ">=" in name)
    )
    return int(last["FailedCall(C)"]), late, int(last["TotalCallCreated"])
