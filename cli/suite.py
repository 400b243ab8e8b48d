"""`everleaf test`: style, types and the test suite, in the order in which they fail fastest."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

from cli.home import PROJECT

Extent = Literal["quick", "everyday", "long"]
# Without servers; a room that has no tests yet is left out.
QUICK = ("tests/house", "tests/domain", "tests/formats", "tests/replay")
# A debugger, and whoever prints, needs the terminal for one process.
ALONE = ("--pdb", "-s", "--capture=no")
# Each takes some 200 MB, and the longest room alone bounds the time.
MOST_WORKERS = 8


def run(extent: Extent, arguments: list[str]) -> int:
    """The exit code: 0 if every step was good, 1 if one was not, 2 if pytest was called wrongly."""
    program = str(Path(sys.executable).parent)
    steps = [
        [f"{program}/ruff", "check", "."],
        [f"{program}/ruff", "format", "--check", "."],
        [f"{program}/mypy"],
        [sys.executable, "-m", "pytest", *_workers(arguments), *_selection(extent, arguments), *arguments],
    ]
    # What the user set for a running installation must not reach the tests.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EVERLEAF_")}
    for step in steps:
        print("$", " ".join([Path(step[0]).name, *step[1:]]), flush=True)
        code = subprocess.run(step, cwd=PROJECT, env=environment).returncode
        if code:
            # pytest: 4 is wrong usage; everything else that is not 0 is a failure.
            return 2 if code == 4 and "pytest" in step else 1
    return 0


def _workers(arguments: list[str]) -> list[str]:
    """A worker for each core, unless ``arguments`` say how many (-n); a file stays whole on one of them."""
    if any(argument.startswith(ALONE) for argument in arguments):
        return []
    if any(argument.startswith(("-n", "--numprocesses")) for argument in arguments):
        return ["--dist", "loadfile"]
    return ["--dist", "loadfile", "-n", str(min(MOST_WORKERS, max(2, os.cpu_count() or 2)))]


def _selection(extent: Extent, arguments: list[str]) -> list[str]:
    if any((PROJECT / argument.split("::")[0]).exists() for argument in arguments):
        return []
    if extent == "quick":
        return [*(room for room in QUICK if (PROJECT / room).is_dir()), "-m", "not long and not server and not e2e"]
    return [] if extent == "long" else ["-m", "not long"]
