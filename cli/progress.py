"""Whether a part that does not answer yet still works at it: it uses the processor, or writes to its log."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# Less than this in ``STANDSTILL_SECONDS`` is the pulse of a program that waits: a hundredth of one core.  A part that
# works has a hundred times that, or its share of a busy machine.
LEAST_CPU_SECONDS = 0.3
STANDSTILL_SECONDS = 30.0
# The sum costs a read of every process of this machine.
MEASURED_EVERY_SECONDS = 0.5


@dataclass
class Progress:
    """Of the process ``pid`` and all that it has started; ``seconds`` is read anew at each question."""

    pid: int
    log: Path
    clock: Callable[[], float] = time.monotonic
    _cpu: float = 0.0
    _bytes: int = -1
    _since: float = field(default=-1.0)
    _measured_at: float = field(default=-1.0)

    def still_for(self) -> float:
        """For how many seconds it has stood still; 0 where this system does not say what processes use."""
        now = self.clock()
        if self._since < 0:
            self._since = now
        if self._measured_at >= 0 and now - self._measured_at < MEASURED_EVERY_SECONDS:
            return now - self._since
        self._measured_at = now
        cpu, written = cpu_seconds(self.pid), _size(self.log)
        if cpu is None or cpu - self._cpu >= LEAST_CPU_SECONDS or written != self._bytes:
            self._cpu, self._bytes, self._since = cpu or 0.0, written, now
        return now - self._since


def cpu_seconds(pid: int) -> float | None:
    """What ``pid`` and its descendants have used; None where there is no /proc."""
    times: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # Behind the name, which may hold spaces and brackets: state, parent, ... user and system time, also of
            # children that have ended (proc(5)).
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            # It ended meanwhile.
            continue
        times[int(entry.name)] = int(fields[1]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    if not times:
        return None
    total, family = 0.0, {pid}
    # Parents are mostly older than their children, but numbers start again: until nobody is added.
    while True:
        grown = family | {one for one, (parent, _) in times.items() if parent in family}
        if grown == family:
            break
        family = grown
    for one in family:
        total += times.get(one, (0, 0.0))[1]
    return total


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0
