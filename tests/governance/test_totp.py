"""One-time passwords by time, by the vectors of RFC 6238, and that no code is good twice."""

import base64

import pytest

from ringback.governance import totp
from ringback.governance.private import Private
from ringback.governance.throttle import GuessPause

SECRET = Private(base64.b32encode(b"12345678901234567890").decode())


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_rfc_6238(seconds, code):
    # Appendix B has eight digits, of which the last six are ours.
    assert totp.code_at(SECRET, totp.step_of(seconds)) == code[-6:]


def test_clocks_may_be_a_step_apart_and_no_code_is_good_twice():
    now = 1_700_000_000.0
    step = totp.step_of(now)
    for apart, good in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        found = totp.matching_step(SECRET, totp.code_at(SECRET, step + apart), now, used=0)
        assert found == (step + apart if good else None)
    assert totp.matching_step(SECRET, totp.code_at(SECRET, step), now, used=step) is None
    assert totp.matching_step(SECRET, totp.code_at(SECRET, step - 1), now, used=step) is None
    for wrong in ("", "000000x", "٠١٢٣٤٥", "1" * 40):
        assert totp.matching_step(SECRET, wrong, now, used=0) is None


def test_apps_read_the_uri():
    uri = totp.uri(SECRET, "ada@example.com").reveal()
    assert uri == (
        "otpauth://totp/Ringback:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Ringback"
    )
    assert totp.new_secret() != totp.new_secret()
    assert len(base64.b32decode(totp.new_secret().reveal())) == totp.SECRET_BYTES


def test_pauses_grow_with_wrong_guesses_and_end_with_a_right_one():
    pause = GuessPause(free=3, first_s=2.0, longest_s=60.0)
    waits = []
    now = 0.0
    for _ in range(12):
        now += pause.wait_s("ada", now)
        pause.guess("ada", now)
        waits.append(pause.wait_s("ada", now))
    assert waits[:6] == [0, 0, 2, 4, 8, 16]
    assert waits[-1] == 60
    assert pause.wait_s("bob", now) == 0
    pause.right("ada")
    assert pause.wait_s("ada", now) == 0
