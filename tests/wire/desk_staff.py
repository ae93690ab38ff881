"""An office of desk phones that others wrote, or of our agent: one that acts, and the three it talks with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.quality.tones import make_tones
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.value import Value
from ringback.store.store import open_store
from tests.wire.agent_phone import AgentPhone
from tests.wire.baresip import Baresip
from tests.wire.desk_phone import DeskPhone, SmallPhone, check_both_hear, check_hears, meet
from tests.wire.linphone import Linphone
from tests.wire.office_plan import (
    all_week,
    answering,
    apply_plan,
    to,
)
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.sound_files import write_wav

DESK_HZ, BOB_HZ, CAROL_HZ, DAVE_HZ, MUSIC_HZ = 850.0, 1090.0, 1500.0, 1870.0, 2300.0
DIAL_HZ, RINGING_HZ = 350.0, 480.0
TONES = (DESK_HZ, BOB_HZ, CAROL_HZ, DAVE_HZ, MUSIC_HZ)
PROGRAMS = {"baresip": "11", "linphone": "12", "agent": "13"}
"""The desk phones, and how their extensions and those of their partners begin."""
PARTNERS = {"Bob Builder": BOB_HZ, "Carol Carter": CAROL_HZ, "Dave Dyer": DAVE_HZ}
PARK_RETURN_S = 20
PATIENCE_S = 30.0


def plan_of(digits: str) -> tuple[Value, ...]:
    """What there is for the extensions that begin so."""
    desk, bob, carol = (f"{digits}0{last}" for last in (1, 2, 3))
    return (
        Group(name=f"office{digits}", members=(desk, bob)),
        all_week(f"office{digits}", f"8{digits}2", open=to(bob), closed=to(carol)),
        Queue(
            name=f"support{digits}",
            number=f"8{digits}3",
            title="Support",
            agents=(desk,),
            ring_s=30,
            wrap_up_s=0,
        ),
        answering(desk, no_answer_after_s=5),
    )


async def prepare(folder: Path) -> None:
    """Write extensions and the plan."""
    store = await open_store(load_settings(data_dir=folder, environ={}))
    for digits in PROGRAMS.values():
        for last, name in enumerate(("Desk", *PARTNERS, "Erin Ersatz"), 1):
            number = f"{digits}0{last}"
            await store.extensions.add(number, display_name=name, password=Private(f"secret-of-{number}"))
    await apply_plan(store, [value for digits in PROGRAMS.values() for value in plan_of(digits)])
    await store.close()


@contextmanager
def staffed_server(folder: Path) -> Iterator[RingbackServer]:
    """A server with extensions and a plan; its music is a tone."""
    music = write_wav(folder / "music.wav", make_tones(16_000, 5, [MUSIC_HZ], -15), 16_000)
    settings = {
        "RINGBACK_CALLING__MUSIC": str(music),
        "RINGBACK_CALLING__PARK_RETURN_S": str(PARK_RETURN_S),
        "RINGBACK_SIP__SESSION_EXPIRES_S": "90",
    }
    server = RingbackServer(folder / "server", settings=settings)
    asyncio.run(prepare(server.data))
    server.start()
    yield server
    server.kill_all()


Program = Baresip | Linphone | AgentPhone


def desk_phone(server: RingbackServer, program: str, number: str, folder: Path) -> Program:
    """A desk phone that has started."""
    account: dict[str, Any] = {"password": f"secret-of-{number}", "tone_hz": DESK_HZ}
    if program == "baresip":
        return Baresip(folder, number, server=server.udp, **account).start()
    if program == "linphone":
        return Linphone(folder / number, number, server=server, codec="pcmu", **account).start()
    return AgentPhone(number, server=server, **account).start()


class Staff:
    """A desk phone of one program, and the three it talks with."""

    def __init__(self, server: RingbackServer, program: str, folder: Path) -> None:
        self.server, self.program, self.folder = server, program, folder
        self.digits = PROGRAMS[program]
        self._started = desk_phone(server, program, f"{self.digits}01", folder)
        self.desk: DeskPhone = self._started
        self._small = []
        for last, tone in enumerate(PARTNERS.values(), 2):
            number = f"{self.digits}0{last}"
            phone = SipPhone(server.udp, number, f"secret-of-{number}")
            assert phone.register(expires=3600).status == 200
            self._small.append(SmallPhone(phone, make_tones(8000, 2, [tone]), tone))
        self.bob, self.carol, self.dave = self._small
        self.desk.register()

    def hang_up(self) -> None:
        """End what a test left."""
        for phone in self._small:
            for call in phone.sip.calls.values():
                with suppress(AssertionError):
                    call.hang_up()
                call.media.stop()
            phone.sip.calls.clear()
            phone.sip.incoming.clear()
        for _ in range(3):
            with suppress(AssertionError):
                self.desk.wait_calls(0, 1)
                return
            with suppress(AssertionError):
                self.desk.hang_up()
        self.desk.wait_calls(0)

    def close(self) -> None:
        """End the phones."""
        for phone in self._small:
            phone.sip.close()
        self._started.stop()


def hear(*people: DeskPhone | SmallPhone) -> None:
    """All of these hear each other, and nothing else."""
    check_both_hear(*people, others=TONES)


def waits(*people: DeskPhone | SmallPhone) -> None:
    """These hear music and nobody."""
    for one in people:
        check_hears(one, {MUSIC_HZ}, TONES)


def consult(desk: DeskPhone, colleague: SmallPhone) -> None:
    """The desk phone calls a second time, and the colleague answers."""
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(colleague.answer)
        desk.call(colleague.number)
        answering.result()


def finish(one: SmallPhone, other: SmallPhone) -> None:
    """One hangs up, and so the other's call ends."""
    one.hang_up()
    other.wait_over()


def check_parks(staff: Staff, slot: str, park: Callable[[], object]) -> None:
    """The desk phone parks who it talks with, who hears music until a colleague dials the slot."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    meet(desk, bob)
    park()
    desk.wait_calls(0)
    waits(bob)
    carol.call(slot)
    hear(bob, carol)
    finish(bob, carol)
