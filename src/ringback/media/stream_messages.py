"""What is played to a leg from the control process's memory and never lies in a file, asked for in pieces.

The worker asks for what it is about to need, so that neither side keeps a clock for it, and a worker that
goes on with the leg asks for the rest.
"""

from __future__ import annotations

from typing import Literal

from ringback.media.message import Message


class PlayStream(Message, frozen=True, kw_only=True):
    """Play samples that are asked for by StreamWanted; in all else as Play, and answered by PlayEnded.

    They have 16 bit at `rate` samples a second.
    """

    leg: int
    play: int
    rate: Literal[8000, 16000]
    stop_on_digit: bool = False
    from_ms: int = 0


class StreamWanted(Message, frozen=True, kw_only=True):
    """The samples from `at` on, counted from the stream's beginning, are needed within two seconds."""

    leg: int
    play: int
    at: int


class StreamSamples(Message, frozen=True, kw_only=True):
    """The samples from `at` on, as many as there are to be had at once; after the `last` comes nothing."""

    leg: int
    play: int
    at: int
    samples: bytes
    last: bool = False

    def __repr__(self) -> str:
        return f"StreamSamples(leg={self.leg}, play={self.play}, at={self.at})"
