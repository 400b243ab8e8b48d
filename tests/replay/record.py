"""Records the histories of a release: every scenario of tests/workflows, each kind of run that can be in one.

    python -m tests.replay.record 0.2.0

What is stored already stays as it is: a history is only added, never recorded again.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.workflows.keeping import FOLDER

HERE = Path(__file__).parent


def main() -> None:
    if len(sys.argv) != 2 or not all(part.isdecimal() for part in sys.argv[1].split(".")):
        raise SystemExit("usage: python -m tests.replay.record RELEASE   as 0.2.0")
    folder = HERE / sys.argv[1]
    before = {path.name for path in folder.glob("*/*.json")}
    environment = os.environ | {FOLDER: str(folder)}
    command = [sys.executable, "-m", "pytest", "-q", "tests/workflows"]
    done = subprocess.run(command, cwd=HERE.parent.parent, env=environment)
    after = {path.name for path in folder.glob("*/*.json")}
    print(f"{len(after - before)} histories were added to {folder}; {len(after)} are there")
    # A scenario whose test failed has left no history, or one of something else.
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
