"""People on bad lines: a host at the far end of each, with phones of several kinds or a browser, and one
more phone at the near end without a fault; all in one server, every line in a meeting of its own."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Playwright

from tests.wire.bad_line import BadLine, Impairment, Traffic, limit_rate
from tests.wire.baresip import Baresip
from tests.wire.browser import Browser
from tests.wire.chirps import chirps_of, ruler, spoken_at
from tests.wire.line_sums import LineSums
from tests.wire.namespaces import Host, Network
from tests.wire.rtp_stream import FRAME, RATE
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipPhone

SERVER, OFFICE = "10.9.0.2", "10.8.0.2"
TONES_HZ = {"near": 440.0, "pcmu": 1090.0, "g722": 1870.0, "opus": 2710.0, "browser": 1090.0}
TONE_DBFS = -24.0
PATIENCE_S = 60
"""Far more than is needed: slow machines fail by no time-out."""


@dataclass(frozen=True)
class Line:
    """A line's faults, the same both ways, and what people may expect of it."""

    name: str
    faults: Impairment
    delay_ms: float
    """Mouth to ear, the median, packetisation included, at most."""
    kbit: int = 0
    phones: tuple[str, ...] = ("pcmu", "g722", "opus")


@dataclass
class Person:
    """Somebody at the far end of a line, and all that is known of the call in the end."""

    line: Line
    kind: str
    address: str
    ports: range = range(1 << 16)
    sums: LineSums | None = None
    ear: NDArray[np.floating] = field(default_factory=lambda: np.zeros(0))
    """What was heard while all talked."""
    ear_rate: int = RATE
    mouth_chirps: list[tuple[int, float]] = field(default_factory=list)
    ear_chirps: list[tuple[int, float]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As in the meeting's list."""
        return f"{self.line.name}-{self.kind}"


class Site:
    """A server, an office without faults, and a host at the far end of each line; a router between them."""

    def __init__(self, network: Network, lines: Sequence[Line]) -> None:
        self.router = network.host("router", forwards=True)
        self.server, uplink = network.cable(network.host("server"), self.router, "eth0", other_name="server")
        office, inlet = network.cable(network.host("office"), self.router, "eth0", other_name="office")
        self.office = office.host
        for near, far, address in ((self.server, uplink, SERVER), (office, inlet, OFFICE)):
            gateway = address.rpartition(".")[0] + ".1"
            far.add(f"{gateway}/24")
            near.add(f"{address}/24")
            near.route(gateway)
        self.lines: dict[str, BadLine] = {}
        self.traffic: list[Traffic] = []
        self.addresses = {line.name: f"10.20.{number}.2" for number, line in enumerate(lines)}
        for number, line in enumerate(lines):
            far_host = network.host(line.name)
            both = {"there": line.faults, "back": line.faults, "seed": number}
            bad = BadLine(network, line.name, far_host, self.router, **both)  # type: ignore[arg-type]
            bad.other.add(f"10.20.{number}.1/24")
            bad.one.add(f"{self.addresses[line.name]}/24")
            bad.one.route(f"10.20.{number}.1")
            if line.kbit:
                limit_rate(bad.one, line.kbit)
                limit_rate(bad.other, line.kbit)
                self.traffic += [
                    Traffic(bad.one.host, OFFICE),
                    Traffic(self.office, self.addresses[line.name]),
                ]
            self.lines[line.name] = bad


class Evening:
    """All calls over all lines, from the first to the last word."""

    def __init__(
        self,
        folder: Path,
        site: Site,
        lines: Sequence[Line],
        server: RingbackServer,
        ends: contextlib.ExitStack,
    ) -> None:
        self.folder, self.site, self.server, self._ends = folder, site, server, ends
        self.lines = lines
        self.people: list[Person] = []
        self.calls: dict[str, Call] = {}
        self.phones: dict[str, Baresip] = {}
        self.browsers: dict[str, Browser] = {}
        self.meetings: dict[str, dict[str, str]] = {}
        self.pool = ends.enter_context(ThreadPoolExecutor(8))

    def dial_in(self) -> None:
        """Everybody but browsers joins the meeting of their line."""
        meetings = list(self.pool.map(self.server.add_meeting, [line.name for line in self.lines]))
        self.meetings = {line.name: meeting for line, meeting in zip(self.lines, meetings, strict=True)}
        work = []
        for line in self.lines:
            work.append(self.pool.submit(self._small_phone, line, "near", OFFICE, self.site.office))
            host = self.site.lines[line.name].one.host
            for kind in line.phones:
                if kind == "pcmu":
                    work.append(
                        self.pool.submit(self._small_phone, line, kind, self.site.addresses[line.name], host)
                    )
                elif kind != "browser":
                    work.append(self.pool.submit(self._baresip, line, kind, host))
        for done in work:
            done.result(PATIENCE_S)

    def _number(self, line: Line) -> str:
        meeting = self.meetings[line.name]
        return f"{meeting['number']}*{meeting['guest_pin']}"

    def _small_phone(self, line: Line, kind: str, address: str, host: Host) -> None:
        person = Person(line, kind, address)
        phone = SipPhone((SERVER, self.server.udp_port), person.name, local=address, inside=host.entered)
        self._ends.callback(phone.close)
        call = self.calls[person.name] = phone.dial(self._number(line))
        person.ports = range(call.media.port, call.media.port + 1)
        self.people.append(person)

    def _baresip(self, line: Line, kind: str, host: Host) -> None:
        person = Person(line, kind, self.site.addresses[line.name])
        phone = Baresip(
            self.folder / person.name,
            person.name,
            codec=kind,
            tone_hz=TONES_HZ[kind],
            level_dbfs=TONE_DBFS,
            host=host,
            local=person.address,
        ).start()
        # On a line that is cut nobody answers its BYE.
        self._ends.callback(phone.stop, 0.1)
        self.phones[person.name] = phone
        phone.dial(f"sip:{self._number(line)}@{SERVER}:{self.server.udp_port}", timeout=PATIENCE_S)
        person.ports, person.ear_rate = range(phone.rtp_port, phone.rtp_port + 20), phone.rate
        self.people.append(person)

    def talk(self) -> float:
        """The small phones say their chirps; since when (seconds since 1970)."""
        for person in self.people:
            if person.name in self.calls:
                speech = ruler(RATE, TONES_HZ[person.kind], TONE_DBFS)
                self.calls[person.name].media.speak(speech)
        return time.time()

    def go_online(self, playwright: Playwright) -> None:
        """Browsers join the meetings of their lines."""
        for line in self.lines:
            if "browser" not in line.phones:
                continue
            person = Person(line, "browser", self.site.addresses[line.name])
            browser = self.browsers[person.name] = Browser(
                self.folder / person.name,
                person.name,
                speech=ruler(48_000, TONES_HZ["browser"], TONE_DBFS),
                context={"ignore_https_errors": True},
                host=self.site.lines[line.name].one.host,
            ).start(playwright)
            self._ends.callback(browser.stop)
            browser.join(self.meetings[line.name]["link"])
            browser.wait_inside(PATIENCE_S)
            self.people.append(person)

    def listen(self, began: float) -> None:
        """What everybody heard since a time, and when which chirp was spoken and heard."""
        wall = time.time() - time.monotonic()
        for person in self.people:
            if call := self.calls.get(person.name):
                audio, times = call.media.heard_with_times()
                heard_at = np.maximum.accumulate(np.nan_to_num(times)) + wall
                start = int(np.searchsorted(heard_at, began))
                person.ear = audio[start:]
                person.ear_chirps = chirps_of(audio[start:], times[start:] + wall, RATE)
                spoken = spoken_at(call.media.sent_at, RATE, FRAME)
                person.mouth_chirps = [(code, at + wall) for code, at in spoken]
            elif phone := self.phones.get(person.name):
                person.ear = phone.heard(time.time() - began - 1, trim_s=0.5)
            else:
                browser = self.browsers[person.name]
                heard, spoke = browser.heard(began), browser.spoken()
                person.ear, person.ear_rate = heard.audio, heard.rate
                person.ear_chirps = chirps_of(heard.audio, heard.times, heard.rate)
                person.mouth_chirps = chirps_of(spoke.audio, spoke.times, spoke.rate)

    def hold(self) -> None:
        """Phones ask not to be sent to, and are not any more."""
        for traffic in self.site.traffic:
            traffic.stop()
        work = [self.pool.submit(call.reinvite, "inactive") for call in self.calls.values()]
        work += [self.pool.submit(phone.hold) for phone in self.phones.values()]
        for done in work:
            done.result(PATIENCE_S)
        for call in self.calls.values():
            call.media.sending = False
        for person in self.people:
            person.sums = LineSums(self.server, *self._seat(person))
            if person.kind != "browser":
                # What a bad line took of the words for it is said again.
                self._wait_still(person, "sent", "packets")

    def cut(self) -> None:
        """End every line, so that what was counted stays as it is."""
        for line in self.site.lines.values():
            line.cut()
        for person in self.people:
            self._wait_still(person, "received", "received")

    def _wait_still(self, person: Person, way: str, column: str) -> None:
        """Wait for a second in which nothing was counted."""
        assert person.sums is not None
        deadline = time.monotonic() + PATIENCE_S
        while (series := person.sums.look())[way][column][-1]:
            assert time.monotonic() < deadline, f"{way}.{column} of {person.name} goes on: {series}"
            time.sleep(0.2)

    def _seat(self, person: Person) -> tuple[str, str]:
        number = self.meetings[person.line.name]["number"]
        everybody = json.loads(self.server.fetch(f"/api/v1/meetings/{number}/participants"))
        found = [one for one in everybody if person.name in {one["name"], one["number"]}]
        assert len(found) == 1, f"{person.name} among {everybody}"
        return number, str(found[0]["id"])
