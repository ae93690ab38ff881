from __future__ import annotations

from ringback.governance.throttle import SourceList
from ringback.net.limits import Admission, Limits


def test_who_only_opens_connections_gives_way_to_newcomers() -> None:
    admission: Admission[str] = Admission(Limits(connections_per_source=2))
    assert admission.admit("a", "192.0.2.1") == (True, [])
    assert admission.admit("b", "192.0.2.1") == (True, [])
    assert admission.admit("other", "192.0.2.2") == (True, [])
    assert admission.admit("c", "192.0.2.1") == (True, ["a"])
    admission.prove("b")
    assert admission.admit("d", "192.0.2.1") == (True, ["c"])
    admission.prove("d")
    assert admission.admit("e", "192.0.2.1") == (False, [])
    admission.forget("b")
    assert admission.admit("e", "192.0.2.1") == (True, [])


def test_the_limit_of_all_takes_the_oldest_of_anybody() -> None:
    admission: Admission[int] = Admission(Limits(connections=3))
    for number in range(3):
        assert admission.admit(number, f"192.0.2.{number}") == (True, [])
    admission.prove(0)
    assert admission.admit(3, "192.0.2.3") == (True, [1])
    for number in (2, 3):
        admission.prove(number)
    assert admission.admit(4, "192.0.2.4") == (False, [])
    assert len(admission) == 3


def test_those_of_the_list_are_not_counted() -> None:
    limits = Limits(connections=1, connections_per_source=1, allow=SourceList(["192.0.2.0/24"]))
    admission: Admission[int] = Admission(limits)
    assert all(admission.admit(number, "192.0.2.1") == (True, []) for number in range(10))
    assert len(admission) == 0


def test_nothing_is_left_of_what_is_gone() -> None:
    admission: Admission[int] = Admission(Limits())
    for number in range(50):
        admission.admit(number, f"192.0.2.{number}")
        admission.prove(number)
        admission.forget(number)
        admission.forget(number)
    assert len(admission) == 0
    assert not admission._sources
