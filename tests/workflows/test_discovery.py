"""Discovery as a workflow: what it promises whatever comes after the adoption."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain import contracts as c
from domain.names import LIFECYCLE_QUEUE, SCAN_QUEUE
from tests.workflows.conftest import sandbox
from workflows.discovery import Discovery


@activity.defn
async def begin_discovery(asked: c.DiscoveryRequest) -> c.DiscoveryPlan:
    return c.DiscoveryPlan(asked.discovery_id, 0, 0)


@activity.defn
async def adopt(asked: c.AdoptDiscovery) -> c.AdoptionReport:
    return c.AdoptionReport(asked.discovery_id, new=3)


@activity.defn
async def sweep(asked: c.SweepRuns) -> c.Swept:
    raise ApplicationError("the disk is full", type="NotReady", non_retryable=True)


async def test_an_adopted_discovery_is_done_also_when_the_sweep_behind_it_fails(env: WorkflowEnvironment) -> None:
    queues: dict[str, list[Callable[..., Any]]] = {LIFECYCLE_QUEUE: [adopt, sweep], SCAN_QUEUE: [begin_discovery]}
    async with AsyncExitStack() as stack:
        for queue, activities in queues.items():
            workflows = [Discovery] if queue == LIFECYCLE_QUEUE else []
            await stack.enter_async_context(
                Worker(
                    env.client,
                    task_queue=queue,
                    workflows=workflows,
                    activities=activities,
                    workflow_runner=sandbox(),
                )
            )
        report = await env.client.execute_workflow(
            Discovery.run, c.DiscoveryRequest("d-1", "test"), id="discovery/d-1", task_queue=LIFECYCLE_QUEUE
        )
    assert report == c.AdoptionReport("d-1", new=3)
