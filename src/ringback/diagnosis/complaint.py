"""When somebody complained: `14:02:10-14:02:40`, on the day of the capture, in the zone of who says so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    # The server reads times without what is loaded for captures.
    from ringback.diagnosis.causes.verdict import Window

_TIME: Final = re.compile(
    r"(?:(\d{4}-\d{2}-\d{2})[T ])?(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?", re.ASCII
)
_SEPARATOR: Final = re.compile(r"\s*[-–/]\s*(?=(?:\d{4}-\d{2}-\d{2}[T ])?\d{1,2}:)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NotATimeError(ValueError):
    """This is not a stretch of time; the message says what one looks like."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A stretch of time by the clock of a zone; dates are None where only times of day were said."""

    began: time
    ended: time
    zone: tzinfo | None
    """None is the zone of this machine."""
    began_on: date | None = None
    ended_on: date | None = None

    def within(self, capture: Window) -> Window:
        """On the day on which it meets the capture, or else on the day on which the capture began."""
        first = self._local(capture.began_ns).date()
        days = (self._local(capture.ended_ns).date() - first).days
        tries = [self._on(first + timedelta(day)) for day in range(-1, min(days, 366) + 1)]
        for window in tries:
            if window.began_ns <= capture.ended_ns and capture.began_ns <= window.ended_ns:
                return window
        return tries[1]

    def _on(self, day: date) -> Window:
        began_on = self.began_on or day
        began = datetime.combine(began_on, self.began)
        ended = datetime.combine(self.ended_on or began_on, self.ended)
        from ringback.diagnosis.causes.verdict import Window  # noqa: PLC0415

        if ended < began and self.ended_on is None:
            ended += timedelta(days=1)
        return Window(self._nanoseconds(began), self._nanoseconds(ended))

    def _local(self, at_ns: int) -> datetime:
        return (_EPOCH + timedelta(microseconds=at_ns // 1000)).astimezone(self.zone)

    def _nanoseconds(self, naive: datetime) -> int:
        aware = naive.replace(tzinfo=self.zone) if self.zone is not None else naive.astimezone()
        return round((aware - _EPOCH) / timedelta(microseconds=1)) * 1000


def complaint_from(text: str, zone: tzinfo | None = None) -> Complaint:
    """`HH:MM[:SS]-HH:MM[:SS]`, each with a date before it if wanted; raises NotATimeError."""
    parts = _SEPARATOR.split(text.strip())
    found = [_TIME.fullmatch(part) for part in parts]
    if len(found) != 2 or found[0] is None or found[1] is None:
        raise NotATimeError(f"{text!r} is not a stretch of time; say it as 14:02:10-14:02:40")
    try:
        (began_on, began), (ended_on, ended) = _read(found[0]), _read(found[1])
    except ValueError:
        raise NotATimeError(f"there is no such time as in {text!r}; hours go from 00 to 23") from None
    if ended_on is not None and began_on is None:
        raise NotATimeError(f"in {text!r} only the end has a date; give the beginning one too")
    if ended_on is not None and began_on is not None and (began_on, began) > (ended_on, ended):
        raise NotATimeError(f"{text!r} ends before it begins")
    return Complaint(began, ended, zone, began_on, ended_on)


def _read(match: re.Match[str]) -> tuple[date | None, time]:
    day, hours, minutes, seconds, fraction = match.groups()
    microseconds = int((fraction or "0").ljust(6, "0"))
    return (
        date.fromisoformat(day) if day else None,
        time(int(hours), int(minutes), int(seconds or 0), microseconds),
    )
