"""Each tier through two generations, and every way in which a renewal goes wrong, on the time-skipping server."""

from datetime import datetime, timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowUpdateFailedError

from domain.certificate import Life, TrustClass
from domain.contracts import CollectOrder, Observation
from domain.people.messages import Answer, Decide, Retire
from domain.tiers import Tier
from tests.domain.simulation import World, broken, life
from tests.workflows.conftest import Stage, Theatre

DAY = timedelta(days=1)


def on_its_instant(at: datetime, due: datetime) -> bool:
    """Timers are whole seconds, rounded up: never early, at most two seconds late with the task that follows."""
    return due <= at <= due + timedelta(seconds=3)


async def updates_in(stage: Stage) -> int:
    kinds = [event.event_type async for event in stage.handle.fetch_history_events()]
    return sum(kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED for kind in kinds)


async def test_an_internal_certificate_lives_two_generations_without_anybody(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.INTERNAL))
    begun = stage.begun
    await stage.pass_time(620 * DAY)
    state = await stage.state()
    assert state.generation == 3
    assert on_its_instant(stage.first("case_opened").at, begun + 305 * DAY)
    assert "approval_asked" not in stage.kinds()
    assert len(stage.activities.archived) == 2
    assert sorted(stage.activities.recorded) == list(range(len(stage.activities.recorded)))


@pytest.mark.parametrize("tier", [Tier.CUSTOMER_FACING, Tier.NETWORK_CRITICAL])
async def test_an_asking_tier_is_asked_escalated_and_approved_for_two_generations(theatre: Theatre, tier: Tier) -> None:
    stage = await theatre.stage(World(tier=tier))
    begun = stage.begun
    await stage.pass_time(276 * DAY)
    assert on_its_instant(stage.first("approval_asked").at, begun + 275 * DAY)
    await stage.pass_time(60 * DAY)
    assert on_its_instant(stage.first("rung_fired").at, begun + 335 * DAY)
    assert {message.topic for message in stage.activities.told} >= {"ask", "rung"}
    stage.activities.refuse.add("forged")
    assert (await stage.decide(code="forged")).outcome == "refused"
    receipt = await stage.decide()
    assert receipt.outcome == "accepted"
    await stage.pass_time(DAY)
    assert (await stage.state()).generation == 2
    await stage.pass_time(276 * DAY)
    assert (await stage.decide()).detail == "approved"
    await stage.pass_time(110 * DAY)
    assert (await stage.state()).generation == 3


async def test_a_refused_message_leaves_nothing_in_the_history(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.CUSTOMER_FACING, age=280 * DAY))
    await stage.pass_time(timedelta(minutes=1))
    with pytest.raises(WorkflowUpdateFailedError):
        await stage.send("decide", Decide(stage.world.code(), "approve", 1, 1, "another plan"))
    assert await updates_in(stage) == 0
    assert "code_burnt" not in stage.kinds()


async def test_a_code_that_does_not_hold_changes_no_case_and_is_burnt(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.CUSTOMER_FACING, age=280 * DAY))
    stage.activities.refuse.add("forged")
    await stage.pass_time(timedelta(minutes=1))
    assert (await stage.decide(code="forged")).outcome == "refused"
    with pytest.raises(WorkflowUpdateFailedError):
        await stage.decide(code="forged")
    assert (await stage.decide()).outcome == "accepted"
    assert "decision_refused" in stage.kinds()


async def test_a_repeated_update_id_gets_its_first_answer_after_the_run_has_rolled(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.CUSTOMER_FACING, age=280 * DAY))
    await stage.pass_time(timedelta(minutes=1))
    first = await stage.decide(update_id="u-1")
    await stage.pass_time(100 * DAY)
    assert (await stage.state()).generation == 2
    again = await stage.send("decide", Decide("any", "approve", 1, 1, "p1"), "u-1")
    assert again == first


async def test_a_rejection_is_asked_again(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.NETWORK_CRITICAL, age=276 * DAY))
    await stage.pass_time(timedelta(minutes=1))
    assert (await stage.decide("reject")).outcome == "accepted"
    await stage.pass_time(8 * DAY)
    assert stage.kinds().count("approval_asked") == 2
    assert (await stage.decide()).outcome == "accepted"
    await stage.pass_time(110 * DAY)
    assert (await stage.state()).generation == 2


