"""PostgreSQL is stopped, and the worker with it: a rung's mail goes out all the same.

A real lifecycle on a real Temporal server, a worker process that starts without a database, a real mail server.
"""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.settings import Settings
from store import tables
from tests.faults.worlds import World, end, one_world
from tests.launcher.waiting import until
from tests.postgres_server import PostgresServer
from tests.servers import TEMPLATE, Cluster, new_namespace, own_name

pytestmark = [pytest.mark.e2e]

# Of a life of one hour the escalation mark lies 10 minutes before its end, the rung after it 7 (DESIGN rule 1): the
# first comes 40 seconds after the start, and a machine too slow for that meets the next one.
LEFT = timedelta(minutes=10, seconds=40)


@pytest.fixture
def world(mortal: tuple[PostgresServer, Engine], temporal_address: str) -> Iterator[World]:
    (cluster, engine), name = mortal, own_name()
    asyncio.run(new_namespace(temporal_address, name))
    settings = Settings(Cluster(cluster.socket).url(TEMPLATE), temporal_address, "", namespace=name)
    with one_world(engine, settings, asks=True, left=LEFT) as made:
        yield made


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
        return any("not replaced yet" in letter and "details could not be read" in letter for letter in world.letters())

    until(lambda: told_without_details() or worker.poll() is not None)
    assert worker.poll() is None, world.last_words()
