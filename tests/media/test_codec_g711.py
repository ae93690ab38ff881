"""G.711 by table is G.711 by its definition, for every code and every 16-bit sample."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.codec import g711

from . import signals

LAWS: tuple[g711.Law, ...] = ("PCMU", "PCMA")


def plain_encode(sample: int, law: g711.Law) -> int:
    """One 16-bit sample, as ITU-T G.191's ulaw_compress and alaw_compress do it."""
    if law == "PCMU":
        magnitude = min(((~sample if sample < 0 else sample) >> 2) + 33, 0x1FFF)
        segment, shifted = 1, magnitude >> 6
        while shifted:
            segment, shifted = segment + 1, shifted >> 1
        high = 8 - segment
        low = 15 - ((magnitude >> segment) & 15)
        return (high << 4) | low | (0x80 if sample >= 0 else 0)
    magnitude = (~sample if sample < 0 else sample) >> 4
    if magnitude > 15:
        exponent = 1
        while magnitude > 16 + 15:
            magnitude, exponent = magnitude >> 1, exponent + 1
        magnitude = magnitude - 16 + (exponent << 4)
    return (magnitude | (0x80 if sample >= 0 else 0)) ^ 0x55


def plain_decode(code: int, law: g711.Law) -> int:
    """One code to 16 bit, as ITU-T G.191's ulaw_expand and alaw_expand do it."""
    if law == "PCMU":
        inverted = ~code & 0xFF
        exponent, mantissa = (inverted >> 4) & 7, inverted & 15
        step = 4 << (exponent + 1)
        sample = (0x80 << exponent) + step * mantissa + step // 2 - 4 * 33
        return sample if code >= 0x80 else -sample
    toggled = (code ^ 0x55) & 0x7F
    exponent, mantissa = toggled >> 4, toggled & 15
    if exponent > 0:
        mantissa += 16
    mantissa = (mantissa << 4) + 8
    if exponent > 1:
        mantissa <<= exponent - 1
    return mantissa if code >= 0x80 else -mantissa


@pytest.mark.parametrize("law", LAWS)
def test_every_code_decodes_as_defined(law: g711.Law) -> None:
    codes = np.arange(256, dtype=np.uint8)
    expected = [plain_decode(code, law) for code in range(256)]
    assert (g711.decode(codes, law) * 32768).tolist() == expected


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("law", LAWS)
def test_every_16_bit_sample_encodes_as_defined(
    law: g711.Law, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(g711, "kernels", None)
    samples = np.arange(-32768, 32768)
    expected = [plain_encode(int(sample), law) for sample in samples]
    assert g711.encode((samples / 32768).astype(np.float32), law).tolist() == expected


@pytest.mark.parametrize("law", LAWS)
def test_decoding_and_encoding_again_changes_nothing(law: g711.Law) -> None:
    codes = np.arange(256, dtype=np.uint8)
    again = g711.encode(g711.decode(codes, law), law)
    if law == "PCMU":
        # Minus zero is zero.
        codes[0x7F] = 0xFF
    assert again.tolist() == codes.tolist()


@pytest.mark.parametrize("law", LAWS)
def test_what_is_too_loud_is_clipped(law: g711.Law) -> None:
    loud = np.array([1.0, 1.5, 100.0, -1.0, -1.5, -100.0], dtype=np.float32)
    loudest, lowest = plain_encode(32767, law), plain_encode(-32768, law)
    assert g711.encode(loud, law).tolist() == [loudest] * 3 + [lowest] * 3


@pytest.mark.parametrize("law", LAWS)
def test_a_voice_comes_through(law: g711.Law) -> None:
    voice = signals.voiced(8000)
    assert signals.snr_db(voice, g711.decode(g711.encode(voice, law), law)) > 30
    silence = np.zeros(10, dtype=np.float32)
    assert set(g711.encode(silence, law).tolist()) == {g711.SILENCE[law]}


@pytest.mark.parametrize("law", LAWS)
def test_rows_of_any_length_and_views_into_packets(law: g711.Law) -> None:
    packets = np.random.default_rng(3).integers(0, 256, (7, 1500)).astype(np.uint8)
    for length in (1, 80, 160, 240, 480):
        payload = packets[:, 12 : 12 + length]
        expected = [[plain_decode(code, law) / 32768 for code in row] for row in payload.tolist()]
        out = np.empty((7, length), dtype=np.float32)
        assert g711.decode(payload, law, out=out) is out
        np.testing.assert_array_equal(out, np.array(expected, dtype=np.float32))
        np.testing.assert_array_equal(out, g711.decode(payload, law))
        np.testing.assert_allclose(g711.energy(payload, law), np.mean(np.square(expected), axis=1), rtol=1e-5)
    assert g711.decode(packets[:0, :160], law).shape == (0, 160)
    assert g711.energy(packets[:0, :160], law).shape == (0,)


@pytest.mark.parametrize("size", [1, 63, 80, 160, 320])
@pytest.mark.parametrize("law", LAWS)
def test_energy_and_clipping_compiled_and_plain(
    law: g711.Law, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if g711.kernels is None:
        pytest.skip("the engine's loops are not compiled here")
    random = np.random.default_rng(size)
    frames = random.integers(0, 256, (40, size), dtype=np.uint8)
    # The loudest there is, silence, and frames without an end of the scale.
    ends = [0x00, 0x80] if law == "PCMU" else [0x2A, 0xAA]
    frames[0], frames[1], frames[2] = ends[0], ends[1], g711.SILENCE[law]
    frames[3:20][np.isin(frames[3:20], ends)] = 0x55
    for rows in (np.arange(40), np.arange(2, 20), np.array([7, 7, 0])):
        energy, clipped = g711.energy_and_clipped(frames, rows, law)
        with monkeypatch.context() as patch:
            patch.setattr(g711, "kernels", None)
            expected, expected_clipped = g711.energy_and_clipped(frames, rows, law)
        exact = (g711.decode(frames[rows], law).astype(np.float64) ** 2).mean(axis=1)
        np.testing.assert_allclose(energy, exact, rtol=1e-6)
        # The plain way keeps count of the ends in the same float.
        np.testing.assert_allclose(expected, exact, rtol=1e-3, atol=1e-5)
        if expected_clipped is None:
            assert clipped is None
        else:
            np.testing.assert_array_equal(clipped, expected_clipped)
