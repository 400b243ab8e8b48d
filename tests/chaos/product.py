"""A product that is shaken, and what the world outside it says of it."""

import asyncio
import subprocess
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.contracts import DiscoveryRequest
from domain.names import LIFECYCLE_QUEUE, RECONCILIATION_SCHEDULE, certificate_workflow, discovery_workflow
from store import tables
from tests.chaos.post import PostOffice
from tests.faults.worlds import World
from tests.launcher.waiting import until
from tests.servers import start_temporal
from workflows.discovery import Discovery

T = TypeVar("T")
FILE = "temporal.db"


@dataclass
class Product:
    """A world, and what others than the product say of it.

    ``post``: the mail server that it was given instead of the world's own.
    """

    world: World
    post: PostOffice | None = None

    def rows(self, statement: sa.Select[tuple[object]]) -> list[object]:
        return [row[0] for row in self.world.rows(statement)]

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """What Temporal answers to ``question``."""

        async def asked() -> T:
            return await question(await self.world.client())

        return asyncio.run(asked())

    def certificates(self) -> list[str]:
        return sorted(str(one) for one in self.rows(sa.select(tables.managed.c.id)))

    def statuses(self) -> dict[str, str]:
        """What Temporal says of the lifecycle of each certificate, asked of its own and not of a list."""

        async def described(client: Client) -> dict[str, str]:
            found = {}
            for managed_id in self.certificates():
                try:
                    one = await client.get_workflow_handle(certificate_workflow(managed_id)).describe()
                    found[managed_id] = one.status.name if one.status is not None else "none"
                except RPCError:
                    found[managed_id] = "absent"
            return found

        return self.ask(described)

    def all_run(self) -> bool:
        return set(self.statuses().values()) == {WorkflowExecutionStatus.RUNNING.name}

    def letters(self) -> list[str]:
        return self.world.letters() if self.post is None else self.post.texts()

    def discover(self) -> None:
        """Look once more at everything, and wait until it is adopted."""

        async def look(client: Client) -> None:
            own = f"chaos-{uuid.uuid4()}"
            request = DiscoveryRequest(own, "chaos")
            await client.execute_workflow(
                Discovery.run, request, id=discovery_workflow(own), task_queue=LIFECYCLE_QUEUE
            )

        self.ask(look)

    def orders(self) -> list[str]:
        return sorted(map(str, self.rows(sa.select(tables.orders.c.order_key))))

    def told(self) -> list[str]:
        """Letters about lifecycles that were lost or do not go on."""
        return [
            letter for letter in self.letters() if "What was begun again goes on by itself" in " ".join(letter.split())
        ]

    def comparisons(self) -> int:
        return len(self.rows(sa.select(tables.reconciliations.c.id)))

    def compare(self) -> None:
        """Have inventory and engine compared now, as the Schedule does every five minutes, and wait for its end."""
        before = self.comparisons()
        self.ask(lambda client: client.get_schedule_handle(RECONCILIATION_SCHEDULE).trigger())
        until(lambda: self.comparisons() > before)


@dataclass
class Shaken(Product):
    """A product whose database and Temporal are its own."""

    temporal_folder: Path = Path()
    temporal: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    port: int = 0

    def put_temporal_back(self, before: Callable[[], None]) -> None:
        """To what it held before ``before``: its file, as it lay on the disk."""
        kept = {path.name: path.read_bytes() for path in self.stopped_files()}
        self.start_again()
        before()
        for path in self.stopped_files():
            path.unlink()
        for name, content in kept.items():
            (self.temporal_folder / name).write_bytes(content)
        self.start_again()

    def stopped_files(self) -> list[Path]:
        assert self.temporal is not None
        self.temporal.terminate()
        self.temporal.wait()
        return sorted(self.temporal_folder.glob(f"{FILE}*"))

    def start_again(self) -> None:
        self.temporal, _ = start_temporal(self.temporal_folder, self.port, file=FILE)

    def wipe_temporal(self) -> None:
        for path in self.stopped_files():
            path.unlink()
        self.start_again()
