"""What crosses from an engine that records to the process that writes: one message a tick, and commands.

Messages go one way through shared memory, replies the other way through a pipe. Only the standard library is
used here, so that the writer stays small.
"""

from __future__ import annotations

import struct

MIX = -1
"""Track number of the mix; the others are those of legs."""
SAMPLE_BYTES = 2

START, TRACK, STOP, AUDIO = range(1, 5)
"""Kinds of messages. The first octets are those of COMMAND, for audio those of FRAMES."""
COMMAND = struct.Struct("<B3xIqq")
"""Kind, recording; for START tick and rate (OPTIONS and the folder as UTF-8 follow), for TRACK leg and 0, for
STOP the tick after the last."""
OPTIONS = struct.Struct("<??16s32s")
"""Whether legs have tracks; whether files are sealed, as parts of which voice, and by which data key."""
FRAMES = struct.Struct("<B3xIqq")
"""Kind, how many rows, tick, samples a row. Then uint32 recordings, int64 tracks, int16 samples by row."""

STARTED, FAILED, ENDED, CONSUMED = range(1, 5)
REPLY = struct.Struct("<B3xIqq")
"""Kind, recording; for FAILED an errno and 0; for ENDED an errno (0: as asked) and the ticks that were
written; for CONSUMED how many octets of all that was ever put into the memory are free again, and 0."""
CHUNK = struct.Struct("<QQ")
"""Where a message begins in the memory, and its length."""
