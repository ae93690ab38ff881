"""A browser and a phone in the worker process itself, over real sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.media.protocol import CloseLeg, JoinRoom, LegClosed, LegOpened, MediaConnected, OpenLeg
from tests.media.test_worker import LEVEL, Phone, Worker, talk, talk_evenly

from .browser import USE_CERTIFICATE, Browser

pytestmark = pytest.mark.calm


class RealBrowser(Browser):
    """A browser with a real socket, that takes part in `talk` as a phone does."""

    def __init__(self, leg: int, frequency: float) -> None:
        super().__init__(leg, frequency)
        self.socket = _Driven(self)
        self.to = ("127.0.0.1", 0)

    def call(self, worker: Worker) -> None:
        count = len(worker.of(LegOpened)) + 1
        worker.send(OpenLeg(leg=self.leg, webrtc=True))
        self.to = ("127.0.0.1", worker.wait(LegOpened, count).rtp_port)
        worker.send(self.media())
        worker.send(JoinRoom(leg=self.leg, room=1))

    def drain(self) -> None:
        self.socket.drain()


class _Driven:
    """Sends what the browser has to say beside audio, whenever it is asked to send."""

    def __init__(self, browser: RealBrowser) -> None:
        self._browser = browser
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        browser.ip, browser.port = 0x7F000001, self._socket.getsockname()[1]

    def sendto(self, datagram: bytes, address: tuple[str, int]) -> None:
        for other in [*self._browser.drive(time.monotonic()), datagram]:
            if other:
                self._socket.sendto(other, address)

    def drain(self) -> None:
        while True:
            try:
                datagram = self._socket.recv(2048)
            except BlockingIOError:
                return
            if not 192 <= datagram[1] <= 223:
                self._browser.hear(datagram)


def libraries(worker: Worker) -> set[str]:
    """The names of the files that the worker has loaded."""
    lines = Path(f"/proc/{worker.process.pid}/maps").read_text().splitlines()
    return {line.rpartition("/")[2] for line in lines}


@pytest.fixture
def worker() -> Iterator[Worker]:
    started = Worker("35000-35999")
    yield started
    started.end()


def test_a_browser_and_a_phone_hear_each_other(worker: Worker) -> None:
    worker.send(USE_CERTIFICATE)
    unneeded = {"_rust.abi3.so", "_binding.abi3.so"}
    assert not unneeded & libraries(worker), "who serves phones alone pays nothing for browsers"
    phone, browser = Phone(1, "PCMU", 440.0), RealBrowser(2, 1000.0)
    phone.call(worker)
    browser.call(worker)
    talk_evenly(worker, [phone, browser], 3)  # type: ignore[list-item]
    assert worker.wait(MediaConnected).leg == 2
    assert phone.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert browser.level(440.0) == pytest.approx(LEVEL, abs=1.5)
    assert browser.level(1000.0) < -40
    assert set(browser.mapped) == {(0x7F000001, browser.port)}
    worker.send(CloseLeg(leg=2))
    closed = worker.wait(LegClosed)
    assert closed.totals.received_packets > 100
    talk(worker, [phone], 0.2)
    browser.drain()
    assert browser.closed
    assert unneeded <= libraries(worker)
