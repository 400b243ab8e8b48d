"""The heart of a worker, on a real Temporal and a real database: what it says, and what silences of others do to it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.heartbeat import Heart, HeartParts, count_lifecycles
from cli.process import free_port
from domain import vitals
from domain.names import LIFECYCLE_QUEUE, LIFECYCLE_WORKFLOW, SCAN_QUEUE
from store import reader
from store.engine import create_engine

pytestmark = pytest.mark.server


@activity.defn
async def nothing() -> None: ...


def now() -> datetime:
    return datetime.now(UTC)


def heart(engine: Engine, client: Client, *queues: str, file: str = "") -> Heart:
    return Heart(HeartParts(engine, client, queues, "here", now, file))


async def until_counted(client: Client, expected: vitals.Engine) -> None:
    """The list of Temporal lags behind what happened."""
    while await count_lifecycles(client, now()) != expected:  # noqa: ASYNC110  # another process makes it true
        await asyncio.sleep(0.1)


async def test_a_lifecycle_that_was_ended_by_hand_is_named_until_it_runs_again(temporal: WorkflowEnvironment) -> None:
    client = temporal.client
    for managed_id in ("mc-1", "mc-2", "mc-3"):
        await client.start_workflow(LIFECYCLE_WORKFLOW, id=f"certificate/{managed_id}", task_queue=LIFECYCLE_QUEUE)
    await until_counted(client, vitals.Engine(3))

    await client.get_workflow_handle("certificate/mc-1").terminate()
    await client.get_workflow_handle("certificate/mc-2").terminate()
    await until_counted(client, vitals.Engine(1, ("mc-1", "mc-2")))
    await client.start_workflow(LIFECYCLE_WORKFLOW, id="certificate/mc-1", task_queue=LIFECYCLE_QUEUE)

    await until_counted(client, vitals.Engine(2, ("mc-2",)))


async def test_a_beat_says_when_temporal_answered_and_when_it_was_asked_for_work(
    temporal: WorkflowEnvironment, database: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "healthy"
    began = now()
    async with Worker(temporal.client, task_queue=SCAN_QUEUE, activities=[nothing]):
        while True:
            # A fresh heart asks at its first beat; the server may not know yet who asks for work.
            assert await heart(database, temporal.client, SCAN_QUEUE, file=str(file)).beat() == ""
            [said] = reader.watched(database).heartbeats
            if said.polled_at is not None:
                break

    assert said.serves == (SCAN_QUEUE,)
    assert said.engine_at is not None
    assert said.engine_at >= began
    assert file.read_text() == ""
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_silent_database_does_not_stop_the_heart_and_is_said(
    temporal: WorkflowEnvironment, tmp_path: Path
) -> None:
    nowhere = create_engine(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    file = tmp_path / "healthy"

    assert await heart(nowhere, temporal.client, SCAN_QUEUE, file=str(file)).beat() == "the database does not answer"

    assert file.read_text() == "the database does not answer"
