"""An office with one make of desk phone, small phones beside it, and carriers: where calls go by a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.quality.tones import make_tones
from ringback.store.store import open_store
from tests.wire.baresip import Baresip
from tests.wire.desk_phone import PATIENCE_S, SmallPhone, check_hears, wait_for
from tests.wire.kamailio import CARRIER, Kamailio
from tests.wire.linphone import Linphone
from tests.wire.rtp_stream import RATE
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import CallFailed, SipPhone
from tests.wire.sound_files import write_wav
from tests.wire.two_carriers import two_carriers

Make = Literal["baresip", "linphone"]
Desk = Baresip | Linphone

DESK, COUNTER, ANN, BEN, CAT, RAY = "3001", "3002", "3011", "3012", "3013", "3014"
"""The desk phone; the second one, which is a device; four small phones. Of Ray's calls some are recorded."""
FORWARDERS = ("3110", "3111", "3140", "3141", "3145")
MAILBOX = "3200"
OUTSIDE, DID = "15550100", "+15550110"
DEVICE_PASSWORD, CARRIER_PASSWORD = "secret-of-the-counter", "carrier-secret"
MENU_WORDS = "Good morning. For the desk press one, for Ben press two. For Cat dial the extension."
CLOSED_WORDS = "We are closed until tomorrow morning at nine."
TONES = {DESK: 2090.0, COUNTER: 2690.0, ANN: 600.0, BEN: 1090.0, CAT: 1490.0, RAY: 1790.0, OUTSIDE: 1290.0}
MUSIC_HZ = 2390.0
ALL_DAY = '[{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "00:00", to = "24:00" }]'
PLAN = f"""
[role.standard]
classes = ["national"]
forward_outside = true
caller_id = "+15550177"

[answering.{DESK}]
no_answer_after_s = 5
[answering.{ANN}]
busy = "extension:{DESK}"
no_answer = "extension:{DESK}"
no_answer_after_s = 5
[answering.{CAT}]
busy = "extension:{BEN}"
no_answer = "extension:{BEN}"
no_answer_after_s = 5
[answering.3110]
always = "extension:{BEN}"
[answering.3111]
always = "extension:{DESK}"
[answering.3140]
unreachable = "extension:{BEN}"
[answering.3141]
unreachable = "extension:{DESK}"
[answering.3145]
unreachable = "outside:{OUTSIDE}"

[group.with-desk]
number = "270"
members = ["{DESK}", "{ANN}"]
[group.without]
number = "271"
members = ["{ANN}", "{BEN}"]
[group.desk-first]
number = "280"
members = ["{DESK}", "{BEN}"]
strategy = "in-order"
ring_s = 5
[group.desk-last]
number = "281"
members = ["{BEN}", "{DESK}"]
strategy = "in-order"
ring_s = 5
[group.order-without]
number = "282"
members = ["{ANN}", "{BEN}"]
strategy = "in-order"
ring_s = 5
[group.turns-without]
number = "291"
members = ["{ANN}", "{BEN}"]
strategy = "round-robin"
ring_s = 10
[group.turns]
number = "290"
members = ["{DESK}", "{BEN}"]
strategy = "round-robin"
ring_s = 10

[queue.ben]
number = "803"
agents = ["{BEN}"]
wrap_up_s = 0
announce_every_s = 10
leave_by = "0"
otherwise = "extension:{CAT}"
[queue.desk]
title = "Support"
number = "804"
agents = ["{DESK}"]
wrap_up_s = 6
otherwise = "extension:{CAT}"

[menu.main]
number = "800"
words = "{MENU_WORDS}"
keys = {{ "1" = "extension:{DESK}", "2" = "extension:{BEN}" }}
dial_extensions = true
[announcement.closed]
number = "801"
words = "{CLOSED_WORDS}"
then = "extension:{CAT}"
[hours.office]
number = "802"
spans = {ALL_DAY}
open = "extension:{BEN}"
closed = "extension:{CAT}"
[hours.desk]
number = "805"
spans = {ALL_DAY}
open = "extension:{DESK}"
[hours.never]
number = "806"
closed = "announcement:closed"

[mailbox.{MAILBOX}]
[mailbox.{COUNTER}]

[location.here]
title = "The shop"
address = "1 Main Street, Springfield"
callback = "+15550190"
trunks = ["alpha"]
tell = ["{CAT}"]

[route.usual]
patterns = ["1555XXXX."]
trunks = ["alpha"]
"""


@dataclass
class DeskOffice:
    """The server, its phones and carriers. `desk` and `counter` are of the make under test."""

    make: Make
    server: RingbackServer
    alpha: Kamailio
    """Calls by it are written down, and ring `outside`."""
    gamma: Kamailio
    """We register with it; `outside` calls us by it."""
    outside: Baresip
    device: str
    """What the counter's phone logs in as."""
    small: dict[str, SmallPhone] = field(default_factory=dict)
    desk: Desk = field(init=False)
    counter: Desk = field(init=False)
    _started: list[Desk] = field(default_factory=list, init=False)

    @property
    def ann(self) -> SmallPhone:
        """The small phone of ANN."""
        return self.small[ANN]

    @property
    def ben(self) -> SmallPhone:
        """The small phone of BEN."""
        return self.small[BEN]

    @property
    def cat(self) -> SmallPhone:
        """The small phone of CAT."""
        return self.small[CAT]

    @property
    def ray(self) -> SmallPhone:
        """The small phone of RAY."""
        return self.small[RAY]

    def start_desk(self) -> None:
        """Start the desk phone, again where it was stopped."""
        self.desk = self._start(DESK, f"secret-of-{DESK}", TONES[DESK])

    def start_counter(self) -> None:
        """Start the phone that is a device."""
        self.counter = self._start(self.device, DEVICE_PASSWORD, TONES[COUNTER])
        self.counter.number = COUNTER

    def _start(self, user: str, password: str, tone_hz: float) -> Desk:
        folder = self.server.folder / f"desk-{len(self._started)}"
        phone = desk_phone(self.make, self.server, user, password, tone_hz, folder)
        self._started.append(phone)
        phone.start()
        phone.register()
        return phone

    def stop_phones(self) -> None:
        """End all that were started."""
        for phone in self._started:
            phone.stop()
        for small in self.small.values():
            small.sip.close()

    def rest(self) -> None:
        """Everybody hangs up, and nobody's phone rings; so the next scenario finds the office."""
        for desk in (self.desk, self.counter, self.outside):
            for _ in range(len(desk.calls)):
                with suppress(AssertionError):
                    desk.hang_up()
            desk.wait_calls(0)
        for small in self.small.values():
            for call in small.sip.calls.values():
                with suppress(AssertionError):
                    call.hang_up()
            small.sip.incoming.clear()
        wait_for(lambda: self.server.api("GET", "/status")["calls"] == 0, "somebody is still in a call")


