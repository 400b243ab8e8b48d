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
from cli.progress import Progress, cpu_seconds
from cli.supervisor import Part, Supervisor
from cli.up import hung_seconds
from domain.errors import BadInput, NotReady
from tests.launcher.waiting import LONG_SECONDS, until

BEATS = """
import pathlib, sys, time
while True:
    pathlib.Path(sys.argv[1]).write_text("")
    time.sleep(0.05)
"""
# Busy for as long as its file says, then it works.
BUSY = """
import pathlib, sys, time
until = time.process_time() + float(sys.argv[2])
while time.process_time() < until:
    pass
pathlib.Path(sys.argv[1]).write_text("")
time.sleep(600)
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


def test_a_start_that_is_busy_for_longer_than_the_standstill_is_waited_for(supervisor: Supervisor) -> None:
    supervisor.start(program(supervisor, BUSY, "2"), still_seconds=1)

    assert supervisor.parts[0].state == "ready"


def test_a_start_that_stands_still_is_told_with_its_last_words(supervisor: Supervisor) -> None:
    still = program(supervisor, "import time; print('waits for a key', flush=True); time.sleep(3600)")

    with pytest.raises(NotReady, match=r"part stands still: it did nothing for 1 s.*waits for a key"):
        supervisor.start(still, still_seconds=1)


def test_progress_is_the_processor_of_the_whole_family_or_the_log(tmp_path: Path) -> None:
    times = iter(range(0, 1000, 10))
    log = tmp_path / "log"
    progress = Progress(os.getpid(), log, lambda: float(next(times)))
    assert progress.still_for() == 0
    log.write_text("a word")
    assert progress.still_for() == 0
    assert progress.still_for() >= 0

    before = cpu_seconds(os.getpid())
    assert before is not None
    burn = "import time\nwhile time.process_time() < 0.5: pass\n"
    child = Child("burn", [sys.executable, "-c", burn], os.environ, tmp_path / "burn.log")
    child.start()
    assert child.process is not None
    child.process.wait(LONG_SECONDS)
    after = cpu_seconds(os.getpid())
    assert after is not None
    assert after - before >= 0.4


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
