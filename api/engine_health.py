"""How the engine beats: whether Temporal answers, how many lifecycles run there, and whose work nobody takes."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.errors import BadInput
from domain.names import DEPLOY_QUEUE, ISSUE_QUEUE, LIFECYCLE_QUEUE, LIFECYCLE_WORKFLOW, SCAN_QUEUE
from domain.watching import Status
from formats.watch_memory import read_status

T = TypeVar("T")

QUEUES = (LIFECYCLE_QUEUE, SCAN_QUEUE, ISSUE_QUEUE, DEPLOY_QUEUE)
# A worker asks for a task once a minute at least; who has not asked for two is away.
AWAY_AFTER = timedelta(minutes=2)
# A page waits no longer for what stands at its foot.
PATIENCE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Pulse:
    """``running``: lifecycles that run, None where nobody counted; ``idle``: queues that no worker asks;
    ``unknown``: those of which that could not be found out."""

    alive: bool
    running: int | None = None
    idle: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def watcher_of(folder: str) -> Status | None:
    """What the watcher said last; None where it says nothing that can be read here."""
    try:
        return read_status((Path(folder) / "status.json").read_bytes()) if folder else None
    except (OSError, BadInput):
        return None


async def pulse_of(client: Client) -> Pulse:
    """Never raises, and is over within ``PATIENCE``: each part that does not answer is told apart from the others."""
    query = f"WorkflowType = '{LIFECYCLE_WORKFLOW}' AND ExecutionStatus = 'Running'"
    health, counted, asked = await asyncio.gather(
        _soon(client.service_client.check_health()),
        _soon(client.count_workflows(query)),
        asyncio.gather(*(_soon(_is_asked(client, queue)) for queue in QUEUES)),
    )
    found = dict(zip(QUEUES, asked, strict=True))
    idle = tuple(queue for queue in QUEUES if found[queue] is False)
    unknown = tuple(queue for queue in QUEUES if found[queue] is None)
    return Pulse(health is True, counted.count if counted is not None else None, idle, unknown)


async def _soon(answer: Coroutine[Any, Any, T]) -> T | None:
    """None where it does not come in time.  A call's own timeout does not count the way to a server that is mute."""
    try:
        return await asyncio.wait_for(answer, PATIENCE.total_seconds())
    except (RPCError, RuntimeError, TimeoutError):
        return None


async def _is_asked(client: Client, queue: str) -> bool:
    kind = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    described = await client.workflow_service.describe_task_queue(request)
    now = datetime.now(UTC)
    return any(now - poller.last_access_time.ToDatetime(UTC) < AWAY_AFTER for poller in described.pollers)
