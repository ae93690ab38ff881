"""Listening quality on bad lines: the same lossy streams of speech through our engine and Janus AudioBridge.

`make bench-quality`. Both get the same datagrams at the same times; what a second member of the room is sent
is decoded and compared with what was said, by ViSQOL (speech mode, MOS-LQO of 1 to 5) and, where somebody
has installed the `pesq` package, by PESQ (P.862, P.862.2; the ITU-T's licence keeps it out of the
dependencies). Janus has no G.722.
"""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from bench import janus, lossy
from bench.lossy import LINES, Call
from bench.media_capacity import Media
from ringback.media.columns import Floats
from ringback.media.protocol import AudioFormat, Codec

CODECS: tuple[Codec, ...] = ("PCMU", "G722", "OPUS")
JANUS_CODECS: tuple[Codec, ...] = ("PCMU", "OPUS")
PIECES = 2
Scores = dict[tuple[Codec, str], dict[str, float]]


def measure() -> Iterator[str]:
    """A row for each codec and line: ours and theirs."""
    if importlib.util.find_spec("visqol") is None:
        yield "not measured: visqol-python is missing; `make bench-quality` installs it"
        return
    said = lossy.pieces(PIECES)
    if len(said) < PIECES:
        yield f"not measured: no recorded prompts at {lossy.PROMPTS}"
        return
    ours = score(said, list(ringback(said)))
    theirs: Scores = {}
    if (problem := janus.missing()) == "":
        theirs = score(said, list(audiobridge(said)))
    else:
        yield f"Janus {problem}"
    names = sorted({name for row in ours.values() for name in row}, reverse=True)
    yield f"{PIECES} pieces of {lossy.PIECE_S} s; mean of {', '.join(names)}; ours, Janus in brackets"
    for codec in CODECS:
        for line in LINES:
            row = ours[codec, line]
            against = theirs.get((codec, line), {})
            points = (f"{name} {row[name]:.2f} ({against.get(name, float('nan')):.2f})" for name in names)
            yield f"{codec:5} {line:8}  {'  '.join(points)}"
    for key, against in theirs.items():
        for name in names:
            if ours[key][name] < against[name]:
                yield f"WORSE than Janus: {key[0]}, {key[1]}: {name} {ours[key][name] - against[name]:.2f}"


def rounds(said: list[Floats], calls: list[Call], meanwhile: Any) -> Iterator[tuple[Codec, str, int, Floats]]:
    """Say every piece once; what was heard in each call."""
    for number, piece in enumerate(said):
        whole = np.concatenate((piece[-lossy.LEAD_S * lossy.RATE :], piece))
        for call in calls:
            call.hear()
            call.heard.clear()
        lossy.talk(calls, whole, number, meanwhile)
        for call in calls:
            heard = lossy.aligned(lossy.decode(call.heard, call.codec), whole)
            yield call.codec, call.line, number, heard


def ringback(said: list[Floats]) -> Iterator[tuple[Codec, str, int, Floats]]:
    """Through one of our media workers."""
    media = Media("20000-29999", -1, None)
    calls = [Call(codec, line) for codec in CODECS for line in LINES]
    for room, call in enumerate(calls):
        form = AudioFormat(codec=call.codec, payload_type=lossy.PAYLOAD_TYPES[call.codec])
        for leg, local in ((2 * room, call.speaker), (2 * room + 1, call.listener)):
            address = ("127.0.0.1", media.open_leg(leg, room, local.getsockname()[1], form, rtcp_port=0))
            if local is call.speaker:
                call.to = address
            else:
                call.back = address
    try:
        yield from rounds(said, calls, lambda: media.events(0))
    finally:
        media.control.close()
        media.process.wait(10)
        for call in calls:
            call.close()


def audiobridge(said: list[Floats]) -> Iterator[tuple[Codec, str, int, Floats]]:
    """Through Janus AudioBridge, with the buffer and the error correction that it has by default."""
    with janus.running():
        bridge = janus.AudioBridge()
        calls = [Call(codec, line) for codec in JANUS_CODECS for line in LINES]
        for room, call in enumerate(calls):
            bridge.create(str(room), 8000 if call.codec == "PCMU" else 16000)
            call.to = _join(bridge, str(room), "speaker", call, call.speaker)
            call.back = _join(bridge, str(room), "listener", call, call.listener)
        try:
            yield from rounds(said, calls, lambda: None)
        finally:
            for call in calls:
                call.close()


def _join(
    bridge: janus.AudioBridge, room: str, name: str, call: Call, local: socket.socket
) -> tuple[str, int]:
    rtp = {
        "ip": "127.0.0.1",
        "port": local.getsockname()[1],
        "payload_type": lossy.PAYLOAD_TYPES[call.codec],
        "fec": True,
    }
    return bridge.join_by_rtp(room, name, call.codec.lower(), rtp)


def score(said: list[Floats], heard: Sequence[tuple[Codec, str, int, Floats]]) -> Scores:
    """Means of all pieces by codec and line."""
    with ProcessPoolExecutor() as workers:
        jobs = [workers.submit(_score, said[number], sound, codec) for codec, _, number, sound in heard]
        rows = [job.result() for job in jobs]
    sums: dict[tuple[Codec, str], list[dict[str, float]]] = {}
    for (codec, line, _, _), row in zip(heard, rows, strict=True):
        sums.setdefault((codec, line), []).append(row)
    return {
        key: {name: float(np.mean([row[name] for row in scored])) for name in scored[0]}
        for key, scored in sums.items()
    }


def _score(said: Floats, heard: Floats, codec: Codec) -> dict[str, float]:
    from visqol import VisqolApi  # noqa: PLC0415 - only where it is installed

    api = VisqolApi()
    api.create(mode="speech")
    result = {"ViSQOL": float(api.measure_from_arrays(said, heard, sample_rate=lossy.RATE).moslqo)}
    if importlib.util.find_spec("pesq") is not None:
        from pesq import pesq  # noqa: PLC0415 - only where somebody has installed it

        if codec == "PCMU":
            result["PESQ"] = float(pesq(8000, lossy.narrow(said), lossy.narrow(heard), "nb"))
        else:
            result["PESQ"] = float(pesq(lossy.RATE, said, heard, "wb"))
    return result
