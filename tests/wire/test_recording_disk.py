"""A disk that fills while a call is recorded: the call goes on, the recording ends and says so, and what was
recorded until then can be played; once there is room again the next call is recorded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback.quality.tones import tone_levels
from tests.wire.baresip import Baresip
from tests.wire.desk_phone import check_both_hear, meet
from tests.wire.disks import disk_full, own_disk
from tests.wire.namespaces import skip_without_namespaces
from tests.wire.recorded_office import RecordedOffice, Samples, wait_for
from tests.wire.server import RingbackServer

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.calm]

CALLER, CALLED = "5201", "5202"
TONES = {CALLER: 600.0, CALLED: 1090.0}
PATIENCE_S = 30.0
RATE = 16_000
SEALED = 3 * (16 << 10)
"""Octets of three chunks: one and a half seconds."""


@contextlib.contextmanager
def made_office(folder: Path, part: str = "voices", room_mb: int = 4) -> Iterator[RecordedOffice]:
    """Everybody's calls are recorded, and that part of the data is on a small disk."""
    skip_without_namespaces()
    settings = {"RINGBACK_SECURITY__VAULT_KEY_FILE": str(folder / "vault.key")}
    server = RingbackServer(folder / "server", settings=settings)
    with own_disk(server, part, room_mb=room_mb):
        office = RecordedOffice(server.start())
        office.write_policy(mode="always", players=["auditor"])
        yield office


@contextlib.contextmanager
def two_phones(office: RecordedOffice, folder: Path) -> Iterator[tuple[Baresip, Baresip]]:
    with contextlib.ExitStack() as ends:
        made = []
        for number, tone_hz in TONES.items():
            password = office.add_extension(number)
            phone = Baresip(folder, number, server=office.server.udp, password=password, tone_hz=tone_hz)
            ends.callback(phone.stop)
            made.append(phone.start())
        for phone in made:
            phone.register()
        yield made[0], made[1]


def happened(office: RecordedOffice, kind: str) -> int:
    """How often that was told to the pages and to Prometheus."""
    line = f'ringback_happenings_total{{kind="{kind}"}} '
    told = [one for one in office.server.fetch("/metrics").splitlines() if one.startswith(line)]
    return int(float(told[0].split()[-1])) if told else 0


def wait_happened(office: RecordedOffice, kind: str, times: int) -> None:
    wait_for(lambda: happened(office, kind) >= times, PATIENCE_S)


def wait_recorded(office: RecordedOffice, *before: dict[str, Any]) -> None:
    """Wait until all three files of what is recorded now, and not `before`, hold one and a half seconds."""

    def enough(folder: Path) -> bool:
        files = list(folder.glob("*.rbv"))
        return len(files) == 3 and all(file.stat().st_size > SEALED for file in files)

    old = {one["id"] for one in before}
    wait_for(lambda: any(enough(one) for one in office.voices.glob("*") if one.name not in old), PATIENCE_S)


def files_of(office: RecordedOffice) -> dict[str, int]:
    """How many files each voice has."""
    return {one.name: len(list(one.iterdir())) for one in office.voices.glob("*") if one.is_dir()}


def has(samples: Samples, frequency: float) -> bool:
    return bool(tone_levels(samples, RATE, [frequency])[0] > -30)


def check_voices(office: RecordedOffice, found: dict[str, Any]) -> None:
    """Each track holds whose it is from its beginning to its end, and the mix both."""
    parts = {track["extension"]: track["part"] for track in found["tracks"]}
    assert set(parts) == set(TONES)
    mix = office.track(found["id"])
    assert len(mix) == round(found["seconds"] * RATE) >= RATE
    for samples in (mix[:RATE], mix[-RATE:]):
        assert all(has(samples, tone) for tone in TONES.values())
    for extension, part in parts.items():
        samples = office.track(found["id"], part)
        assert len(samples) >= RATE
        for other, tone in TONES.items():
            assert has(samples[-RATE:], tone) == (other == extension)


def without_tone_s(samples: Samples, tone_hz: float, rate: int) -> float:
    """The longest time without a tone, from when it is first heard."""
    frame = rate // 50
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    there = [bool(tone_levels(one, rate, [tone_hz], 20)[0] > -30) for one in frames]
    longest = run = 0
    for heard in there[there.index(True) :]:
        run = 0 if heard else run + 1
        longest = max(longest, run)
    return longest / 50


def story_of(office: RecordedOffice, call: str) -> str:
    return "\n".join(office.server.ask("calls", "show", call)["story"])


def next_call_is_recorded(office: RecordedOffice, phones: tuple[Baresip, Baresip], *before: Any) -> None:
    """Whole, and as everybody's calls were before."""
    caller, called = phones
    meet(caller, called)
    wait_recorded(office, *before)
    caller.hang_up_and_wait()
    wait_for(lambda: len(office.recordings(CALLER)) == len(before) + 1, PATIENCE_S)
    whole = office.recordings(CALLER)[0]
    assert (whole["cut"], whole["end_reason"]) == (False, "room_ended")
    check_voices(office, whole)
    assert files_of(office) == {one["id"]: 3 for one in (*before, whole)}
    assert office.server.ask("recording", "verify", whole["id"])["sound"]