async def test_a_lying_reload_ends_in_rollback_and_a_rung(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.INTERNAL, age=310 * DAY, reload_lies=True))
    await stage.pass_time(2 * DAY)
    assert "rolled_back" in stage.kinds()
    assert "owner_called" in stage.kinds()
    stage.world.reload_lies = False
    await stage.pass_time(2 * DAY)
    assert (await stage.state()).generation == 2
    assert len(stage.world.orders) == 1


async def test_a_ca_that_is_down_for_four_days_gives_one_certificate(theatre: Theatre) -> None:
    world = World(tier=Tier.INTERNAL, age=306 * DAY)
    stage = await theatre.stage(world)
    back = await stage.now() + 4 * DAY
    world.fail = lambda step: broken(step) if isinstance(step, CollectOrder) and world.now < back else None
    await stage.pass_time(6 * DAY)
    assert (await stage.state()).generation == 2
    assert len(world.orders) == 1


async def test_a_replacement_by_hand_and_a_foreign_certificate(theatre: Theatre) -> None:
    world = World(tier=Tier.CUSTOMER_FACING, age=290 * DAY)
    stage = await theatre.stage(world)
    await stage.pass_time(timedelta(minutes=1))
    await show(stage, life("foreign", world.now, 365 * DAY, trust_class=TrustClass.SELF_SIGNED), "n-1")
    await stage.pass_time(DAY)
    assert await stage.finding("foreign-certificate")
    await show(stage, life("by hand", world.now, 365 * DAY), "n-2")
    await stage.pass_time(DAY)
    state = await stage.state()
    assert state.generation == 2
    assert state.last_outcome == "superseded"


async def test_a_silent_endpoint_becomes_unseen(theatre: Theatre) -> None:
    world = World(tier=Tier.INTERNAL)
    stage = await theatre.stage(world)
    await stage.pass_time(timedelta(minutes=1))
    world.dead = set(world.served)
    await discover(stage, "n-1")
    await stage.pass_time(12 * DAY)
    assert await stage.finding("unseen")
    receipt = await stage.send(
        "answer", Answer(stage.world.code(), "unseen", "retired", about=await stage.about("unseen"))
    )
    assert receipt.outcome == "accepted"
    await stage.handle.result()


async def test_an_issuer_that_ends_first_is_unroutable(theatre: Theatre) -> None:
    world = World(tier=Tier.INTERNAL, age=306 * DAY)
    world.ca_ends_at = await theatre.env.get_current_time() + 80 * DAY
    stage = await theatre.stage(world)
    await stage.pass_time(5 * DAY)
    state = await stage.state()
    assert state.case is not None
    assert state.case.stage == "unroutable"
    await stage.send("retire", Retire(stage.world.code(), "decommissioned"))
    await stage.handle.result()
    assert "order_revoked" in stage.kinds()


async def test_a_retirement_ends_the_workflow(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.INTERNAL))
    await stage.pass_time(timedelta(minutes=1))
    await stage.send("retire", Retire(stage.world.code(), "decommissioned"))
    await stage.handle.result()
    assert stage.kinds()[-1] == "retired" or "retired" in stage.kinds()


async def test_cancelling_does_not_end_a_lifecycle(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.CUSTOMER_FACING, age=280 * DAY))
    await stage.pass_time(timedelta(minutes=1))
    await stage.handle.cancel()
    await stage.pass_time(60 * DAY)
    assert "rung_fired" in stage.kinds()


async def show(stage: Stage, new: Life, notice: str) -> None:
    stage.world.certificates[new.fingerprint] = new
    stage.world.served = dict.fromkeys(stage.world.served, new.fingerprint)
    await discover(stage, notice)


async def discover(stage: Stage, notice: str) -> None:
    world = stage.world
    world.now = await stage.now()
    looks = world.looks(tuple(world.served))
    candidates = tuple(world.certificates[print_] for print_ in sorted({look.fingerprint for look in looks} - {""}))
    world.notices[notice] = Observation(notice, "looked", world.now, looks=looks, candidates=candidates)
    await stage.handle.signal("observe", notice)
