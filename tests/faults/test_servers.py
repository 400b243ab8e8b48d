"""``kill -9`` of the Temporal server and of PostgreSQL in the middle of renewals: all of them end after the restart."""

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cli.process import free_port
from demo.authorities import StandIn, make_stand_in
from tests.e2e.product import eventually, everleaf
from tests.faults.test_kill_points import served
from tests.faults.worlds import LISTENERS, POLICY, end, start, write_listener
from tests.launcher.waiting import until
from tests.policies import whole

pytestmark = [pytest.mark.e2e]
BATCH = 8


class Installation:
    """`up` as a user without the demo has it, over listeners of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.ports = [free_port() for _ in range(2 * BATCH)]
        self.stand_in: StandIn = make_stand_in("internal", "Faults", datetime.now(UTC))
        ports = ", ".join(map(str, self.ports))
        self.policy = folder / "policy.yaml"
        self.policy.write_text(whole(POLICY.format(asking=free_port(), folder=folder / "endpoints", ports=ports)))

    def status(self) -> dict[str, Any]:
        found = json.loads(everleaf(self.home, "status", "--output", "json").stdout)
        assert isinstance(found, dict)
        return found

    def add(self, ports: list[int]) -> None:
        for port in ports:
            write_listener(self.folder / "endpoints", port, f"n{port}.servers.example", self.stand_in)

    def count(self, statement: str) -> int:
        """One number of the database; -1 while it does not answer."""
        url = self.status()["database_url"].replace("postgresql+psycopg://", "postgresql://")
        try:
            with psycopg.connect(url, connect_timeout=5) as connection:
                row = connection.execute(statement.encode()).fetchone()
        except psycopg.Error:
            return -1
        assert row is not None
        return int(row[0])


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="evl-srv-", dir="/tmp", ignore_cleanup_errors=True) as name:
        made = Installation(Path(name))
        made.add(made.ports[:BATCH])
        listening = made.folder / "listening"
        listeners = start(["-c", LISTENERS, str(made.folder / "endpoints"), str(listening)], made.folder / "log")
        try:
            until(listening.exists)
            done = everleaf(made.home, "up", "--no-demo", "--detach", EVERLEAF_POLICY=str(made.policy))
            assert done.returncode == 0, done.stderr
            yield made
        finally:
            everleaf(made.home, "down")
            end(listeners)


def kill(installation: Installation, part: str) -> None:
    pid = next(one["pid"] for one in installation.status()["parts"] if one["name"] == part)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("part", ["temporal", "postgres"])
def test_renewals_end_although_a_server_was_killed_in_their_middle(installation: Installation, part: str) -> None:
    first = part == "temporal"
    wanted = BATCH if first else 2 * BATCH
    if not first:
        # The first discovery has begun by itself; what comes later is looked for by hand.
        installation.add(installation.ports[BATCH:])
        until(lambda: all(_answers(port) for port in installation.ports))
        done = everleaf(installation.home, "discover")
        assert done.returncode == 0, done.stderr
    before = 0 if first else BATCH
    eventually(lambda: installation.count("SELECT count(*) FROM orders") > before, "the first is ordered")

    kill(installation, part)

    renewed = "SELECT count(*) FROM managed_certificates WHERE generation = 2 AND state = 'sleeping'"
    eventually(lambda: installation.count(renewed) == wanted, f"{wanted} are renewed")
    assert installation.count("SELECT count(*) FROM managed") == wanted
    assert installation.count("SELECT count(*) FROM orders WHERE state = 'issued'") == wanted
    assert installation.count("SELECT count(*) FROM ca_issued WHERE der IS NOT NULL") == wanted
    serials = ", ".join(f"'{served(port).serial_number:x}'" for port in installation.ports[:wanted])
    assert installation.count(f"SELECT count(*) FROM ca_issued WHERE serial IN ({serials})") == wanted
    restarted = [one for one in installation.status()["parts"] if one["name"] == part]
    assert restarted[0]["restarts"] >= 1


def _answers(port: int) -> bool:
    try:
        served(port)
    except OSError:
        return False
    return True