def check_no_gap(*phones: Baresip) -> None:
    """In the whole of the latest call each heard the other."""
    for phone in phones:
        (other_hz,) = set(TONES.values()) - {phone.tone_hz}
        assert without_tone_s(phone.heard(), other_hz, phone.rate) < 1


def test_a_disk_that_fills_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    with made_office(tmp_path) as office, two_phones(office, tmp_path) as (caller, called):
        meet(caller, called)
        wait_recorded(office)
        with disk_full(office.voices):
            wait_happened(office, "recording.failed", 1)
            check_both_hear(caller, called)
            wait_for(lambda: len(office.recordings(CALLER)) == 1, PATIENCE_S)
            (cut,) = office.recordings(CALLER)
            assert (cut["cut"], cut["end_reason"]) == (True, "disk_full")
            assert "recording.failed" in office.server.output()
            check_voices(office, cut)
            caller.hang_up_and_wait()
            # What was begun meanwhile is gone.
            wait_for(lambda: files_of(office) == {cut["id"]: 3}, PATIENCE_S)
        check_no_gap(caller, called)
        assert "not recorded: disk full" in story_of(office, cut["call"])
        next_call_is_recorded(office, (caller, called), cut)


@pytest.mark.long
def test_a_call_that_begins_on_a_full_disk_is_not_recorded_and_says_so(tmp_path: Path) -> None:
    with made_office(tmp_path) as office, two_phones(office, tmp_path) as phones:
        with disk_full(office.voices):
            meet(*phones)
            wait_happened(office, "recording.failed", 3)
            check_both_hear(*phones)
            phones[0].hang_up_and_wait()
            wait_for(lambda: files_of(office) == {}, PATIENCE_S)
            assert office.recordings() == []
        check_no_gap(*phones)
        assert "the disk is full" in office.server.output()
        next_call_is_recorded(office, phones)


@pytest.mark.long
def test_where_the_database_is_on_the_full_disk_too_the_recording_counts_once_there_is_room(
    tmp_path: Path,
) -> None:
    with made_office(tmp_path, "", 96) as office, two_phones(office, tmp_path) as phones:
        meet(*phones)
        wait_recorded(office)
        with disk_full(office.server.data):
            wait_happened(office, "recording.failed", 3)
            check_both_hear(*phones)
            phones[0].hang_up_and_wait()
            meet(*phones)
            phones[0].hang_up_and_wait()
        check_no_gap(*phones)
        wait_for(lambda: len(office.recordings(CALLER)) == 1, PATIENCE_S)
        (cut,) = office.recordings(CALLER)
        assert (cut["cut"], cut["end_reason"]) == (True, "disk_full")
        check_voices(office, cut)
        wait_for(lambda: files_of(office) == {cut["id"]: 3}, PATIENCE_S)
        next_call_is_recorded(office, phones, cut)


@pytest.mark.long
@pytest.mark.parametrize("part", ["voices", ""])
def test_a_server_that_is_killed_on_a_full_disk_keeps_what_can_be_read_and_nothing_else(
    tmp_path: Path, part: str
) -> None:
    with made_office(tmp_path, part, 96 if not part else 4) as office, two_phones(office, tmp_path) as phones:
        meet(*phones)
        wait_recorded(office)
        with disk_full(office.server.data / part):
            wait_happened(office, "recording.failed", 1)
            office.server.kill_all()
            if part:
                office.server.start()
        if not part:
            office.server.start()
        (cut,) = office.recordings(CALLER)
        assert cut["cut"]
        assert cut["end_reason"] in ("disk_full", "restart")
        check_voices(office, cut)
        assert files_of(office) == {cut["id"]: 3}
        for phone in phones:
            phone.hang_up()
            phone.wait_calls(0)
            phone.command("uareg", "60")
            phone.register()
        next_call_is_recorded(office, phones, cut)


@pytest.mark.long
def test_with_room_again_in_the_same_call_it_is_recorded_on(tmp_path: Path) -> None:
    with made_office(tmp_path) as office, two_phones(office, tmp_path) as phones:
        meet(*phones)
        wait_recorded(office)
        with disk_full(office.voices):
            wait_happened(office, "recording.failed", 1)
        wait_for(lambda: len(office.recordings(CALLER)) == 1, PATIENCE_S)
        (cut,) = office.recordings(CALLER)
        wait_recorded(office, cut)
        phones[0].hang_up_and_wait()
        check_no_gap(*phones)
        wait_for(lambda: len(office.recordings(CALLER)) == 2, PATIENCE_S)
        after = office.recordings(CALLER)[0]
        assert (after["cut"], after["call"]) == (False, cut["call"])
        check_voices(office, after)
