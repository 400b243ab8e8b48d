"""What it costs when thousands of lifecycles begin at once, and what a cold replay of one costs.

    python -m benchmarks.lifecycles [--certificates 5000] [--asking 300]
    python -m benchmarks.lifecycles --replay FILE [--runs 10]

The first starts an installation of its own as `everleaf up` does (PostgreSQL, Temporal's development server, workers,
API), with a folder of PEM files that its first discovery finds.  It prints how long it takes until every lifecycle has
started and recorded that it is adopted, how many of them sleep by then (the others ask, or are being renewed because
somebody approved), what the worker needs for it, whether a task failed as a deadlock, how soon a decision is
answered meanwhile and how soon fifty on one approval are, and how fast an empty workflow starts and comes to rest on
the same server.  The second takes a stored history (tests/replay) and prints the CPU time of replaying it, with a new
replayer each time, in a process that has replayed it once before: as a worker meets a lifecycle that it has evicted.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, Worker

from benchmarks.certificates import write_certificates
from benchmarks.empty import RESTING, Empty
from cli.home import PROJECT
from cli.process import dying_with_parent
from store.engine import create_engine
from workflows.client import connect_within
from workflows.converter import DATA_CONVERTER
from workflows.replaying import WORKFLOWS, read_history
from workflows.sandbox import RESTRICTIONS, Sandbox

EMPTY = 600
STARTS_AT_ONCE = 16
AT_ONCE = 50
# Far above what is promised, so that a miss is measured and not cut off.
LIMIT_SECONDS = 1800
# One that has recorded nothing but its beginning has no life yet.
RECORDED = "SELECT count(*) FROM managed_certificates WHERE state <> 'adopting'"

POLICY = """
people:
  - {id: head, name: Head, email: head@example.invalid, role: security-head}
  - {id: team, name: Team, email: team@example.invalid, role: operator}
owners: [{id: team, contact: team}]
services: [{id: shop, owner: team}]
rules:
  - {name: asking, when: {names: ["*.asking.example"]}, tier: customer-facing, service: shop}
  - {name: rest, when: {names: ["*.example"]}, tier: internal, service: shop}
