"""Speech over bad lines: what is said, how each line loses and delays it, and who sends and records it."""

from __future__ import annotations

import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ringback.media.codec import g711
from ringback.media.codec.g722 import G722Decoder, G722Encoder
from ringback.media.codec.opus import OpusDecoder, OpusEncoder
from ringback.media.columns import Floats
from ringback.media.protocol import Codec
from ringback.media.resample import DOWN2_TAIL, UP2_TAIL, down2, up2

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
RATE = 16000
FRAME = 320
PIECE_S, LEAD_S = 8, 4
"""What is scored, and what is said before it, so that buffers know the line."""
PAYLOAD_TYPES: dict[Codec, int] = {"PCMU": 0, "G722": 9, "OPUS": 111}
CLOCKS: dict[Codec, int] = {"PCMU": 8000, "G722": 8000, "OPUS": 48000}
LINES = ("no loss", "1 %", "3 %", "10 %", "bursts", "50±30 ms")
LOSS = {"1 %": 1, "3 %": 3, "10 %": 10, "bursts": 7}
"""What a sender of Opus expects of each line, in percent."""


def pieces(count: int) -> list[Floats]:
    """Spoken sentences at 16 kHz, each PIECE_S long, pauses between them."""
    names = sorted(path for path in PROMPTS.glob("*.g722") if 12_000 < path.stat().st_size < 60_000)
    random.Random(5).shuffle(names)
    result: list[Floats] = []
    said: list[Floats] = []
    for name in names:
        said += [_spoken(G722Decoder().decode(name.read_bytes())), np.zeros(RATE // 4, np.float32)]
        if sum(map(len, said)) >= PIECE_S * RATE:
            result.append(np.concatenate(said)[: PIECE_S * RATE])
            said = []
            if len(result) == count:
                break
    return result


def _spoken(sound: Floats) -> Floats:
    """Without the silence around it."""
    power = np.sqrt(np.mean(sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME) ** 2, axis=1))
    loud = np.flatnonzero(power > 0.01)
    return sound[max(loud[0] - 3, 0) * FRAME : (loud[-1] + 4) * FRAME] if len(loud) else sound[:0]


def travel_ms(line: str, seed: int, count: int) -> list[float | None]:
    """How long each packet is on its way, None if it is lost."""
    draw, bad = random.Random(seed), False
    result: list[float | None] = []
    for _ in range(count):
        lost, late = False, 0.0
        if line == "bursts":
            # Gilbert-Elliott: bursts of 3 packets on average, of which four in five are lost; 7 % in all.
            bad = draw.random() >= 0.3 if bad else draw.random() < 0.03
            lost = bad and draw.random() < 0.8
        elif line == "50±30 ms":
            late = max(0.0, draw.gauss(50, 30))
        elif line in LOSS:
            lost = draw.random() * 100 < LOSS[line]
        result.append(None if lost else late)
    return result


def narrow(sound: Floats) -> Floats:
    """From 16 to 8 kHz."""
    return down2(sound[None], np.zeros((1, DOWN2_TAIL), np.float32))[0][0]


def wide(sound: Floats) -> Floats:
    """From 8 to 16 kHz."""
    return up2(sound[None], np.zeros((1, UP2_TAIL), np.float32))[0][0]


def encode(sound: Floats, codec: Codec, line: str) -> list[bytes]:
    """Packets of 20 ms; a sender of Opus knows what its line loses, as RTCP would tell it."""
    if codec == "PCMU":
        return [row.tobytes() for row in g711.encode(narrow(sound), "PCMU").reshape(-1, FRAME // 2)]
    if codec == "G722":
        g722 = G722Encoder()
        return [g722.encode(frame) for frame in sound.reshape(-1, FRAME)]
    opus = OpusEncoder()
    opus.set_expected_loss(LOSS.get(line, 0))
    return [opus.encode(frame) for frame in sound.reshape(-1, FRAME)]


def decode(packets: dict[int, bytes], codec: Codec) -> Floats:
    """What was heard at 16 kHz, from payloads by timestamp; where none came it is silent."""
    first, step = min(packets), CLOCKS[codec] // 50
    decoder = G722Decoder() if codec == "G722" else OpusDecoder()
    size = FRAME // 2 if codec == "PCMU" else FRAME
    sound = np.zeros(((max(packets) - first) // step + 1) * size, np.float32)
    for timestamp in sorted(packets):
        payload, at = packets[timestamp], (timestamp - first) // step * size
        samples: Floats | None
        if codec == "PCMU":
            samples = g711.decode(np.frombuffer(payload, np.uint8), "PCMU")
        else:
            samples = decoder.decode(payload)
        if samples is not None:
            sound[at : at + size] = samples[: len(sound[at : at + size])]
    return wide(sound) if codec == "PCMU" else sound


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    return made


@dataclass
class Call:
    """One who speaks and one who listens, in a room of their own."""

    codec: Codec
    line: str
    speaker: socket.socket = field(default_factory=_socket)
    listener: socket.socket = field(default_factory=_socket)
    to: tuple[str, int] = ("", 0)
    back: tuple[str, int] = ("", 0)
    """Where the speaker and where the listener sends to."""
    heard: dict[int, bytes] = field(default_factory=dict)

    def silence(self, frames: int, seed: int) -> Iterator[tuple[float, bytes]]:
        """What the listener sends meanwhile: a member who never sent anything would be sent nothing."""
        payloads = encode(np.zeros(frames * FRAME, np.float32), self.codec, "no loss")
        for i, payload in enumerate(payloads):
            timestamp = i * CLOCKS[self.codec] // 50
            header = struct.pack(
                "!BBHII", 0x80, PAYLOAD_TYPES[self.codec], i & 0xFFFF, timestamp, 0x10000 + seed
            )
            yield 0.02 * i, header + payload

    def packets(self, sound: Floats, seed: int) -> Iterator[tuple[float, bytes]]:
        """When each datagram that arrives does, in seconds, and it."""
        payloads = encode(sound, self.codec, self.line)
        travel = travel_ms(self.line, seed, len(payloads))
        draw = random.Random(f"{seed} {self.codec} {self.line}")
        ssrc, first = draw.getrandbits(32), draw.getrandbits(31)
        clock, kind = CLOCKS[self.codec] // 50, PAYLOAD_TYPES[self.codec]
        for i, (payload, late) in enumerate(zip(payloads, travel, strict=True)):
            if late is not None:
                timestamp = first + i * clock & 0xFFFFFFFF
                header = struct.pack("!BBHII", 0x80, kind, i & 0xFFFF, timestamp, ssrc)
                yield 0.02 * i + late / 1000, header + payload

    def hear(self) -> None:
        """Take what has come for the listener."""
        while True:
            try:
                datagram = self.listener.recv(2048)
            except BlockingIOError:
                return
            if len(datagram) > 12 and datagram[1] & 0x7F == PAYLOAD_TYPES[self.codec]:
                self.heard[int.from_bytes(datagram[4:8], "big")] = datagram[12:]

    def close(self) -> None:
        """Close the sockets."""
        self.speaker.close()
        self.listener.close()


def talk(calls: list[Call], sound: Floats, seed: int, meanwhile: Callable[[], None]) -> None:
    """Let all speakers say the same in real time, each over its line, and record what listeners hear."""
    due: list[tuple[float, socket.socket, tuple[str, int], bytes]] = []
    for call in calls:
        due += [(at, call.speaker, call.to, datagram) for at, datagram in call.packets(sound, seed)]
        frames = len(sound) // FRAME
        due += [(at, call.listener, call.back, datagram) for at, datagram in call.silence(frames, seed)]
    due.sort(key=lambda packet: packet[0])
    listeners = {call.listener: call for call in calls}
    begin, position = time.monotonic() + 0.1, 0
    end = begin + len(sound) / RATE + 0.6
    while (now := time.monotonic()) < end:
        while position < len(due) and begin + due[position][0] <= now:
            _, sender, to, datagram = due[position]
            sender.sendto(datagram, to)
            position += 1
        following = begin + due[position][0] if position < len(due) else end
        wait = max(min(following - time.monotonic(), 0.01), 0)
        for ready in select.select(list(listeners), [], [], wait)[0]:
            listeners[ready].hear()
        meanwhile()


def aligned(heard: Floats, said: Floats) -> Floats:
    """What was heard from where the scored piece begins, and half a second more.

    What is said first is said at the end once more. So it is looked for only where it can be: nothing is
    heard before it is said, and no call begins so long before its sound.
    """
    size = 1 << (len(heard) + len(said)).bit_length()
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size))
    begin = int(np.fft.irfft(product, size)[: PIECE_S * RATE].argmax()) + LEAD_S * RATE
    piece = np.zeros((PIECE_S * RATE) + RATE // 2, np.float32)
    there = heard[begin : begin + len(piece)]
    piece[: len(there)] = there
    return piece
