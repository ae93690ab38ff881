"""Sound over IPv6: phones that have nothing else, and calls between them and those on IPv4."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ringback.quality.tones import tone_levels
from tests.wire.baresip import Baresip
from tests.wire.namespaces import skip_without_namespaces
from tests.wire.two_families import PHONE_4, PHONE_6, TwoFamilies, made_families

pytestmark = pytest.mark.wire
MakeBaresip = Callable[..., Baresip]
ONE_HZ, OTHER_HZ = 440.0, 1_090.0


@pytest.fixture
def families(tmp_path: Path) -> Iterator[TwoFamilies]:
    skip_without_namespaces()
    with made_families(tmp_path) as made:
        yield made


def hears(phone: Baresip, *tones_hz: float) -> bool:
    """Whether a phone hears these tones now."""
    audio, rate = phone.listen(0.3)
    return len(audio) > 0 and bool((tone_levels(audio, rate, list(tones_hz)) > -25).all())


def wait_heard(phone: Baresip, *tones_hz: float) -> None:
    """Wait until a phone hears these tones."""
    assert any(hears(phone, *tones_hz) for _ in range(12)), f"{phone.name} does not hear {tones_hz} Hz"


def phone_of_ipv6(made: TwoFamilies, make_baresip: MakeBaresip, number: str, **settings: object) -> Baresip:
    """A phone that has IPv6 alone, registered."""
    password = made.server.add_extension(number)
    phone = make_baresip(
        number, server=made.udp_6, password=password, host=made.six, local=PHONE_6, **settings
    )
    phone.register()
    return phone


def phone_of_ipv4(made: TwoFamilies, make_baresip: MakeBaresip, number: str, **settings: object) -> Baresip:
    """A phone that has IPv4 alone, registered."""
    password = made.server.add_extension(number)
    phone = make_baresip(
        number, server=made.udp_4, password=password, host=made.four, local=PHONE_4, **settings
    )
    phone.register()
    return phone


def test_a_phone_of_ipv4_and_one_of_ipv6_alone_hear_each_other(
    families: TwoFamilies, make_baresip: MakeBaresip
) -> None:
    six = phone_of_ipv6(families, make_baresip, "2701", tone_hz=ONE_HZ)
    four = phone_of_ipv4(families, make_baresip, "2702", tone_hz=OTHER_HZ)
    four.start_call("2701")
    six.answer()
    four.wait_talking()
    wait_heard(six, OTHER_HZ)
    wait_heard(four, ONE_HZ)
    four.hang_up_and_wait()
