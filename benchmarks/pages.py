"""What pages and lists cost with 100,000 certificates: server time of lists and Situation, and 200 open streams.

``python -m benchmarks.pages [--certificates 100000] [--streams 200]``: starts an installation of its own without the
sample estate, fills its PostgreSQL by SQL, asks its API, prints a table, and takes everything down.  The plans of the
slowest queries go to ``--plans FILE``.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from benchmarks import rows
from cli.home import PROJECT
from store import reader
from store.changes import note_change
from store.engine import create_engine
from store.reader import CertificateQuery

LISTS = (
    "",
    "?sort=severity",
    "?sort=-not_after",
    "?sort=name",
    "?sort=-service",
    "?sort=tier",
    "?sort=state",
    "?tier=customer-facing",
    "?tier=internal&sort=severity",
    "?severity=critical",
    "?severity=warning&sort=name",
    "?state=awaiting-approval&sort=severity",
    "?owner=owner-17",
    "?owner=owner-17&sort=-name",
    "?service=service-200&sort=severity",
    "?issuer=CN%3DIssuing%20CA%203&sort=state",
    "?q=host-4711.",
    "?q=zone-42",
    "?q=zone-42&sort=severity&tier=internal",
    "?q=no-such-host-anywhere",
    "?q=ho&sort=name",
    "?ends=90",
    "?ends=past&sort=name",
    "?attention=true&sort=severity",
    "?open=true&sort=severity",
    "?finding=weak+key",
    "?finding=weak+key&sort=-name",
    "?finding=wrong-name&sort=severity",
    "?finding=drift",
    "?placed=false&sort=name",
    "?severity=minor&owner=owner-40&service=service-82",
)


@contextmanager
def installation() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="evl-pages-", dir="/tmp") as folder:
        home = ["--data-dir", folder + "/home"]

        def everleaf(*arguments: str) -> str:
            command = [sys.executable, "-m", "cli.main", *arguments, *home]
            done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300)
            if done.returncode:
                raise SystemExit(done.stderr)
            return done.stdout

        everleaf("up", "--no-demo", "--detach")
        try:
            yield json.loads(everleaf("status", "--output", "json")) | {
                "token": everleaf("token", "create", "--role", "noc", "--name", "benchmark").strip()
            }
        finally:
            everleaf("down")


def fill(database_url: str, count: int) -> float:
    engine = create_engine(database_url, statement_timeout_seconds=0)
    began = time.perf_counter()
    with engine.begin() as connection:
        for statement in rows.ALL:
            connection.execute(sa.text(statement), {"count": count} if ":count" in statement else {})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    engine.dispose()
    return time.perf_counter() - began


def ask(client: httpx2.Client, path: str, times: int) -> list[float]:
    """Milliseconds of each answer, from the request to its last byte, over one kept connection on loopback."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        answer = client.get(path)
        found.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
    return found


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


def measure(status: dict[str, Any], times: int) -> None:
    headers = {"authorization": f"Bearer {status['token']}"}
    with httpx2.Client(base_url=status["urls"]["api"], headers=headers, timeout=60) as client:
        # A process compiles its templates once.
        for first in ("/v1/certificates", "/certificates", "/"):
            ask(client, first, 3)
        print(f"{'list (API and page)':<58}{'API p95':>10}{'page p95':>10}  ms")
        api_all: list[float] = []
        pages_all: list[float] = []
        for query in LISTS:
            api = [] if any(word in query for word in PAGE_ONLY) else ask(client, f"/v1/certificates{query}", times)
            page = ask(client, f"/certificates{query}", times)
            api_all += api
            pages_all += page
            print(f"{query or '(all)':<58}{f'{p95(api):.1f}' if api else '':>10}{p95(page):>10.1f}")
        print(f"{'all lists together':<58}{p95(api_all):>10.1f}{p95(pages_all):>10.1f}")
        print(f"{'Situation':<68}{p95(ask(client, '/', times)):>10.1f}")
        print(f"{'one certificate (no lifecycle runs)':<68}{p95(ask(client, '/certificates/mc-00004711', 5)):>10.1f}")


# Filters whose spelling is the page's own.
PAGE_ONLY = ("ends=", "placed=", "attention=", "open=")


