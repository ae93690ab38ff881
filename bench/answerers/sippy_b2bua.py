"""sippy's simple B2BUA without media: `python -m bench.answerers.sippy_b2bua PORT NEXT_PORT`."""

from __future__ import annotations

import sys
from typing import Any

from sippy.CCEvents import CCEventDisconnect, CCEventTry
from sippy.Core.EventDispatcher import ED2
from sippy.SipConf import SipConf
from sippy.SipContact import SipContact
from sippy.SipLogger import SipLogger
from sippy.SipTransactionManager import SipTransactionManager
from sippy.UA import UA


class Call:
    """Two user agents, each told what the other saw."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self.caller = self._agent()
        self._callee: Any = None

    def event(self, event: Any, agent: Any) -> None:
        """Something happened on one side."""
        if agent is not self.caller:
            self.caller.recvEvent(event)
            return
        if self._callee is None:
            if not isinstance(event, CCEventTry):
                self.caller.recvEvent(CCEventDisconnect())
                return
            self._callee = self._agent(nh_address=self._config["nh_addr"])
        self._callee.recvEvent(event)

    def _agent(self, **more: Any) -> Any:
        agent = UA(self._config, event_cb=self.event, **more)
        # SIPp takes the display name that it has by default for a part of the address.
        agent.lContact = SipContact()
        agent.lContact.address.name = None
        return agent


class Exchange:
    """Makes a call of each INVITE."""

    def __init__(self, port: int, next_port: int) -> None:
        SipConf.my_uaname = "bench"
        SipConf.my_address, SipConf.my_port = "127.0.0.1", port
        SipConf.allow_formats = (0, 101)
        self._config: dict[str, Any] = {
            "nh_addr": ("127.0.0.1", next_port),
            "_sip_address": "127.0.0.1",
            "_sip_port": port,
            "_sip_logger": SipLogger("bench", logfile="/dev/null"),
        }
        self._config["_sip_tm"] = SipTransactionManager(self._config, self.request)

    def request(self, request: Any, transaction: Any) -> Any:
        """A request outside of a call."""
        if request.getHFBody("to").getTag() is None and request.getMethod() == "INVITE":
            return Call(self._config).caller.recvRequest(request, transaction)
        return (request.genResponse(481, "Call Does Not Exist"), None, None)


if __name__ == "__main__":
    Exchange(int(sys.argv[1]), int(sys.argv[2]))
    print("ready", flush=True)
    ED2.loop()
