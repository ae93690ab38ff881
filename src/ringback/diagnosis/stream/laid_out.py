"""What all numbers and curves of a stream begin with, worked out once: formats, counts, timing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ringback.diagnosis.capture.captured import Packets
from ringback.diagnosis.stream.counting import Counted, count, usual_step
from ringback.diagnosis.stream.formats import complete
from ringback.diagnosis.stream.measured import PayloadFormat
from ringback.diagnosis.stream.sound import legible
from ringback.diagnosis.stream.timing import Timing, clocks, time


@dataclass(frozen=True, slots=True)
class LaidOut:
    """The packets of one stream, with the meaning of every payload type and the usual step of time stamps."""

    packets: Packets
    formats: Mapping[int, PayloadFormat]
    step: int
    counted: Counted
    timing: Timing


def lay_out(packets: Packets, formats: Mapping[int, PayloadFormat]) -> LaidOut:
    """Begin with a stream of one packet or more; `formats` are those that signalling told."""
    packets = legible(packets)
    known, step = complete(packets, formats), usual_step(packets)
    counted = count(packets, step)
    return LaidOut(packets, known, step, counted, time(packets, counted, clocks(known)))
