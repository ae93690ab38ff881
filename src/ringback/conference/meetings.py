"""The meetings that go on now: a room opens with its first participant and is gone with its last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from ringback.conference.roles import Role
from ringback.conference.room import QUIET_ABOVE, Room, RoomMedia
from ringback.governance.private import Private, same_secret
from ringback.store.directory import Meeting


@dataclass(frozen=True, slots=True)
class EntryTimings:
    """The patience of the entrance, in seconds, and how many PINs one call may try."""

    first_digit_s: float = 30.0
    between_digits_s: float = 5.0
    pin_tries: int = 3


def role_of(meeting: Meeting, pin: Private[str]) -> Role | None:
    """The role that a PIN gives in a meeting, None for a wrong one; the time taken does not tell which."""
    host = same_secret(pin, meeting.host_pin)
    guest = same_secret(pin, meeting.guest_pin)
    return Role.HOST if host else Role.GUEST if guest else None


class Meetings:
    """Rooms in progress by meeting number."""

    def __init__(self, media: RoomMedia, media_rooms: count[int], quiet_above: int = QUIET_ABOVE) -> None:
        self.rooms: dict[str, Room] = {}
        self._by_media_room: dict[int, Room] = {}
        self._media = media
        self._media_rooms = media_rooms
        self._quiet_above = quiet_above
        self._media_room_of: dict[str, int] = {}

    def media_room(self, number: str) -> int:
        """The media room that the meeting of this number has whenever somebody is in."""
        room = self._media_room_of.get(number)
        if room is None:
            room = self._media_room_of[number] = next(self._media_rooms)
        return room

    def open(self, meeting: Meeting) -> Room:
        """The room of a meeting, opened if nobody is there yet."""
        room = self.rooms.get(meeting.number)
        if room is None:
            room = Room(meeting, self.media_room(meeting.number), self._media, self._quiet_above)
            self.rooms[meeting.number] = room
            self._by_media_room[room.media_room] = room
            self._media.tell("meeting.started", meeting=meeting.number)
        return room

    def close_if_empty(self, room: Room) -> None:
        """Forget a room without people; its lock goes with it."""
        if not room.people and self.rooms.get(room.number) is room:
            del self.rooms[room.number]
            del self._by_media_room[room.media_room]
            self._media.tell("meeting.ended", meeting=room.number)

    def follow(self, find_meeting: Callable[[str], Meeting | None], now: float) -> int:
        """Meetings were changed: who is in a deleted one has to go. Returns how many had to."""
        gone = 0
        for room in list(self.rooms.values()):
            meeting = find_meeting(room.number)
            if meeting is None or meeting.id != room.meeting_id:
                gone += room.remove(room.select(None), now, "ended")
            else:
                room.admission = meeting.admission
        return gone

    def talking(self, media_room: int, levels: dict[int, float]) -> Room | None:
        """Pass on who speaks in a media room, level in dBFS by leg id; the meeting's room, if it is one."""
        room = self._by_media_room.get(media_room)
        if room is not None:
            room.talking(levels)
        return room
