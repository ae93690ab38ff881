#!/usr/bin/env python3
"""Resolve the dependencies in pyproject.toml to their newest versions and write the lock files.

requirements.lock holds what the server needs and the build tool; requirements-dev.lock what the
tests need on top. Plain `name==version` lines: no addresses of a registry, no hashes of one platform's files.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Written by `make lock`; change pyproject.toml instead.\n"


def canonical(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def resolve(requirements: list[str], constraints: Path | None = None) -> dict[str, str]:
    """The versions pip would install for the requirements, dependencies included."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--only-binary", ":all:", "--report", "-", *requirements]
    if constraints is not None:
        command += ["--constraint", str(constraints)]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {canonical(item["metadata"]["name"]): item["metadata"]["version"] for item in report["install"]}


def write(path: Path, versions: dict[str, str]) -> None:
    """Write a lock file, sorted by name."""
    path.write_text(HEADER + "".join(f"{name}=={versions[name]}\n" for name in sorted(versions)))


def main() -> None:
    """Write both lock files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run_requirements = project["project"]["dependencies"] + project["build-system"]["requires"]
    run_versions = resolve(run_requirements)
    write(ROOT / "requirements.lock", run_versions)
    dev_requirements = project["project"]["optional-dependencies"]["dev"]
    dev_versions = resolve(dev_requirements, ROOT / "requirements.lock")
    write(ROOT / "requirements-dev.lock", {n: v for n, v in dev_versions.items() if n not in run_versions})


if __name__ == "__main__":
    main()
