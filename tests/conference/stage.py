"""A meeting without network: real rooms, entrances and legs; the media engine is a list of commands."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from ringback.call.application import Application
from ringback.call.exchange import Refinement
from ringback.call.leg import Leg
from ringback.call.party import LegState, Party
from ringback.conference.entry import Entry
from ringback.conference.meetings import EntryTimings, Meetings
from ringback.conference.pin_guard import PinGuard
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.sip.flow import Flow
from ringback.store.directory import Directory, Meeting

GUEST_PIN = "274113"
HOST_PIN = "900817"
NUMBER = "481516234"


def meeting(number: str = NUMBER, admission: str = "direct") -> Meeting:
    return Meeting(
        id="m" + number,
        number=number,
        name="Weekly",
        admission=admission,  # type: ignore[arg-type]
        guest_pin=Private(GUEST_PIN),
        host_pin=Private(HOST_PIN),
        link_token=Private("g"),
        host_link_token=Private("h"),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


class Stage:
    """Time, callers and what they hear."""

    def __init__(self, *meetings: Meeting, quiet_above: int = 10) -> None:
        self.now = 100.0
        self.refinement = Refinement()
        self.directory = Directory.of(meetings=meetings or (meeting(),))
        self.commands: list[media.Command] = []
        self.news: list[tuple[str, dict[str, object]]] = []
        self.alarms: list[tuple[float, Application]] = []
        self.hung_up: list[int] = []
        self._plays = count(1)
        self._legs = count(1)
        self.guard = PinGuard()
        self.meetings = Meetings(self, count(1), quiet_above)

    # What legs and rooms ask for

    def media(self, command: media.Command) -> None:
        self.commands.append(command)

    def sip(self, effects: list[object]) -> None:
        raise AssertionError("these legs have no session")

    def local_media(self, flow: Flow, rtp_port: int, rtcp_port: int) -> object:
        raise AssertionError("these legs negotiate nothing")

    def changed(self, leg: Leg) -> None:
        """Nobody watches here."""

    def answered(self, leg: Leg) -> None:
        raise AssertionError("these legs are connected from the start")

    def may_record(self, leg: Leg, room: int) -> bool:
        return True

    def moved(self, leg: Leg) -> None:
        pass

    def next_play(self) -> int:
        return next(self._plays)

    def play_to_room(self, room: int, sounds: list[str]) -> None:
        self.media(media.PlayToRoom(room=room, sounds=sounds))

    def tell(self, kind: str, **facts: object) -> None:
        self.news.append((kind, facts))

    def wake(self, at: float, application: Application) -> None:
        self.alarms.append((at, application))

    # What the test does

    def call(self, number: str | None = NUMBER, pin: str | None = None, source: str = "192.0.2.1") -> Caller:
        entry = Entry(
            meetings=self.meetings,
            find_meeting=lambda number: self.directory.meeting(number),  # noqa: PLW0108 - it may change
            guard=self.guard,
            alarm=self,
            timings=EntryTimings(),
            meeting=self.directory.meeting(number) if number else None,
            pin=Private(pin) if pin else None,
        )
        flow = Flow("udp", ("192.0.2.254", 5060), (source, 5060))
        leg = Leg(next(self._legs), self, Party(Private("5550100")), entry, flow, self.now)  # type: ignore[arg-type]
        leg.state = LegState.CONNECTED
        entry.connected(leg, self.now)
        return Caller(self, leg, entry)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [alarm for alarm in self.alarms if alarm[0] <= end]:
            alarm = min(due, key=lambda a: a[0])
            self.alarms.remove(alarm)
            self.now = max(self.now, alarm[0])
            alarm[1].expire(self.now)
        self.now = end


class Caller:
    """Somebody on the phone."""

    def __init__(self, stage: Stage, leg: Leg, entry: Entry) -> None:
        self.stage, self.leg, self.entry = stage, leg, entry

    def dial(self, digits: str) -> Caller:
        for digit in digits:
            self.entry.digit(self.leg, digit, self.stage.now)
        return self

    def hears(self) -> list[str]:
        """What is being played to the caller now."""
        for command in reversed(self.stage.commands):
            if isinstance(command, media.StopPlay) and command.leg == self.leg.id:
                return []
            if isinstance(command, media.Play) and command.leg == self.leg.id:
                return command.sounds
        return []

    def listen(self) -> Caller:
        """Wait until what is being played has ended."""
        if self.leg.playing is not None:
            self.entry.play_ended(self.leg, self.leg.playing, self.stage.now)
        return self

    def hang_up(self) -> None:
        self.leg.finish(self.stage.now)

    @property
    def in_room(self) -> bool:
        return self.leg.room is not None

    @property
    def gone(self) -> bool:
        return self.leg.over

    @property
    def muted(self) -> bool:
        voices = [c for c in self.stage.commands if isinstance(c, media.SetVoice) and c.leg == self.leg.id]
        return bool(voices) and voices[-1].muted

    def room_heard(self) -> list[str]:
        return [s for c in self.stage.commands if isinstance(c, media.PlayToRoom) for s in c.sounds]
