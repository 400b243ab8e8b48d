"""Commands that act on the store or run one part, in the surroundings that `up` wrote down for this data directory."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.home import PROJECT, Home
from domain.errors import NotReady
from domain.settings import parse, parse_watch, with_password_file
from domain.tiers import Role

STREAMS_SECONDS = 2


def surroundings(home: Home) -> Mapping[str, str]:
    """The environment of our parts: what is set here wins over what the running supervisor wrote down."""
    found = home.read_run().get("environment", {}) if home.is_held() else {}
    return {**found, "EVERLEAF_HOME": str(home.path), **os.environ}


def database_url(home: Home) -> str:
    """Raises NotReady if nothing runs here and none is named."""
    found = os.environ.get("EVERLEAF_DATABASE_URL")
    found = with_password_file(found, os.environ.get("EVERLEAF_DATABASE_PASSWORD_FILE", "")) if found else None
    found = found or (home.read_run().get("database_url") if home.is_held() else None)
    if not found:
        raise NotReady(f"there is no database: nothing runs in {home.path}. Start it, or set EVERLEAF_DATABASE_URL.")
    return found


@dataclass(frozen=True, slots=True)
class TokenAsked:
    """``person``: id of whom the token acts as, empty for a machine."""

    name: str
    role: Role
    may_decide: bool = False
    person: str = ""


def create_token(home: Home, asked: TokenAsked) -> str:
    """Raises BadInput for whoever may not hold it, as ``store.access.create_token`` does."""
    from store import access
    from store.engine import create_engine

    connected = create_engine(database_url(home))
    try:
        return access.create_token(
            connected, name=asked.name, role=asked.role, may_decide=asked.may_decide, person=asked.person
        )
    finally:
        connected.dispose()


def migrate(home: Home) -> None:
    from store.migrate import upgrade

    upgrade(database_url(home))


def make_roles(home: Home, passwords: Path) -> None:
    """``passwords``: the folder with one file for each role.  Raises NotReady where one cannot be read."""
    from store import roles

    try:
        words = {role: (passwords / f"{role}_password").read_text().strip() for role in (*roles.LOGINS, roles.TEMPORAL)}
    except OSError as problem:
        raise NotReady(f"{problem.filename} cannot be read ({problem.strerror}); each role needs such a file") from None
    roles.make(database_url(home), words)


def worker(home: Home, queues: str) -> None:
    """Becomes the worker process, with the keys its queues need."""
    environment = dict(surroundings(home))
    keys = {"issue": ("EVERLEAF_CA_KEK", home.ca_kek), "deploy": ("EVERLEAF_LEAF_KEK", home.leaf_kek)}
    for queue, (name, file) in keys.items():
        if queue in queues.split(","):
            environment.setdefault(name, str(file))
    parse(environment)
    os.chdir(PROJECT)
    os.execve(sys.executable, [sys.executable, "worker.py", queues], environment)  # noqa: S606  # our own program


def watch(home: Home, arguments: list[str]) -> None:
    """Becomes the watcher process."""
    environment = dict(surroundings(home))
    parse_watch(environment, parse(environment))
    os.chdir(PROJECT)
    os.execve(sys.executable, [sys.executable, "watch.py", *arguments], environment)  # noqa: S606  # our own program


def api(home: Home) -> None:
    """Serves until it is told to stop."""
    import uvicorn

    environment = surroundings(home)
    settings = parse(environment)
    # The factory reads the environment itself, as every process does at its entry.
    os.environ.update(environment)
    host, port = settings.api_host, settings.api_port
    uvicorn.run(
        "api.main:create_app",
        factory=True,
        host=host,
        port=port,
        log_level="warning",
        # Streams of news never end by themselves; whoever reads one comes back to the next process.
        timeout_graceful_shutdown=STREAMS_SECONDS,
    )
