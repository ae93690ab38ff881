"""A media worker on a thread of this process, for who wants its samples without another process between."""

from __future__ import annotations

import socket
import threading

from ringback.media.playing import SoundShelf
from ringback.media.taps import Taps
from ringback.media.worker.control import worker_end
from ringback.media.worker.loop import Worker
from ringback.media.worker.process import raise_file_limit
from ringback.media.worker.sockets import UdpPorts


class WorkerThread:
    """Speaks the protocol of a worker process over `connection`; `taps` and `shelf` are for samples in both
    directions. Ends with Shutdown or when the other end of the connection is closed."""

    def __init__(
        self, connection: socket.socket, bind: str, ports: tuple[int, int], bind_ipv6: str = ""
    ) -> None:
        """Takes part of a second to prepare; `ports` is the range for media on the IPv4 address `bind` and
        the IPv6 address `bind_ipv6`, "" for none."""
        raise_file_limit()
        self._connection = connection
        self._ports = UdpPorts(bind, *ports, bind_ipv6=bind_ipv6)
        self._worker = Worker(worker_end(connection), self._ports)
        self.taps: Taps = self._worker.taps
        self.shelf: SoundShelf = self._worker.shelf
        self._thread = threading.Thread(target=self._run, name="media", daemon=True)

    def start(self) -> None:
        """Begin to keep time; Ready comes over the connection."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._worker.run()
        finally:
            self._ports.close()
            self._connection.close()
