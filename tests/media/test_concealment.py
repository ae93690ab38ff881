"""Concealment: a lost frame sounds like the voice it was lost from, with no click at either end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ringback.media import concealment
from ringback.media.concealment import CROSS_FADE_MS, FADE_TO_MS, conceal, history_samples, join, pitch

from . import signals
from .signals import Samples

RATES = [8000, 16000]


def plain_pitch(history: Samples, rate: int) -> float:
    """The lag of the greatest normalised correlation, tried one by one at the full rate."""
    window, likeness = rate // 50, {}
    latest = history[-window:].astype(float)
    for lag in range(rate // 400, rate * 15 // 1000 + 1):
        earlier = history[-window - lag : -lag].astype(float)
        likeness[lag] = earlier @ latest / np.sqrt(earlier @ earlier * (latest @ latest) + 1e-12)
    return max(likeness, key=lambda lag: likeness[lag])


def plain_conceal(history: Samples, lag: int, begin: int, rate: int) -> Samples:
    """One sample after another."""
    end, joint, out = len(history), lag // 4, []
    for position in range(begin, begin + rate // 50):
        if position < 0:
            out.append(float(history[end + position]))
            continue
        phase = position % lag
        sample = float(history[end - lag + phase])
        if phase > lag - joint - 1:
            weight = (phase - (lag - joint - 1)) / joint
            sample += (float(history[end - 2 * lag + phase]) - sample) * weight
        settle = max(1 - (position + 1) * 1000 / (rate * 2), 0)
        sample += (float(history[end - 1]) - float(history[end - lag - 1])) * settle
        out.append(sample * min(max((60 - position * 1000 / rate) / 50, 0), 1))
    return np.array(out, dtype=np.float32)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("begin_ms", [-30, -7, 0, 20, 33, 40, 60])
@pytest.mark.parametrize("compiled", [True, False])
def test_agrees_with_one_sample_after_another(
    rate: int, begin_ms: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(concealment, "kernels", None)
    begin = begin_ms * rate // 1000
    voices = [signals.voiced(rate, pitch=p)[: history_samples(rate) + 100] for p in (80, 120, 200, 310)]
    history = np.stack(voices)
    lags = pitch(history, rate)
    made = conceal(history, np.full(4, begin), rate)
    for row, lag, past in zip(made, lags, history, strict=True):
        np.testing.assert_allclose(row, plain_conceal(past, int(lag), begin, rate), atol=2e-6)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("frequency", [72, 110, 160, 250, 380])
def test_finds_the_pitch_of_a_voice(rate: int, frequency: int) -> None:
    steady = signals.voiced(rate, pitch=frequency, glide=0)[:2000]
    gliding = signals.voiced(rate, pitch=frequency)[:2000]
    for voice in (steady, gliding):
        found, searched = int(pitch(voice[None], rate)[0]), plain_pitch(voice, rate)
        # A multiple of the period serves as well.
        period = rate / frequency if voice is steady else searched / round(searched * frequency / rate)
        assert abs(found - round(found / period) * period) <= 1.5


@pytest.mark.parametrize("rate", RATES)
def test_a_lost_frame_of_a_voice_is_closer_to_it_than_silence_or_the_frame_before(rate: int) -> None:
    frame, needed = rate // 50, history_samples(rate)
    for frequency in (90, 137, 215):
        voice = signals.voiced(rate, pitch=frequency)
        concealed, repeated = [], []
        for at in range(needed, len(voice) - frame, 3 * frame + 13):
            truth = voice[at : at + frame]
            made = conceal(voice[None, at - needed : at], np.array([0]), rate)[0]
            concealed.append(signals.snr_db(truth, made))
            repeated.append(signals.snr_db(truth, voice[at - frame : at]))
        # Silence has an SNR of 0 dB.
        assert min(concealed) > 0
        assert np.mean(concealed) > max(7, np.mean(repeated) + 6)


@pytest.mark.parametrize("rate", RATES)
def test_spoken_words_with_losses_sound_closer_to_them_than_with_gaps(rate: int, tmp_path: Path) -> None:
    speech = signals.spoken(tmp_path, rate)
    frame, needed = rate // 50, history_samples(rate)
    frames = len(speech) // frame
    lost = np.random.default_rng(4).random(frames) < 0.1
    lost[:3] = False
    heard = {name: speech[: frames * frame].copy() for name in ("concealed", "silent", "repeated")}
    run = 0
    for number in range(frames):
        at = number * frame
        run = run + 1 if lost[number] else 0
        if run:
            start = at - (run - 1) * frame
            history = heard["concealed"][None, start - needed : start]
            heard["concealed"][at : at + frame] = conceal(history, np.array([run - 1]) * frame, rate)[0]
            heard["silent"][at : at + frame] = 0
            heard["repeated"][at : at + frame] = heard["repeated"][at - frame : at]
    distance = {name: log_spectral_distance(speech, sound, rate, lost) for name, sound in heard.items()}
    assert distance["concealed"] < 0.85 * distance["silent"]
    assert distance["concealed"] < distance["repeated"]


def log_spectral_distance(truth: Samples, heard: Samples, rate: int, lost: np.ndarray) -> float:
    """Mean distance in dB of spectra around the lost frames, over 30 dB below the loudest."""
    frame, total = rate // 50, []
    for number in np.flatnonzero(lost):
        around = slice(max(number - 1, 0) * frame, (number + 2) * frame)
        if len(truth[around]) < 3 * frame or np.mean(truth[around] ** 2) < 1e-5:
            continue
        window = np.hanning(3 * frame)
        spectra = [np.abs(np.fft.rfft(sound[around] * window)) for sound in (truth, heard)]
        floor = spectra[0].max() * 10 ** (-30 / 20)
        levels = [20 * np.log10(np.maximum(spectrum, floor)) for spectrum in spectra]
        total.append(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))
    return float(np.mean(total))


@pytest.mark.parametrize("rate", RATES)
def test_no_click_where_it_begins_goes_on_and_ends(rate: int) -> None:
    frame, needed = rate // 50, history_samples(rate)
    voice = signals.voiced(rate, pitch=131)
    at = 5000
    past = voice[None, at - needed : at]
    made = [conceal(past, np.array([run]) * frame, rate)[0] for run in (0, 1)]
    sound, wait = join(
        voice[None, at + 2 * frame : at + 3 * frame],
        past,
        np.array([2 * frame]),
        np.array([0]),
        np.array([frame]),
        rate,
    )
    joined = np.concatenate((past[0], *made, sound[0, : frame + wait[0]]))
    steepest = np.abs(np.diff(voice)).max()
    assert np.abs(np.diff(joined)).max() < 1.3 * steepest


@pytest.mark.parametrize("rate", RATES)
def test_fades_and_is_silent_after_60_ms(rate: int) -> None:
    past = np.repeat(signals.sine(200, rate)[None, :2000], 6, axis=0)
    made = conceal(past, np.arange(6) * rate // 50, rate)
    power = np.sqrt(np.mean(made**2, axis=1))
    assert (np.diff(power[:4]) < 0).all()
    assert not made[3:].any()
    ten_ms = rate // 100
    assert np.abs(made[0, :ten_ms]).max() == pytest.approx(0.1, rel=0.02)
    assert FADE_TO_MS == 60


def test_noise_is_not_made_to_buzz() -> None:
    noise = np.random.default_rng(1).standard_normal((20, 400)).astype(np.float32) * 0.05
    assert (pitch(noise, 8000) > 80).mean() > 0.7


@pytest.mark.parametrize("rate", RATES)
def test_silence_stays_silence(rate: int) -> None:
    silent = np.zeros((2, history_samples(rate)), dtype=np.float32)
    assert not conceal(silent, np.array([0, rate // 50]), rate).any()
    assert conceal(silent[:0], np.zeros(0, dtype=np.int64), rate).shape == (0, rate // 50)


def test_after_a_long_loss_the_sound_comes_back_softly() -> None:
    frame = np.full((1, 160), 0.5, dtype=np.float32)
    past = signals.voiced(8000)[None, :280]
    sound, wait = join(frame, past, np.array([8000]), np.array([0]), np.array([120]), 8000)
    assert wait[0] == 0
    back = sound[0, :160]
    assert back[0] < 0.02
    faded = 8 * CROSS_FADE_MS
    assert (np.diff(back[:faded]) > 0).all()
    assert (back[faded:] == 0.5).all()


def plain_wait(continued: Samples, begin: Samples, least: int, most: int, step: int) -> int:
    """Places tried one by one."""
    near, other = (sound.reshape(-1, step).sum(axis=1).astype(float) for sound in (continued, begin))
    likeness = {}
    for at in range(least, most + 1, step):
        piece = near[at // step : at // step + len(other)]
        likeness[at] = piece @ other / np.sqrt(piece @ piece * (other @ other) + 1e-12)
    if max(likeness.values()) < 0.5:
        return least
    return next(at for at, value in likeness.items() if value >= 0.95 * max(likeness.values()))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("least_ms", [0, 3])
def test_a_frame_is_joined_where_it_is_in_step(rate: int, least_ms: int) -> None:
    frame, needed, late = rate // 50, history_samples(rate), rate * 7 // 1000
    least, most = least_ms * rate // 1000, rate * 15 // 1000
    for pitch_hz in (90, 140, 210):
        voice = signals.voiced(rate, pitch=pitch_hz, glide=0)
        at = 3000
        past = voice[None, at - needed : at]
        # What comes has a place in the voice that is 7 ms off from where the concealment has got to.
        come = voice[None, at + frame + late : at + 2 * frame + late]
        position = np.array([frame])
        sound, wait = join(come, past, position, np.array([least]), np.array([most]), rate)
        continued = conceal(past, position, rate, 2 * frame)[0]
        assert wait[0] == plain_wait(continued, come[0, : rate * 6 // 1000], least, most, rate // 8000)
        off = ((wait[0] - late) * pitch_hz / rate + 0.5) % 1 - 0.5
        assert abs(off) < 0.12
        joined = np.concatenate((conceal(past, np.array([0]), rate)[0], sound[0, : frame + wait[0]]))
        assert np.abs(np.diff(joined)).max() < 1.2 * np.abs(np.diff(voice)).max()
        faded = rate * CROSS_FADE_MS // 1000
        np.testing.assert_allclose(sound[0, wait[0] + faded : wait[0] + frame], come[0, faded:], atol=1e-6)
        assert join(come, past, position, np.array([least]), np.array([least]), rate)[1][0] == least
