"""What a real store gives back of a life: exactly the state that was live, over the wire of Temporal too."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from activities.recording import RecordingActivities
from domain.certificate import Slot
from domain.contracts import EventRecord, Observation, Recall, RecordBatch, SlotLook
from domain.errors import BadInput
from domain.lifecycle.refold import Recalled
from domain.people.messages import Resume
from domain.tiers import Tier
from store.facts import record
from tests.activities.test_recording import recording
from tests.domain.simulation import World, broken, stored
from workflows.converter import DATA_CONVERTER

DAY = timedelta(days=1)
# Two megabytes is what Temporal takes; a state is a small part of it, whatever it has lived through.
LARGEST_STATE = 200_000


def keep(database: Engine, world: World, first: int = 0) -> None:
    batch = RecordBatch(world.state.managed_id, "run-1", tuple(stored(fact) for fact in world.happened[first:]))
    assert record(database, batch, "0.1.0", world.now).outcome == "recorded"


async def recall(activities: RecordingActivities, managed_id: str = "mc-1") -> Recalled:
    answer = ActivityEnvironment().run(activities.recall, Recall(managed_id))
    payloads = await DATA_CONVERTER.encode([answer])
    assert len(payloads[0].data) < LARGEST_STATE
    [decoded] = await DATA_CONVERTER.decode(payloads, [Recalled])
    assert decoded == answer
    assert isinstance(decoded, Recalled)
    return decoded


@pytest.mark.server
@pytest.mark.parametrize("tier", list(Tier))
async def test_a_life_is_recalled_as_it_was_lived(database: Engine, temporal: WorkflowEnvironment, tier: Tier) -> None:
    world = World(tier=tier)
    world.adopt()
    for _ in range(12):
        world.run_until(world.now + 60 * DAY)
        if world.state.case is not None and tier is not Tier.INTERNAL and world.state.case.plan is not None:
            world.send(world.decision())
    assert world.state.generation > 1
    keep(database, world)
    recalled = await recall(recording(database, temporal))
    assert recalled.head == len(world.happened) - 1
    assert recalled.state == replace(world.state, roll=False)


@pytest.mark.server
async def test_what_is_recalled_of_a_fork_is_what_it_goes_on_from(
    database: Engine,
    temporal: WorkflowEnvironment,
) -> None:
    world = World(tier=Tier.INTERNAL, age=310 * DAY)
    world.adopt()
    world.work()
    world.reset_to(world.first("order_accepted").seq)
    world.fail = lambda step: broken(step)
    world.now += DAY
    world.work()
    assert world.state.forked
    world.send(Resume(world.code()))
    keep(database, world)
    recalled = await recall(recording(database, temporal))
    world.fail = lambda step: None
    assert recalled == world.perform(Recall("mc-1"))


@pytest.mark.server
async def test_of_a_lifecycle_that_recorded_nothing_nothing_is_recalled(
    database: Engine,
    temporal: WorkflowEnvironment,
) -> None:
    assert await recall(recording(database, temporal), "mc-unknown") == Recalled(None, -1)


@pytest.mark.server
async def test_a_store_that_lacks_an_event_or_holds_a_stranger_is_refused_by_name(
    database: Engine,
    temporal: WorkflowEnvironment,
) -> None:
    tomorrow = EventRecord(0, "of_tomorrow", World().now, "x", 1, 0, "everleaf")
    record(database, RecordBatch("mc-2", "run-1", (tomorrow,)), "9.0.0", World().now)
    with pytest.raises(BadInput, match="of_tomorrow"):
        await recall(recording(database, temporal), "mc-2")
    world = World()
    world.adopt()
    world.work()
    keep(database, world)
    with database.begin() as connection:
        # Only a superuser can: the trigger refuses it to everybody else.
        connection.execute(sa.text("ALTER TABLE events DISABLE TRIGGER USER"))
        connection.execute(sa.text("DELETE FROM events WHERE stream = 'mc-1' AND seq = 1"))
    with pytest.raises(BadInput, match="1 is missing"):
        await recall(recording(database, temporal))


@pytest.mark.server
async def test_a_state_stays_small_whatever_it_has_lived_through(
    database: Engine,
    temporal: WorkflowEnvironment,
) -> None:
    world = World(tier=Tier.CUSTOMER_FACING, length=47 * DAY)
    world.adopt()
    slots = tuple(Slot(f"tls://127.40.2.{place}:443", "ecdsa") for place in range(1, 200))
    world.served = dict.fromkeys(slots, next(iter(world.served.values())))
    looks: tuple[SlotLook, ...] = world.looks(slots)
    world.notice(Observation("n-1", "slots", world.now, slots=slots, looks=looks))
    for number in range(60):
        world.notice(Observation(f"m-{number}", "looked", world.now, looks=world.looks(slots)))
        world.run_until(world.now + 5 * DAY)
        if world.state.case is not None and world.state.case.plan is not None:
            world.send(world.decision())
    keep(database, world)
    recalled = await recall(recording(database, temporal))
    assert recalled.state is not None
    assert len(recalled.state.slots) == 199
