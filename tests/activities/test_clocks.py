"""A step that goes by the time of day asks Temporal and the database first, both real ones."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.engine import Engine
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.boundary import Boundary
from activities.clocks import JUDGED_BY_TIME, Witnessed
from workflows.sandbox import Sandbox

pytestmark = [pytest.mark.server]


@workflow.defn
class Asks:
    @workflow.run
    async def run(self, step: str) -> str:
        done: str = await workflow.execute_activity(
            step, start_to_close_timeout=timedelta(seconds=60), retry_policy=RetryPolicy(maximum_attempts=1)
        )
        return done


async def outcome(temporal: WorkflowEnvironment, database: Engine, ahead: timedelta, step: str) -> str:
    """What ``step`` gives in a worker whose clock is ``ahead``; the words of its failure where it fails."""

    @activity.defn(name=step)
    async def done() -> str:
        return "done"

    queue = uuid.uuid4().hex
    clock = Witnessed(database, lambda: datetime.now(UTC) + ahead)
    async with Worker(
        temporal.client,
        task_queue=queue,
        workflows=[Asks],
        activities=[done],
        workflow_runner=Sandbox(),
        interceptors=[Boundary(), clock],
    ):
        try:
            return await temporal.client.execute_workflow(Asks.run, step, id=queue, task_queue=queue)
        except WorkflowFailureError as failed:
            return words(failed)


def words(failed: WorkflowFailureError) -> str:
    """Of the one failure that a clock makes: it is tried again."""
    assert isinstance(failed.cause, ActivityError)
    assert isinstance(failed.cause.cause, ApplicationError)
    assert (failed.cause.cause.type, failed.cause.cause.non_retryable) == ("ClockWrong", False)
    return failed.cause.cause.message


@pytest.mark.parametrize("step", sorted(JUDGED_BY_TIME))
async def test_what_goes_by_the_time_of_day_does_nothing_by_a_clock_that_is_ahead(
    temporal: WorkflowEnvironment, database: Engine, step: str
) -> None:
    said = await outcome(temporal, database, timedelta(days=100), step)
    assert "this machine's clock is 100 days ahead of Temporal, the database" in said


async def test_a_clock_that_is_right_and_what_does_not_go_by_it_are_let_through(
    temporal: WorkflowEnvironment, database: Engine
) -> None:
    assert await outcome(temporal, database, timedelta(), "collect_order") == "done"
    assert await outcome(temporal, database, timedelta(days=-3), "send") == "done"
