"""Phones in pages: good for their extension while the session lasts."""

from ringback.server.softphones import LIFETIME_S, PER_SESSION, Softphones
from ringback.sip.digest import make_ha1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_page_logs_in_with_what_it_was_given_for_a_day() -> None:
    clock = Clock()
    phones = Softphones(lambda _session, _extension: True, clock)
    made = phones.open("s1", "1001")
    device = phones.device(made.username, 10.0)
    assert device is not None
    assert device.extension == "1001"
    assert device.ha1_md5 == make_ha1(made.username, made.realm, made.password.reveal())
    assert phones.device("p-guessed", 10.0) is None
    assert phones.device(made.username, LIFETIME_S) is None


def test_who_does_not_hold_the_extension_any_more_is_cut_off_and_stays_so() -> None:
    held = {"1001"}
    phones = Softphones(lambda _session, extension: extension in held, Clock())
    made = phones.open("s1", "1001")
    assert phones.device(made.username, 1.0)
    held.clear()
    assert phones.device(made.username, 2.0) is None
    held.add("1001")
    assert phones.device(made.username, 3.0) is None


def test_one_session_has_a_bounded_number_of_pages() -> None:
    phones = Softphones(lambda _session, _extension: True, Clock())
    other = phones.open("s2", "1002")
    made = [phones.open("s1", "1001") for _ in range(PER_SESSION + 2)]
    alive = [phones.device(one.username, 1.0) is not None for one in made]
    assert alive == [False, False] + [True] * PER_SESSION
    assert phones.device(other.username, 1.0)
