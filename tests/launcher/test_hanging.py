"""Alive is not well: a part that hangs is told with since when and started again; one that works is waited for."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cli import status
from cli.home import Home
from cli.parts import is_younger
from cli.process import Child
from cli.progress import LEAST_CPU_SECONDS, Progress, cpu_seconds
from cli.supervisor import Part, Supervisor, hung_seconds
from domain.errors import BadInput, NotReady
from tests.launcher.waiting import LONG_SECONDS, until

BEATS = """
import pathlib, sys, time
while True:
    pathlib.Path(sys.argv[1]).write_text("")
    time.sleep(0.05)
"""
BURNS = """
while True:
    pass
"""


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr("cli.supervisor.PROBE_EVERY_SECONDS", 0.05)
    home = Home(tmp_path / "home")
    home.prepare()
    supervisor = Supervisor(home, lambda *_: None, hung_seconds=1.0)
    with home.held():
        yield supervisor
        supervisor.stop()


def program(supervisor: Supervisor, code: str, *words: str) -> Child:
    mark = supervisor.home.path / "mark"
    command = [sys.executable, "-c", code, str(mark), *words]
    child = Child("part", command, os.environ, supervisor.home.log("part"), marks=(mark,), patience_seconds=0.1)
    child.answers = mark.exists
    return child


def beating(supervisor: Supervisor) -> Child:
    child = program(supervisor, BEATS)
    # Whole seconds: no busy machine delays a beat of every twentieth for so long.
    child.answers = lambda: is_younger(child.marks[0], timedelta(seconds=3))
    return child


def watched(supervisor: Supervisor, so: Callable[[Part], bool]) -> Part:
    def is_so() -> bool:
        supervisor.watch()
        return so(supervisor.parts[0])

    until(is_so)
    return supervisor.parts[0]


def pid_of(part: Part) -> int:
    assert part.child is not None
    assert part.child.process is not None
    return part.child.process.pid


def test_a_part_that_hangs_is_unwell_with_since_when_and_is_started_again(supervisor: Supervisor) -> None:
    supervisor.hung_seconds = 3600
    supervisor.start(beating(supervisor))
    first = pid_of(supervisor.parts[0])
    os.kill(first, signal.SIGSTOP)

    part = watched(supervisor, lambda part: part.state == "unwell")
    assert part.detail.startswith("does not answer since ")
    assert supervisor.home.read_run()["state"] == "degraded"
    assert supervisor.home.read_run()["parts"][0]["since"]
    supervisor.hung_seconds = 1

    part = watched(supervisor, lambda part: part.state == "restarting")
    assert part.detail == "hung: no answer for 1 s"
    part = watched(supervisor, lambda part: part.state == "ready")
    assert (part.restarts, part.detail) == (1, "")
    assert pid_of(part) != first


def test_a_part_that_hangs_for_less_than_the_patience_is_left_alone(supervisor: Supervisor) -> None:
    supervisor.hung_seconds = 3600
    supervisor.start(beating(supervisor))
    pid = pid_of(supervisor.parts[0])
    os.kill(pid, signal.SIGSTOP)
    watched(supervisor, lambda part: part.state == "unwell")

    os.kill(pid, signal.SIGCONT)

    part = watched(supervisor, lambda part: part.state == "ready")
    assert (pid_of(part), part.restarts) == (pid, 0)


def test_a_part_that_waits_for_a_neighbour_is_unwell_in_its_own_words_and_not_started_again(
    supervisor: Supervisor,
) -> None:
    child, lacks = beating(supervisor), ["the database does not answer"]
    child.waits_for = lambda: lacks[0]
    supervisor.start(child)
    pid = pid_of(supervisor.parts[0])

    part = watched(supervisor, lambda part: part.state == "unwell")
    assert part.detail == "the database does not answer"
    lacks[0] = ""
    part = watched(supervisor, lambda part: part.state == "ready")

    assert (part.detail, part.restarts, pid_of(part)) == ("", 0, pid)


def test_a_start_that_is_busy_is_waited_for_however_long_it_takes(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    class Busy(Progress):
        def still_for(self) -> float:
            asked.append(super().still_for())
            return 0.0

    monkeypatch.setattr("cli.supervisor.Progress", Busy)
    child = program(supervisor, "import time; time.sleep(3600)")
    # It works only when it was asked more often than a part that stands still would be.
    child.answers = lambda: len(asked) > 3 and max(asked) > 0.2

    supervisor.start(child, still_seconds=0.1)

    assert supervisor.parts[0].state == "ready"


def test_a_start_that_stands_still_is_told_with_its_last_words(supervisor: Supervisor) -> None:
    still = program(supervisor, "import time; print('waits for a key', flush=True); time.sleep(3600)")

    with pytest.raises(NotReady, match=r"part stands still: it did nothing for 1 s.*waits for a key"):
        supervisor.start(still, still_seconds=1)


def test_progress_is_what_the_whole_family_uses_of_the_processor(tmp_path: Path) -> None:
    # A child of a child: PostgreSQL recovers in one.
    family = Child("sh", ["sh", "-c", f'"{sys.executable}" -c "$0"; true', BURNS], os.environ, tmp_path / "log")
    family.start()
    assert family.process is not None
    pid, clock = family.process.pid, [0.0]
    progress = Progress(pid, tmp_path / "log", lambda: clock[0])
    try:
        for _ in range(3):
            before = cpu_seconds(pid) or 0.0
            until(lambda before=before: (cpu_seconds(pid) or 0.0) >= before + LEAST_CPU_SECONDS)  # type: ignore[misc]  # a default binds it
            clock[0] += 29
            assert progress.still_for() == 0
    finally:
        burning = [int(one.name) for one in Path("/proc").glob("[0-9]*") if _parent(one) == pid]
        for one in (*burning, pid):
            os.kill(one, signal.SIGKILL)
        family.process.wait(LONG_SECONDS)
    clock[0] += 29
    assert progress.still_for() == 29


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_a_word_in_the_log_is_progress(tmp_path: Path) -> None:
    log, clock = tmp_path / "log", [0.0]
    # No process: none uses the processor.
    progress = Progress(2**30, log, lambda: clock[0])
    progress.still_for()
    clock[0] = 10
    assert progress.still_for() == 10

    log.write_text("a word")
    clock[0] = 20

    assert progress.still_for() == 0


def test_a_supervisor_that_hangs_itself_is_degraded(supervisor: Supervisor) -> None:
    supervisor.start(beating(supervisor))
    supervisor.watch()
    assert status.read(supervisor.home).state == "ready"
    long_ago = time.time() - 600
    os.utime(supervisor.home.lock_file, (long_ago, long_ago))

    found = status.read(supervisor.home)

    assert found.state == "degraded"
    assert "hangs" in found.described()["problem"]


def test_a_patience_that_is_no_number_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hung_seconds() == 60
    monkeypatch.setenv("EVERLEAF_HUNG_SECONDS", "soon")
    with pytest.raises(BadInput, match="EVERLEAF_HUNG_SECONDS"):
        hung_seconds()
