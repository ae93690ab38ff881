"""Joins what people do in a call and by dialling with the rest of the server."""

from __future__ import annotations

from typing import Final

from ringback.call.effects import Notice
from ringback.call.in_call import KeyFeatures
from ringback.call.keys import Act
from ringback.call.park import ParkingLot
from ringback.config import Settings
from ringback.routing.steps import Feature, Wait
from ringback.server import emergencies
from ringback.server.attending import Attendants, words_of
from ringback.server.company import Acts, Background, ServerCompany
from ringback.server.destinations import Destinations
from ringback.server.dialled import Dialled
from ringback.server.joining import Reach
from ringback.server.prompts import PromptLibrary
from ringback.server.queueing import QueueDesk
from ringback.server.watching import Watching
from ringback.store.store import Store

ACTS: Final = {
    "blind_transfer": Act.BLIND_TRANSFER,
    "attended_transfer": Act.ATTENDED_TRANSFER,
    "back": Act.BACK,
    "three_way": Act.THREE_WAY,
    "hold": Act.HOLD,
    "meeting": Act.MEETING,
    "park": Act.PARK,
}
"""What is asked for by the keys of each setting."""


class Features:
    """Keys in a call, parking, pickup, codes, menus and queues."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        reach: Reach,
        destinations: Destinations,
        acts: Acts,
        prompts: PromptLibrary,
        watching: Watching,
    ) -> None:
        calling = settings.calling
        switchboard, registrar = reach.switchboard, reach.registrar
        self._store = store
        self._prompts = prompts
        self._background = Background()
        self.company = ServerCompany(
            destinations=destinations,
            directory=lambda: store.directory,
            from_trunks=calling.keys_from_trunks,
            meetings=store.meetings,
            values=store.values,
            entry=reach.entrances().let_in,
            acts=acts,
            background=self._background,
        )
        self.lot = ParkingLot(switchboard, calling.slots, self.company.come_back, calling.park_return_s)
        self.keys = KeyFeatures(
            switchboard,
            self.company,
            self.lot,
            {keys: ACTS[name] for name, keys in calling.sequences.items() if keys},
            calling.keys_wait_s,
        )
        self.queues = QueueDesk(
            switchboard=switchboard,
            registrar=registrar,
            destinations=destinations,
            directory=lambda: store.directory,
            values=store.values,
            acts=acts,
        )
        dialled = Dialled(
            switchboard=switchboard,
            lot=self.lot,
            directory=lambda: store.directory,
            plans=lambda: store.objects,
            agents=self.queues,
            acts=acts,
            background=self._background,
            pick_up_all=calling.pickup == "all",
        )
        Attendants(switchboard, lambda: store.directory).register(destinations)
        destinations.register(Feature, dialled.build)
        destinations.register(Wait, self.queues.build)
        switchboard.in_call = self.keys
        watching.dialogs.lot = self.lot

    async def start(self) -> None:
        """Remember what was before the restart, and have the plan's words spoken."""
        await self.company.restore()
        await self.queues.restore()
        self._speak()

    def follow(self, now: float) -> None:
        """The directory has changed."""
        self._speak()
        self.queues.follow(now)

    def _speak(self) -> None:
        plan = self._store.directory.plan
        self._prompts.speak_later((*words_of(plan), *emergencies.words_of(plan)))

    def note(self, notice: Notice) -> None:
        """Something happened in a meeting."""
        self.company.note(notice)

    async def stop(self) -> None:
        """Let what was begun come to its end."""
        await self._background.stop()
