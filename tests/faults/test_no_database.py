"""PostgreSQL is stopped, and the worker with it: a rung's mail goes out all the same.

A real lifecycle on a real Temporal server, a worker process that starts without a database, a real mail server.
"""

import asyncio
import email
import email.policy
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from cli.process import free_port
from demo.authorities import make_stand_in
from domain.settings import Settings
from store import tables
from tests.faults.test_kill_points import LISTENERS, end
from tests.faults.worlds import World, start
from tests.launcher.waiting import until
from tests.postgres_server import PostgresServer
from tests.servers import TEMPLATE, Cluster, new_namespace, own_name

pytestmark = [pytest.mark.e2e]

# Of a life of one hour the escalation mark lies 10 minutes before its end, the rung after it 7 (DESIGN rule 1): the
# first comes 40 seconds after the start, and a machine too slow for that meets the next one.
LEFT = timedelta(minutes=10, seconds=40)


@contextmanager
def running(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> Iterator[None]:
    try:
        until(ready)
        yield
    finally:
        end(process)


@pytest.fixture
def world(mortal: tuple[PostgresServer, Engine], temporal_address: str) -> Iterator[World]:
    cluster, engine = mortal
    with tempfile.TemporaryDirectory(prefix="evl-nodb-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        home, name = Path(folder), own_name()
        (home / "demo").mkdir()
        sink, said = start(["-m", "demo.mailbox", folder], home / "smtp.log"), home / "demo" / "smtp.port"
        with running(sink, said.exists):
            asyncio.run(new_namespace(temporal_address, name))
            smtp = f"smtp://127.0.0.1:{said.read_text().strip()}"
            url = Cluster(cluster.socket).url(TEMPLATE)
            settings = Settings(url, temporal_address, str(home / "world"), namespace=name, smtp_url=smtp)
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
    mortal: tuple[PostgresServer, Engine], world: World
) -> None:
    cluster, _ = mortal
    world.start_worker()
    world.discover()
    until(lambda: bool(world.rows(sa.select(tables.approvals.c.id))))

    cluster.interrupt()
    assert world.worker is not None
    end(world.worker)
    world.start_worker(queues="lifecycle")
    worker = world.worker

    def told_without_details() -> bool:
        return any("not replaced yet" in letter and "details could not be read" in letter for letter in letters(world))

    until(lambda: told_without_details() or worker.poll() is not None)
    assert worker.poll() is None, world.last_words()
