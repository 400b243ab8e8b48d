"""The sandbox is on: a workflow that reaches for the world is refused, whatever rooms are loaded once."""

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError

from workflows.sandbox import RESTRICTIONS, Sandbox


@workflow.defn(failure_exception_types=[RestrictedWorkflowAccessError])
class Reaching:
    """Does one forbidden thing."""

    @workflow.run
    async def run(self, what: str) -> str:
        if what == "a file":
            open("/etc/hostname")  # noqa: ASYNC230, SIM115  # it is what the test is about
        if what == "a clock":
            import time

            return str(time.time())
        import random

        return str(random.random())


# Loaded anew for each workflow, and loaded once as our own rooms are.
LOADED = {"anew": Sandbox(), "once": Sandbox(RESTRICTIONS.with_passthrough_modules("tests"))}


@pytest.mark.parametrize("runner", LOADED.values(), ids=LOADED)
@pytest.mark.parametrize("what", ["a file", "a clock", "chance"])
async def test_a_workflow_that_reaches_for_the_world_is_refused(
    env: WorkflowEnvironment, what: str, runner: Sandbox
) -> None:
    async with Worker(env.client, task_queue="reaching", workflows=[Reaching], workflow_runner=runner):
        with pytest.raises(WorkflowFailureError) as failed:
            await env.client.execute_workflow(Reaching.run, what, id="reaching", task_queue="reaching")
    assert "Cannot access" in str(failed.value.cause)
