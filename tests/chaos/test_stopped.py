"""Parts that stand still or are killed in the middle of renewals: all of them end, once, without a hand."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from store import tables
from tests.chaos.conftest import Estates, Measured, shaken
from tests.chaos.oracle import is_at_rest, judge
from tests.chaos.product import Product
from tests.faults.worlds import ALL_QUEUES, end
from tests.launcher.waiting import until
from tests.postgres_server import PostgresServer
from tests.servers import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.long]

# Longer than a task of Temporal (10 s), so that what stood still finds its work given to nobody, and done by nobody.
STILL_SECONDS = 12
KILLS = 4
# Each kill meets another moment of the renewals.
EVENTS_BETWEEN = 7
QUEUES = ALL_QUEUES.split(",")


def family(pid: int) -> list[int]:
    """A process and all below it: PostgreSQL is one for each connection."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


@contextmanager
def standing_still(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """SIGSTOP to ``process`` and all below it: its sockets take connections, and nobody answers."""
    stopped = family(process.pid)
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)


def stand_still(process: "subprocess.Popen[bytes]") -> None:
    until_then = time.monotonic() + STILL_SECONDS
    with standing_still(process):
        # The length of the fault, and no verdict.
        until(lambda: time.monotonic() > until_then)


def test_renewals_end_although_each_part_stood_still_in_their_middle(
    mortal: tuple[PostgresServer, Engine], measured: Measured
) -> None:
    server, engine = mortal
    orders, receipts = tables.orders.c, tables.receipts.c
    with shaken(Cluster(server.socket), engine, places=6) as product:
        world = product.world
        world.start_worker()
        assert world.worker is not None and product.temporal is not None
        world.discover()
        middle: list[tuple[Callable[[], bool], subprocess.Popen[bytes]]] = [
            (lambda: bool(product.certificates()), world.worker),
            (lambda: bool(product.rows(sa.select(orders.order_key))), server.process),
            (lambda: bool(product.rows(sa.select(receipts.order_key))), product.temporal),
        ]
        for reached, part in middle:
            until(reached)
            stand_still(part)
        with measured("from the return of the last part to rest"):
            until(lambda: is_at_rest(product))
        product.compare()
        judge(product)


def wait_for_events(product: Product, more: int) -> None:
    """Until ``more`` events are recorded, or nothing is left to do."""

    def count() -> int:
        return len(product.rows(sa.select(tables.events.c.seq)))

    before = count()
    until(lambda: count() >= before + more or is_at_rest(product))


class Fleet:
    """One worker process for each queue; ``kill_one`` ends a random one with SIGKILL, and starts another at once."""

    def __init__(self, product: Product, seed: int) -> None:
        self.product, self.chance = product, random.Random(seed)
        self.running = {queue: product.world.one_worker(queue, {}) for queue in QUEUES}

    def kill_one(self) -> str:
        queue = self.chance.choice(QUEUES)
        end(self.running[queue])
        self.running[queue] = self.product.world.one_worker(queue, {})
        return queue

    def end(self) -> None:
        for process in self.running.values():
            end(process)


def test_renewals_end_although_random_workers_are_killed_in_their_middle(
    estate: Estates, record_property: Callable[[str, object], None], measured: Measured
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    record_property("seed", seed)
    with estate(places=6) as product:
        fleet = Fleet(product, seed)
        try:
            product.world.discover()
            until(lambda: bool(product.certificates()))
            for _ in range(KILLS):
                record_property("killed", fleet.kill_one())
                wait_for_events(product, EVENTS_BETWEEN)
            with measured("from the last kill to rest"):
                until(lambda: is_at_rest(product))
            product.compare()
            judge(product)
        finally:
            fleet.end()