async def streams(status: dict[str, Any], clients: int, changes: int) -> None:
    """Open ``clients`` streams, write ``changes``, count what each heard."""
    headers = {"authorization": f"Bearer {status['token']}"}
    heard: list[set[str]] = [set() for _ in range(clients)]
    opened = asyncio.Semaphore(0)
    delays: list[float] = []
    written: dict[str, float] = {}

    async def follow(client: httpx2.AsyncClient, index: int) -> None:
        async with client.stream("GET", "/v1/events", headers=headers) as answer:
            assert answer.status_code == 200
            opened.release()
            async for line in answer.aiter_lines():
                if line.startswith('data: {"kind"'):
                    subject = json.loads(line[6:])["id"]
                    heard[index].add(subject)
                    delays.append(time.perf_counter() - written[subject])
                    if len(heard[index]) == changes:
                        return

    engine = create_engine(status["database_url"])
    limits = httpx2.Limits(max_connections=clients + 10)
    async with httpx2.AsyncClient(base_url=status["urls"]["api"], timeout=120, limits=limits) as client:
        following = [asyncio.create_task(follow(client, index)) for index in range(clients)]
        for _ in range(clients):
            await opened.acquire()
        await asyncio.sleep(1)
        for number in range(changes):
            written[f"change-{number}"] = time.perf_counter()
            await asyncio.to_thread(write_change, engine, f"change-{number}")
            await asyncio.sleep(0.02)
        done, late = await asyncio.wait(following, timeout=60)
        for task in done:
            task.result()
        for task in late:
            task.cancel()
    engine.dispose()
    lost = sum(changes - len(found) for found in heard)
    late_ms = 1000 * p95(delays)
    sent = clients * changes
    print(f"{clients} streams, {changes} changes: {lost} of {sent} lost, p95 {late_ms:.0f} ms behind the write")
    assert lost == 0


def write_change(engine: sa.Engine, subject: str) -> None:
    with engine.begin() as connection:
        note_change(connection, "certificate", subject)


def explain_plans(status: dict[str, Any], file: Path) -> None:
    """What PostgreSQL does for lists, their counts and Situation: each statement as it is sent, with its plan."""
    engine = create_engine(status["database_url"])
    asked = (
        CertificateQuery(),
        CertificateQuery(sort="severity", attention=True),
        CertificateQuery(q="zone-42", sort="severity"),
        CertificateQuery(owner="owner-17", sort="name"),
        CertificateQuery(open=True, sort="severity"),
        CertificateQuery(finding="weak key", sort="-name"),
    )
    now = datetime.now(UTC)
    parts: dict[str, Callable[[], object]] = {
        f"List: {_said(one)}": partial(reader.list_certificates, engine, one) for one in asked
    }
    parts["Counts of the views"] = partial(reader.count_certificates, engine, asked)
    parts["Situation"] = partial(reader.situation, engine, now)
    parts["The rail of every page"] = partial(reader.rail_counts, engine)
    lines = ["# Plans over 100,000 certificates", "", "Written by `python -m benchmarks.pages --plans FILE`.", ""]
    for name, work in parts.items():
        lines += [f"## {name}", ""]
        for statement, parameters in _statements(engine, work):
            with engine.connect() as connection:
                plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE) {statement}", parameters).scalars().all()
            lines += ["```sql", " ".join(statement.split()), "```", "", "```", *plan, "```", ""]
    engine.dispose()
    file.write_text("\n".join(lines))


def _said(asked: CertificateQuery) -> str:
    plain = CertificateQuery()
    changed = [name for name in asked.__slots__ if getattr(asked, name) != getattr(plain, name)]
    return ", ".join(f"{name} = {getattr(asked, name)}" for name in changed) or "all"


def _statements(engine: sa.Engine, work: Callable[[], object]) -> list[tuple[str, Any]]:
    """What ``work`` asks of the database, in its order."""
    found: list[tuple[str, Any]] = []

    def heard(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        found.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", heard)
    try:
        work()
    finally:
        sa.event.remove(engine, "before_cursor_execute", heard)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--certificates", type=int, default=100_000)
    parser.add_argument("--streams", type=int, default=200)
    # The p95 of 20 answers is nearly the slowest of them.
    parser.add_argument("--times", type=int, default=60)
    parser.add_argument("--plans", type=Path)
    given = parser.parse_args()
    with installation() as status:
        print(
            f"{given.certificates:,} certificates written in {fill(status['database_url'], given.certificates):.0f} s"
        )
        measure(status, given.times)
        asyncio.run(streams(status, given.streams, 100))
        if given.plans:
            explain_plans(status, given.plans)


if __name__ == "__main__":
    main()
