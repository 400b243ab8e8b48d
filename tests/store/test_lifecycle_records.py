"""What real lifecycles say fits the store: every event, every snapshot, over the wire of Temporal."""

from datetime import timedelta

import pytest
from sqlalchemy.engine import Engine

from domain.contracts import EventRecord, RecordBatch, Recorded
from domain.lifecycle import events as e
from domain.lifecycle.view import snapshot
from domain.tiers import Tier
from store import reader
from store.canonical import canonical
from store.facts import record
from tests.domain.simulation import World
from workflows.converter import DATA_CONVERTER

DAY = timedelta(days=1)


async def over_the_wire(batch: RecordBatch) -> RecordBatch:
    payloads = await DATA_CONVERTER.encode([batch])
    [decoded] = await DATA_CONVERTER.decode(payloads, [RecordBatch])
    assert isinstance(decoded, RecordBatch)
    return decoded


def batch_of(world: World, first: int) -> RecordBatch:
    records = tuple(
        EventRecord(one.seq, one.event.kind, one.at, one.cause, world.state.generation, 1, one.by, e.facts(one.event))
        for one in world.happened[first:]
    )
    return RecordBatch(world.state.managed_id, "run-1", records, snapshot(world.state, world.now))


@pytest.mark.parametrize("tier", list(Tier))
@pytest.mark.parametrize("length", [timedelta(minutes=30), 47 * DAY, 365 * DAY])
async def test_a_life_is_recorded_event_by_event(database: Engine, tier: Tier, length: timedelta) -> None:
    world = World(tier=tier, length=length)
    world.adopt()
    written = 0
    for _ in range(12):
        world.run_until(world.now + length / 8)
        if world.state.case is not None and tier is not Tier.INTERNAL and world.state.case.plan is not None:
            world.send(world.decision())
        batch = await over_the_wire(batch_of(world, written))
        assert record(database, batch, "0.1.0", world.now) == Recorded("recorded", len(world.happened) - 1)
        assert record(database, batch, "0.1.0", world.now).outcome == "recorded"
        written = len(world.happened)
    told = reader.timeline(database, "mc-1", limit=10_000)
    assert [one["seq"] for one in told] == list(range(written))
    assert [canonical(one["facts"]) for one in told] == [canonical(e.facts(one.event)) for one in world.happened]
    row = reader.get_certificate(database, "mc-1")
    assert row["generation"] == world.state.generation > 1
