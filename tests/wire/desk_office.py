"""An office with one make of desk phone, small phones beside it, and carriers: where calls go by a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.quality.tones import make_tones
from ringback.store.plan.groups import Queue
from ringback.store.plan.hours import Hours
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.plan.voice import MailboxPlan
from ringback.store.store import open_store
from tests.wire.baresip import Baresip
from tests.wire.desk_phone import PATIENCE_S, SmallPhone, check_both_hear, check_hears, wait_for
from tests.wire.kamailio import CARRIER, Kamailio
from tests.wire.linphone import Linphone
from tests.wire.office_plan import (
    all_week,
    answering,
    apply_plan,
    group,
    in_order,
    route,
    site,
    standard_role,
    to,
)
from tests.wire.rtp_stream import RATE
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import CallFailed, SipPhone
from tests.wire.sound_files import write_wav
from tests.wire.spoken import check_says
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
LONGER_S = 20.0
"""For a phone that rings only after somebody else's has."""
PLAN = (
    standard_role(forward_outside=True, caller_id="+15550177"),
    answering(DESK, no_answer_after_s=5),
    answering(ANN, busy=to(DESK), no_answer=to(DESK)),
    answering(CAT, busy=to(BEN), no_answer=to(BEN)),
    answering("3110", always=to(BEN)),
    answering("3111", always=to(DESK)),
    answering("3140", unreachable=to(BEN)),
    answering("3141", unreachable=to(DESK)),
    answering("3145", unreachable=f"outside:{OUTSIDE}"),
    group("with-desk", "270", DESK, ANN),
    group("without", "271", ANN, BEN),
    in_order("desk-first", "280", DESK, BEN),
    in_order("desk-last", "281", BEN, DESK),
    in_order("order-without", "282", ANN, BEN),
    group("turns-without", "291", ANN, BEN, strategy="round-robin", ring_s=10),
    group("turns", "290", DESK, BEN, strategy="round-robin", ring_s=10),
    Queue(
        name="ben",
        number="803",
        agents=(BEN,),
        wrap_up_s=0,
        announce_every_s=10,
        leave_by="0",
        otherwise=to(CAT),
    ),
    Queue(name="desk", title="Support", number="804", agents=(DESK,), wrap_up_s=6, otherwise=to(CAT)),
    Menu(
        name="main",
        number="800",
        words=MENU_WORDS,
        keys={"1": to(DESK), "2": to(BEN)},
        dial_extensions=True,
    ),
    Announcement(name="closed", number="801", words=CLOSED_WORDS, then=to(CAT)),
    all_week("office", "802", open=to(BEN), closed=to(CAT)),
    all_week("desk", "805", open=to(DESK)),
    Hours(name="never", number="806", closed="announcement:closed"),
    MailboxPlan(name=MAILBOX),
    MailboxPlan(name=COUNTER),
    site("here", "+15550190", CAT, trunks=("alpha",)),
    route("usual", "1555XXXX.", "alpha"),
)


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
    await apply_plan(store, PLAN)
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


# What people do


@contextmanager
def calling(caller: SmallPhone, number: str) -> Iterator[None]:
    """It dials; what is done meanwhile makes somebody answer."""
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(caller.call, number)
        yield
        call.result()


def gone(phone: Desk | SmallPhone) -> None:
    """Its call is over."""
    if isinstance(phone, SmallPhone):
        phone.wait_over()
    else:
        phone.wait_calls(0)


def talk_and_part(one: Desk | SmallPhone, other: Desk | SmallPhone) -> None:
    """Both hear each other, and no music; then the call ends."""
    check_both_hear(one, other, others={MUSIC_HZ})
    one.hang_up()
    gone(other)
    if not isinstance(one, SmallPhone):
        gone(one)


def reaches(caller: SmallPhone, called: Desk | SmallPhone) -> None:
    """A call to somebody's number comes to that phone."""
    with calling(caller, called.number):
        called.answer()
    talk_and_part(caller, called)


def dials(office: DeskOffice, code: str, says: str, phone: Desk | None = None) -> None:
    """The desk phone dials a code, hears that it is done, and is left alone."""
    desk = phone or office.desk
    check_says(office.server, desk, says, lambda: desk.call(code))
    gone(desk)
