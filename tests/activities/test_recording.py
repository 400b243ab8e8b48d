import json
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError, WorkflowHistory
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from activities.boundary import Boundary
from activities.recording import RecordingActivities, RecordingParts
from domain.contracts import Archived, ArchiveRun, RecordBatch, Recorded, SweepRuns, Swept
from domain.errors import CARefused, NotFound, NotReady
from store import reader, tables
from store.engine import create_engine
from store.histories import histories_of
from store.sightings import looks
from tests.activities.conftest import Clock, Crash, Failpoint
from tests.launcher.waiting import LONG_SECONDS
from tests.store.test_facts import batch, event, snapshot
from workflows.converter import DATA_CONVERTER


@workflow.defn
class Recorder:
    @workflow.run
    async def run(self, given: RecordBatch) -> Recorded:
        return await workflow.execute_activity_method(
            RecordingActivities.record, given, start_to_close_timeout=timedelta(seconds=LONG_SECONDS)
        )


@activity.defn
async def ask_ca(word: str) -> None:
    if word == "refused":
        raise CARefused("no such profile") from ValueError("a secret of the cause")
    raise NotReady("not yet")


@workflow.defn
class Asker:
    @workflow.run
    async def run(self, word: str) -> None:
        await workflow.execute_activity(
            ask_ca,
            word,
            start_to_close_timeout=timedelta(seconds=LONG_SECONDS),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=2),
        )


def recording(engine: Engine, temporal: WorkflowEnvironment, failpoint: Failpoint | None = None) -> RecordingActivities:
    parts = RecordingParts(engine, temporal.client, "0.1.0", Clock(), failpoint or Failpoint())
    return RecordingActivities(parts)


