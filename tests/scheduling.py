"""Which tests stay together on one of the parallel workers, and which of them begin first."""

from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parents[1]
# Their files share one running product, in an order of their own.
SHARING = ("tests/e2e", "tests/production")
# What takes longest begins first, so that no worker is left alone with it at the end; the rest follows as collected.
FIRST: tuple[str, ...] = ("tests/e2e", "tests/faults/test_kill_points.py", "tests/production", "tests/faults")
FIRST += ("tests/launcher", "tests/domain", "tests/api")


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """What takes longest first, else as collected."""

    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(ROOT).as_posix()
        return next((place for place, name in enumerate(FIRST) if path.startswith(name)), len(FIRST))

    return sorted(items, key=rank)


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """A file stays on one worker, and so does a room whose files share one product."""

    def _split_scope(self, nodeid: str) -> str:
        return next((room for room in SHARING if nodeid.startswith(f"{room}/")), super()._split_scope(nodeid))
