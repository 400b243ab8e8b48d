"""What a person waits for goes before what a discovery has set off: on a real server, and not by its numbers alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.launcher.waiting import LONG_SECONDS
from workflows import steps
from workflows.sandbox import Sandbox

pytestmark = pytest.mark.server

FLOOD = 60
OF_DISCOVERIES = (
    steps.begin_discovery,
    steps.scan_page,
    steps.adopt,
    steps.tell_lifecycles,
    steps.consult,
    steps.record,
)
OF_PEOPLE = (steps.redeem, steps.send, steps.deliver)
DONE: list[str] = []


@activity.defn
async def work(name: str) -> None:
    DONE.append(name)


@workflow.defn
class Busy:
    """Puts a flood of lifecycles' steps into a queue that nobody serves yet, and a decision's behind it."""

    @workflow.run
    async def run(self, queue: str) -> None:
        flood = [self.put("record", queue, steps.record) for _ in range(FLOOD)]
        await asyncio.gather(*flood, self.put("redeem", queue, steps.redeem))

    def put(self, name: str, queue: str, like: steps.ActivityStep[Any, Any]) -> workflow.ActivityHandle[None]:
        return workflow.start_activity(
            work,
            name,
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=LONG_SECONDS),
            priority=like.priority,
        )


async def until_queued(handle: WorkflowHandle[Any, Any]) -> None:
    while len((await handle.describe()).raw_description.pending_activities) <= FLOOD:  # noqa: ASYNC110  # it tells no event
        await asyncio.sleep(0)


def test_steps_of_people_have_a_better_priority_than_those_of_discoveries() -> None:
    """1 is the best."""
    of_people = {step.name: step.priority.priority_key or 3 for step in OF_PEOPLE}
    of_discoveries = {step.name: step.priority.priority_key or 3 for step in OF_DISCOVERIES}
    assert max(of_people.values()) < min(of_discoveries.values())


async def test_a_decision_passes_the_flood_that_was_queued_before_it(temporal: WorkflowEnvironment) -> None:
    DONE.clear()
    queue, busy = f"busy-{uuid4().hex}", f"flooded-{uuid4().hex}"
    async with Worker(temporal.client, task_queue=queue, workflows=[Busy], workflow_runner=Sandbox()):
        handle = await temporal.client.start_workflow(Busy.run, busy, id=busy, task_queue=queue)
        await until_queued(handle)
        async with Worker(temporal.client, task_queue=busy, activities=[work], max_concurrent_activities=1):
            await handle.result()

    assert sorted(DONE) == sorted(["redeem", *["record"] * FLOOD])
    assert DONE.index("redeem") < FLOOD // 2
