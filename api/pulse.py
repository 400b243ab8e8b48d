"""How the engine beats: whether Temporal answers, how many lifecycles run there, and whose work nobody takes."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.names import DEPLOY_QUEUE, ISSUE_QUEUE, LIFECYCLE_QUEUE, LIFECYCLE_WORKFLOW, SCAN_QUEUE

QUEUES = (LIFECYCLE_QUEUE, SCAN_QUEUE, ISSUE_QUEUE, DEPLOY_QUEUE)
# A worker asks for a task once a minute at least; who has not asked for two is away.
AWAY_AFTER = timedelta(minutes=2)
PATIENCE = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Pulse:
    """``running``: lifecycles that run, None where nobody counted; ``idle``: queues that no worker asks."""

    alive: bool
    running: int | None = None
    idle: tuple[str, ...] = ()


async def pulse_of(client: Client) -> Pulse:
    """Never raises: a part that does not answer is what it tells."""
    try:
        if not await client.service_client.check_health(timeout=PATIENCE):
            return Pulse(False)
        query = f"WorkflowType = '{LIFECYCLE_WORKFLOW}' AND ExecutionStatus = 'Running'"
        counting = client.count_workflows(query, rpc_timeout=PATIENCE)
        counted, asked = await asyncio.gather(counting, _asked(client))
    except (RPCError, RuntimeError):
        return Pulse(False)
    return Pulse(True, counted.count, tuple(queue for queue in QUEUES if queue not in asked))


async def _asked(client: Client) -> set[str]:
    """The queues whose work somebody asks for."""
    found = await asyncio.gather(*(_is_asked(client, queue) for queue in QUEUES))
    return {queue for queue, is_asked in zip(QUEUES, found, strict=True) if is_asked}


async def _is_asked(client: Client, queue: str) -> bool:
    kind = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    described = await client.workflow_service.describe_task_queue(request, timeout=PATIENCE)
    now = datetime.now(UTC)
    return any(now - poller.last_access_time.ToDatetime(UTC) < AWAY_AFTER for poller in described.pollers)
