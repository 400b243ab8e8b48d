"""The programs that `up` starts beside PostgreSQL and Temporal: one function per part, one line per worker."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from cli.home import PROJECT, Home
from cli.process import Child, accepts

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
            **{name: os.environ[name] for name in ENGINE if os.environ.get(name)},
            # What a part prints reaches its log at once, also when it is killed.
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH")))),
        }


def workers(surroundings: Surroundings) -> list[Child]:
    program = str(PROJECT / "worker.py")
    return [
        _python(surroundings, name, [program, queues], surroundings.environment(keys)) for name, queues, keys in WORKERS
    ]


def api(surroundings: Surroundings) -> Child:
    child = _python(surroundings, "api", ["-m", "cli.main", "api"], surroundings.environment())
    child.answers = lambda: accepts(surroundings.api_port)
    return child


def estate(home: Home) -> Child:
    """The TLS listeners of the demo; it writes ``estate.ready`` when all of them listen."""
    ready = home.path / "demo" / "estate.ready"
    child = _demo(home, "demo-estate", ["-m", "demo.estate", "serve", str(home.path)])
    child.answers = ready.exists
    ready.unlink(missing_ok=True)
    return child


def mailbox(home: Home) -> Child:
    """The SMTP sink of the demo; it writes the port that it listens on into ``smtp.port``."""
    child = _demo(home, "demo-mailbox", ["-m", "demo.mailbox", str(home.path)])
    child.answers = lambda: accepts(mailbox_port(home))
    (home.path / "demo" / "smtp.port").unlink(missing_ok=True)
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
