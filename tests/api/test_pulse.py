"""What the foot of Situation says of the engine, of a server to which nobody has come yet."""

import asyncio

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from api.engine_health import QUEUES, Pulse, pulse_of
from api.web.overview import Part, workers_of
from domain.names import ISSUE_QUEUE, LIFECYCLE_QUEUE, LIFECYCLE_WORKFLOW

pytestmark = pytest.mark.server


@activity.defn
async def nothing() -> None: ...


async def until(client: Client, expected: Pulse) -> None:
    """A busy server may leave a question open for once; what it answers is never anything else for long."""
    while await pulse_of(client) != expected:  # noqa: ASYNC110  # another process makes it true
        await asyncio.sleep(0.1)


async def test_queues_that_no_worker_asks_are_named_and_lifecycles_counted(temporal: WorkflowEnvironment) -> None:
    client = temporal.client
    await until(client, Pulse(True, 0, QUEUES))
    others = tuple(queue for queue in QUEUES if queue != ISSUE_QUEUE)
    async with Worker(client, task_queue=ISSUE_QUEUE, activities=[nothing]):
        await until(client, Pulse(True, 0, others))
    await client.start_workflow(LIFECYCLE_WORKFLOW, id="certificate/mc-1", task_queue=LIFECYCLE_QUEUE)
    await until(client, Pulse(True, 1, others))


@pytest.mark.parametrize(
    ("pulse", "said", "well"),
    [
        (Pulse(True, 5), "all at work", True),
        (Pulse(True, 5, ("issue",)), "nobody asks for the work of issue: it waits", False),
        (
            Pulse(True, 5, ("issue",), ("scan",)),
            "nobody asks for the work of issue: it waits; not known of scan",
            False,
        ),
        (Pulse(False, unknown=QUEUES), f"not known of {', '.join(QUEUES)}", False),
    ],
)
def test_a_queue_that_could_not_be_asked_about_is_not_called_at_work(pulse: Pulse, said: str, well: bool) -> None:
    assert workers_of(pulse) == Part("Workers", said, well)
