"""Courier as a workflow: what it does with a message that nobody will take."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain import contracts as c
from domain.names import LIFECYCLE_QUEUE, TELL_SIGNAL
from tests.workflows.conftest import keep_history
from workflows.courier import Courier, Route
from workflows.replaying import first_difference, read_history
from workflows.sandbox import Sandbox

MESSAGE = c.Message("mc-1.4", "mc-1", "asha", "security-head", "rung", datetime(2026, 11, 24, 6, tzinfo=UTC))


async def test_what_a_courier_gives_up_is_noted_after_its_lifecycle_has_heard_of_it(env: WorkflowEnvironment) -> None:
    noted: list[c.Undelivered] = []
    done = asyncio.Event()

    @activity.defn
    async def deliver(batch: c.Deliver) -> c.Delivery:
        raise ApplicationError("the mail server is gone", type="NotReady", non_retryable=True)

    @activity.defn
    async def note_undelivered(given_up: c.Undelivered) -> c.Delivery:
        noted.append(given_up)
        done.set()
        return c.Delivery("undeliverable", given_up.detail)

    async with Worker(
        env.client,
        task_queue=LIFECYCLE_QUEUE,
        workflows=[Courier],
        activities=[deliver, note_undelivered],
        workflow_runner=Sandbox(),
    ):
        courier = await env.client.start_workflow(
            Courier.run,
            Route("asha", "email"),
            id="courier/asha",
            task_queue=LIFECYCLE_QUEUE,
            start_signal=TELL_SIGNAL,
            start_signal_args=[MESSAGE],
        )
        await asyncio.wait_for(done.wait(), 60)
        await courier.cancel()
        with pytest.raises(WorkflowFailureError):
            await courier.result()
    assert noted == [c.Undelivered(c.Deliver("asha", "email", (MESSAGE,)), "NotReady: the mail server is gone")]

    history = (await courier.fetch_history()).to_json()
    assert await first_difference(read_history(history, "courier/asha")) is None
    kinds = [event.WhichOneof("attributes") for event in read_history(history, "courier/asha").events]
    told = kinds.index("signal_external_workflow_execution_initiated_event_attributes")
    assert told < kinds.index("marker_recorded_event_attributes")
    if folder := os.environ.get("EVERLEAF_KEEP_HISTORIES"):
        keep_history(Path(folder) / "Courier" / "what-is-given-up-is-noted-1.json", history)
