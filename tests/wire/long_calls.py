"""Calls that go on beside other tests until they are refreshed, which takes 45 s at least (RFC 4028)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.wire.baresip import RATES, Baresip
from tests.wire.linphone import Linphone
from tests.wire.server import RingbackServer
from tests.wire.sipp import THERE, Sipp, expect, holds, in_dialog, pause, request

LONGEST_S = 1200
KNOWS_UPDATE = "Allow: INVITE, ACK, BYE, UPDATE"
KNOWS_NO_UPDATE = "Allow: INVITE, ACK, BYE"
AGREED = "Session-Expires: 90;refresher=uac"


class LongCalls:
    """A server that wants 90 s, the least there is: baresip calls linphone, and SIPp a meeting, twice.

    `runs` are those of SIPp, by the method of the refresh that it has to get.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        server = RingbackServer(folder / "server", settings={"RINGBACK_SIP__SESSION_EXPIRES_S": "90"})
        self.server = server.start()
        meeting = server.add_meeting()
        number = f"{meeting['number']}*{meeting['guest_pin']}"
        self.runs = {
            method: Sipp(folder / method, server.udp, "-s", number, scenario=refreshed_by(method, allow))
            for method, allow in (("UPDATE", KNOWS_UPDATE), ("INVITE", KNOWS_NO_UPDATE))
        }
        password = server.add_extension("1011")
        # Its call ends with what it speaks.
        silence = np.zeros(LONGEST_S * RATES["pcmu"], np.float32)
        self.baresip = Baresip(
            folder / "baresip", "1011", server=server.udp, password=password, speech=silence
        )
        password = server.add_extension("1012")
        self.linphone = Linphone(folder / "linphone", "1012", server=server, password=password, answers=True)

    def start(self) -> LongCalls:
        """Begin all calls."""
        for run in self.runs.values():
            run.start()
        self.baresip.start().register()
        self.linphone.start().register()
        self.baresip.dial(self.server.uri("1012"))
        return self

    def stop(self) -> None:
        """End them, and their server."""
        for run in self.runs.values():
            run.stop()
        self.linphone.stop()
        self.baresip.stop()
        self.server.kill_all()


def refreshed_by(method: str, allow: str) -> str:
    """SIPp's part: it wants us to refresh, by this method."""
    asks = ("Supported: timer", allow, "Session-Expires: 90;refresher=uas")
    return (
        request("INVITE", 1, *asks, uri=THERE, sdp=True)
        + expect(100, optional=True)
        + expect(200, holds("Session-Expires: 90;refresher=uas"), rrs="true")
        + request("ACK", 1)
        + expect(method, holds(AGREED))
        + in_dialog("200 OK", AGREED, "Require: timer", sdp=method == "INVITE")
        + (expect("ACK") if method == "INVITE" else "")
        + pause(500)
        + request("BYE", 9)
        + expect(200)
    )
