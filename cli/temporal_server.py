"""Temporal for one machine: the development server on a SQLite file, and what every server needs from us."""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from cli.home import Home
from cli.process import Child
from domain.errors import NotReady
from workflows.search import ATTRIBUTES

# It must outlast any outage of the archive: with the server's own 24 hours, closed runs are lost over a weekend.
LEAST_RETENTION = timedelta(days=90)
WANTED_RETENTION = timedelta(days=366)
START_SECONDS = 60
PROBE_SECONDS = 3.0
USUAL_PORT = 7233
USUAL_UI_PORT = 8233


def program() -> str:
    """The ``temporal`` of our environment, else of PATH.  Raises NotReady if there is none."""
    ours = Path(sys.executable).parent / "temporal"
    found = str(ours) if ours.is_file() else shutil.which("temporal")
    if found is None:
        raise NotReady("the temporal program is missing. Run ./everleaf again, or set EVERLEAF_TEMPORAL_ADDRESS.")
    return found


def dev_server(home: Home, port: int, ui_port: int, api_url: str) -> Child:
    """The server as a child; its data is ``home``/temporal.db.  ``api_url``: who unpacks large payloads for its UI."""
    # WAL: 1.6 times the starts per second; FULL: an acknowledged start also survives a power cut.
    command = [program(), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui_port)]
    command += ["--db-filename", str(home.path / "temporal.db"), "--log-level", "warn", "--ui-disable-news-fetch"]
    command += ["--ui-codec-endpoint", f"{api_url}/codec"]
    command += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=FULL"]
    for name, kind in ATTRIBUTES:
        command += ["--search-attribute", f"{name}={kind}"]
    return Child(
        name="temporal",
        command=command,
        environment=os.environ,
        log=home.log("temporal"),
        answers=lambda: answers(f"127.0.0.1:{port}"),
    )


def answers(address: str) -> bool:
    """Whether the server takes up its protocol: a port accepts also for one that is stopped."""
    # Here, for most commands ask no Temporal.
    from activities.scanners.parts import temporal

    return not temporal(address, PROBE_SECONDS)


def set_up(address: str, namespace: str) -> None:
    """Register our search attributes and raise the retention.  Both are idempotent; raises NotReady.

    A server that has just been born refuses for some tenths of a second: asked again for a minute.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _register(address, namespace)
            keep(address, namespace)
            return
        except NotReady:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def keep(address: str, namespace: str) -> None:
    """Make closed runs stay: at least ``LEAST_RETENTION``; a longer retention is left as it is."""
    if retention(address, namespace) < LEAST_RETENTION:
        hours = f"{WANTED_RETENTION // timedelta(hours=1)}h"
        _ask(address, "operator", "namespace", "update", "-n", namespace, "--retention", hours)


def retention(address: str, namespace: str) -> timedelta:
    said = json.loads(_ask(address, "operator", "namespace", "describe", "-n", namespace, "-o", "json"))
    return timedelta(seconds=float(str(said["config"]["workflowExecutionRetentionTtl"]).removesuffix("s")))


def stores(address: str) -> set[str]:
    """The kinds of store that the server keeps histories and lists in, as "postgres12" or "sqlite"."""
    said = json.loads(_ask(address, "operator", "cluster", "describe", "-o", "json"))
    return {str(said[name]) for name in ("persistenceStore", "visibilityStore")}


def _register(address: str, namespace: str) -> None:
    known = _ask(address, "operator", "search-attribute", "list", "-n", namespace)
    missing = [(name, kind) for name, kind in ATTRIBUTES if name not in known]
    for name, kind in missing:
        _ask(address, "operator", "search-attribute", "create", "-n", namespace, "--name", name, "--type", kind)


def _ask(address: str, *command: str) -> str:
    try:
        done = subprocess.run(
            [program(), *command, "--address", address, "--command-timeout", "10s"],
            capture_output=True,
            text=True,
            timeout=15,
        )
    except subprocess.TimeoutExpired as problem:
        raise NotReady(f"Temporal does not answer at {address}") from problem
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise NotReady(f"Temporal at {address}: {lines[-1]}. See its log, or set EVERLEAF_TEMPORAL_ADDRESS.")
    return done.stdout