def desk_phone(
    make: Make, server: RingbackServer, user: str, password: str, tone_hz: float, folder: Path
) -> Desk:
    """A phone that others wrote, to be started; PCMU alone, so that what it hears is known at once."""
    if make == "baresip":
        return Baresip(folder, user, server=server.udp, password=password, tone_hz=tone_hz)
    return Linphone(folder, user, server=server, password=password, tone_hz=tone_hz, codec="pcmu")


async def prepare(folder: Path, alpha: Kamailio, gamma: Kamailio) -> str:
    """Write extensions, trunks, the plan and the device; what the device logs in as."""
    store = await open_store(load_settings(data_dir=folder, environ={}))
    for number in (DESK, COUNTER, ANN, BEN, CAT, RAY, *FORWARDERS, MAILBOX):
        await store.extensions.add(number, password=Private(f"secret-of-{number}"))
    await store.trunks.add("alpha", {"host": "127.0.0.1", "port": alpha.port})
    registered = {"username": "alice", "register": True, "realm": "carrier.example", "dids": {DID: DESK}}
    where = {"host": "127.0.0.1", "port": gamma.port}
    await store.trunks.add("gamma", {**where, **registered}, Private(CARRIER_PASSWORD))
    await store.objects.apply(PLAN, "test")
    device, _ = await store.devices.add(
        "Counter", COUNTER, location="here", password=Private(DEVICE_PASSWORD)
    )
    await store.close()
    return device.username


@contextmanager
def desk_office(folder: Path, make: Make) -> Iterator[DeskOffice]:
    """An office that is there for a while."""
    with ExitStack() as ends:
        outside = Baresip(folder, OUTSIDE, tone_hz=TONES[OUTSIDE], answer="auto")
        ends.callback(outside.stop)
        outside.start()
        alpha, _ = two_carriers(folder, OUTSIDE, outside.sip_port)
        account = {"username": "alice", "password": CARRIER_PASSWORD, "algorithm": "MD5", "expires": 60}
        gamma = Kamailio(folder / "gamma", CARRIER, phone=outside.sip_port, **account)
        music = write_wav(folder / "music.wav", make_tones(16_000, 5, [MUSIC_HZ], -15), 16_000)
        settings = {
            "RINGBACK_CALLING__MUSIC": str(music),
            "RINGBACK_SECURITY__VAULT_KEY_FILE": str(folder / "vault.key"),
        }
        server = RingbackServer(folder / "server", settings=settings)
        device = asyncio.run(prepare(server.data, alpha, gamma))
        for thing in (server, alpha, gamma):
            ends.callback(thing.stop)
        alpha.start()
        gamma.start()
        server.start()
        office = DeskOffice(make, server, alpha, gamma, outside, device)
        ends.callback(office.stop_phones)
        for number in (ANN, BEN, CAT, RAY):
            phone = SipPhone(server.udp, number, f"secret-of-{number}")
            tone = make_tones(RATE, 2, [TONES[number]])
            office.small[number] = SmallPhone(phone, tone, TONES[number])
            assert phone.register(7200).status == 200
        office.start_desk()
        office.start_counter()
        yield office


# What small phones do


def lets_ring(phone: SmallPhone) -> None:
    """It rings until it is asked no more."""
    call = phone.sip.wait_ringing(PATIENCE_S)
    call.wait_ended(PATIENCE_S)
    assert call.end_reason == "CANCEL"


def declines(phone: SmallPhone, status: int = 486) -> None:
    """It rings, and is busy."""
    call = phone.sip.wait_ringing(PATIENCE_S)
    assert call.invite is not None
    phone.sip.respond(call.invite, status, "Busy Here", tag=call.local_tag)
    call.finish("declined")


def refused(phone: SmallPhone, number: str) -> int:
    """The status with which a call is refused."""
    try:
        phone.call(number)
    except CallFailed as failed:
        return failed.status
    raise AssertionError(f"{number} has answered")


def hears_music(phone: Desk | SmallPhone) -> None:
    """It hears the music, and nobody."""
    check_hears(phone, {MUSIC_HZ}, TONES.values())


def set_plan(office: DeskOffice, kind: str, name: str, **fields: Any) -> None:
    """Change a value of the plan, as its administrator; what is not named stays."""
    known = office.server.api("GET", f"/plan/{kind}/{name}")["value"]
    kept = {key: value for key, value in known.items() if key != "name"}
    office.server.api("PUT", f"/plan/{kind}/{name}", {**kept, **fields})
