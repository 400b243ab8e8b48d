"""`everleaf status`, `down` and `reset`: what the supervisor of a data directory says, and how it is ended."""

import os
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import first
from cli.home import PROJECT, Home
from cli.postgres import EmbeddedPostgres
from domain.errors import BadInput, EverleafError, NotReady, Refused
from formats.watch_memory import read_status

State = Literal["starting", "ready", "degraded", "stopped"]
Goal = Literal["ready", "settled"]
POLL_SECONDS = 0.3
# Workers finish their activities within 30 seconds; PostgreSQL writes its checkpoint after them.
STOP_SECONDS = 120
# It asks seven parts in a round, and waits up to five seconds for each.
SILENT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Status:
    """``run``: the supervisor's run file, whose parts count only while the supervisor lives."""

    state: State
    run: Mapping[str, Any]
    home: Home

    def described(self) -> dict[str, Any]:
        """The form that scripts read; its keys are promised in the README."""
        nothing = {"dashboard": "", "api": "", "docs": "", "temporal_ui": ""}
        return {
            "state": self.state,
            "urls": self.run.get("urls", nothing),
            "temporal": self.run.get("temporal", {"address": "", "namespace": ""}),
            # As psql takes it; our own engines take either form.
            "database_url": self.run.get("database_url", "").replace("postgresql+psycopg://", "postgresql://", 1),
            "data_dir": str(self.home.path),
            "pid": self.run.get("pid") if self.state != "stopped" else None,
            "mail_dir": self.run.get("mail_dir", ""),
            "problem": self.run.get("problem", ""),
            "watcher": watched(self.home),
            "parts": [self._part(part) for part in self.run.get("parts", ())],
        }

    def _part(self, part: Mapping[str, Any]) -> dict[str, Any]:
        return {**part} if self.state != "stopped" else {**part, "state": "stopped", "pid": None}


def watched(home: Home) -> dict[str, Any]:
    """What the watcher of this data directory said last; empty: none has watched here."""
    folder = os.environ.get("EVERLEAF_WATCH_DIR") or home.read_run().get("environment", {}).get("EVERLEAF_WATCH_DIR")
    file = Path(folder or home.path / "watch") / "status.json"
    try:
        said = read_status(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (BadInput, OSError) as problem:
        return {"state": "unknown", "problem": str(problem)}
    return {
        "state": "late" if said.is_late(datetime.now(UTC)) else "watching",
        "at": said.at.isoformat(),
        "routes": list(said.routes),
        "silent_routes": list(said.silent_routes),
        "unsent": said.unsent,
        "faults": [
            {
                "kind": one.fault.kind.value,
                "subject": one.fault.subject,
                "says": one.fault.says,
                "since": one.since.isoformat(),
                "told": one.told_at is not None,
            }
            for one in said.faults
        ],
    }


def read(home: Home) -> Status:
    run = home.read_run()
    if not home.is_held():
        return Status("stopped", run, home)
    words: dict[str, State] = {"starting": "starting", "ready": "ready"}
    state = words.get(run.get("state", "starting"), "degraded")
    silent = home.silent_for() if run.get("state") in ("ready", "degraded") else 0
    if silent > SILENT_SECONDS:
        told = f"the supervisor (pid {run.get('pid', '?')}) hangs: it has done nothing for {silent:.0f} s"
        return Status("degraded", {**run, "problem": told}, home)
    full = home.full_disk() if state == "ready" else ""
    # The parts still answer; what they are given cannot be kept for long.
    return Status("degraded", {**run, "problem": f"{full} Free some."}, home) if full else Status(state, run, home)


def wait(home: Home, goal: Goal, timeout_seconds: float) -> Status:
    """Until ``goal`` is reached.  Raises NotReady with what is missing when the time is up."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        status = read(home)
        missing = _missing(status, goal)
        if not missing:
            return status
        if time.monotonic() > deadline:
            raise NotReady(f"not {goal} after {timeout_seconds:g} s: {missing}")
        time.sleep(POLL_SECONDS)


def _missing(status: Status, goal: Goal) -> str:
    if status.state != "ready":
        unwell = [f"{part['name']} {part['state']}" for part in status.run.get("parts", ()) if part["state"] != "ready"]
        parts = f" ({', '.join(unwell)})" if unwell and status.state != "stopped" else ""
        return f"everleaf is {status.state}{parts}{_problem(status)}"
    if goal == "ready":
        return ""
    try:
        seen = first.overview(status.home, status.run["urls"]["api"])
    except EverleafError as problem:
        return str(problem)
    return "" if seen.get("settled") is True else "the first discovery or a due step is still under way"


def _problem(status: Status) -> str:
    return f": {status.run['problem']}" if status.run.get("problem") else ""


def show(status: Status, console: Console) -> None:
    seen = status.described()
    console.print(f"Everleaf is [bold]{status.state}[/]{escape(_problem(status))}", highlight=False)
    table = Table(box=None, padding=(0, 2))
    for column in ("part", "state", "restarts", "detail"):
        table.add_column(column)
    for part in seen["parts"]:
        table.add_row(part["name"], part["state"], str(part["restarts"]), escape(part["detail"]))
    if seen["parts"]:
        console.print(table)
    if seen["watcher"] and status.state != "stopped":
        _show_watcher(seen["watcher"], console)
    lines = {"Dashboard": seen["urls"]["dashboard"], "API docs": seen["urls"]["docs"]}
    lines |= {"Temporal UI": seen["urls"]["temporal_ui"], "Data": seen["data_dir"]}
    for name, value in lines.items():
        if value and (status.state != "stopped" or name == "Data"):
            console.print(f"{name:12} {value}", highlight=False, soft_wrap=True, markup=False)


def _show_watcher(seen: Mapping[str, Any], console: Console) -> None:
    if seen["state"] != "watching":
        console.print(
            f"Watcher      {seen.get('problem') or 'late, its last round was at ' + seen['at']}", markup=False
        )
        return
    routes = f"tells by {', '.join(seen['routes'])}" if seen["routes"] else "has no way to tell anybody"
    told = [fault for fault in seen["faults"] if fault["told"]]
    closer = len(seen["faults"]) - len(told)
    looks = f", looks closer at {closer} that may pass" if closer else ""
    console.print(f"Watcher      {len(told) or 'no'} faults{looks}; {routes}", highlight=False, markup=False)
    for fault in told:
        line = f"  {fault['kind']} {fault['subject']}: {fault['says']} (since {fault['since']})"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def down(home: Home) -> bool:
    """Stop the supervisor and wait until it is gone; False if none ran.  Raises NotReady if it does not go."""
    if not home.is_held():
        return False
    pid = home.read_run().get("pid")
    if not isinstance(pid, int):
        raise NotReady(f"everleaf in {home.path} is only just starting. Try again in a moment.")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while home.is_held():
        if time.monotonic() > deadline:
            raise NotReady(f"everleaf (pid {pid}) does not stop. `kill -9 {pid}` takes all its parts with it.")
        time.sleep(POLL_SECONDS)
    return True


def reset(home: Home) -> bool:
    """Stop, then remove the data directory; False if there is none.  Raises Refused where it is not one of ours."""
    if not home.path.exists():
        return False
    if not home.lock_file.exists() or home.path in (PROJECT, *PROJECT.parents):
        raise Refused(f"{home.path} is not a data directory of everleaf (it holds no lock file); nothing was removed.")
    down(home)
    EmbeddedPostgres(home.path).remove_sockets()
    shutil.rmtree(home.path)
    return True
