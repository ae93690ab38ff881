"""Recordings: which call and policy each is of, whose voices it holds, and the ledger of consent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, insert, or_, select, update

from ringback.governance.private import Private
from ringback.governance.sealing import Sealer
from ringback.store.database import Database
from ringback.store.errors import NotFoundError
from ringback.store.voice_schema import recording_consents, recording_tracks, recordings, voices
from ringback.store.voices import NewVoice, Voice, Voices, begin_voice, voice_of

RATE = 16_000


@dataclass(frozen=True, slots=True)
class StoredTrack:
    """Whose voice a part of a recording holds."""

    part: str
    extension: str | None
    trunk: str | None
    number: Private[str]


@dataclass(frozen=True, slots=True)
class StoredConsent:
    """A line of the ledger: what somebody said to being recorded, when, and how."""

    call_id: int
    leg: int
    extension: str | None
    trunk: str | None
    at: datetime
    policy: str
    mode: str
    notice: str
    state: str
    how: str


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """A recording: the part `mix` and a part for each of `tracks`. `players` are roles that may play it."""

    voice: Voice
    call_id: int
    policy: str
    mode: str
    direction: str
    players: tuple[str, ...]
    ended_at: datetime | None
    end_reason: str
    tracks: tuple[StoredTrack, ...]


class Recordings:
    """The rows of recordings beside those of their voices."""

    def __init__(self, database: Database, sealer: Sealer, stored: Voices) -> None:
        self._database = database
        self._sealer = sealer
        self._voices = stored

    async def begin(
        self,
        *,
        call_id: int,
        policy: str,
        mode: str,
        direction: str,
        players: Sequence[str],
        keep_days: int,
        tracks: Sequence[StoredTrack],
    ) -> NewVoice:
        """A new recording; all that is known of it is on the disk when this returns."""
        keep_until = datetime.now(UTC) + timedelta(days=keep_days)
        async with self._database.write() as connection:
            new = await begin_voice(connection, self._voices.vault, "recording", RATE, keep_until=keep_until)
            await connection.execute(
                insert(recordings).values(
                    voice_id=new.id,
                    call_id=call_id,
                    policy=policy,
                    mode=mode,
                    direction=direction,
                    players=list(players),
                    end_reason="",
                )
            )
            if tracks:
                values = [self._track_values(new.id, track) for track in tracks]
                await connection.execute(insert(recording_tracks), values)
        return new

    async def add_track(self, voice: str, track: StoredTrack) -> None:
        """Somebody else is recorded, too."""
        of_it = and_(recording_tracks.c.voice_id == voice, recording_tracks.c.part == track.part)
        async with self._database.write() as connection:
            if (await connection.execute(select(recording_tracks.c.part).where(of_it))).first() is None:
                await connection.execute(insert(recording_tracks).values(**self._track_values(voice, track)))

    async def finish(self, voice: str, reason: str, *, keep: bool) -> bool:
        """The files are closed: the recording counts, or nothing stays of it. False where nothing stays."""
        # First, because it is listed once the voice is closed.
        await self._end(reason, recordings.c.voice_id == voice)
        return await self._voices.close(voice, keep=keep) is not None

    async def settle(self) -> int:
        """At start: what the last process was recording ends there; how many recordings that was."""
        # The end first, as in `finish`.
        await self._end("restart")
        return len(await self._voices.settle("recording", keep_cut=True))

    async def _end(self, reason: str, *which: ColumnElement[bool]) -> None:
        """Write when and why these ended that have no end yet."""
        async with self._database.write() as connection:
            await connection.execute(
                update(recordings)
                .where(recordings.c.ended_at.is_(None), *which)
                .values(ended_at=datetime.now(UTC), end_reason=reason[:12])
            )

    async def get(self, voice: str) -> StoredRecording:
        """One that can be read or is held; raises NotFoundError."""
        found = await self._found(voices.c.id == voice, voices.c.state != "writing")
        if not found:
            raise NotFoundError("there is no such recording")
        return found[0]

    async def all(
        self,
        *,
        extension: str | None = None,
        call_id: int | None = None,
        before: Voice | None = None,
        limit: int = 100,
    ) -> list[StoredRecording]:
        """Those that can be read, the newest first: with a track of that extension, of that call, older than
        `before`.
        """
        conditions: list[Any] = [voices.c.state.in_(("whole", "cut"))]
        now = datetime.now(UTC)
        conditions.append(or_(voices.c.legal_hold, voices.c.keep_until.is_(None), voices.c.keep_until > now))
        if extension is not None:
            track = and_(
                recording_tracks.c.voice_id == voices.c.id, recording_tracks.c.extension == extension
            )
            conditions.append(exists().where(track))
        if call_id is not None:
            conditions.append(recordings.c.call_id == call_id)
        if before is not None:
            at, voice = voices.c.created_at, voices.c.id
            conditions.append(or_(at < before.created_at, and_(at == before.created_at, voice < before.id)))
        return await self._found(*conditions, limit=limit)

    async def _found(self, *conditions: Any, limit: int = 1) -> list[StoredRecording]:
        query = (
            select(voices, recordings)
            .join(recordings, recordings.c.voice_id == voices.c.id)
            .where(*conditions)
            .order_by(voices.c.created_at.desc(), voices.c.id.desc())
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            chosen = recording_tracks.c.voice_id.in_([row.id for row in rows])
            order = (recording_tracks.c.voice_id, recording_tracks.c.part)
            found = (await connection.execute(select(recording_tracks).where(chosen).order_by(*order))).all()
        tracks: dict[str, list[StoredTrack]] = {}
        for one in found:
            number = self._sealer.open(one.number, *_place(one.voice_id, one.part))
            track = StoredTrack(one.part, one.extension, one.trunk, number)
            tracks.setdefault(one.voice_id, []).append(track)
        return [_recording(row, tracks.get(row.id, [])) for row in rows]

    def _track_values(self, voice: str, track: StoredTrack) -> dict[str, Any]:
        return {
            "voice_id": voice,
            "part": track.part,
            "extension": track.extension,
            "trunk": track.trunk,
            "number": self._sealer.seal(track.number, *_place(voice, track.part)),
        }

    # The ledger

    async def note_consents(self, lines: Sequence[StoredConsent]) -> None:
        """Add lines to the ledger; they are never changed or deleted."""
        if not lines:
            return
        values = [
            {
                "call_id": line.call_id,
                "leg": line.leg,
                "extension": line.extension,
                "trunk": line.trunk,
                "at": line.at,
                "policy": line.policy,
                "mode": line.mode,
                "notice": line.notice[:300],
                "state": line.state,
                "how": line.how[:80],
            }
            for line in lines
        ]
        async with self._database.write() as connection:
            await connection.execute(insert(recording_consents), values)

    async def consents(self, call_id: int) -> list[StoredConsent]:
        """What was said to being recorded in a call, in order."""
        table = recording_consents
        query = select(table).where(table.c.call_id == call_id).order_by(table.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            StoredConsent(
                row.call_id,
                row.leg,
                row.extension,
                row.trunk,
                row.at,
                row.policy,
                row.mode,
                row.notice,
                row.state,
                row.how,
            )
            for row in rows
        ]


def _place(voice: str, part: str) -> tuple[str, str, str]:
    return "recording_tracks", "number", f"{voice}/{part}"


def _recording(row: Row[Any], tracks: Sequence[StoredTrack]) -> StoredRecording:
    return StoredRecording(
        voice_of(row),
        row.call_id,
        row.policy,
        row.mode,
        row.direction,
        tuple(row.players),
        row.ended_at,
        row.end_reason,
        tuple(tracks),
    )
