"""The programs that `up` starts beside PostgreSQL and Temporal: one function per part, one line per worker."""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from activities.scanners import parts as asking
from cli.home import PROJECT, Home
from cli.process import Child, accepts
from domain.settings import parse, parse_watch

# (name, queues, the keys it may read).  Scan and issue are processes of their own: one reads hostile bytes, one signs.
WORKERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("worker-lifecycle", "lifecycle,deploy", ("EVERLEAF_LEAF_KEK",)),
    ("worker-scan", "scan", ()),
    ("worker-issue", "issue", ("EVERLEAF_CA_KEK",)),
)
# How Temporal lets us in, and how what it keeps is encrypted: as it is set for us, so for our parts.
ENGINE = (
    "EVERLEAF_TEMPORAL_CA",
    "EVERLEAF_TEMPORAL_CERTIFICATE",
    "EVERLEAF_TEMPORAL_KEY",
    "EVERLEAF_TEMPORAL_SERVER_NAME",
    "EVERLEAF_TEMPORAL_API_KEY_FILE",
    "EVERLEAF_PAYLOAD_KEYS",
)


# A worker beats every 5 s, and every 13 s where both of its neighbours are mute.
OLDEST_BEAT = timedelta(seconds=20)
PROBE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the parts must know of each other; becomes their environment, as ``domain.settings`` names it."""

    home: Home
    database_url: str
    temporal_address: str
    namespace: str
    api_port: int
    smtp_url: str
    policy: str
    temporal_ui: str = ""

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def environment(self, keys: tuple[str, ...] = ()) -> dict[str, str]:
        """For one part; of the two key files only those of ``keys`` are named in it."""
        files = {"EVERLEAF_CA_KEK": self.home.ca_kek, "EVERLEAF_LEAF_KEK": self.home.leaf_kek}
        given = {name: value for name, value in os.environ.items() if name not in files}
        granted = {name: os.environ.get(name, str(files[name])) for name in keys}
        return given | granted | self.settings()

    def settings(self) -> dict[str, str]:
        return {
            "EVERLEAF_HOME": str(self.home.path),
            "EVERLEAF_DATABASE_URL": self.database_url,
            "EVERLEAF_TEMPORAL_ADDRESS": self.temporal_address,
            "EVERLEAF_TEMPORAL_NAMESPACE": self.namespace,
            "EVERLEAF_POLICY": self.policy,
            "EVERLEAF_SMTP_URL": self.smtp_url,
            "EVERLEAF_TEMPORAL_UI": self.temporal_ui,
            "EVERLEAF_API_PORT": str(self.api_port),
            "EVERLEAF_API_URL": os.environ.get("EVERLEAF_API_URL", self.api_url),
            "EVERLEAF_WATCH_API": os.environ.get("EVERLEAF_WATCH_API", self.api_url),
            "EVERLEAF_WATCH_DIR": os.environ.get("EVERLEAF_WATCH_DIR", str(self.home.path / "watch")),
            **{name: os.environ[name] for name in ENGINE if os.environ.get(name)},
            # What a part prints reaches its log at once, also when it is killed.
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH")))),
        }


def workers(surroundings: Surroundings) -> list[Child]:
    return [_worker(surroundings, *row) for row in WORKERS]


def _worker(surroundings: Surroundings, name: str, queues: str, keys: tuple[str, ...]) -> Child:
    """It works while its loop beats; what it waits for is what the beat says."""
    file = surroundings.home.health(name)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    environment = surroundings.environment(keys) | {"EVERLEAF_HEALTH_FILE": str(file)}
    child = _python(surroundings, name, [str(PROJECT / "worker.py"), queues], environment)
    child.marks = (file,)
    child.answers = lambda: is_younger(file, OLDEST_BEAT)
    child.waits_for = lambda: file.read_text() if file.exists() else ""
    return child


def api(surroundings: Surroundings) -> Child:
    child = _python(surroundings, "api", ["-m", "cli.main", "api"], surroundings.environment())
    child.answers = lambda: not asking.http(f"{surroundings.api_url}/health/live", PROBE_SECONDS)
    child.waits_for = lambda: _unready(surroundings.api_url)
    return child


def _unready(api_url: str) -> str:
    problem = asking.http(f"{api_url}/health/ready", PROBE_SECONDS)
    return f"not ready: {problem}" if problem else ""


def watcher(surroundings: Surroundings) -> Child:
    """It holds no key; it works while its rounds end."""
    child = _python(surroundings, "watcher", [str(PROJECT / "watch.py")], surroundings.environment())
    settings = parse(child.environment)
    status = Path(settings.watch_dir) / "status.json"
    oldest = 3 * parse_watch(child.environment, settings).every + timedelta(minutes=1)
    child.marks = (status,)
    child.answers = lambda: is_younger(status, oldest)
    return child


def is_younger(file: Path, oldest: timedelta) -> bool:
    try:
        return time.time() - file.stat().st_mtime < oldest.total_seconds()
    except FileNotFoundError:
        return False


def estate(home: Home) -> Child:
    """The TLS listeners of the demo; it writes ``estate.ready`` when all of them listen."""
    ready = home.path / "demo" / "estate.ready"
    child = _demo(home, "demo-estate", ["-m", "demo.estate", "serve", str(home.path)])
    child.answers = ready.exists
    child.marks = (ready,)
    return child


def mailbox(home: Home) -> Child:
    """The SMTP sink of the demo; it writes the port that it listens on into ``smtp.port``."""
    child = _demo(home, "demo-mailbox", ["-m", "demo.mailbox", str(home.path)])
    child.answers = lambda: accepts(mailbox_port(home))
    child.marks = (home.path / "demo" / "smtp.port",)
    return child


def mailbox_port(home: Home) -> int:
    """0 as long as it has not said."""
    file = home.path / "demo" / "smtp.port"
    text = file.read_text().strip() if file.exists() else ""
    return int(text) if text.isdecimal() else 0


def _demo(home: Home, name: str, arguments: list[str]) -> Child:
    environment = os.environ | {"EVERLEAF_HOME": str(home.path), "PYTHONUNBUFFERED": "1"}
    return Child(name, [sys.executable, *arguments], _in_project(environment), home.log(name), patience_seconds=10)


def _python(surroundings: Surroundings, name: str, arguments: list[str], environment: Mapping[str, str]) -> Child:
    return Child(name, [sys.executable, *arguments], environment, surroundings.home.log(name))


def _in_project(environment: Mapping[str, str]) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(PROJECT), environment.get("PYTHONPATH"))))
    return {**environment, "PYTHONPATH": path}
