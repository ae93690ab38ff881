"""Loads OpenSSL when the first browser comes, beside the media clock: a worker that serves phones alone does
without its 10 MB, and nobody waits for it at the start."""

from __future__ import annotations

import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from ringback.media.worker.priority import ask_for_priority

if TYPE_CHECKING:
    from ringback.webrtc.dtls import DtlsContext

SWITCH_S = 0.0001
"""So long the media clock waits for Python's lock after a system call while this loads, in 60 ms or so."""


class DtlsLoader:
    """Makes DTLS contexts on a thread of its own."""

    def __init__(self) -> None:
        self._asked: tuple[bytes, bytes] | None = None
        self._wanted: SimpleQueue[tuple[bytes, bytes]] = SimpleQueue()
        self._made: tuple[tuple[bytes, bytes], DtlsContext] | None = None
        threading.Thread(target=self._work, daemon=True).start()

    def __call__(self, certificate: bytes, private_key: bytes) -> DtlsContext | None:
        """The context for a certificate and its key (DER); None until it is made."""
        asked = (certificate, private_key)
        if self._asked != asked:
            self._asked = asked
            self._wanted.put(asked)
        made = self._made
        return made[1] if made is not None and made[0] == asked else None

    def _work(self) -> None:
        # As urgent as the media clock, before there is anything to do: a thread that is put off while it has
        # Python's lock would put off the media clock as well.
        ask_for_priority()
        wanted = self._wanted.get()
        sys.setswitchinterval(SWITCH_S)
        # The keys that a handshake makes are for SRTP.
        import ringback.rtp.srtp  # noqa: F401, PLC0415
        from ringback.webrtc.dtls import DtlsContext  # noqa: PLC0415

        while True:
            self._made = (wanted, DtlsContext(*wanted))
            wanted = self._wanted.get()
