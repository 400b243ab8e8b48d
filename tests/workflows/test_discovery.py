"""Discovery as a workflow: what it promises whatever comes after the adoption."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain import contracts as c
from domain.names import LIFECYCLE_QUEUE, SCAN_QUEUE
from tests.workflows.keeping import keep_history
from workflows.discovery import Discovery
from workflows.replaying import first_difference, read_history
from workflows.sandbox import Sandbox


@activity.defn
async def begin_discovery(asked: c.DiscoveryRequest) -> c.DiscoveryPlan:
    return c.DiscoveryPlan(asked.discovery_id, 0, 0)


@activity.defn
async def adopt(asked: c.AdoptDiscovery) -> c.AdoptionReport:
    return c.AdoptionReport(asked.discovery_id, new=3)


@activity.defn
async def sweep(asked: c.SweepRuns) -> c.Swept:
    raise ApplicationError("the disk is full", type="NotReady", non_retryable=True)


@asynccontextmanager
async def working(env: WorkflowEnvironment, *scanning: Callable[..., Any]) -> AsyncIterator[None]:
    queues: dict[str, list[Callable[..., Any]]] = {LIFECYCLE_QUEUE: [adopt, sweep], SCAN_QUEUE: list(scanning)}
    async with AsyncExitStack() as stack:
        for queue, activities in queues.items():
            workflows = [Discovery] if queue == LIFECYCLE_QUEUE else []
            await stack.enter_async_context(
                Worker(
                    env.client,
                    task_queue=queue,
                    workflows=workflows,
                    activities=activities,
                    workflow_runner=Sandbox(),
                )
            )
        yield


async def test_an_adopted_discovery_is_done_also_when_the_sweep_behind_it_fails(env: WorkflowEnvironment) -> None:
    async with working(env, begin_discovery):
        report = await env.client.execute_workflow(
            Discovery.run, c.DiscoveryRequest("d-1", "test"), id="discovery/d-1", task_queue=LIFECYCLE_QUEUE
        )
    assert report == c.AdoptionReport("d-1", new=3)


async def test_a_discovery_that_fails_says_so_in_the_store_with_its_reason(env: WorkflowEnvironment) -> None:
    said: list[c.DiscoveryFailure] = []

    @activity.defn(name="begin_discovery")
    async def refuse(asked: c.DiscoveryRequest) -> c.DiscoveryPlan:
        raise ApplicationError("cidrs: outside the scope", type="BadInput", non_retryable=True)

    @activity.defn
    async def fail_discovery(failure: c.DiscoveryFailure) -> c.DiscoveryEnded:
        said.append(failure)
        return c.DiscoveryEnded(failure.request.discovery_id)

    request = c.DiscoveryRequest("d-2", "test", ports=(22,))
    async with working(env, refuse, fail_discovery):
        handle = await env.client.start_workflow(Discovery.run, request, id="discovery/d-2", task_queue=LIFECYCLE_QUEUE)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert said == [c.DiscoveryFailure(request, "cidrs: outside the scope")]
    history = (await handle.fetch_history()).to_json()
    assert await first_difference(read_history(history, "discovery/d-2")) is None
    keep_history("Discovery", "a-failure-is-said-1", history)
