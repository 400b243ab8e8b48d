"""A lifecycle that was ended or put back by hand goes on from what the store holds, on the time-skipping server."""

from datetime import timedelta

from temporalio.client import WorkflowHandle

from domain.contracts import CollectOrder, Deploy, Observation
from domain.lifecycle.state import LifecycleState
from domain.names import LIFECYCLE_QUEUE, certificate_workflow
from domain.people.messages import Answer, Retire
from domain.tiers import Tier
from tests.domain.simulation import World, broken
from tests.workflows.conftest import Stage, Theatre
from tests.workflows.recovering import end_by_hand, is_the_truth, late_notice, resumed, until, until_state
from workflows.lifecycle import CertificateLifecycle, Start

DAY = timedelta(days=1)


async def mid_case(theatre: Theatre) -> Stage:
    """In its second generation: a certificate is issued, and its target does not answer."""
    world = World(tier=Tier.INTERNAL)
    stage = await theatre.stage(world)
    await stage.pass_time(400 * DAY)
    world.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    await stage.pass_time(230 * DAY)
    state = await stage.state()
    assert state.generation == 2
    assert state.case is not None
    assert state.case.issued is not None
    return stage


async def test_an_ended_lifecycle_is_whole_again_with_its_next_notice(theatre: Theatre) -> None:
    stage = await mid_case(theatre)
    before, asked = await stage.state(), len(stage.activities.told)
    await end_by_hand(stage)
    stage.activities.flaky.add("Recall")
    await late_notice(stage, "n-late")
    await until(stage, "state_recalled")
    await stage.pass_time(timedelta(minutes=1))
    after = await until_state(stage, lambda state: is_the_truth(stage, state))
    assert after.generation == before.generation
    assert (after.life, after.terms, after.slots) == (before.life, before.terms, before.slots)
    assert after.case is not None
    assert before.case is not None
    assert (after.case.number, after.case.issued) == (before.case.number, before.case.issued)
    assert "n-late" in after.read
    assert not after.forked
    assert not any(message.topic == "question" for message in stage.activities.told[asked:])
    stage.world.fail = lambda step: None
    await stage.pass_time(2 * DAY)
    assert (await stage.state()).generation == 3
    assert sorted(stage.world.orders) == ["mc-1.1.1.1", "mc-1.2.1.1"]
    assert "order_revoked" not in stage.kinds()
    assert sorted(stage.activities.recorded) == list(range(len(stage.activities.recorded)))
    # Each run is archived under the generation that it was of; an ended one is left to the sweep.
    assert [run.generation for run in stage.activities.archived] == [1, 2, 2]


async def test_a_retired_lifecycle_that_a_notice_begins_again_ends_at_once(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.INTERNAL))
    await stage.pass_time(timedelta(minutes=1))
    await stage.send("retire", Retire(stage.world.code(), "decommissioned"))
    await stage.handle.result()
    again = await begin(stage, None)
    await late_notice(stage, "n-late")
    await again.result()
    assert (await stage.state()).retired


async def test_a_fork_takes_the_state_of_the_store_when_somebody_resumes(theatre: Theatre) -> None:
    world = World(tier=Tier.CUSTOMER_FACING, age=280 * DAY)
    world.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    stage = await theatre.stage(world)
    await stage.pass_time(timedelta(minutes=1))
    stale = await stage.state()
    await stage.decide()
    await until(stage, "step_failed")
    # As a reset does: an earlier state, under the same name.
    await end_by_hand(stage)
    world.fail = lambda step: broken(step) if isinstance(step, CollectOrder) else None
    await begin(stage, stale)
    await stage.decide()
    await until(stage, "forked")
    assert (await stage.state()).forked
    world.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    assert await resumed(stage)
    await until(stage, "state_recalled")
    await stage.pass_time(timedelta(minutes=1))
    assert stage.first("state_recalled").by == "person/head"
    # Its last events may still be on their way into the store.
    await until_state(stage, lambda state: is_the_truth(stage, state))
    world.fail = lambda step: None
    await stage.pass_time(2 * DAY)
    assert (await stage.state()).generation == 2
    assert list(world.orders) == ["mc-1.1.1.1"]


async def test_a_notice_about_nothing_that_was_recorded_leaves_a_lifecycle_waiting(theatre: Theatre) -> None:
    stage = await theatre.stage(World())
    await stage.pass_time(timedelta(minutes=1))
    await end_by_hand(stage)
    # As when nothing of it had been recorded yet.
    stage.activities.recorded.clear()
    stage.world.notices["n-late"] = Observation("n-late", "looked", await stage.now())
    await late_notice(stage, "n-late", known=True)
    await stage.pass_time(timedelta(hours=1))
    state = await stage.state()
    assert state.life is None
    assert state.read == ("n-late",)
    await stage.handle_of_now().signal("observe", "n-0")
    await stage.pass_time(timedelta(minutes=1))
    assert (await stage.state()).life is not None


async def begin(stage: Stage, state: LifecycleState | None) -> WorkflowHandle[CertificateLifecycle, None]:
    return await stage.env.client.start_workflow(
        CertificateLifecycle.run,
        Start("mc-1", state),
        id=certificate_workflow("mc-1"),
        task_queue=LIFECYCLE_QUEUE,
    )


async def test_a_gap_that_is_signed_for_lets_a_lifecycle_go_on_that_the_store_refuses(theatre: Theatre) -> None:
    stage = await mid_case(theatre)
    kept = max(stage.activities.recorded) - 4
    # Put back: what follows a number that is missing is refused, as the store does.
    for seq in [seq for seq in stage.activities.recorded if seq > kept]:
        del stage.activities.recorded[seq]
    stage.activities.refusing = "mc-1: event 40 came, 12 is missing; nothing was written."
    await late_notice(stage, "n-late")
    asked = await until_state(stage, lambda state: bool(state.record_refused) and bool(state.questions))
    about = next(one.about for one in asked.questions if one.kind == "forked")
    assert await stage.send("answer", Answer(stage.world.code(), "forked", "gap", about=about))
    stage.activities.refusing = ""
    await until(stage, "record_gap")
    gap = stage.first("record_gap")
    assert (gap.by, gap.facts["first"]) == ("person/head", kept + 1)
    stage.world.fail = lambda step: None
    await stage.pass_time(2 * DAY)
    state = await until_state(stage, lambda state: is_the_truth(stage, state))
    assert not state.questions
    assert sorted(stage.activities.recorded) == list(range(len(stage.activities.recorded)))
