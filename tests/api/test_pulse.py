"""What the foot of Situation says of the engine, of a server to which nobody has come yet."""

import asyncio
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from api.pulse import QUEUES, Pulse, pulse_of
from domain.names import ISSUE_QUEUE, LIFECYCLE_QUEUE, LIFECYCLE_WORKFLOW

pytestmark = pytest.mark.server


@activity.defn
async def nothing() -> None: ...


async def test_queues_that_no_worker_asks_are_named_and_lifecycles_counted(temporal_binary: Path) -> None:
    path = str(temporal_binary)
    async with (
        await WorkflowEnvironment.start_local(dev_server_existing_path=path, dev_server_log_level="error") as env,
        asyncio.timeout(60),
    ):
        assert await pulse_of(env.client) == Pulse(True, 0, QUEUES)
        others = tuple(queue for queue in QUEUES if queue != ISSUE_QUEUE)
        async with Worker(env.client, task_queue=ISSUE_QUEUE, activities=[nothing]):
            while (beat := await pulse_of(env.client)).idle != others:
                assert beat.idle == QUEUES
        await env.client.start_workflow(LIFECYCLE_WORKFLOW, id="certificate/mc-1", task_queue=LIFECYCLE_QUEUE)
        while (beat := await pulse_of(env.client)).running != 1:
            assert beat.running == 0
