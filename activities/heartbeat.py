"""The heart of a worker: its own loop says every few seconds that it lives, and what it found when it asked Temporal.

It says so twice: in the database, for the watcher, and in a file, for whoever started it.  A loop that hangs says
nothing; one that finds a neighbour silent goes on and says that.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain import vitals
from domain.errors import EverleafError
from domain.names import LIFECYCLE_QUEUE, LIFECYCLE_WORKFLOW
from store.heartbeats import Beat, beat, leave

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=5)
# Each question to a neighbour; a neighbour that takes longer is silent.
DEADLINE = timedelta(seconds=4)
# What costs a query of visibility is asked less often.
COUNTED_EVERY = timedelta(seconds=20)
# Who was ended otherwise is named as long as a person may not have heard of it.
ENDED_WITHIN = timedelta(days=30)
MOST_NAMED = 100
KINDS = (TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)


@dataclass(frozen=True, slots=True)
class HeartParts:
    """``file``: told after every beat, empty: none; ``host``: where this process runs."""

    engine: Engine
    client: Client
    queues: tuple[str, ...]
    host: str
    clock: Callable[[], datetime]
    file: str = ""


@dataclass(slots=True)
class Heart:
    """``beats`` until it is cancelled."""

    parts: HeartParts
    _engine_at: datetime | None = None
    _polled_at: datetime | None = None
    _counted: vitals.Engine | None = None
    _counted_at: datetime | None = None
    _writing: "asyncio.Task[None] | None" = None
    _problem: str = field(default="")

    async def beats(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(EVERY.total_seconds())

    async def beat(self) -> str:
        """One beat; gives what is wrong with a neighbour, or nothing.  Ends within two deadlines."""
        problems = [await self._ask_temporal(), await self._write()]
        found = "; ".join(filter(None, problems))
        if found != self._problem:
            log.warning("a neighbour is silent" if found else "all neighbours answer again", extra={"problem": found})
            self._problem = found
        if self.parts.file:
            # Its age says that the loop turns; its words, what it waits for.
            write_beat(Path(self.parts.file), found)
        return found

    async def stop(self) -> None:
        """Take the row away where that can be done in time; a process that ended in order is not missed."""
        work = asyncio.to_thread(leave, self.parts.engine, self.parts.queues, self.parts.host)
        try:
            await asyncio.wait_for(work, DEADLINE.total_seconds())
        except (TimeoutError, SQLAlchemyError, EverleafError):
            log.warning("the heartbeat's row stays, the database does not take it away")

    async def _ask_temporal(self) -> str:
        now = self.parts.clock()
        is_due = self._counted_at is None or now - self._counted_at >= COUNTED_EVERY or self._problem
        try:
            if not is_due:
                await asyncio.wait_for(self.parts.client.service_client.check_health(), DEADLINE.total_seconds())
            else:
                await asyncio.wait_for(self._count(now), DEADLINE.total_seconds())
                self._counted_at = now
        except (RPCError, RuntimeError, TimeoutError):
            return "Temporal does not answer"
        self._engine_at = now
        return ""

    async def _count(self, now: datetime) -> None:
        polled = await asyncio.gather(*(self._polled(queue) for queue in self.parts.queues))
        known = [at for at in polled if at is not None]
        if len(known) == len(polled):
            self._polled_at = min(known)
        if LIFECYCLE_QUEUE in self.parts.queues:
            self._counted = await count_lifecycles(self.parts.client, now)

    async def _polled(self, queue: str) -> datetime | None:
        """When this process asked last for work of ``queue``; None where Temporal does not know."""
        kinds = KINDS if queue == LIFECYCLE_QUEUE else KINDS[:1]
        each = []
        for kind in kinds:
            request = DescribeTaskQueueRequest(
                namespace=self.parts.client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
            )
            said = await self.parts.client.workflow_service.describe_task_queue(request)
            mine = [one for one in said.pollers if one.identity == self.parts.client.identity]
            each.append(max((one.last_access_time.ToDatetime(UTC) for one in mine), default=None))
        known = [at for at in each if at is not None]
        return min(known) if len(known) == len(kinds) else None

    async def _write(self) -> str:
        """A thread that hangs in a silent database cannot be ended: the next beat waits for it, and says so."""
        if self._writing is None:
            said = Beat(
                self.parts.queues, self.parts.host, self.parts.clock(), self._engine_at, self._polled_at, self._counted
            )
            self._writing = asyncio.create_task(asyncio.to_thread(beat, self.parts.engine, said))
        done, _ = await asyncio.wait({self._writing}, timeout=DEADLINE.total_seconds())
        if not done:
            return "the database does not answer"
        written, self._writing = self._writing, None
        if written.cancelled():
            return ""
        problem = written.exception()
        if isinstance(problem, SQLAlchemyError | EverleafError):
            return "the database does not answer"
        if problem is not None:
            raise problem
        return ""


def write_beat(file: Path, problem: str) -> None:
    """Whole or not at all; a disk that is full must not take the work down with it."""
    fresh = file.with_name(f".{file.name}.new")
    try:
        fresh.write_text(problem)
        fresh.chmod(0o600)
        fresh.replace(file)
    except OSError as trouble:
        log.warning("the health file was not written", extra={"problem": str(trouble)})


async def count_lifecycles(client: Client, now: datetime) -> vitals.Engine:
    """How many lifecycles run, and which were ended by other means than ours or fail at their tasks."""
    of_ours = f"WorkflowType = '{LIFECYCLE_WORKFLOW}'"
    running = (await client.count_workflows(f"{of_ours} AND ExecutionStatus = 'Running'")).count
    # Ours end by completing or by continuing as new.
    statuses = " OR ".join(f"ExecutionStatus = '{word}'" for word in ("Terminated", "Canceled", "Failed", "TimedOut"))
    since = (now - ENDED_WITHIN).strftime("%Y-%m-%dT%H:%M:%SZ")
    ended = await _ids(client, f"{of_ours} AND ({statuses}) AND CloseTime > '{since}'")
    alive: set[str] = set()
    if ended:
        named = ", ".join(f"'{one}'" for one in ended)
        alive = set(await _ids(client, f"{of_ours} AND ExecutionStatus = 'Running' AND WorkflowId IN ({named})"))
    failing = await _ids(client, f"{of_ours} AND ExecutionStatus = 'Running' AND TemporalReportedProblems IS NOT NULL")
    return vitals.Engine(running, _managed(set(ended) - alive), _managed(set(failing)))


async def _ids(client: Client, query: str) -> list[str]:
    ids: dict[str, None] = {}
    async for execution in client.list_workflows(query, limit=MOST_NAMED):
        ids[execution.id] = None
    return list(ids)


def _managed(ids: set[str]) -> tuple[str, ...]:
    return tuple(sorted(one.partition("/")[2] for one in ids))
