"""aiosipua, a SIP library on asyncio: `python -m bench.answerers.aiosipua PORT`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from aiosipua import SipUAS, parse_sdp
from aiosipua.transport import UdpSipTransport

from bench.answerers.answer import ANSWER

DESCRIPTION = parse_sdp(ANSWER.decode())


def answer(call: Any) -> None:
    """Take the call."""
    call.accept(DESCRIPTION)


async def serve(port: int) -> None:
    """Answer until killed."""
    uas = SipUAS(UdpSipTransport(("127.0.0.1", port)))
    uas.on_invite = answer
    await uas.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    # It does not run on uvloop.
    asyncio.run(serve(int(sys.argv[1])))
