"""Opus on lossy lines: error correction is waited for and used, asked of our encoders, and pauses are not
losses."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ringback.media.codec.opus import DTX_BYTES, OpusDecoder, OpusEncoder, available
from ringback.media.opus_streams import CORRECTS, SPEECH
from ringback.rtp import rtcp

from . import signals
from .world import MS, PAYLOAD_TYPES, PEER_IP, Peer, World

pytestmark = pytest.mark.skipif(not available(), reason="libopus is not installed")


class Speaker(Peer):
    """Says given samples in Opus; what its encoder calls silence with `set_dtx` is not sent."""

    def __init__(self, leg: int, sound: np.ndarray, expected_loss: int = 0, dtx: bool = False) -> None:
        super().__init__(leg, "OPUS")
        self.sound = sound
        self.encoder = OpusEncoder()
        self.encoder.set_expected_loss(expected_loss)
        self.encoder.set_dtx(dtx)
        self.unsent = 0
        self._at = 0
        self._pauses = False

    def speak(self) -> bytes:
        samples = self.sound.take(np.arange(self._at, self._at + 320), mode="wrap")
        self._at += 320
        payload = self.encoder.encode(samples)
        packet = b""
        pauses, self._pauses = self._pauses, len(payload) <= DTX_BYTES
        if self._pauses and pauses:
            # As browsers do it: of a silence the first packet is sent, and one in 400 ms.
            self.unsent += 1
        else:
            packet = self.packet(payload, PAYLOAD_TYPES["OPUS"])
        self.timestamp += 960
        return packet


def wanted(world: World, leg: int = 1) -> int:
    """Frames that the leg waits for beyond its fastest packets."""
    slot, delay = world.engine.legs.slots[leg], world.engine.buffer.delay
    counts = delay._known(np.array([slot]))[0]
    return int(len(counts) // 2 - 1 - np.flatnonzero(counts)[0])


def test_packets_say_whether_they_correct_the_one_before() -> None:
    speech = signals.spoken_like(16000, 2.0)
    for loss, least, most in ((0, 0.0, 0.0), (10, 0.5, 1.0)):
        encoder, decoder, plain = OpusEncoder(), OpusDecoder(), OpusDecoder()
        encoder.set_expected_loss(loss)
        said = []
        for at in range(0, len(speech) - 320, 320):
            packet = encoder.encode(speech[at : at + 320])
            corrects = bool(SPEECH[packet[0]] and packet[1] & CORRECTS)
            said.append(corrects)
            # Where it corrects, asking for the correction gives something else than concealment.
            restored = decoder.decode(packet, fec=True, missing_samples=320)
            assert restored is not None
            concealed = plain.conceal()
            assert corrects or np.allclose(concealed, restored, atol=1e-4)
            for each in (decoder, plain):
                each.reset()
                each.decode(packet)
        assert least <= np.mean(said) <= most


def heard(expected_loss: int, loss: float, seconds: float = 9) -> tuple[np.ndarray, World]:
    world = World()
    speaker = world.add(Speaker(1, signals.spoken_like(16000, 8.0), expected_loss))
    listener = world.add(Peer(2, "G722", 1000.0))
    listener.silent = True
    line = random.Random(3)
    world.run(0.5)
    world.delay[1] = lambda at: None if line.random() < loss else 0.0
    world.run(seconds)
    assert speaker.timestamp
    return listener.audio(6.0), world


def test_error_correction_is_waited_for_and_heard() -> None:
    """With a correction in each packet the sound is closer to what it is without loss."""
    distance = {}
    for expected in (0, 10):
        whole, calm = heard(expected, 0.0)
        assert wanted(calm) == 0
        lossy, world = heard(expected, 0.1)
        assert wanted(world) == (1 if expected else 0)
        # A frame of delay lies between the two where the correction is waited for.
        frames = 320 * wanted(world)
        level, other = (
            np.log10(np.abs(np.fft.rfft(x[: len(x) // 320 * 320].reshape(-1, 320) * np.hanning(320))) + 1e-2)
            for x in (whole[: len(whole) - frames], lossy[frames:])
        )
        distance[expected] = float(np.sqrt(np.mean((level - other) ** 2)))
    assert distance[10] < 0.75 * distance[0]


def test_a_line_that_loses_nothing_any_more_is_not_waited_for() -> None:
    _, world = heard(10, 0.1, 6)
    assert wanted(world) == 1
    world.delay[1] = lambda at: 0.0
    world.run(6)
    assert wanted(world) == 0


def report(world: World, peer: Peer, lost: float) -> None:
    """A receiver report of a peer, arriving now."""
    leg = world.engine.legs.slots[peer.leg]
    block = rtcp.ReportBlock(
        int(world.engine.legs.out_ssrc[leg]), round(lost * 256), 0, int(world.engine.tick), 0, 0, 0
    )
    datagram = rtcp.encode(rtcp.ReceiverReport(peer.ssrc, (block,)))
    world.throw(datagram, 2 * peer.to_pair + 1, PEER_IP, peer.port + 1)


def corrected(peer: Peer, seconds: float = 1.0) -> float:
    """The share of the last packets a peer got that correct the one before."""
    payloads = [packet[12:] for packet in peer.packets[-round(seconds * 50) :]]
    return float(np.mean([bool(SPEECH[p[0]] and p[1] & CORRECTS) for p in payloads]))


def test_what_peers_report_lost_is_protected() -> None:
    """An encoder of one's own as much as one that a room's listeners share."""
    world = World()
    speech = signals.spoken_like(16000, 8.0)
    talker = world.add(Speaker(1, speech))
    other = world.add(Speaker(2, speech[::-1].copy()))
    listeners = [world.add(Peer(leg, "OPUS")) for leg in (3, 4)]
    for listener in listeners:
        listener.silent = True
    everybody = [talker, other, *listeners]
    world.run(4)
    assert [corrected(peer) for peer in everybody] == [0, 0, 0, 0]
    for peer in (talker, listeners[0]):
        report(world, peer, 0.1)
    world.run(4)
    assert [corrected(peer) > 0.4 for peer in everybody] == [True, False, True, True]
    for peer in (talker, listeners[0]):
        report(world, peer, 0.0)
    world.run(31)
    assert [corrected(peer) for peer in everybody] == [0, 0, 0, 0]


def test_the_pauses_of_a_peer_that_sends_nothing_in_silence_are_its_noise() -> None:
    world = World()
    noise = np.random.default_rng(1).standard_normal(32000).astype(np.float32) * np.float32(0.0005)
    words = signals.spoken_like(16000, 1.0)
    speaker = world.add(Speaker(1, np.concatenate((words, noise)), dtx=True))
    listener = world.add(Peer(2, "OPUS", 1000.0))
    listener.silent = True
    world.run(6.4)
    assert speaker.unsent > 60
    totals = world.totals(1)
    assert totals.concealed_frames <= 6
    assert totals.lost_packets == 0
    frames = listener.audio(6).reshape(-1, 320)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    # Neither silence nor something loud between the words.
    assert (level > -85).mean() > 0.9
    assert np.abs(np.diff(listener.audio(6))).max() < 0.2
    assert world.now_ns > 6000 * MS
