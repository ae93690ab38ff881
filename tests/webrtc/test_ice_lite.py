"""The lite side of ICE: who is validated, who is nominated, how long it lasts."""

from __future__ import annotations

import pytest

from ringback.webrtc import stun
from ringback.webrtc.ice_lite import (
    CONSENT_S,
    MAX_SOURCES,
    IceCredentials,
    IceCredentialsError,
    IceLite,
    Source,
    local_ufrag,
)
from tests.webrtc.browser import check

OURS, THEIRS = ("peer", "p" * 22), ("host", "h" * 22)
NEW_OURS, NEW_THEIRS = ("pee2", "q" * 22), ("hos2", "i" * 22)
HOME, ROAD = (0x0A000001, 5000), (0xC0000201, 6000)


def ice() -> IceLite:
    return IceLite(IceCredentials.of(*THEIRS, *OURS))


def code(answer: bytes | None) -> int:
    """200, an error code, or 0 for no answer."""
    if answer is None:
        return 0
    message = stun.parse(answer)
    assert message is not None
    if message.kind == stun.BINDING_SUCCESS:
        return 200
    value = message.attributes[stun.ERROR_CODE]
    return value[2] * 100 + value[3]


def send(
    agent: IceLite, datagram: bytes, source: Source = HOME, now: float = 0.0, proves: bool = True
) -> int:
    """Send a check, and answer the agent's own, as a browser does; the code of its answer."""
    message = stun.parse(datagram)
    assert message is not None
    answers = agent.receive(message, source, source[0].to_bytes(4, "big"), now).answers
    for probe in answers[1:] if proves else ():
        prove(agent, probe, source)
    return code(answers[0] if answers else None)


def prove(agent: IceLite, probe: bytes, source: Source, password: str | None = None) -> None:
    request = stun.parse(probe)
    assert request is not None
    ours = OURS if request.attributes[stun.USERNAME] == b"peer:host" else NEW_OURS
    assert request.is_authentic(ours[1].encode())
    answer = stun.parse(stun.success(request, bytes(4), 1, (password or ours[1]).encode()))
    assert answer is not None
    agent.prove(answer, source)


def test_a_good_check_validates_and_a_nomination_selects() -> None:
    agent = ice()
    assert send(agent, check(OURS, THEIRS, nominate=False), HOME) == 200
    assert send(agent, check(OURS, THEIRS, nominate=True), ROAD) == 200
    assert agent.sources == [HOME, ROAD]
    assert agent.selected == ROAD
    assert send(agent, check(OURS, THEIRS, nominate=False), HOME) == 200
    assert agent.selected == ROAD


@pytest.mark.parametrize(
    "datagram",
    [
        check(OURS, ("host", "wrong password, quite long")),
        check(OURS, THEIRS, password=None),
        check(("else", ""), THEIRS),
        check(OURS, ("hosu", THEIRS[1])),
    ],
    ids=["password", "unsigned", "peer's name", "our name"],
)
def test_a_check_that_is_not_right_changes_nothing(datagram: bytes) -> None:
    agent = ice()
    assert send(agent, datagram) == 0
    assert agent.sources == []
    assert agent.selected is None


def test_a_peer_that_thinks_it_is_controlled_is_told_of_the_conflict() -> None:
    agent = ice()
    assert send(agent, check(OURS, THEIRS, controlling=False)) == 487
    assert agent.sources == []


def test_what_must_be_understood_and_is_not_is_refused() -> None:
    agent = ice()
    assert send(agent, check(OURS, THEIRS, extra=[(0x7000, b"")])) == 420
    assert agent.sources == []


def test_consent_ends_source_by_source() -> None:
    agent = ice()
    send(agent, check(OURS, THEIRS), HOME, 0.0)
    send(agent, check(OURS, THEIRS), ROAD, 10.0)
    assert agent.deadline() == CONSENT_S
    send(agent, check(OURS, THEIRS, nominate=False), HOME, 20.0)
    agent.expire(CONSENT_S + 10.0)
    assert agent.selected == HOME
    agent.expire(CONSENT_S + 20.0)
    assert agent.selected is None
    assert agent.deadline() is None


def test_a_restart_keeps_the_old_pair_until_a_nomination_with_the_new_credentials() -> None:
    agent = ice()
    send(agent, check(OURS, THEIRS), HOME)
    agent.restart(IceCredentials.of(*NEW_THEIRS, *NEW_OURS))
    assert agent.ufrags == ["hos2", "host"]
    assert send(agent, check(OURS, THEIRS), HOME) == 200
    assert send(agent, check(NEW_OURS, NEW_THEIRS, nominate=False), ROAD) == 200
    assert agent.selected == HOME
    assert send(agent, check(NEW_OURS, NEW_THEIRS), ROAD) == 200
    assert agent.selected == ROAD
    assert agent.sources == [ROAD]
    assert send(agent, check(OURS, THEIRS), HOME) == 0


def test_a_second_restart_before_the_first_is_done_keeps_the_pair_in_use() -> None:
    agent = ice()
    send(agent, check(OURS, THEIRS), HOME)
    for _ in range(2):
        agent.restart(IceCredentials.of(*NEW_THEIRS, *NEW_OURS))
    assert send(agent, check(OURS, THEIRS), HOME) == 200
    assert send(agent, check(NEW_OURS, NEW_THEIRS), HOME) == 200
    assert agent.ufrags == ["hos2"]
    assert agent.sources == [HOME]


def test_sources_are_few_and_the_selected_one_stays() -> None:
    agent = ice()
    send(agent, check(OURS, THEIRS), HOME, 0.0)
    for port in range(100):
        send(agent, check(OURS, THEIRS, nominate=False), (0xC0000201, 1000 + port), 1.0 + port)
    assert len(agent.sources) == MAX_SOURCES
    assert agent.selected == HOME
    assert HOME in agent.sources


def test_media_goes_nowhere_that_does_not_answer() -> None:
    agent = ice()
    send(agent, check(OURS, THEIRS), HOME, proves=False)
    assert agent.sources == [HOME]
    assert agent.selected is None
    ((source, probe),) = agent.unanswered()
    prove(agent, probe, source, password="wrong" * 5)
    prove(agent, probe, ROAD)
    assert agent.selected is None
    prove(agent, probe, source)
    assert agent.selected == HOME
    # A forged address is nominated: the stream stays where it is.
    send(agent, check(OURS, THEIRS), ROAD, proves=False)
    assert agent.selected == HOME
    send(agent, check(OURS, THEIRS), ROAD)
    assert agent.selected == ROAD
    assert agent.unanswered() == []


def test_whom_a_check_is_for() -> None:
    message = stun.parse(check(OURS, THEIRS))
    assert message is not None
    assert local_ufrag(message) == "host"


@pytest.mark.parametrize(
    "wrong",
    [
        ("abc", "p" * 22, "peer", "p" * 22),
        ("host", "short", "peer", "p" * 22),
        ("host", "p" * 22, "peer", "short"),
        ("h" * 257, "p" * 22, "pe12", "p" * 22),
    ],
)
def test_credentials_that_are_too_weak_are_refused(wrong: tuple[str, str, str, str]) -> None:
    with pytest.raises(IceCredentialsError):
        IceCredentials.of(*wrong)
