"""Telling never gates acting (DESIGN rule 3): what cannot be sent holds up no order, no deployment, no generation."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from domain.names import DELIVERED_SIGNAL
from domain.people.messages import Retire
from domain.tiers import Tier
from tests.domain.simulation import World
from tests.workflows.conftest import Stage, Theatre
from tests.workflows.recovering import until, until_fact
from workflows.courier import DeliveryNews

DAY = timedelta(days=1)


async def test_a_send_that_fails_for_ever_holds_up_no_order_and_no_generation(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.CUSTOMER_FACING, age=280 * DAY))
    stage.activities.mute = True
    await stage.pass_time(timedelta(minutes=5))
    assert (await stage.decide()).outcome == "accepted"
    await stage.pass_time(7 * DAY)
    # Renewed, with every message still to be told: they have travelled with the state.
    state = await stage.state()
    assert state.generation == 2
    untold = {message.id for message in state.untold}
    assert untold
    assert not stage.activities.told
    stage.activities.mute = False
    await stage.pass_time(DAY)
    assert not (await stage.state()).untold
    assert untold <= {message.id for message in stage.activities.told}


async def test_a_person_without_an_address_holds_up_nothing_and_the_head_is_asked(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.INTERNAL, age=300 * DAY))
    await stage.pass_time(timedelta(minutes=1))
    news = DeliveryNews("mc-1.1", "undeliverable", "p-owner")
    await stage.handle_of_now().signal(DELIVERED_SIGNAL, news)
    await stage.pass_time(8 * DAY)
    state = await stage.state()
    assert state.generation == 2
    assert state.unreachable == ("p-owner",)
    [asked] = [one for one in state.questions if one.kind == "undeliverable"]
    assert asked.level == "security-head" and "p-owner" in asked.detail


async def test_lives_of_five_minutes_are_renewed_while_nothing_can_be_sent(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.INTERNAL, length=timedelta(minutes=5), age=timedelta(minutes=4)))
    stage.activities.mute = True
    ends = []
    for _ in range(4):
        await stage.pass_time(timedelta(minutes=5))
        state = await stage.state()
        assert state.life is not None
        ends.append(state.life.ends_at - await stage.now())
    assert state.generation >= 4
    assert min(ends) > timedelta()


async def test_a_retired_lifecycle_stays_until_it_has_told_what_it_must(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.CUSTOMER_FACING, age=280 * DAY))
    stage.activities.mute = True
    await stage.pass_time(timedelta(minutes=1))
    await stage.send("retire", Retire(stage.world.code(), "decommissioned"))
    await stage.pass_time(7 * DAY)
    assert (await stage.state()).retired
    stage.activities.mute = False
    await stage.handle.result()
    assert stage.activities.told


async def test_a_run_that_continues_while_it_records_loses_no_event(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.CUSTOMER_FACING, age=280 * DAY))
    await until(stage, "approval_asked")
    for number in range(1, 4):
        await stage.handle_of_now().signal("upgrade")
        await until_fact(partial(has_archived, stage, number))
    await stage.pass_time(timedelta(minutes=1))
    assert sorted(stage.activities.recorded) == list(range(len(stage.activities.recorded)))


def has_archived(stage: Stage, runs: int) -> bool:
    return len(stage.activities.archived) == runs
