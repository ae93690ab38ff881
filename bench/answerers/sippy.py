"""sippy, a SIP library on its own event loop: `python -m bench.answerers.sippy PORT`."""

from __future__ import annotations

import sys
from typing import Any

from sippy.CCEvents import CCEventConnect, CCEventTry
from sippy.Core.EventDispatcher import ED2
from sippy.MsgBody import MsgBody
from sippy.SipConf import SipConf
from sippy.SipContact import SipContact
from sippy.SipLogger import SipLogger
from sippy.SipTransactionManager import SipTransactionManager
from sippy.UA import UA

from bench.answerers.answer import ANSWER


class Answerer:
    """Makes a user agent of each call, which connects it at once."""

    def __init__(self, port: int) -> None:
        SipConf.my_uaname = "bench"
        SipConf.my_address, SipConf.my_port = "127.0.0.1", port
        self._config: dict[str, Any] = {
            "_sip_address": "127.0.0.1",
            "_sip_port": port,
            "_sip_logger": SipLogger("bench", logfile="/dev/null"),
        }
        self._config["_sip_tm"] = SipTransactionManager(self._config, self.request)

    def request(self, request: Any, transaction: Any) -> Any:
        """A request outside of a call."""
        if request.getMethod() == "INVITE":
            agent = UA(self._config, self.event)
            # SIPp takes the display name that it has by default for a part of the address.
            agent.lContact = SipContact()
            agent.lContact.address.name = None
            return agent.recvRequest(request, transaction)
        return (request.genResponse(481, "Call Does Not Exist"), None, None)

    def event(self, event: Any, agent: Any) -> None:
        """Something happened in a call."""
        if isinstance(event, CCEventTry):
            agent.recvEvent(CCEventConnect((200, "OK", MsgBody(ANSWER.decode()))))


if __name__ == "__main__":
    Answerer(int(sys.argv[1]))
    print("ready", flush=True)
    ED2.loop()
