"""A whole diagnosis of damaged captures: never a traceback, a warning or a flood of memory."""

from __future__ import annotations

import json
import resource
import warnings
from pathlib import Path

import numpy as np
import pytest

from ringback.diagnosis.from_files import diagnose
from ringback.diagnosis.json_form import as_json
from ringback.diagnosis.report.page import report_html

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "captures"
INDEX = FOLDER / "INDEX.json"

if not INDEX.exists():
    pytest.skip("the captures are not beside the checkout", allow_module_level=True)

FILES = [entry["file"] for entry in json.loads(INDEX.read_text())["captures"]]
SEEDS = range(6)
FLIPS = (1_000, 30)


@pytest.mark.parametrize("name", FILES)
def test_damage_ends_no_diagnosis(tmp_path: Path, name: str) -> None:
    data = np.fromfile(FOLDER / name, np.uint8)
    path = tmp_path / name
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in SEEDS:
        chance = np.random.default_rng(seed)
        damaged = data.copy()
        places = chance.integers(0, len(data), FLIPS[seed % len(FLIPS)])
        damaged[places] ^= chance.integers(1, 256, len(places)).astype(np.uint8)
        cut = data[: chance.integers(0, len(data))]
        for octets in (damaged, cut):
            path.write_bytes(octets.tobytes())
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found = diagnose([path])
                json.dumps(as_json(found))
                "".join(report_html(found))
            assert all(problem.file == name for problem in found.problems)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1_024
    assert grown_mb < 300, "a damaged time stamp must not be laid out second by second"
