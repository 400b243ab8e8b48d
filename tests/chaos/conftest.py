"""A product on servers of its own, which a test may wipe or put back, and the oracle beside it.

The oracle asks the world outside the product: which workflows run, what the CA signed, which letters came.
"""

import asyncio
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.names import RECONCILIATION_SCHEDULE, certificate_workflow
from domain.settings import Settings
from store import tables
from tests.faults import worlds
from tests.faults.worlds import World, end, one_world
from tests.launcher.waiting import until
from tests.postgres_server import PostgresServer
from tests.servers import TEMPLATE, Cluster, start_temporal

T = TypeVar("T")
FILE = "temporal.db"


@dataclass
class Shaken:
    """A world whose database and Temporal are its own."""

    world: World
    temporal_folder: Path
    temporal: "subprocess.Popen[bytes]" = field(repr=False)
    port: int = 0

    def rows(self, statement: sa.Select[tuple[object]]) -> list[object]:
        return [row[0] for row in self.world.rows(statement)]

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """What Temporal answers to ``question``."""

        async def asked() -> T:
            return await question(await self.world.client())

        return asyncio.run(asked())

    def certificates(self) -> list[str]:
        return sorted(str(one) for one in self.rows(sa.select(tables.managed.c.id)))

    def statuses(self) -> dict[str, str]:
        """What Temporal says of the lifecycle of each certificate, asked of its own and not of a list."""

        async def described(client: Client) -> dict[str, str]:
            found = {}
            for managed_id in self.certificates():
                try:
                    one = await client.get_workflow_handle(certificate_workflow(managed_id)).describe()
                    found[managed_id] = one.status.name if one.status is not None else "none"
                except RPCError:
                    found[managed_id] = "absent"
            return found

        return self.ask(described)

    def all_run(self) -> bool:
        return set(self.statuses().values()) == {WorkflowExecutionStatus.RUNNING.name}

    def orders(self) -> list[str]:
        return sorted(map(str, self.rows(sa.select(tables.orders.c.order_key))))

    def told(self) -> list[str]:
        """Letters about lifecycles that were lost or do not go on."""
        return [
            letter
            for letter in self.world.letters()
            if "What was begun again goes on by itself" in " ".join(letter.split())
        ]

    def comparisons(self) -> int:
        return len(self.rows(sa.select(tables.reconciliations.c.id)))

    def compare(self) -> None:
        """Have inventory and engine compared now, as the Schedule does every five minutes, and wait for its end."""
        before = self.comparisons()
        self.ask(lambda client: client.get_schedule_handle(RECONCILIATION_SCHEDULE).trigger())
        until(lambda: self.comparisons() > before)

    def put_temporal_back(self, before: Callable[[], None]) -> None:
        """To what it held before ``before``: its file, as it lay on the disk."""
        kept = {path.name: path.read_bytes() for path in self.stopped_files()}
        self.start_again()
        before()
        for path in self.stopped_files():
            path.unlink()
        for name, content in kept.items():
            (self.temporal_folder / name).write_bytes(content)
        self.start_again()

    def stopped_files(self) -> list[Path]:
        self.temporal.terminate()
        self.temporal.wait()
        return sorted(self.temporal_folder.glob(f"{FILE}*"))

    def start_again(self) -> None:
        self.temporal, _ = start_temporal(self.temporal_folder, self.port, file=FILE)

    def wipe_temporal(self) -> None:
        for path in self.stopped_files():
            path.unlink()
        self.start_again()


@contextmanager
def shaken(cluster: Cluster, engine: Engine) -> Iterator[Shaken]:
    with tempfile.TemporaryDirectory(prefix="evl-tp-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        temporal, address = start_temporal(Path(folder), file=FILE)
        port = int(address.rpartition(":")[2])
        settings = Settings(cluster.url(TEMPLATE), address, "")
        made = None
        try:
            with one_world(engine, settings, asks=False, left=worlds.LEFT) as world:
                made = Shaken(world, Path(folder), temporal, port)
                yield made
        finally:
            end(made.temporal if made is not None else temporal)


@pytest.fixture
def shaken_early(mortal: tuple[PostgresServer, Engine]) -> Iterator[Shaken]:
    """Two internal certificates that are being found and renewed."""
    server, engine = mortal
    with shaken(Cluster(server.socket), engine) as made:
        made.world.start_worker()
        made.world.discover()
        yield made


@pytest.fixture
def product(mortal: tuple[PostgresServer, Engine]) -> Iterator[Shaken]:
    """Two internal certificates that were found, renewed and verified; its worker runs."""
    server, engine = mortal
    with shaken(Cluster(server.socket), engine) as made:
        made.world.start_worker()
        made.world.discover()
        until(made.world.is_finished)
        yield made
