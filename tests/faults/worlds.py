"""Small worlds to break: real listeners, a real database and Temporal namespace each, and workers that we start.

Longer than 300 lines because a world is one thing: what is started, what is asked of it, what is seen of it.
"""

import asyncio
import email
import email.policy
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateFailedError

from cli.home import PROJECT
from cli.process import dying_with_parent, free_port
from demo.authorities import StandIn, issue, key_pem, make_key, make_stand_in, write_secret
from demo.census import Entry, Place
from domain.contracts import DiscoveryRequest
from domain.names import LIFECYCLE_QUEUE, certificate_workflow, discovery_workflow
from domain.people.messages import Decide, Receipt
from domain.settings import Settings
from domain.tiers import Role
from store import access, tables
from tests.launcher.waiting import LONG_SECONDS, until
from tests.policies import whole
from workflows.client import connect
from workflows.discovery import Discovery

# Inside the window of every tier, and minutes away from the first rung of each (DESIGN rule 1).
LIFE, LEFT = timedelta(minutes=60), timedelta(minutes=18)
DISCOVERY = "broken"
ALL_QUEUES = "lifecycle,deploy,scan,issue"
LISTENERS = """
import asyncio, sys
from pathlib import Path
from demo.listeners import serve_folder
asyncio.run(serve_folder(Path(sys.argv[1]), Path(sys.argv[2])))
"""
# A worker that is gone is replaced in seconds, on a busy machine later than the 45 s of a redemption or the 60 s of a
# reservation (DESIGN rule 8); the approver then hears one of these, and asks for a new code.
SLOW = ("busy: ", "stale: the check of the code took too long")
MOST_CODES = 60

POLICY = """
people:
  - {{id: p-head, name: Head, email: head@example.in, role: security-head}}
  - {{id: p-owner, name: Owner, email: owner@example.in, role: operator}}
owners: [{{id: owner, contact: p-owner}}]
services: [{{id: service, owner: owner}}]
rules:
  - {{name: asking, when: {{ports: [{asking}]}}, tier: customer-facing, service: service}}
  - {{name: all, when: {{hosts: [127.0.0.1/32]}}, tier: internal, service: service}}
issuers: [{{name: our-ca, kind: private-ca, trust_class: private, recognise: ["*Internal Issuing CA*"]}}]
profiles: [{{name: same-life, validity: same}}]
renewals: [{{when: {{hosts: [127.0.0.1/32]}}, issuer: our-ca, profile: same-life}}]
targets:
  - name: listener
    when: {{hosts: [127.0.0.1/32]}}
    kind: file
    chain: {folder}/{{address}}_{{port}}/{{sni}}/{{algorithm}}.chain.pem
    key: {folder}/{{address}}_{{port}}/{{sni}}/{{algorithm}}.key.pem
    reload: ["true"]
scope:
  cidrs: [127.0.0.1/32]
  ports: [{ports}]
"""


def write_listener(folder: Path, port: int, name: str, stand_in: StandIn, *, left: timedelta = LEFT) -> None:
    """One certificate that ends in ``left`` for a listener below ``folder``, made aside and moved in whole."""
    key = make_key("ecdsa")
    entry = Entry((name,), (Place("127.0.0.1", port),), "internal", LIFE, left)
    made = folder.parent / "making" / f"127.0.0.1_{port}"
    made.mkdir(parents=True)
    (made / "ecdsa.chain.pem").write_bytes(issue(entry, key, stand_in, datetime.now(UTC)))
    write_secret(made / "ecdsa.key.pem", key_pem(key))
    folder.mkdir(parents=True, exist_ok=True)
    os.replace(made, folder / made.name)


