"""Waiting for what other processes do.  A wait ends at the fact; its bound only ends what would hang for ever."""

import time
from collections.abc import Callable
from pathlib import Path

# No verdict hangs on how fast a machine is: nothing that goes well takes so long on any, with any load beside it.
LONG_SECONDS = 1800


def has_ended(pid: int) -> bool:
    """Whether the process ends.  A zombie whose parent never reaped it has ended too."""
    deadline = time.monotonic() + LONG_SECONDS
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
