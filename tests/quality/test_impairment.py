"""What codecs cost, with where each value came from."""

from __future__ import annotations

import pytest

from ringback.quality import emodel
from ringback.quality.impairment import G711_NO_PLC, G729, TABLE, impairment


def score(name: str, loss_percent: float) -> float:
    codec = impairment(name)
    assert codec.ie is not None
    assert codec.bpl is not None
    rated = emodel.rate(codec.scale, ie=codec.ie, bpl=codec.bpl, loss_percent=loss_percent)
    return float(rated.mos)


@pytest.mark.parametrize(
    ("name", "scores"),
    [
        ("pcmu", (4.33, 4.23, 3.92, 3.41)),
        ("pcma", (4.33, 4.23, 3.92, 3.41)),
        ("g729", (3.95, 3.79, 3.34, 2.75)),
    ],
)
def test_scores_of_random_loss(name: str, scores: tuple[float, ...]) -> None:
    assert [score(name, loss) for loss in (1, 2, 5, 10)] == pytest.approx(scores, abs=0.006)


def test_g711_without_concealment_falls_much_faster() -> None:
    scores = [
        float(emodel.rate("narrowband", ie=G711_NO_PLC.ie or 0, bpl=G711_NO_PLC.bpl or 0, loss_percent=x).mos)
        for x in (1, 2, 5, 10)
    ]
    assert [round(x, 2) for x in scores] == [3.83, 3.26, 2.17, 1.48]


@pytest.mark.parametrize(
    ("name", "scale", "ie", "bpl", "grounding"),
    [
        ("pcmu", "narrowband", 0, 25.1, "published"),
        ("g729", "narrowband", 11, 19, "published"),
        ("g723", "narrowband", 15, 16.1, "published"),
        ("gsm-efr", "narrowband", 5, 10, "published"),
        ("amr-wb", "wideband", 20, 4.3, "provisional"),
        ("g722", "wideband", 13, 4.3, "provisional"),
        ("opus", "wideband", 5, 15, "provisional"),
    ],
)
def test_values(name: str, scale: str, ie: float, bpl: float, grounding: str) -> None:
    codec = impairment(name)
    assert (codec.scale, codec.ie, codec.bpl, codec.grounding) == (scale, ie, bpl, grounding)
    assert codec.source


def test_what_is_guessed_says_so() -> None:
    for codec in TABLE:
        assert ("guess" in codec.source) == (codec.grounding == "provisional"), codec.codec
    assert G729.grounding == "provisional"


def test_opus_that_is_played_at_8_khz_is_on_the_narrowband_scale() -> None:
    codec = impairment("opus", clock_rate=48000, parameters="maxplaybackrate=8000; useinbandfec=1")
    assert (codec.scale, codec.ie, codec.bpl) == ("narrowband", 0, 28)


@pytest.mark.parametrize(("size", "ie"), [(24, 15), (48, 15), (20, 19), (40, 19), (0, 15)])
def test_the_rate_of_g723_is_seen_by_its_packets(size: int, ie: float) -> None:
    assert impairment("g723", payload_bytes=size).ie == ie


def test_the_rate_of_amr_is_seen_by_its_packets() -> None:
    assert impairment("amr-wb", payload_bytes=33).grounding == "published"
    assert impairment("amr-wb", payload_bytes=24).grounding == "provisional"
    amr = impairment("amr", payload_bytes=32)
    assert (amr.scale, amr.ie, amr.bpl, amr.grounding) == ("narrowband", 5, 10, "published")
    assert impairment("amr", payload_bytes=20).grounding == "none"


@pytest.mark.parametrize("name", ["ilbc", "evs", "l16", "unknown", ""])
def test_an_unknown_codec_has_no_values_and_says_why(name: str) -> None:
    codec = impairment(name)
    assert (codec.ie, codec.bpl, codec.grounding) == (None, None, "none")
    assert "no Ie and Bpl" in codec.why_not
