"""Session timers: a call whose other side is gone is noticed, and ends (RFC 4028)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Self

from ringback.sip.message import Headers, Request, Response

Role = Literal["uac", "uas"]

LEAST_S: Final = 90
"""No timer may be shorter (§4)."""
LONGEST_S: Final = 86_400
TAG: Final = "timer"


@dataclass(frozen=True, slots=True)
class SessionExpires:
    """The value of Session-Expires: how long a session lasts without a refresh, and who of the two sides of
    the request refreshes it, if that was said (§4)."""

    seconds: int
    refresher: Role | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a value; None for one that cannot be read, which counts as none at all."""
        number, _, rest = text.partition(";")
        seconds = _seconds(number)
        if seconds is None:
            return None
        params = dict(part.strip().lower().partition("=")[::2] for part in rest.split(";") if part.strip())
        refresher = params.get("refresher", "").strip()
        return cls(
            min(seconds, LONGEST_S), "uac" if refresher == "uac" else "uas" if refresher == "uas" else None
        )

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


def too_short(request: Request, least_s: int) -> bool:
    """Whether a request of somebody who knows timers wants one that is shorter than we allow (422)."""
    asked = _asked(request)
    return asked is not None and asked.seconds < least_s and _knows(request)


class SessionExpiry:
    """The timer of one session; `seconds` is 0 while there is none, `refreshes` whether it is for us to do.

    `wanted_s` is what we ask for, 0 to ask for none: then only a peer that asks gets one.
    """

    __slots__ = ("_least_s", "_wanted_s", "refreshes", "seconds")

    def __init__(self, wanted_s: int, least_s: int = LEAST_S) -> None:
        self._least_s = max(least_s, LEAST_S)
        self._wanted_s = max(wanted_s, self._least_s) if wanted_s else 0
        self.seconds = 0
        self.refreshes = False

    def ask(self, headers: Headers) -> None:
        """Add to a request of ours (INVITE, re-INVITE, UPDATE) what we want (§7.1, §7.4)."""
        seconds = self.seconds or self._wanted_s
        if not seconds:
            return
        agreed: Role | None = None
        if self.seconds:
            agreed = "uac" if self.refreshes else "uas"
        headers.set("Session-Expires", str(SessionExpires(max(seconds, self._least_s), agreed)))
        headers.set("Min-SE", str(self._least_s))

    def refused(self, response: Response) -> bool:
        """Take the Min-SE of a 422; whether asking again can help (§7.3)."""
        least_s = _seconds(response.headers.get("Min-SE") or "")
        if least_s is None or least_s <= self._least_s:
            return False
        self._least_s = least_s
        self._wanted_s = max(self._wanted_s, least_s)
        self.seconds = max(self.seconds, least_s) if self.seconds else 0
        return True

    def granted(self, response: Response) -> None:
        """Take what the 2xx to a request of ours says (§7.2). One who knows no timers is refreshed by us."""
        value = response.headers.get("Session-Expires")
        told = SessionExpires.parse(value) if value is not None else None
        if told is not None:
            self.seconds = max(told.seconds, LEAST_S)
            self.refreshes = told.refresher != "uas"
        else:
            self.seconds = self.seconds or self._wanted_s
            self.refreshes = True

    def grant(self, request: Request, headers: Headers) -> None:
        """Decide for a request of the peer, and put that into our 2xx (§9)."""
        asked = _asked(request)
        if asked is None and not self._wanted_s:
            self.seconds = 0
            return
        floor_s = max(_seconds(request.headers.get("Min-SE") or "") or 0, LEAST_S)
        if asked is None:
            self.seconds = max(self._wanted_s, floor_s)
        else:
            self.seconds = min(asked.seconds, self._wanted_s) if self._wanted_s else asked.seconds
            self.seconds = max(self.seconds, min(floor_s, asked.seconds), LEAST_S)
        refresher: Role = "uas"
        if asked is not None and _knows(request):
            refresher = asked.refresher or "uac"
        self.refreshes = refresher == "uas"
        headers.set("Session-Expires", str(SessionExpires(self.seconds, refresher)))
        if not self.refreshes:
            headers.add("Require", TAG)

    def refresh_at(self, now: float) -> float | None:
        """When to refresh what was agreed now: after half of it (§7.2)."""
        return now + self.seconds / 2 if self.seconds and self.refreshes else None

    def ends_at(self, now: float) -> float | None:
        """When what was agreed now is over without a refresh: for who waits for the other a little earlier,
        so that its BYE still finds the way open (§10)."""
        if not self.seconds:
            return None
        return now + self.seconds - (0 if self.refreshes else min(32, self.seconds / 3))


def _seconds(text: str) -> int | None:
    number = text.partition(";")[0].strip()
    return min(int(number), LONGEST_S) if number.isascii() and number.isdigit() and len(number) < 20 else None


def _asked(request: Request) -> SessionExpires | None:
    value = request.headers.get("Session-Expires")
    return SessionExpires.parse(value) if value is not None else None


def _knows(request: Request) -> bool:
    return any(tag.lower() == TAG for tag in request.headers.get_all("Supported"))
