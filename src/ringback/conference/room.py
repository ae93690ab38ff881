"""One meeting that is going on: who is in, who waits, what is locked; enforced on the media of every leg."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from ringback.conference.participant import Participant, Presence
from ringback.conference.roles import Permission, may
from ringback.store.directory import Meeting

QUIET_ABOVE: Final = 10
"""By default entry and exit tones are not played to more people than this (they would never end)."""


class RoomMedia(Protocol):
    """What a room asks of the switchboard."""

    def play_to_room(self, room: int, sounds: list[str]) -> None:
        """Play sounds once to everybody in the media room."""

    def tell(self, kind: str, **facts: object) -> None:
        """Say what happened to the event stream; no private data."""


class Room:
    """The people of a meeting in progress, and what may happen between them; sans-IO.

    `media_room` names the room in the media engine. A participant is in that room exactly while its presence
    is IN: the lobby is outside, so that admission holds in the media path and not in the interface alone.
    """

    def __init__(
        self, meeting: Meeting, media_room: int, media: RoomMedia, quiet_above: int = QUIET_ABOVE
    ) -> None:
        self.number = meeting.number
        self.meeting_id = meeting.id
        self.admission = meeting.admission
        self.media_room = media_room
        self.locked = False
        self.people: dict[str, Participant] = {}
        self._media = media
        self._quiet_above = quiet_above

    # Who is where

    def present(self) -> list[Participant]:
        """Everybody who hears and is heard, in order of arrival."""
        return [p for p in self.people.values() if p.presence is Presence.IN]

    def waiting(self) -> list[Participant]:
        """Everybody in the lobby, in order of arrival."""
        return [p for p in self.people.values() if p.presence is Presence.LOBBY]

    def hosts(self) -> list[Participant]:
        """The hosts who are in."""
        return [p for p in self.present() if may(p.role, Permission.ADMIT)]

    def select(self, participant_id: str | None) -> list[Participant]:
        """One participant by id (none if unknown), or everybody for None."""
        if participant_id is None:
            return list(self.people.values())
        found = self.people.get(participant_id)
        return [found] if found else []

    # Coming and going

    def arrive(self, participant: Participant) -> None:
        """Somebody with a right PIN stands before the door."""
        self.people[participant.id] = participant
        self._tell("participant.arrived", participant)

    def door(self, participant: Participant) -> Presence:
        """Where the participant may go now: IN, LOBBY, or GONE when the meeting is locked."""
        if participant.admitted:
            return Presence.IN
        if self.locked and not may(participant.role, Permission.ENTER_LOCKED):
            return Presence.GONE
        if self.admission == "lobby" and not may(participant.role, Permission.ENTER_DIRECTLY):
            return Presence.LOBBY
        return Presence.IN

    def wait(self, participant: Participant) -> None:
        """Take the participant into the lobby; the hosts hear a chime."""
        participant.presence = Presence.LOBBY
        for host in self.hosts():
            host.leg.play(["tone:chime"])
        self._tell("participant.waiting", participant)

    def join(self, participant: Participant, now: float) -> None:
        """Let the participant into the room, with a tone for all who are in."""
        participant.presence = Presence.IN
        participant.admitted = True
        participant.since = now
        participant.leg.voice(muted=participant.muted)
        participant.leg.join(self.media_room)
        self._tone("tone:entry")
        if may(participant.role, Permission.ADMIT) and self.waiting():
            participant.leg.play(["tone:chime"])
        self._tell("participant.joined", participant)

    def leave(self, participant: Participant) -> None:
        """Forget a participant whose leg is over or on its way out."""
        if self.people.pop(participant.id, None) is None:
            return
        was_in = participant.presence is Presence.IN
        participant.presence = Presence.GONE
        if was_in:
            participant.leg.leave_room()
            self._tone("tone:exit")
        self._tell("participant.left", participant)

    # Controls

    def admit(self, participants: Iterable[Participant], now: float) -> int:
        """Let those of the given participants in who wait; return how many there were."""
        waiting = [p for p in participants if p.presence is Presence.LOBBY]
        for participant in waiting:
            participant.guidance.admitted(now)
        return len(waiting)

    def mute(self, participants: Iterable[Participant], muted: bool) -> int:
        """Mute or unmute; return how many changed. The mute holds from before the door on."""
        changed = [p for p in participants if p.muted is not muted]
        for participant in changed:
            participant.muted = muted
            participant.leg.voice(muted=muted)
            self._tell("participant.muted" if muted else "participant.unmuted", participant)
        return len(changed)

    def raise_hand(self, participant: Participant, raised: bool) -> None:
        """Raise or lower a hand; the hosts hear a raised one."""
        participant.hand = raised
        if raised:
            for host in self.hosts():
                if host is not participant:
                    host.leg.play(["tone:chime"])
        self._tell("participant.hand_raised" if raised else "participant.hand_lowered", participant)

    def remove(self, participants: Iterable[Participant], now: float, why: str = "removed") -> int:
        """Send participants out; they hear why ("removed" or "ended"). Return how many."""
        leaving = list(participants)
        for participant in leaving:
            self.leave(participant)
            participant.guidance.refused(why, now)
        return len(leaving)

    def lock(self, locked: bool) -> None:
        """Close or open the door to newcomers; everybody in hears it."""
        if locked is self.locked:
            return
        self.locked = locked
        self._media.play_to_room(self.media_room, ["prompt:now-locked" if locked else "prompt:now-unlocked"])
        self._media.tell("meeting.locked" if locked else "meeting.unlocked", meeting=self.number)

    def talking(self, levels: dict[int, float]) -> None:
        """Note who speaks: level in dBFS by leg id; all others are silent."""
        for participant in self.people.values():
            level = levels.get(participant.leg.id)
            participant.talking = level is not None
            participant.level_dbfs = -100.0 if level is None else level

    def _tone(self, tone: str) -> None:
        if 0 < len(self.present()) <= self._quiet_above:
            self._media.play_to_room(self.media_room, [tone])

    def _tell(self, kind: str, participant: Participant) -> None:
        self._media.tell(kind, meeting=self.number, participant=participant.id, role=participant.role.value)