issuers: [{name: own, kind: private-ca, trust_class: private, recognise: ["*CN=Benchmark CA*"]}]
profiles: [{name: half-year, validity: 180d}]
renewals: [{when: {}, issuer: own, profile: half-year}]
targets: [{name: file, when: {paths: ["FOLDER/*.pem"]}, chain: "{path}", key: "{path}"}]
scope: {paths: ["FOLDER/*.pem"]}
tiers: []
roots: []
...
"""


@dataclass
class Product:
    """An installation that runs.  ``begun``: when `up` was called."""

    status: dict[str, Any]
    token: str
    engine: Engine
    begun: float = field(default_factory=time.monotonic)

    @property
    def api(self) -> str:
        return str(self.status["urls"]["api"])

    def part(self, name: str) -> int:
        return next(int(part["pid"]) for part in self.status["parts"] if part["name"] == name)

    def count(self, query: str) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(sa.text(query)).scalar_one())

    def decide(self, approval: dict[str, Any]) -> tuple[float, int]:
        """(seconds until it was answered, the status of the answer)"""
        began = time.monotonic()
        answer = httpx2.post(
            f"{self.api}/v1/approvals/{approval['id']}/decision",
            json={"decision": "approve", "version": approval["version"]},
            headers={"authorization": f"Bearer {self.token}"},
            timeout=120,
        )
        return time.monotonic() - began, answer.status_code

    def pending(self) -> list[dict[str, Any]]:
        headers = {"authorization": f"Bearer {self.token}"}
        answer = httpx2.get(f"{self.api}/v1/approvals?state=pending&limit=100", headers=headers, timeout=120)
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


@contextmanager
def installation(folder: Path, rules: str = POLICY) -> Iterator[Product]:
    """``rules``: its policy; FOLDER in it stands for the one of the PEM files."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    policy = folder / "policy.yaml"
    policy.write_text(rules.replace("FOLDER", str(folder / "pem")))
    post = subprocess.Popen(
        dying_with_parent([sys.executable, "-m", "demo.mailbox", str(home)]), cwd=PROJECT, stdout=subprocess.DEVNULL
    )
    port = home / "demo" / "smtp.port"
    while not (port.exists() and port.read_text().strip()):
        time.sleep(0.1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EVERLEAF_")}
    environment |= {"EVERLEAF_POLICY": str(policy), "EVERLEAF_SMTP_URL": f"smtp://127.0.0.1:{port.read_text().strip()}"}

    def everleaf(*arguments: str) -> str:
        command = [sys.executable, "-m", "cli.main", *arguments, "--data-dir", str(home)]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise SystemExit(done.stderr)
        return done.stdout

    begun = time.monotonic()
    everleaf("up", "--no-demo", "--detach")
    try:
        status = json.loads(everleaf("status", "--output", "json"))
        token = everleaf("token", "create", "--role", "security-head", "--name", "benchmark").strip().split()[-1]
        url = status["database_url"].replace("postgresql://", "postgresql+psycopg://", 1)
        engine = create_engine(url)
        yield Product(status, token, engine, begun)
        engine.dispose()
    finally:
        everleaf("down")
        post.terminate()
        post.wait(30)


def cpu_of(pid: int) -> float:
    """Seconds of CPU that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> int:
    """MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


async def empty_rate(product: Product) -> float:
    """How many empty workflows a second start and come to rest, on the same server and as many at once."""
    from domain.settings import Settings

    address, namespace = product.status["temporal"]["address"], product.status["temporal"]["namespace"]
    client = await connect_within(Settings("", address, "", namespace=namespace), None, 30)
    # Loaded once as our own rooms are, so that both are run alike.
    runner = Sandbox(RESTRICTIONS.with_passthrough_modules("benchmarks.empty"))
    async with Worker(client, task_queue="empty", workflows=[Empty], workflow_runner=runner):
        begun, free = time.monotonic(), asyncio.Semaphore(STARTS_AT_ONCE)

        async def start(number: int) -> None:
            async with free:
                await client.start_workflow(Empty.run, id=f"empty/{number}", task_queue="empty")

        await asyncio.gather(*(start(number) for number in range(EMPTY)))
        while len(set(RESTING)) < EMPTY:  # noqa: ASYNC110  # what rests are workflows, which may set no event
            await asyncio.sleep(0.05)
        return EMPTY / (time.monotonic() - begun)


def measure(certificates: int, asking: int) -> None:
    with tempfile.TemporaryDirectory(prefix="evl-lifecycles-", dir="/tmp") as name:
        folder = Path(name)
        write_certificates(folder / "pem", certificates, asking)
        with installation(folder) as product:
            worker, server = product.part("worker-lifecycle"), product.part("temporal")
            flood(product, certificates)
            log = Path(product.status["data_dir"]) / "logs" / "worker-lifecycle.log"
            deadlocks = log.read_text(errors="replace").count("TMPRL1101")
            print(f"tasks failed as deadlocks: {deadlocks}")
            used = f"{cpu_of(worker):.0f} s CPU; Temporal {cpu_of(server):.0f} s"
            print(f"worker: {peak_memory(worker)} MB at most, {used}", flush=True)
            fifty(product)
            rate = asyncio.run(empty_rate(product))
            print(f"empty workflows: {rate:.1f} a second start and come to rest")


def flood(product: Product, certificates: int) -> None:
    """Watch the first discovery until every lifecycle has recorded that it is adopted, and decide meanwhile."""
    adopted_at = 0.0
    answers: list[tuple[float, int]] = []
    decided: set[str] = set()
    while True:
        if not adopted_at and product.count("SELECT count(*) FROM discoveries WHERE state = 'adopted'"):
            adopted_at = time.monotonic()
        recorded = product.count(RECORDED)
        unsent = product.count("SELECT count(*) FROM notices WHERE sent_at IS NULL")
        if adopted_at and recorded >= certificates and not unsent:
            break
        if time.monotonic() - product.begun > LIMIT_SECONDS:
            raise SystemExit(f"given up: {recorded} of {certificates} are recorded, {unsent} notices are unsent")
        waiting = [one for one in product.pending() if one["id"] not in decided] if adopted_at else []
        if len(waiting) > 2:
            chosen = random.choice(waiting[:-1])  # noqa: S311  # which one is no secret
            decided.add(chosen["id"])
            answers.append(product.decide(chosen))
        time.sleep(1)
    took = time.monotonic() - adopted_at
    print(f"{certificates} certificates; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"adopted {adopted_at - product.begun:.0f} s after `up`; all started and recorded {took:.0f} s later")
    sleeping = product.count("SELECT count(*) FROM managed_certificates WHERE state = 'sleeping'")
    print(f"{sleeping} of them sleep, {certificates - sleeping} ask or are being renewed")
    print(f"lifecycles: {certificates / took:.1f} a second start and come to rest")
    seconds = sorted(second for second, _ in answers) or [0.0]
    statuses = sorted({status for _, status in answers})
    print(
        f"{len(answers)} decisions meanwhile: median {statistics.median(seconds):.2f} s, "
        f"most {seconds[-1]:.2f} s, answers {statuses}"
    )


def fifty(product: Product) -> None:
    waiting = product.pending()
    if not waiting:
        print("fifty at once: no approval is left to decide; raise --asking")
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: product.decide(waiting[-1]), range(AT_ONCE)))
    counted = {status: sum(one == status for _, one in answers) for _, status in answers}
    last = max(one for one, _ in answers)
    print(f"{AT_ONCE} decisions at once on one approval: the last after {last:.2f} s, {counted}", flush=True)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def replay(history: WorkflowHistory, runs: int) -> list[float]:
    """Milliseconds of CPU of each run, all threads of the process together; the first is not counted."""
    taken = []
    for _ in range(runs + 1):
        replayer = Replayer(workflows=WORKFLOWS, data_converter=DATA_CONVERTER, workflow_runner=Sandbox())
        begun = cpu()
        await replayer.replay_workflow(history)
        taken.append(1000 * (cpu() - begun))
    return taken[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description="Thousands of lifecycles that begin at once; a cold replay.")
    parser.add_argument("--certificates", type=int, default=5000)
    parser.add_argument("--asking", type=int, default=300)
    parser.add_argument("--replay", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=10)
    given = parser.parse_args()
    if given.replay is None:
        measure(given.certificates, given.asking)
        return
    history = read_history(given.replay.read_text(), "certificate/mc-1")
    taken = asyncio.run(replay(history, given.runs))
    print(f"{given.replay.name}: {len(history.events)} events, {len(taken)} cold replays")
    print(f"CPU ms: median {statistics.median(taken):.1f}, least {min(taken):.1f}, most {max(taken):.1f}")


if __name__ == "__main__":
    main()
