"""A lifecycle of a release whose code is gone is replaced by one that goes on from the store, on a real server."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus
from temporalio.worker import Worker

from domain.lifecycle.rules import NEWEST
from domain.names import LIFECYCLE_QUEUE, LIFECYCLE_WORKFLOW, OBSERVE_SIGNAL, certificate_workflow
from domain.people.messages import Retire
from domain.tiers import Tier
from tests.domain.simulation import World
from tests.workflows.conftest import Stage, Theatre
from tests.workflows.recovering import end_by_hand, is_the_truth, until, until_state
from tests.workflows.test_real_server import real as real
from workflows.messenger import Messenger
from workflows.sandbox import Sandbox

DAY = timedelta(days=1)


@workflow.defn(name=LIFECYCLE_WORKFLOW)
class OfBefore:
    """A lifecycle as another release wrote it: the same name and id, other commands."""

    @workflow.run
    async def run(self, managed_id: str) -> None:
        await workflow.sleep(timedelta(days=30))

    @workflow.signal(name=OBSERVE_SIGNAL)
    def observe(self, notice_id: str) -> None:
        pass


async def old_one(real: Theatre, stage: Stage) -> str:
    """Stand an old run in the place of ``stage``'s lifecycle; its run id."""
    await end_by_hand(stage)
    client = real.env.client
    # On a queue of its own, as if its worker had been stopped for the new release after it began.
    async with Worker(client, task_queue="before", workflows=[OfBefore], workflow_runner=Sandbox()):
        old = await client.start_workflow(
            OfBefore.run, "mc-1", id=certificate_workflow("mc-1"), task_queue="before", start_signal=OBSERVE_SIGNAL,
            start_signal_args=["n-0"],
        )  # fmt: skip
        async for event in old.fetch_history_events(wait_new_event=True):
            if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
                break
    assert old.first_execution_run_id is not None
    return old.first_execution_run_id


async def test_an_old_lifecycle_is_replaced_by_one_that_knows_what_was_recorded(real: Theatre) -> None:
    stage = await real.stage(World(tier=Tier.CUSTOMER_FACING, age=280 * DAY))
    await until(stage, "approval_asked")
    before = await stage.state()
    old_run = await old_one(real, stage)

    new_run = await Messenger(real.env.client).begin_anew("mc-1")

    await until(stage, "state_recalled")
    after = await until_state(stage, lambda state: is_the_truth(stage, state))
    assert new_run != old_run
    assert (after.life, after.terms, after.case) == (before.life, before.terms, before.case)
    ended = await real.env.client.get_workflow_handle(certificate_workflow("mc-1"), run_id=old_run).describe()
    assert ended.status is WorkflowExecutionStatus.TERMINATED
    assert (await stage.decide()).outcome == "accepted"
    await until(stage, "generation_began")
    assert list(stage.world.orders) == ["mc-1.1.1.1"]


async def test_a_retired_one_that_is_begun_anew_ends_again(real: Theatre) -> None:
    stage = await real.stage(World(tier=Tier.INTERNAL))
    await until(stage, "adopted")
    await stage.send("retire", Retire(stage.world.code(), "decommissioned"))
    await stage.handle.result()
    run = await Messenger(real.env.client).begin_anew("mc-1")
    await real.env.client.get_workflow_handle(certificate_workflow("mc-1"), run_id=run).result()
    assert (await stage.state()).retired


async def test_a_new_run_says_under_which_rules_it_goes(real: Theatre) -> None:
    stage = await real.stage(World(tier=Tier.INTERNAL))
    run = await Messenger(real.env.client).begin_anew("mc-1")
    described = await stage.env.client.get_workflow_handle(stage.handle.id, run_id=run).describe()
    assert [pair.value for pair in described.typed_search_attributes if pair.key.name == "EverleafRules"] == [NEWEST]
    history = await stage.env.client.get_workflow_handle(stage.handle.id, run_id=run).fetch_history()
    assert history.events[0].workflow_execution_started_event_attributes.task_queue.name == LIFECYCLE_QUEUE
