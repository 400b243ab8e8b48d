"""What only a real Temporal server shows: updates racing with continue-as-new, and a reset by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain.contracts import (
    CollectOrder,
    Deploy,
    DiscoveryEnded,
    DiscoveryFailure,
    DiscoveryPlan,
    DiscoveryRequest,
)
from domain.names import LIFECYCLE_QUEUE, SCAN_QUEUE
from domain.people.approval import calls
from domain.people.messages import Acknowledge, Receipt, RenewNow
from domain.tiers import Tier
from tests.domain.simulation import World, broken
from tests.launcher.waiting import LONG_SECONDS
from tests.workflows.conftest import Stage, Theatre
from tests.workflows.recovering import end_by_hand, is_the_truth, late_notice, resumed, until, until_state
from workflows.discovery import Discovery
from workflows.sandbox import Sandbox

DAY = timedelta(days=1)
UPDATES = 200
ROLLS = 20


@pytest_asyncio.fixture
async def real(temporal: WorkflowEnvironment) -> AsyncIterator[Theatre]:
    theatre = Theatre(temporal)
    async with theatre.stack:
        yield theatre


async def test_200_updates_race_with_20_continue_as_news_and_none_is_lost_or_doubled(real: Theatre) -> None:
    stage = await real.stage(World(tier=Tier.CUSTOMER_FACING, age=340 * DAY))
    await until(stage, "rung_fired")
    until_then = await stage.now() + DAY
    about = await call_of(stage)

    async def acknowledge(number: int) -> Receipt:
        message = Acknowledge(f"race-{number}", "security-head", until_then, about=about)
        return await stage.send("acknowledge", message, f"race-{number}")

    async def volley(number: int) -> list[Receipt]:
        """Ten updates with an order to roll in their midst; the next volley starts while the run is rolling."""
        rolled = stage.handle.signal("upgrade")
        first, _, last = await asyncio.gather(
            asyncio.gather(*(acknowledge(number * 10 + place) for place in range(5))),
            rolled,
            asyncio.gather(*(acknowledge(number * 10 + place) for place in range(5, 10))),
        )
        return [*first, *last]

    async with asyncio.timeout(LONG_SECONDS):
        answers = [answer for number in range(ROLLS) for answer in await volley(number)]
    await until(stage, "acknowledged", UPDATES)

    assert all(answer.outcome == "accepted" for answer in answers)
    assert stage.kinds().count("acknowledged") == UPDATES
    assert sorted(stage.activities.recorded) == list(range(len(stage.activities.recorded)))
    assert len(stage.activities.archived) >= ROLLS - 1
    assert await acknowledge(UPDATES - 1) == answers[-1]
    assert stage.kinds().count("acknowledged") == UPDATES


async def test_a_reset_by_hand_makes_no_second_certificate_and_is_reported_as_a_fork(real: Theatre) -> None:
    world = World(tier=Tier.CUSTOMER_FACING, age=280 * DAY)
    world.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    stage = await real.stage(world)
    await until(stage, "approval_asked")
    await stage.decide()
    await until(stage, "step_failed")

    await reset_before(stage, "collect_order")
    world.fail = lambda step: broken(step) if isinstance(step, CollectOrder) else None
    await until(stage, "forked")
    assert (await stage.state()).forked

    world.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    assert await resumed(stage)
    await until(stage, "state_recalled")
    # Its last events may still be on their way into the store.
    state = await until_state(stage, lambda state: is_the_truth(stage, state))
    assert state.case is not None
    assert state.case.issued is not None
    assert stage.first("state_recalled").by == "person/head"

    world.fail = lambda step: None
    assert await resumed(stage)
    await until(stage, "generation_began")
    assert len(world.orders) == 1
    assert "order_revoked" not in stage.kinds()


BAD_INPUTS: list[tuple[list[object], str]] = [
    ([{"cidrs": "xx"}], "input.cidrs: is text, not a list. Write it in brackets"),
    ([{"ports": ["443"]}], "input.ports[0]: '443' is not a port. Write a number"),
    ([{"cidr": ["10.0.0.0/24"]}], "input.cidr: is not a field"),
    ([[1, 2]], "input: is a list, not a JSON object"),
    (["443"], "input: is text, not a JSON object"),
    ([{"names": ["a.example"] * 100_000}], "input.names: holds 100000 entries, more than 1000"),
    ([RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"{cidrs"))], "input: cannot be decoded"),
    ([RawValue(Payload(metadata={"encoding": b"own/kind"}, data=b"{}"))], "input: cannot be decoded"),
]


async def test_a_discovery_with_a_wrong_input_fails_at_once_with_field_and_remedy(real: Theatre) -> None:
    said: list[str] = []

    @activity.defn
    async def fail_discovery(failure: DiscoveryFailure) -> DiscoveryEnded:
        said.append(f"{failure.request.discovery_id}: {failure.detail}")
        return DiscoveryEnded(failure.request.discovery_id)

    @activity.defn
    async def begin_discovery(request: DiscoveryRequest) -> DiscoveryPlan:
        raise ApplicationError(repr(replace(request, discovery_id="")), non_retryable=True)

    client = real.env.client
    lifecycle = Worker(client, task_queue=LIFECYCLE_QUEUE, workflows=[Discovery], workflow_runner=Sandbox())
    scan = Worker(client, task_queue=SCAN_QUEUE, activities=[begin_discovery, fail_discovery])

    async def end_of(number: int, given: list[object]) -> str:
        name = f"discovery/bad-{number}"
        queue, patience = LIFECYCLE_QUEUE, timedelta(seconds=LONG_SECONDS)
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow("Discovery", args=given, id=name, task_queue=queue, run_timeout=patience)
        cause = failed.value.cause
        return str(cause.cause if isinstance(cause, ActivityError) else cause)

    async with lifecycle, scan:
        for number, (given, problem) in enumerate(BAD_INPUTS):
            assert problem in await end_of(number, given)
            assert said[-1].startswith(f"bad-{number}-") and problem in said[-1]
        # Whoever gave it an id looks for its end under that id.
        assert "more than 1000" in await end_of(99, [{"discovery_id": "mine", "names": ["a.example"] * 1001}])
        assert said[-1].startswith("mine: ")
        # Nothing at all, and nothing in it, mean the whole scope.
        nothing: list[list[object]] = [[], [None], [{}]]
        for number, given in enumerate(nothing, 100):
            assert repr(DiscoveryRequest()) in await end_of(number, given)
        assert "positional argument" in await end_of(200, [{}, {}])


async def test_a_signal_that_cannot_be_decoded_is_dropped_and_the_lifecycle_lives(real: Theatre) -> None:
    stage = await real.stage(World(tier=Tier.CUSTOMER_FACING, age=340 * DAY))
    await until(stage, "rung_fired")
    for given in ({"no": "notice"}, [1], RawValue(Payload(metadata={"encoding": b"own/kind"}, data=b"{}"))):
        await stage.handle.signal("observe", given)
    message = Acknowledge("code", "security-head", await stage.now() + DAY, about=await call_of(stage))
    assert (await stage.send("acknowledge", message)).outcome == "accepted"


async def test_a_lifecycle_terminated_in_mid_case_is_whole_again_with_its_next_notice(real: Theatre) -> None:
    world = World(tier=Tier.CUSTOMER_FACING, age=280 * DAY)
    stage = await real.stage(world)
    await until(stage, "approval_asked")
    await stage.decide()
    await until(stage, "generation_began")
    world.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    await until_state(stage, lambda state: state.generation == 2)
    await stage.send("renew_now", RenewNow(world.code()))
    await until(stage, "approval_asked", 2)
    stage.activities.approver = "person/other"
    await stage.decide()
    await until(stage, "step_failed")
    before = await stage.state()

    await end_by_hand(stage)
    await late_notice(stage, "n-late")
    await until(stage, "state_recalled")
    after = await until_state(stage, lambda state: is_the_truth(stage, state))
    assert after.case is not None
    assert before.case is not None
    assert after.generation == before.generation == 2
    assert (after.life, after.slots, after.case.issued) == (before.life, before.slots, before.case.issued)
    assert not after.questions

    world.fail = lambda step: None
    assert await resumed(stage)
    await until(stage, "generation_began", 2)
    assert sorted(world.orders) == ["mc-1.1.1.1", "mc-1.2.1.1"]
    assert "order_revoked" not in stage.kinds()
    assert "forked" not in stage.kinds()


async def test_a_send_that_hangs_holds_up_no_order_and_no_generation(real: Theatre) -> None:
    stage = await real.stage(World(tier=Tier.CUSTOMER_FACING, age=340 * DAY))
    stage.activities.hanging = asyncio.Event()
    await until(stage, "approval_asked")
    assert (await stage.decide()).outcome == "accepted"
    await until(stage, "generation_began")
    state = await until_state(stage, lambda state: state.generation == 2)
    untold = {message.id for message in state.untold}
    assert untold
    assert not stage.activities.told
    stage.activities.hanging.set()
    await until_state(stage, lambda state: not state.untold)
    assert untold <= {message.id for message in stage.activities.told}


async def call_of(stage: Stage) -> str:
    """What the head of IT security was called about last."""
    return next(call.about for call in calls(await stage.state()) if call.level == "security-head")


async def reset_before(stage: Stage, activity: str) -> None:
    """What `temporal workflow reset` does: begin the run anew from the task before ``activity`` was scheduled."""
    history = await stage.env.client.get_workflow_handle(stage.handle.id).fetch_history()
    place = next(
        index
        for index, event in enumerate(history.events)
        if event.activity_task_scheduled_event_attributes.activity_type.name == activity
    )
    task = max(
        event.event_id for event in history.events[:place] if event.HasField("workflow_task_completed_event_attributes")
    )
    await stage.env.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=stage.env.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=stage.handle.id),
            reason="a test",
            request_id=str(uuid4()),
            workflow_task_finish_event_id=task,
        )
    )
