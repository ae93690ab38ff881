"""`ringback diagnose` of many calls, of changes, and of several points, on captures whose cause is known."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringback.cli.main import run
from ringback.diagnosis import diagnose
from ringback.testing.captures import make

MONDAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ANSWERS = ("better", "worse", "unproven")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Captures of two sites; what goes by carrier-b loses, what goes by carrier-a does not."""
    folder = tmp_path_factory.mktemp("captures")
    networks = []
    for seed in range(8):
        for trunk, label in (("carrier-a", "none"), ("carrier-b", "constant-path-fault")):
            path = folder / f"{trunk}-{seed}.pcap"
            path.write_bytes(make(label, seed, 1.0).pcap)
            (call,) = diagnose([path]).calls
            assert call.record is not None
            site = "north" if seed % 2 else "south"
            networks.append((f"{call.record.caller.src}/32", site, ""))
            networks.append((f"{call.record.caller.dst}/32", "", trunk))
    with (folder / "sites.csv").open("w") as file:
        csv.writer(file).writerows([("network", "site", "trunk"), *networks])
    return folder


def records(path: Path, bad_share: float, seed: int, calls: int = 400, bad_trunk: str = "") -> Path:
    """A table of calls of a week, of which so many are bad; of one trunk half are."""
    chance = np.random.default_rng(seed)
    with path.open("w") as file:
        table = csv.writer(file)
        table.writerow(["start", "site", "trunk", "mos", "loss_percent", "outcome"])
        for _ in range(calls):
            trunk = str(chance.choice(["a", "b"]))
            bad = chance.uniform() < (0.5 if trunk == bad_trunk else bad_share)
            start = MONDAY + timedelta(minutes=float(chance.uniform(0, 5 * 24 * 60)))
            mos = chance.normal(2.9 if bad else 4.2, 0.1)
            site = str(chance.choice(["north", "south"]))
            table.writerow([start.isoformat(), site, trunk, f"{mos:.2f}", 4.0 if bad else 0.1, "answered"])
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(["diagnose", *map(str, arguments)]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told(capsys, *arguments, "--json"))
    return found


def test_the_bad_trunk_of_a_folder_stands_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "out.html"
    many = as_json(capsys, folder, "--sites", folder / "sites.csv", "--report", report)["many"]
    assert many["calls"] == 16
    assert {(one["dimension"], one["group"]) for one in many["stand_out"]} == {("trunk", "carrier-b")}
    assert many["compared"] >= 4
    shown = told(capsys, folder, "--sites", folder / "sites.csv")
    assert "7 of 16 calls were bad (43.8 %): trunk carrier-b stands out." in shown
    assert "✗ trunk carrier-b: 87.5 % of 8 calls were bad, of all others 0.0 % (p = 0.001)" in shown
    assert "✗ trunk carrier-b: median loss 6.68 % in 8 calls, of all others 0 % (p < 0.001)" in shown
    assert f"{many['compared']} comparisons were made" in " ".join(shown.split())
    page = report.read_text()
    assert "trunk carrier-b" in page
    assert page.index("What stands out") < page.index('id="call-0"')


def test_calls_of_a_table_need_no_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = records(tmp_path / "week.csv", 0.02, 1, bad_trunk="b")
    report = tmp_path / "out.html"
    shown = told(capsys, "--records", table, "--report", report)
    assert shown.splitlines()[0].startswith("week.csv · 2026-03-02T")
    assert "trunk b stands out." in shown
    heading = shown.index("Bad calls by day and hour, in per cent")
    assert shown[heading:].splitlines()[1].split()[:3] == ["00", "01", "02"]
    assert "Bad calls by site and hour, in per cent" in shown
    page = report.read_text()
    assert "calls were bad" in page[page.index("<h1>") : page.index("</h1>")]
    assert '<caption class="unseen">Bad calls by day and hour, per cent of calls</caption>' in page
    found = as_json(capsys, "--records", table)
    assert (found["calls"], found["streams"]) == ([], [])
    assert [heat["rows"]["by"] for heat in found["many"]["heat_maps"]] == ["day", "site", "trunk"]
    assert sum(map(sum, found["many"]["heat_maps"][0]["calls"])) == 400


def test_where_nothing_is_wrong_nothing_stands_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = told(capsys, "--records", records(tmp_path / "week.csv", 0.05, 3))
    assert "nothing stands out beyond chance." in shown
    assert "✗" not in shown


