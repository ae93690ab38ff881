"""The E-model: from noise, echo, delay, codec and loss to a rating and a MOS (ITU-T G.107, G.107.1, G.107.2).

Three models with a scale of their own each: ratings and scores of one are never compared with another's. All
functions take floats or arrays that broadcast, and give float64 arrays. Delays are in ms, one way, mouth to
ear; loss is in per cent of packets, those that a buffer discards included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Scale = Literal["narrowband", "wideband", "fullband"]
Values = float | NDArray[np.float64]
Array = NDArray[np.float64]

STRETCH: Final[dict[Scale, float]] = {"narrowband": 1.0, "wideband": 1.29, "fullband": 1.48}
"""How much longer than G.107's each rating scale is (G.107.1 Annex A, G.107.2 Annex A)."""

IE_CEILING: Final[dict[Scale, float]] = {"narrowband": 95.0, "wideband": 95.0, "fullband": 132.0}
"""What the impairment by loss grows to (G.107 7-29, G.107.1 7-15, G.107.2 7.5)."""

RO_WIDEBAND: Final = 129.0
RO_FULLBAND: Final = 148.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything of a connection but delay, codec and loss, with the defaults of G.107, table 3.

    Loudness ratings, echo and side tone in dB: `slr`, `rlr` (send, receive), `stmr` (side tone), `telr`
    (talker echo), `wepl` (weighted echo path loss); `ds` and `dr` D-values of the telephones; `nc` (circuit
    noise, dBm0p), `nfor` (noise floor, dBmp), `ps` and `pr` (room noise, dB(A)); `qdu` quantising distortion;
    `delay_sensitivity` and `least_delay_ms` (sT, mT of table 1); `advantage` (A, 7.6).
    """

    slr: float = 8.0
    rlr: float = 2.0
    stmr: float = 15.0
    ds: float = 3.0
    dr: float = 3.0
    telr: float = 65.0
    wepl: float = 110.0
    nc: float = -70.0
    nfor: float = -64.0
    ps: float = 35.0
    pr: float = 35.0
    qdu: float = 1.0
    delay_sensitivity: float = 1.0
    least_delay_ms: float = 100.0
    advantage: float = 0.0


DEFAULTS: Final = Surroundings()
WIDEBAND_DEFAULTS: Final = Surroundings(nfor=-96.0)
"""G.107.1, table 1: the noise floor is that of a better telephone."""


@dataclass(frozen=True, slots=True)
class Rating:
    """A rating and its terms: R = Ro - Is - (Idte + Idle + Idd) - Ie,eff + A, and the MOS of R."""

    scale: Scale
    ro: Array
    is_: Array
    idte: Array
    idle: Array
    idd: Array
    ie_eff: Array
    r: Array
    mos: Array


def rate(
    scale: Scale,
    *,
    ie: Values = 0.0,
    bpl: Values = 1.0,
    loss_percent: Values = 0.0,
    burst_ratio: Values = 1.0,
    delay_ms: Values = 0.0,
    echo_ms: Values | None = None,
    round_trip_ms: Values | None = None,
    surroundings: Surroundings | None = None,
) -> Rating:
    """Rate a connection on one scale; `ie` and `bpl` must be of that scale (see `impairment`).

    `delay_ms` is Ta. Where echo turns back at the far end the echo path T is as long, and the loop Tr twice,
    which is taken where `echo_ms` and `round_trip_ms` are not given. Fullband has no terms for echo.
    """
    given = surroundings or (WIDEBAND_DEFAULTS if scale == "wideband" else DEFAULTS)
    ta = _array(delay_ms)
    t = ta if echo_ms is None else _array(echo_ms)
    tr = 2 * ta if round_trip_ms is None else _array(round_trip_ms)
    ie_eff = effective_impairment(scale, ie, bpl, loss_percent, burst_ratio)
    nothing = np.zeros_like(ta)
    if scale == "narrowband":
        ro = _array(signal_to_noise(given))
        is_, idte = simultaneous_impairment(given, t), talker_echo(given, t)
        idle = listener_echo(ro, given.wepl, tr)
    elif scale == "wideband":
        ro, is_ = _array(RO_WIDEBAND), nothing
        idte, idle = talker_echo_wideband(given, t), listener_echo(ro, given.wepl, tr)
    else:
        ro, is_, idte, idle = _array(RO_FULLBAND), nothing, nothing, nothing
    idd = STRETCH[scale] * absolute_delay(ta, given)
    r = ro - is_ - (idte + idle + idd) - ie_eff + given.advantage
    return Rating(scale, ro, is_, idte, idle, idd, ie_eff, r, mos(scale, r))


def mos(scale: Scale, r: Values) -> Array:
    """The mean opinion score (1 to 4.5) of a rating on its own scale (G.107 B-4; G.107.1, G.107.2 Annex A).

    As the Recommendation has it, it falls to 0.988 between R = 0 and 6.5, where it means no more than 1.
    """
    on_base = np.clip(_array(r) / STRETCH[scale], 0.0, 100.0)
    return np.asarray(1 + 0.035 * on_base + 7e-6 * on_base * (on_base - 60) * (100 - on_base))


def rating_of(scale: Scale, score: Values) -> Array:
    """The rating that gives a mean opinion score: the inverse of `mos` from R = 6.5 on (G.107 I.1)."""
    value = np.clip(_array(score), 1.0, 4.5)
    root = np.sqrt(np.maximum(-903522 + 1113960 * value - 202500 * value * value, 0.0))
    h = np.arctan2(15 * root, 18566 - 6750 * value) / 3
    on_base = 20 / 3 * (8 - np.sqrt(226) * np.cos(h + np.pi / 3))
    return np.asarray(np.clip(on_base, 0.0, 100.0) * STRETCH[scale])


def effective_impairment(
    scale: Scale, ie: Values, bpl: Values, loss_percent: Values, burst_ratio: Values = 1.0
) -> Array:
    """Ie,eff: the codec's impairment with its loss (G.107 7-29); a burst ratio below 1 counts as 1.

    G.107.1 and G.107.2 have the formula for random loss only: the ratio is used there as in G.107.
    """
    loss = np.clip(_array(loss_percent), 0.0, 100.0)
    ie_, bursts = _array(ie), np.maximum(_array(burst_ratio), 1.0)
    return np.asarray(ie_ + (IE_CEILING[scale] - ie_) * loss / (loss / bursts + _array(bpl)))


def burst_ratio(loss: Values, mean_run: Values) -> Array:
    """BurstR: mean length of runs of loss over that of random loss at the same share (G.107 3.1); 1 or more.

    `loss` is a share from 0 to 1. For a Gilbert process that enters loss with p and leaves it with q this is
    1 / (p + q).
    """
    return np.maximum(_array(mean_run) * (1 - _array(loss)), 1.0)


def noise(given: Surroundings = DEFAULTS) -> float:
    """No in dBm0p: circuit noise, both rooms and the noise floor as one (G.107 7-3 to 7-7)."""
    lstr = given.stmr + given.dr
    send = (
        given.ps
        - given.slr
        - given.ds
        - 100
        + 0.004 * (given.ps - given.slr - given.rlr - given.ds - 14) ** 2
    )
    room = given.pr + 10 * np.log10(1 + 10 ** ((10 - lstr) / 10))
    receive = given.rlr - 121 + room + 0.008 * (room - 35) ** 2
    return float(
        10 * np.log10(sum(10 ** (n / 10) for n in (given.nc, send, receive, given.nfor + given.rlr)))
    )


def signal_to_noise(given: Surroundings = DEFAULTS) -> float:
    """Ro (G.107 7-2)."""
    return 15 - 1.5 * (given.slr + noise(given))


def simultaneous_impairment(given: Surroundings, echo_ms: Values) -> Array:
    """Is: too low a loudness, side tone, quantising (G.107 7-8 to 7-17)."""
    loudness = given.slr + given.rlr + 0.2 * (64 + noise(given) - given.rlr)
    iolr = 20 * ((1 + (loudness / 8) ** 8) ** (1 / 8) - loudness / 8)
    q = 37 - 15 * np.log10(given.qdu)
    g = 1.07 + 0.258 * q + 0.0602 * q * q
    y = (signal_to_noise(given) - 100) / 15 + 46 / 8.4 - g / 9
    z = 46 / 30 - g / 40
    iq = 15 * np.log10(1 + 10**y + 10**z)
    return np.asarray(iolr + side_tone(given, echo_ms) + iq)


def side_tone(given: Surroundings, echo_ms: Values) -> Array:
    """Ist: side tone that is not at its best (G.107 7-11, 7-12)."""
    x = -10 * np.log10(10 ** (-given.stmr / 10) + np.exp(-_array(echo_ms) / 4) * 10 ** (-given.telr / 10))
    return (
        12 * (1 + ((x - 13) / 6) ** 8) ** (1 / 8)
        - 28 * (1 + ((x + 1) / 19.4) ** 35) ** (1 / 35)
        - 13 * (1 + ((x - 3) / 33) ** 13) ** (1 / 13)
        + 29
    )


def talker_echo(given: Surroundings, echo_ms: Values) -> Array:
    """Idte (G.107 7-19 to 7-24); below 1 ms echo is side tone."""
    t = _array(echo_ms)
    terv = given.telr + _echo_weight(t)
    ist = side_tone(given, t)
    if given.stmr < 9:
        terv = terv + ist / 2
    idte = _echo(-1.5 * (noise(given) - given.rlr), 80 + 2.5 * (terv - 14), t)
    if given.stmr > 20:
        idte = np.sqrt(idte**2 + ist**2)
    return np.where(t < 1, 0.0, idte)


def talker_echo_wideband(given: Surroundings, echo_ms: Values) -> Array:
    """Idte of G.107.1 (7-5 to 7-10); its noise, which it leaves open, is that of G.107 with its own floor."""
    t = _array(echo_ms)
    terv = given.telr + np.where(t < 100, 0.08 * t + 10, 18.0) + _echo_weight(t)
    return _echo(-1.5 * (noise(given) - given.rlr), 80 + 3 * (terv - 14), t)


def listener_echo(ro: Values, wepl: float, round_trip_ms: Values) -> Array:
    """Idle (G.107 7-25, 7-26; G.107.1 7-11, 7-12)."""
    half = (_array(ro) - 10.5 * (wepl + 7) * (_array(round_trip_ms) + 1) ** -0.25) / 2
    return np.asarray(half + np.sqrt(half**2 + 169))


def absolute_delay(delay_ms: Values, given: Surroundings = DEFAULTS) -> Array:
    """Idd on G.107's scale (7-27, 7-28): nothing up to `least_delay_ms`."""
    power = 6 * given.delay_sensitivity
    x = np.log2(np.maximum(_array(delay_ms) / given.least_delay_ms, 1.0))
    return 25 * ((1 + x**power) ** (1 / power) - 3 * (1 + (x / 3) ** power) ** (1 / power) + 2)


def _echo_weight(t: Array) -> Array:
    return np.asarray(-40 * np.log10((1 + t / 10) / (1 + t / 150)) + 6 * np.exp(-0.3 * t**2))


def _echo(roe: float, re: Array, t: Array) -> Array:
    half = (roe - re) / 2
    return np.asarray((half + np.sqrt(half**2 + 100) - 1) * (1 - np.exp(-t)))


def _array(values: Values) -> Array:
    return np.asarray(values, np.float64)
