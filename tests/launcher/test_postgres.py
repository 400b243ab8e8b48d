"""The embedded PostgreSQL: starts, continues, and never outlives its parent."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from cli.postgres import LONGEST_SOCKET_DIRECTORY, EmbeddedPostgres
from domain.errors import NotReady
from tests.launcher.waiting import LONG_SECONDS, has_ended

pytestmark = pytest.mark.server

PARENT = """
import sys, time
from pathlib import Path
from cli.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
print(server.start(), server.child.process.pid, flush=True)
time.sleep(600)
"""


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(home, durable=False)
    yield server
    server.stop()


def test_a_second_start_finds_what_the_first_wrote(server: EmbeddedPostgres, home: Path) -> None:
    with connect(server.start()) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    server.stop()

    again = EmbeddedPostgres(home, durable=False)
    with connect(again.start()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    again.stop()


def test_it_listens_on_no_port_and_keeps_its_files_private(server: EmbeddedPostgres) -> None:
    with connect(server.start()) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW data_checksums").fetchone() == ("on",)
    assert server.socket_directory.stat().st_mode & 0o077 == 0
    assert server.cluster.stat().st_mode & 0o077 == 0
    assert server.cluster.stat().st_uid == os.geteuid()


def test_an_interrupted_first_start_leaves_no_half_cluster(server: EmbeddedPostgres, home: Path) -> None:
    (home / "postgres.init-1" / "base").mkdir(parents=True)

    server.start()

    assert not list(home.glob("postgres.init-*"))


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("x" * 120), durable=False)

    with connect(server.start()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)

    assert len(str(server.socket_directory)) <= LONGEST_SOCKET_DIRECTORY
    server.stop()


def test_no_server_survives_the_kill_of_its_parent_and_the_next_start_works(home: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(home)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    _, pid = parent.stdout.readline().split()

    parent.send_signal(signal.SIGKILL)
    parent.wait(LONG_SECONDS)
    next_server = EmbeddedPostgres(home, durable=False)
    next_server.start()

    assert has_ended(int(pid))
    next_server.stop()


def test_a_cluster_of_another_release_is_refused_with_the_remedy(server: EmbeddedPostgres, home: Path) -> None:
    server.start()
    server.stop()
    (home / "postgres" / "PG_VERSION").write_text("9\n")

    with pytest.raises(NotReady, match="EVERLEAF_PG_BINDIR"):
        EmbeddedPostgres(home, durable=False).start()
