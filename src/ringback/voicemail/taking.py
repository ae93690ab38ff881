"""One recording of somebody on the phone: a tone, then what is said until a key, silence or the limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.voicemail.desk import Alarm, Desk
from ringback.voicemail.mailbox import Box, Voice, VoiceKind

SILENCE_S: Final = 10.0
"""Who says nothing for so long has finished."""
SHORTEST_MS: Final = 1_500
"""What is shorter is nobody's message: somebody hung up at the tone, or said nothing."""
_REST_MS: Final = 700
"""Kept of the silence after the last word."""


class Taking:
    """`done` is told what was recorded, once: None where it is too short or could not be recorded, and
    whether it was that."""

    def __init__(
        self,
        leg: Leg,
        box: Box,
        kind: VoiceKind,
        desk: Desk,
        alarm: Alarm,
        application: Application,
        done: Callable[[Voice | None, bool, float], None],
    ) -> None:
        self._leg = leg
        self._box = box
        self._kind: VoiceKind = kind
        self._desk = desk
        self._alarm = alarm
        self._application = application
        self._done = done
        self._tone: int | None = None
        self._place: Voice | None = None
        self._records = False
        self._began = 0.0
        self._heard = False
        self._speaks = False
        self._heard_at = 0.0
        self._asked = False
        self._over = False

    def begin(self) -> None:
        """Let the tone sound; meanwhile a place is made for what follows."""
        self._tone = self._leg.play(["tone:beep"])
        self._desk.reserve(self._leg, self._box, self._kind, self._reserved)

    def play_ended(self, play: int, now: float) -> None:
        """After the tone it is the caller's turn."""
        if play == self._tone:
            self._tone = None
            self._start(now)

    def _reserved(self, place: Voice | None, now: float) -> None:
        if self._over:
            if place is not None:
                self._desk.drop(place)
        elif place is None:
            self._finish(None, True, now)
        else:
            self._place = place
            self._start(now)

    def _start(self, now: float) -> None:
        if self._tone is None and self._place is not None and not self._over:
            self._records = True
            self._began = self._heard_at = now
            self._desk.record(self._leg, self._place, self)
            self._wake()

    def digit(self, now: float) -> None:
        """A key ends the tone, or what is said: that counts, however soft it was."""
        if self._tone is not None:
            self._leg.stop_play()
            self.play_ended(self._tone, now)
        else:
            self._asked = True
            self.stop(now)

    def stop(self, now: float) -> None:
        """It is over: `done` is told once the file is complete, or at once where there is none."""
        if self._over:
            return
        if self._records and self._place is not None:
            self._over = True
            self._desk.stop(self._place)
            return
        if self._place is not None:
            self._desk.drop(self._place)
        self._finish(None, False, now)

    def expire(self, now: float) -> None:
        """Nothing has been said for long, or too much."""
        if not self._records or self._over:
            return
        silent = not self._speaks and now >= self._heard_at + SILENCE_S
        if silent or now >= self._began + self._box.max_message_s:
            self.stop(now)
        else:
            self._wake()

    def _wake(self) -> None:
        limit = self._began + self._box.max_message_s
        self._alarm.wake(limit if self._speaks else min(limit, self._heard_at + SILENCE_S), self._application)

    def _finish(self, voice: Voice | None, failed: bool, now: float) -> None:
        self._over = True
        self._done(voice, failed, now)

    # What the desk tells

    def speaking(self, speaks: bool, now: float) -> None:
        """Silence is counted from the last word."""
        self._speaks, self._heard_at = speaks, now
        self._heard = True
        if not self._over and not speaks:
            self._wake()

    def over(self, voice: Voice | None, now: float) -> None:
        """The file is complete, as long as it is: its end is the last word, unless a key ended it."""
        if voice is None:
            self._finish(None, True, now)
            return
        length_ms = voice.length_ms
        if not self._asked and not self._speaks:
            spoken_ms = round((self._heard_at - self._began) * 1000) + _REST_MS if self._heard else 0
            length_ms = min(length_ms, spoken_ms)
        if length_ms < SHORTEST_MS:
            self._desk.drop(voice)
            self._finish(None, False, now)
        else:
            self._finish(replace(voice, length_ms=length_ms), False, now)
