"""The echo test: says what it is, then sends back what it hears."""

from __future__ import annotations

from ringback.call.application import Application
from ringback.call.leg import Leg


class EchoTest(Application):
    """Answers, speaks, and echoes until the caller hangs up; `#` ends the announcement."""

    def offered(self, leg: Leg, now: float) -> None:
        """Answer at once."""
        leg.answer(now)

    def connected(self, leg: Leg, now: float) -> None:
        """Say what this is."""
        leg.play(["prompt:echo-test", "tone:entry"], stop_on_digit=True)

    def play_ended(self, leg: Leg, play: int, now: float) -> None:
        """Begin to echo."""
        leg.voice(echo=True)
