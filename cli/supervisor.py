"""Starts the parts in order, restarts what dies or hangs, stops them in reverse, and writes down how each one is."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from cli.home import Home
from cli.process import Child
from cli.progress import STANDSTILL_SECONDS, Progress
from domain.errors import BadInput, NotReady

# A part that works at its start, on a slow machine say, is waited for; one that stands still for half a minute is not.
LONGEST_START_SECONDS = 900.0
# Whoever does not answer for so long is ended and started again (EVERLEAF_HUNG_SECONDS).
HUNG_SECONDS = 60.0
# A part that cannot be asked would be called ready by being alive, and may fall over in its first second.
SETTLING_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# A part that lived this long starts its next restart without the pauses of its past.
FORGIVEN_AFTER_SECONDS = 60.0
PROBE_EVERY_SECONDS = 5.0
KILLED_SECONDS = 10
FOREIGN = "not started by us"
# Two probes in a row: one may only have met a busy machine.
MISSES_BEFORE_UNWELL = 2


@dataclass
class Part:
    """One part as the user sees it: ours to run (``child``), or somebody else's that we only ask (``answers``)."""

    name: str
    answers: Callable[[], bool]
    child: Child | None = None
    group: int = 0
    state: str = "starting"
    detail: str = ""
    restarts: int = 0
    started_at: float = 0.0
    pause_seconds: float = FIRST_PAUSE_SECONDS
    restart_at: float | None = None
    probe_at: float = 0.0
    misses: int = 0
    # When the first of the probes that failed in a row began, and the same for people.
    silent_at: float | None = None
    silent_since: datetime | None = None
    # Of the present state, for people.
    since: str = ""
    # Why we ended it; empty: it ended by itself.
    ended_because: str = ""
    progress: Progress | None = None

    def described(self) -> dict[str, Any]:
        process = self.child.process if self.child else None
        return {
            "name": self.name,
            "state": self.state,
            "detail": self.detail,
            "since": self.since,
            "restarts": self.restarts,
            "pid": process.pid if process else None,
        }