def start(command: list[str], log: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    with log.open("ab") as stream:
        return subprocess.Popen(
            dying_with_parent([sys.executable, *command]),
            cwd=PROJECT,
            env=os.environ | {"PYTHONPATH": str(PROJECT)} | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait(LONG_SECONDS)


@contextmanager
def running(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> Iterator[None]:
    try:
        until(ready)
        yield
    finally:
        end(process)


def is_worth_a_new_code(receipt: Receipt) -> bool:
    """Whether it was refused for the time that the check took, which changes no case."""
    return receipt.outcome == "refused" and receipt.detail.startswith(SLOW)


@dataclass
class World:
    """One worker process over one database and namespace, with listeners of its own, two as a rule.

    ``state``: waiting, doomed (its worker ends at ``point``), clean (another took over), done, failed.
    """

    point: str
    home: Path
    settings: Settings
    engine: Engine
    ports: tuple[int, ...]
    asks: bool
    left: timedelta = LEFT
    state: str = "waiting"
    worker: subprocess.Popen[bytes] | None = None
    deaths: list[int] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    decided: threading.Thread | None = None

    def prepare(self, folder: Path, stand_in: StandIn) -> None:
        self.home.mkdir()
        for kek in ("ca.kek", "leaf.kek"):
            (self.home / kek).write_bytes(os.urandom(32))
        asking = self.ports[0] if self.asks else free_port()
        ports = ", ".join(map(str, self.ports))
        (self.home / "policy.yaml").write_text(whole(POLICY.format(asking=asking, folder=folder, ports=ports)))
        for number, port in enumerate(self.ports):
            write_listener(folder, port, f"n{number}.{self.home.name}.example", stand_in, left=self.left)

    def start_worker(self, failpoint: str = "", queues: str = ALL_QUEUES) -> None:
        self.worker = self.one_worker(queues, {"EVERLEAF_FAILPOINT": failpoint})

    def one_worker(self, queues: str, more: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """A process that serves ``queues``, with ``more`` in its environment; whoever asks for it ends it."""
        settings = self.settings
        environment = {
            "EVERLEAF_HOME": settings.home,
            "EVERLEAF_DATABASE_URL": settings.database_url,
            "EVERLEAF_TEMPORAL_ADDRESS": settings.temporal_address,
            "EVERLEAF_TEMPORAL_NAMESPACE": settings.namespace,
            "EVERLEAF_SMTP_URL": settings.smtp_url,
            "EVERLEAF_CA_KEK": f"{settings.home}/ca.kek",
            "EVERLEAF_LEAF_KEK": f"{settings.home}/leaf.kek",
        }
        return start(["worker.py", queues], self.home / "worker.log", {**environment, **more})

    async def client(self) -> Client:
        return await connect(self.settings, None)

    def discover(self) -> None:
        async def begin() -> None:
            request = DiscoveryRequest(DISCOVERY, "faults")
            identity = discovery_workflow(DISCOVERY)
            await (await self.client()).start_workflow(Discovery.run, request, id=identity, task_queue=LIFECYCLE_QUEUE)

        asyncio.run(begin())

    def discover_again(self) -> None:
        """Once more, under another name, and wait for its end."""

        async def run() -> None:
            request = DiscoveryRequest("again", "faults")
            identity = discovery_workflow("again")
            client = await self.client()
            await client.execute_workflow(Discovery.run, request, id=identity, task_queue=LIFECYCLE_QUEUE)

        asyncio.run(run())

    def rows(self, statement: Any) -> list[Any]:
        """The rows of a select."""
        with self.engine.connect() as connection:
            return list(connection.execute(statement))

    def step(self) -> None:
        """Do what is due: decide what is asked, replace the worker that died, see whether all is done."""
        assert self.worker is not None
        if self.asks and self.decided is None:
            self._decide_once()
        ended = self.worker.poll()
        if ended is not None:
            self.deaths.append(ended)
            if self.state == "clean" or ended != -signal.SIGKILL:
                self.state = "failed"
                return
            self.state = "clean"
            self.start_worker()
        elif self.state == "clean" and self.is_finished():
            self.stop()
            self.state = "done"

    def stop(self) -> None:
        assert self.worker is not None
        self.worker.terminate()

    def is_finished(self) -> bool:
        model = tables.managed_certificates.c
        rows = self.rows(sa.select(model.generation, model.state))
        answered = not self.asks or (self.decided is not None and not self.decided.is_alive())
        renewed = len(rows) == len(self.ports) and all(row[0] == 2 and row[1] == "sleeping" for row in rows)
        # A retry after a lost heartbeat comes a minute later, and may be what sends a notice or ends a delivery.
        unsent = self.rows(sa.select(tables.notices.c.id).where(tables.notices.c.sent_at.is_(None)))
        queued = self.rows(sa.select(tables.deliveries.c.message_id).where(tables.deliveries.c.state == "queued"))
        return answered and renewed and not unsent and not queued

    def _decide_once(self) -> None:
        asked = self.rows(sa.select(tables.approvals).where(tables.approvals.c.state == "pending"))
        # The letter's turn comes first where its Courier is to be broken.
        if not asked or (self.state == "doomed" and self.point.startswith("send.")):
            return
        row = asked[0]._mapping
        bound = access.Binding(row["managed_id"], "decide", row["case_number"], row["generation"], row["version"])
        self.decided = threading.Thread(target=lambda: asyncio.run(self._decide(bound)), daemon=True)
        self.decided.start()

    async def _decide(self, bound: access.Binding) -> None:
        """As an approver does: where the check of the code took too long, ask for a new code and decide again."""
        handle = (await self.client()).get_workflow_handle(certificate_workflow(bound.managed_id))
        for attempt in range(MOST_CODES):
            code = await asyncio.to_thread(self._code, bound)
            command = f"code-{attempt}"
            message = Decide(code, "approve", bound.case, bound.generation, bound.plan_version, command_id=command)
            try:
                receipt = await handle.execute_update("decide", message, id=command, result_type=Receipt)
            except WorkflowUpdateFailedError as error:
                receipt = Receipt("refused", str(getattr(error.cause, "message", error)), 0)
            self.receipts.append(receipt)
            if not is_worth_a_new_code(receipt):
                return
            await asyncio.sleep(2)

    def _code(self, bound: access.Binding) -> str:
        actor = access.Actor("person/p-head", Role.SECURITY_HEAD, may_decide=True)
        now, lives = datetime.now(UTC), timedelta(hours=1)
        return access.mint_warrant(self.engine, actor=actor, bound_to=bound, lives=lives, now=now)

    def running_lifecycles(self) -> int:
        """How many of the managed certificates have a lifecycle that runs."""

        async def count() -> int:
            client = await self.client()
            running = 0
            for row in self.rows(sa.select(tables.managed.c.id)):
                handle = client.get_workflow_handle(certificate_workflow(str(row[0])))
                running += (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
            return running

        return asyncio.run(count())

    def letters(self) -> list[str]:
        """Subject and text of every mail so far, oldest first."""
        found = []
        for path in sorted((self.home.parent / "demo" / "mail").glob("*.eml"), key=lambda one: one.stat().st_mtime_ns):
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            body = mail.get_body(("plain",))
            assert body is not None
            found.append(f"{mail['Subject']}\n{body.get_content()}")
        return found

    def last_words(self) -> str:
        log = self.home / "worker.log"
        return log.read_text()[-3000:] if log.exists() else ""


@contextmanager
def one_world(engine: Engine, settings: Settings, *, asks: bool, left: timedelta, places: int = 2) -> Iterator[World]:
    """A world with listeners and a mail server of its own; no worker runs yet.

    ``settings``: with its database, its Temporal and its namespace; its folder and its mail server are given here.
    """
    with tempfile.TemporaryDirectory(prefix="evl-world-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "demo").mkdir()
        sink, said = start(["-m", "demo.mailbox", folder], home / "smtp.log"), home / "demo" / "smtp.port"
        with running(sink, said.exists):
            smtp = f"smtp://127.0.0.1:{said.read_text().strip()}"
            its_own = replace(settings, home=str(home / "world"), smtp_url=smtp)
            ports = tuple(free_port() for _ in range(places))
            made = World("none", home / "world", its_own, engine, ports, asks=asks, left=left)
            made.prepare(home / "endpoints", make_stand_in("internal", "Faults", datetime.now(UTC)))
            command = ["-c", LISTENERS, str(home / "endpoints"), str(home / "listening")]
            with running(start(command, home / "listeners.log"), (home / "listening").exists):
                try:
                    yield made
                finally:
                    if made.worker is not None:
                        end(made.worker)
