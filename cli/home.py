"""The data directory: what lies where, who may hold it, and what the running supervisor says about itself."""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import BadInput, NotReady

PROJECT = Path(__file__).resolve().parent.parent
# PostgreSQL and Temporal need some 100 MB for their first files; below this, refuse before anything is half written.
LEAST_FREE_BYTES = 300_000_000


@dataclass(frozen=True, slots=True)
class Home:
    """A data directory, mode 0700; every path in it is named here."""

    path: Path

    @property
    def run_file(self) -> Path:
        return self.path / "run.json"

    @property
    def ports_file(self) -> Path:
        return self.path / "ports.json"

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def token_file(self) -> Path:
        return self.path / "token"

    @property
    def ca_kek(self) -> Path:
        return self.path / "ca.kek"

    @property
    def leaf_kek(self) -> Path:
        return self.path / "leaf.kek"

    @property
    def policy(self) -> Path:
        return self.path / "policy.yaml"

    @property
    def up_log(self) -> Path:
        return self.path / "up.log"

    def health(self, part: str) -> Path:
        return self.path / "health" / part

    def log(self, part: str) -> Path:
        return self.path / "logs" / f"{part}.log"

    def prepare(self) -> None:
        """Make the directory and its keys.  Raises NotReady when the disk is full, BadInput when it is no directory."""
        if self.path.exists() and not self.path.is_dir():
            raise BadInput("--data-dir", f"{self.path} is a file", "Name a directory.")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as problem:
            if problem.errno == errno.ENOSPC:
                raise
            told = f"{self.path} cannot be made or entered ({problem.strerror})"
            raise BadInput("--data-dir", told, "Name a directory that you may make and write to.") from problem
        if full := self.full_disk():
            raise NotReady(f"{full} Free some, or choose another --data-dir.")

    def full_disk(self) -> str:
        """What is wrong with the room that is left, or empty."""
        free = shutil.disk_usage(self.path).free
        if free >= LEAST_FREE_BYTES:
            return ""
        return (
            f"the disk of {self.path} is as good as full: {free // 1_000_000} MB are free, "
            f"{LEAST_FREE_BYTES // 1_000_000} MB are needed."
        )

    def make_keys(self) -> None:
        """The two key-encryption keys, once.  Each worker is told the path of the one it needs."""
        for file in (self.ca_kek, self.leaf_kek):
            if not file.exists():
                write_private(file, secrets.token_bytes(32))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the directory for one supervisor.  Raises NotReady if another one has it."""
        with self.lock_file.open("a") as lock:
            self.lock_file.chmod(0o600)
            # `status` takes the lock for an instant to see whether somebody holds it: try for a second.
            for attempt in range(10):
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if attempt == 9:
                        raise self.taken() from None
                    time.sleep(0.1)
            yield

    def taken(self) -> NotReady:
        """What to say where another supervisor has the directory."""
        run = self.read_run()
        if run.get("state") not in ("ready", "degraded"):
            return NotReady(
                f"another everleaf is starting in {self.path} at this moment: wait for it with "
                "`everleaf status --wait ready`, or choose another --data-dir."
            )
        return NotReady(
            f"everleaf is already running in {self.path} (pid {run.get('pid', '?')}): "
            "see `everleaf status`, stop it with `everleaf down`, or choose another --data-dir."
        )

    def is_held(self) -> bool:
        if not self.lock_file.exists():
            return False
        with self.lock_file.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def beat(self) -> None:
        """Whoever holds the directory turns its loop: the age of the lock says so."""
        self.lock_file.touch(mode=0o600)

    def silent_for(self) -> float:
        """Seconds since the holder's last beat."""
        return time.time() - self.lock_file.stat().st_mtime

    def read_run(self) -> dict[str, Any]:
        return read_json(self.run_file)

    def write_run(self, run: dict[str, Any]) -> None:
        write_private(self.run_file, json.dumps(run, indent=2).encode())


# Variables that name a file.  What is relative in them is relative to where the user stands.
PATHS = (
    "EVERLEAF_HOME",
    "EVERLEAF_POLICY",
    "EVERLEAF_CA_KEK",
    "EVERLEAF_LEAF_KEK",
    "EVERLEAF_DATABASE_PASSWORD_FILE",
    "EVERLEAF_HEALTH_FILE",
    "EVERLEAF_WATCH_DIR",
    "EVERLEAF_TEMPORAL_CA",
    "EVERLEAF_TEMPORAL_CERTIFICATE",
    "EVERLEAF_TEMPORAL_KEY",
    "EVERLEAF_TEMPORAL_API_KEY_FILE",
    "EVERLEAF_PAYLOAD_KEYS",
)


def settle_paths() -> None:
    """Make them absolute, once, at the entry: what is started from here runs in another directory."""
    for name in PATHS:
        if given := os.environ.get(name):
            os.environ[name] = str(Path(given).expanduser().absolute())


def chosen(data_dir: Path | None) -> Home:
    """The data directory of this call: --data-dir, else EVERLEAF_HOME, else ``var`` beside the launcher."""
    given = data_dir or (Path(os.environ["EVERLEAF_HOME"]) if os.environ.get("EVERLEAF_HOME") else None)
    return Home((given or PROJECT / "var").expanduser().resolve())


def write_private(file: Path, content: bytes) -> None:
    """Mode 0600 from the first byte, and whole or not at all."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)


def read_json(file: Path) -> dict[str, Any]:
    """What the file holds; nothing if there is none or it was never finished."""
    try:
        found = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