@dataclass
class Supervisor:
    """``facts``: what the run file says beside the parts.  ``tell``: hears (part, state, detail) of every change.
    ``hung_seconds``: how long a part may leave a question unanswered."""

    home: Home
    tell: Callable[[str, str, str], None]
    facts: dict[str, Any] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    state: str = "starting"
    is_stopping: bool = False
    hung_seconds: float = HUNG_SECONDS

    def listen(self) -> None:
        """From now on Ctrl-C, SIGTERM and a closed terminal end the program by KeyboardInterrupt, once."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if not self.is_stopping:
            self.is_stopping = True
            raise KeyboardInterrupt

    def adopt(self, name: str, answers: Callable[[], bool], detail: str) -> None:
        """A part that somebody else runs.  Raises NotReady with ``detail`` if it does not answer."""
        part = Part(name, answers)
        self.parts.append(part)
        if not answers():
            raise NotReady(detail)
        self._mark(part, "ready", FOREIGN)

    def start(self, *children: Child, still_seconds: float = STANDSTILL_SECONDS) -> None:
        """Start together and wait until all work, for as long as those that do not yet are busy.

        Raises NotReady with the last words of one that ends, or stands still for ``still_seconds``.
        """
        group = max((part.group for part in self.parts), default=0) + 1
        fresh = [Part(child.name, child.is_working, child, group) for child in children]
        for part in fresh:
            self.parts.append(part)
            self._spawn(part)
        waiting = list(fresh)
        while waiting:
            self._beat()
            for part in list(waiting):
                if self._has_come_up(part, still_seconds):
                    waiting.remove(part)
            time.sleep(0.05)

    def _has_come_up(self, part: Part, still_seconds: float) -> bool:
        assert part.child is not None
        if not part.child.is_alive():
            raise NotReady(f"{part.name} ended while starting; {part.child.log} ends with: {part.child.last_words()}")
        if part.child.answers is None and time.monotonic() < part.started_at + SETTLING_SECONDS:
            return False
        if part.answers():
            self._mark(part, "ready")
            return True
        if stuck := self._stuck(part, still_seconds):
            raise NotReady(f"{part.name} {stuck}; {part.child.log} ends with: {part.child.last_words()}")
        return False

    def _stuck(self, part: Part, still_seconds: float) -> str:
        """Why its start will come to nothing; empty: it is busy."""
        assert part.progress is not None
        if part.progress.still_for() > still_seconds:
            return f"stands still: it did nothing for {still_seconds:g} s, and does not work yet"
        if time.monotonic() - part.started_at > LONGEST_START_SECONDS:
            return f"did not come up in {LONGEST_START_SECONDS / 60:g} minutes"
        return ""

    def _spawn(self, part: Part) -> None:
        assert part.child is not None
        part.started_at, part.restart_at = time.monotonic(), None
        part.child.start()
        assert part.child.process is not None
        part.progress = Progress(part.child.process.pid, part.child.log)
        part.misses, part.silent_at = 0, None
        self._mark(part, "starting")

    def watch(self) -> None:
        """One round: see who died, restart whose pause is over, ask the others how they are, end who hangs."""
        self._beat()
        now = time.monotonic()
        for part in self.parts:
            if part.child is not None and not part.child.is_alive():
                self._revive(part, now)
            elif now >= part.probe_at:
                part.probe_at = now + PROBE_EVERY_SECONDS
                self._probe(part)
        self.say("ready" if all(part.state == "ready" for part in self.parts) else "degraded")

    def _revive(self, part: Part, now: float) -> None:
        assert part.child is not None
        assert part.child.process is not None
        if part.restart_at is None:
            lived = now - part.started_at
            if lived > FORGIVEN_AFTER_SECONDS:
                part.pause_seconds = FIRST_PAUSE_SECONDS
            part.restart_at = now + part.pause_seconds
            part.pause_seconds = min(part.pause_seconds * 2, LONGEST_PAUSE_SECONDS)
            self._mark(part, "restarting", part.ended_because or _cause(part.child.process.returncode))
            part.ended_because = ""
        elif now >= part.restart_at:
            part.restarts += 1
            part.probe_at = now + SETTLING_SECONDS
            try:
                self._spawn(part)
            except OSError as problem:
                # No process, no memory, no disk: the others must not fall with this one.
                part.restart_at = now + part.pause_seconds
                self._mark(part, "restarting", str(problem))

    def _probe(self, part: Part) -> None:
        asked_at, at = time.monotonic(), datetime.now(UTC)
        if part.answers():
            part.misses, part.silent_at = 0, None
            lacks = part.child.waits_for() if part.child else ""
            # One that lacks a neighbour is no better for a restart.
            if lacks and (part.state, part.detail) != ("unwell", lacks):
                self._mark(part, "unwell", lacks)
            elif not lacks and part.state != "ready":
                self._mark(part, "ready", "" if part.child else FOREIGN)
            return
        part.misses += 1
        if part.silent_at is None:
            part.silent_at = asked_at
            part.silent_since = at
        if part.state == "starting":
            if part.child is not None and (stuck := self._stuck(part, STANDSTILL_SECONDS)):
                self._end(part, stuck)
        elif part.misses >= MISSES_BEFORE_UNWELL:
            detail = f"does not answer since {part.silent_since:%H:%M:%S} UTC"
            if (part.state, part.detail) != ("unwell", detail):
                self._mark(part, "unwell", detail)
            if part.child is not None and time.monotonic() - part.silent_at >= self.hung_seconds:
                self._end(part, f"hung: no answer for {self.hung_seconds:g} s")

    def _end(self, part: Part, why: str) -> None:
        """It hears nothing any more, so it is not asked; ``_revive`` starts it again."""
        assert part.child is not None
        assert part.child.process is not None
        part.child.process.kill()
        part.child.process.wait(KILLED_SECONDS)
        part.ended_because = why

    def stop(self) -> None:
        """In reverse order; what was started together is asked together, then killed if it stays."""
        self.is_stopping = True
        self.say("stopping")
        for group in sorted({part.group for part in self.parts}, reverse=True):
            members = [part for part in self.parts if part.group == group]
            for part in members:
                if part.child is not None and part.child.is_alive():
                    self._mark(part, "stopping")
                    part.child.ask_to_stop()
            for part in members:
                if part.child is not None:
                    part.child.wait_until_gone()
                self._mark(part, "stopped")
        self.say("stopped")

    def say(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.write()

    def _beat(self) -> None:
        try:
            self.home.beat()
        except OSError as problem:
            # As with the run file: `status` will call us silent, and the parts work on.
            self.tell("lock file", "unwell", str(problem))

    def _mark(self, part: Part, state: str, detail: str = "") -> None:
        if state != part.state or not part.since:
            part.since = datetime.now(UTC).isoformat()
        part.state, part.detail = state, detail
        self.tell(part.name, state, detail)
        self.write()

    def write(self) -> None:
        run = {
            "state": self.state,
            "pid": os.getpid(),
            "written_at": datetime.now(UTC).isoformat(),
            "data_dir": str(self.home.path),
            **self.facts,
            "parts": [part.described() for part in self.parts],
        }
        try:
            self.home.write_run(run)
        except OSError as problem:
            # A disk that fills up later must not take the running parts down with it.
            self.tell("run file", "unwell", str(problem))


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by signal {signal.Signals(-code).name}"
    return f"ended with code {code}"


def hung_seconds() -> float:
    """How long a part may leave a question unanswered until it is started again.  Raises BadInput."""
    given = os.environ.get("EVERLEAF_HUNG_SECONDS", f"{HUNG_SECONDS:g}")
    if not given.isdecimal() or not 0 < int(given) <= 86_400:
        raise BadInput("EVERLEAF_HUNG_SECONDS", f"{given!r} is no number of seconds", "Write one from 1 to 86400.")
    return float(given)
