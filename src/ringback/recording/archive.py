"""What recording by policy asks of who keeps recordings; nothing here waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from ringback.governance.private import Private
from ringback.media.protocol import RecordingEnded

ConsentState = Literal["agreed", "refused", "silent"]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whose voice a track holds: the leg's number, the extension where an account is there, or a trunk."""

    leg: int
    extension: str | None
    trunk: str | None
    number: Private[str]


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """What somebody said to being recorded: a line of the ledger, which is never changed.

    `how` says it in words: that the notice was heard to its end, which key was pressed. `notice` is its text.
    """

    call: int
    speaker: Speaker
    policy: str
    mode: str
    notice: str
    state: ConsentState
    how: str


@dataclass(frozen=True, slots=True)
class Beginning:
    """A recording that is to begin, and under which rules."""

    call: int
    policy: str
    mode: str
    direction: str
    keep_days: int
    players: tuple[str, ...]
    speakers: tuple[Speaker, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """Its row is on the disk: record into `folder` as `voice`, sealed by the key."""

    voice: str
    folder: str
    data_key: Private[bytes]


class Archive(Protocol):
    """Keeps recordings; what is asked for happens in the order it was asked for."""

    def sounds(self, text: str) -> list[str] | None:
        """What is played to say this; None where nothing here can speak."""

    def consent(self, line: ConsentLine) -> None:
        """Write down what somebody said to being recorded."""

    def begin(self, beginning: Beginning, then: Callable[[Begun | str, float], None]) -> None:
        """Make a row for a recording, and call `then` with it, or with why there is none."""

    def speaks(self, voice: str, speaker: Speaker) -> None:
        """Somebody else has a track from now on."""

    def finish(self, voice: str, ended: RecordingEnded | None, *, keep: bool) -> None:
        """The files are closed (None: there never were any): it counts, or all of it is deleted."""

    def forbid(self, voice: str) -> None:
        """Somebody has withdrawn consent from what is being recorded: nothing of it stays, whatever happens
        before it is finished."""

    def withdraw(self, voice: str) -> None:
        """Delete what was kept already: somebody has withdrawn consent."""