@pytest.mark.parametrize(("share", "answer"), [(0.02, "better"), (0.4, "worse"), (0.15, "unproven")])
def test_a_baseline_is_kept_and_held_against(
    share: float, answer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, report = tmp_path / "before.json", tmp_path / "out.html"
    before = records(tmp_path / "before.csv", 0.15, 5)
    told(capsys, "--records", before, "--save-baseline", kept, "--name", "before the new switch")
    assert "north" not in kept.name
    after = records(tmp_path / "after.csv", share, 6)
    found = as_json(capsys, "--records", after, "--against", kept, "--report", report)["many"]["baseline"]
    assert (found["name"], found["answer"]) == ("before the new switch", answer)
    shown = told(capsys, "--records", after, "--against", kept)
    sentence = {
        "better": "✓ It is better than the baseline “before the new switch” (400 calls from 2026-03-02",
        "worse": "✗ It is worse than the baseline “before the new switch” (400 calls from 2026-03-02",
        "unproven": "? No difference to the baseline “before the new switch” is proven (400 calls",
    }[answer]
    assert sentence in shown
    assert f"{answer}: bad calls: " in shown
    assert "Since the baseline" in report.read_text()


def test_few_calls_and_damaged_baselines_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = records(tmp_path / "few.csv", 0.1, 1, calls=12)
    (tmp_path / "no.json").write_text('{"calls": 3}')
    for arguments, said in (
        (["--records", few, "--save-baseline", tmp_path / "b.json"], "at least 20 are needed"),
        (["--records", few, "--against", tmp_path / "no.json"], "this is no baseline of format 1"),
        (["--records", few, "--against", tmp_path / "missing.json"], "missing.json"),
        (["--records", tmp_path / "no.json"], "no column of times"),
        (["--records", few, "--sites", few], "there is no network in it"),
    ):
        assert run(["diagnose", *map(str, arguments)]) == 1
        assert said in capsys.readouterr().err
    for arguments, said in (
        (["--records", few, few], "--records is in place of captures"),
        (["--records", few, "--what-if", "standard"], "--records has none of"),
        (["--records", few, "--name", "x"], "give --save-baseline FILE.json, too"),
        ([few, "--what-if", "buffer=lots"], "--what-if: buffer cannot be lots: buffer=0 to 1000 or adaptive"),
        ([few, "--what-if", "standard", "--what-if", "fec=1"], "--what-if standard stands alone"),
    ):
        assert run(["diagnose", *map(str, arguments)]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "b.json").exists()


def test_a_deeper_buffer_mends_a_jittery_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, report = tmp_path / "call.pcap", tmp_path / "out.html"
    path.write_bytes(make("jitter-with-a-small-buffer", 2, 1.0).pcap)
    streams = as_json(capsys, path, "--what-if", "buffer=20", "--what-if", "buffer=250")["streams"]
    worst = max(streams, key=lambda one: one["what_if"][1]["not_played_percent"])["what_if"]
    assert [one["change"] for one in worst][1:] == ["buffer=20", "buffer=250"]
    assert worst[1]["not_played_percent"] > 5 > 0.5 > worst[2]["not_played_percent"]
    assert worst[2]["delay_ms"] - worst[1]["delay_ms"] == pytest.approx(230, abs=1)
    assert worst[2]["mos"]["value"] > worst[1]["mos"]["value"]
    assert not worst[1]["best_listening"]
    shown = told(capsys, path, "--what-if", "standard", "--report", report)
    assert "fixed buffer of 200 ms" in shown
    assert "scores of different scales cannot be compared" in shown
    assert '<details open class="what-if">' in report.read_text()


def test_the_report_of_a_bad_call_has_the_standard_changes_to_be_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, report = tmp_path / "call.pcap", tmp_path / "out.html"
    path.write_bytes(make("congestion", 3, 1.0).pcap)
    assert "What if" not in told(capsys, path, "--report", report)
    page = report.read_text()
    assert page.count('<details class="what-if">') == 1
    assert "a copy in the next packet (FEC)" in page
    path.write_bytes(make("none", 3).pcap)
    told(capsys, path, "--report", report)
    assert "What if" not in report.read_text()


def test_the_segment_that_loses_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = make("constant-path-fault", 4, 1.0, everywhere=True)
    arguments: list[object] = ["--report", tmp_path / "out.html"]
    for name, data in made.points.items():
        (tmp_path / f"{name}.pcap").write_bytes(data)
        arguments += ["--point", f"{name}={tmp_path / name}.pcap"]
    points = as_json(capsys, *arguments)["points"]
    lost = {}
    for path in points["paths"]:
        for segment in path["segments"]:
            at = {
                truth.point: truth
                for truth in made.streams
                if f"0x{truth.ssrc:08X}" == path["points"][0]["ssrc"]
            }
            lost[segment["from"], segment["to"]] = segment["lost"]
            # At both edges a packet may have been lost that only one capture's span tells of.
            assert segment["lost"] == pytest.approx(
                at[segment["from"]].unique - at[segment["to"]].unique, abs=2
            )
            assert segment["loses_most"] == (segment["lost"] > 0)
    worst = max(lost, key=lambda pair: lost[pair])
    assert lost[worst] == 49
    shown = told(capsys, *arguments)
    assert f"✗ {worst[0]} → {worst[1]}" in shown
    assert shown.count("The clock of ") == 2
    page = (tmp_path / "out.html").read_text()
    assert (
        page.count("loses most")
        == page.count('class="segment worst"')
        == sum(any(segment["lost"] for segment in path["segments"]) for path in points["paths"])
    )