def worker(temporal: WorkflowEnvironment, activities: RecordingActivities) -> Worker:
    return Worker(
        temporal.client,
        task_queue="recording",
        workflows=[Recorder, Asker],
        activities=[activities.record, activities.archive, ask_ca],
        activity_executor=ThreadPoolExecutor(4),
        interceptors=[Boundary()],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


@pytest.mark.server
async def test_an_ended_run_is_archived_once_and_replays(database: Engine, temporal: WorkflowEnvironment) -> None:
    activities = recording(database, temporal)
    async with worker(temporal, activities):
        name = f"certificate/{uuid.uuid4().hex}"
        started = await temporal.client.start_workflow(
            Recorder.run, batch(event(0), read_model=snapshot()), id=name, task_queue="recording"
        )
        assert await started.result() == Recorded("recorded", 0)
    run_id = started.first_execution_run_id or ""
    asked = ArchiveRun(name, run_id, 1)
    kept = await activities.archive(asked)
    assert kept == await activities.archive(asked)
    assert isinstance(kept, Archived)
    [history] = histories_of(database, name)
    assert history.events == kept.events == len(json.loads(history.text)["events"])
    replayer = Replayer(
        workflows=[Recorder],
        data_converter=DATA_CONVERTER,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    await replayer.replay_workflow(WorkflowHistory.from_json(name, history.text))
    with pytest.raises(NotFound):
        await activities.archive(ArchiveRun("certificate/none", str(uuid.uuid4()), 1))


@dataclass
class Forgetful:
    """A Temporal whose visibility lists three ended runs, of which it has forgotten the history of the second."""

    runs: tuple[str, ...] = ("certificate/mc-1", "certificate/mc-2", "certificate/mc-3")

    async def list_workflows(self, query: str) -> AsyncIterator[Any]:
        for name in self.runs:
            yield SimpleNamespace(id=name, run_id=f"run-of-{name[-4:]}")

    def get_workflow_handle(self, workflow_id: str, run_id: str) -> Any:
        async def fetch_history() -> WorkflowHistory:
            if workflow_id == self.runs[1]:
                raise RPCError("workflow execution not found", RPCStatusCode.NOT_FOUND, b"")
            return WorkflowHistory.from_json(workflow_id, '{"events": []}')

        return SimpleNamespace(fetch_history=fetch_history)


async def test_a_sweep_passes_over_what_temporal_has_forgotten(database: Engine) -> None:
    parts = RecordingParts(database, Forgetful(), "0.1.0", Clock())  # type: ignore[arg-type]  # what a sweep asks of a client
    sweep = RecordingActivities(parts).sweep
    assert await ActivityEnvironment().run(sweep, SweepRuns()) == Swept(2)
    assert [len(histories_of(database, name)) for name in Forgetful.runs] == [1, 0, 1]


@workflow.defn
class Endless:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@pytest.mark.server
async def test_a_discovery_that_was_terminated_is_marked_as_failed_by_the_next_sweep(
    database: Engine, temporal: WorkflowEnvironment
) -> None:
    clock = Clock()
    late = clock.now + timedelta(minutes=11)
    runs = {}
    for name in ("ends", "runs", "adopted"):
        started = await temporal.client.start_workflow(Endless.run, id=f"by-hand/{name}", task_queue="nobody")
        runs[name] = started
        run_id = started.first_execution_run_id or ""
        asked = looks.Discovery(name, "test", {}, 1, 1, workflow_id=started.id, run_id=run_id)
        looks.begin(database, asked, clock.now)
    looks.begin(database, looks.Discovery("forgotten", "test", {}, 1, 1), clock.now)
    looks.begin(database, looks.Discovery("young", "test", {}, 1, 1), late)
    write_state(database, "adopted", "adopted")
    await runs["ends"].terminate()
    await runs["adopted"].terminate()

    clock.now = late
    parts = RecordingParts(database, temporal.client, "0.1.0", clock)
    sweep = RecordingActivities(parts).sweep
    assert await ActivityEnvironment().run(sweep, SweepRuns()) == Swept(0, 2)
    assert await ActivityEnvironment().run(sweep, SweepRuns()) == Swept(0)
    found = {row["id"]: (row["state"], row["detail"]) for row in reader.list_discoveries(database).items}
    assert found == {
        "ends": ("failed", "it was terminated in Temporal"),
        "runs": ("planned", ""),
        "adopted": ("adopted", ""),
        "forgotten": ("failed", "Temporal knows its run no more"),
        "young": ("planned", ""),
    }


def write_state(database: Engine, discovery_id: str, state: str) -> None:
    c = tables.discoveries.c
    with database.begin() as connection:
        connection.execute(sa.update(tables.discoveries).where(c.id == discovery_id).values(state=state))


@pytest.mark.server
@pytest.mark.parametrize(
    ("word", "kind", "non_retryable"), [("refused", "CARefused", True), ("later", "NotReady", False)]
)
async def test_our_errors_cross_with_their_name_and_without_their_cause(
    database: Engine, temporal: WorkflowEnvironment, word: str, kind: str, non_retryable: bool
) -> None:
    async with worker(temporal, recording(database, temporal)):
        with pytest.raises(WorkflowFailureError) as failed:
            await temporal.client.execute_workflow(Asker.run, word, id=uuid.uuid4().hex, task_queue="recording")
    assert isinstance(failed.value.cause, ActivityError)
    failure = failed.value.cause.cause
    assert isinstance(failure, ApplicationError)
    assert (failure.type, failure.non_retryable, failure.cause) == (kind, non_retryable, None)


@pytest.mark.server
async def test_a_database_that_is_down_is_tried_again(temporal: WorkflowEnvironment) -> None:
    gone = create_engine("postgresql://nobody@127.0.0.1:1/none")
    async with worker(temporal, recording(gone, temporal)):
        name = uuid.uuid4().hex
        handle = await temporal.client.start_workflow(Recorder.run, batch(event(0)), id=name, task_queue="recording")
        failure = None
        while failure is None:
            pending = (await handle.describe()).raw_description.pending_activities
            failure = pending[0].last_failure if pending and pending[0].HasField("last_failure") else None
        await handle.terminate()
    assert failure.application_failure_info.type == "NotReady"
    assert not failure.application_failure_info.non_retryable


def test_a_crash_after_the_commit_records_nothing_twice(database: Engine) -> None:
    failpoint = Failpoint()
    failpoint.at = "record.committed"
    parts = RecordingParts(database, None, "0.1.0", Clock(), failpoint)  # type: ignore[arg-type]  # never asked
    activities = RecordingActivities(parts)
    with pytest.raises(Crash):
        activities.record(batch(event(0)))
    assert activities.record(batch(event(0))) == Recorded("recorded", 0)
