"""The estate of 0.2.0 as it stood on a machine: database, Temporal's file with the running lifecycles, policy, keys.

`estate-0.2.0.tar.xz` was made by the code of the tag v0.2.0 over real listeners, with seven certificates: two sleep,
one was renewed, one waits for an approval and one for the CA of a supplier, one's place shows a stranger's, and one was
retired; with a token for a security head that no person stands behind.  Its keys guard nothing but these.
"""

import asyncio
import io
import lzma
import os
import subprocess
import sys
import tarfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio.client import Client

from cli import engine as temporal_engine
from cli.home import PROJECT
from domain.names import certificate_workflow
from domain.settings import Settings
from store import tables
from store.engine import create_engine
from tests.faults.worlds import end, running, start
from tests.launcher.waiting import LONG_SECONDS
from tests.servers import Cluster, own_name, start_temporal
from workflows.client import connect

HERE = Path(__file__).parent
RELEASE = "0.2.0"
ALL_QUEUES = "lifecycle,deploy,scan,issue"

T = TypeVar("T")


def unpack(name: str, into: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress((HERE / name).read_bytes()))) as packed:
        packed.extractall(into, filter="data")
    return into


@dataclass
class Estate:
    """What 0.2.0 left, behind a PostgreSQL and a Temporal that run; its schema is as 0.2.0 knew it."""

    home: Path
    settings: Settings
    engine: Engine

    @property
    def environment(self) -> dict[str, str]:
        settings, home = self.settings, str(self.home)
        return {
            "EVERLEAF_HOME": home,
            "EVERLEAF_DATABASE_URL": settings.database_url,
            "EVERLEAF_TEMPORAL_ADDRESS": settings.temporal_address,
            "EVERLEAF_SMTP_URL": settings.smtp_url,
            "EVERLEAF_POLICY": f"{home}/policy.yaml",
            "EVERLEAF_CA_KEK": f"{home}/ca.kek",
            "EVERLEAF_LEAF_KEK": f"{home}/leaf.kek",
        }

    @contextmanager
    def worker(self, more: Mapping[str, str] | None = None) -> "Iterator[subprocess.Popen[bytes]]":
        """A worker of this release; it is ended at the end."""
        process = start(["worker.py", ALL_QUEUES], self.home / "worker.log", {**self.environment, **(more or {})})
        try:
            yield process
        finally:
            end(process)

    def everleaf(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli.main", *arguments, "--data-dir", str(self.home)]
        environment = os.environ | self.environment
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=LONG_SECONDS
        )

    def rows(self, statement: sa.Select[Any]) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def events(self) -> list[tuple[Any, ...]]:
        column = tables.events.c
        return self.rows(sa.select(column.stream, column.seq, column.body).order_by(column.stream, column.seq))

    def orders(self) -> list[tuple[Any, ...]]:
        column = tables.orders.c
        return self.rows(sa.select(column.order_key, column.state, column.fingerprint).order_by(column.order_key))

    def living(self) -> dict[str, str]:
        """Id -> state word of each that is not retired."""
        column = tables.managed_certificates.c
        found = self.rows(sa.select(column.id, column.state).where(sa.not_(column.retired)))
        return dict(found)

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        async def asked() -> T:
            return await question(await connect(self.settings, None))

        return asyncio.run(asked())

    def failing(self) -> dict[str, int]:
        """Of each lifecycle whose present task failed: how often."""

        async def look(client: Client) -> dict[str, int]:
            found = {}
            for managed_id in self.living():
                described = await client.get_workflow_handle(certificate_workflow(managed_id)).describe()
                attempt = described.raw_description.pending_workflow_task.attempt
                if attempt > 1:
                    found[managed_id] = attempt
            return found

        return self.ask(look)


@contextmanager
def estate_of_0_2_0(cluster: Cluster, folder: Path) -> Iterator[Estate]:
    """In ``folder``, with a database and a Temporal and a mail server of its own."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    unpack(f"estate-{RELEASE}.tar.xz", home)
    name = own_name()
    cluster.execute(f"CREATE DATABASE {name}")
    url = cluster.url(name)
    # What psql alone reads begins with a backslash.
    dumped = (home / "everleaf.sql").read_text().splitlines()
    statements = "\n".join(line for line in dumped if not line.startswith("\\"))
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        connection.execute(statements.encode())
    process, address = start_temporal(home, file="temporal.db")
    (folder / "demo").mkdir()
    sink, said = start(["-m", "demo.mailbox", str(folder)], folder / "smtp.log"), folder / "demo" / "smtp.port"
    engine = create_engine(url)
    try:
        with running(sink, said.exists):
            settings = Settings(url, address, str(home))
            temporal_engine.set_up(settings)
            yield Estate(home, replace(settings, smtp_url=f"smtp://127.0.0.1:{said.read_text().strip()}"), engine)
    finally:
        engine.dispose()
        end(process)
        cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")
