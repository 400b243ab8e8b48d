"""Waiting for what other processes do, with a deadline instead of a sleep."""

import time
from collections.abc import Callable
from pathlib import Path


def has_ended(pid: int, within_seconds: float = 60) -> bool:
    """A zombie whose parent never reaped it has ended too."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
