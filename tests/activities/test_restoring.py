"""Streams made again from runs, on a real PostgreSQL and a real Temporal; what was replayed of a run the test says."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.engine import Engine
from temporalio.client import WorkflowHistory
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from activities.restoring import RestoringActivities, RestoringParts
from domain.comparison import RestoreStreams, StreamsRestored
from domain.contracts import EventRecord, RecordBatch
from domain.errors import Refused
from domain.lifecycle.state import LifecycleState
from domain.names import certificate_workflow
from domain.tiers import Tier
from store.facts import behind, events_of, record
from tests.activities.two_sides import Sides
from tests.api.conftest import record_of
from tests.domain.simulation import World

pytestmark = pytest.mark.server


@pytest.fixture
def sides(database: Engine, temporal: WorkflowEnvironment) -> Sides:
    return Sides(database, temporal.client)


def made(sides: Sides, managed_id: str) -> tuple[EventRecord, ...]:
    """What its lifecycle recorded in its first days."""
    sides.govern(managed_id)
    world = World(tier=Tier.INTERNAL, now=sides.clock(), state=LifecycleState(managed_id))
    world.adopt()
    world.work()
    return tuple(record_of(fact, world.state.generation, 0) for fact in world.happened)


def elsewhere(events: Sequence[EventRecord]) -> tuple[EventRecord, ...]:
    """Under the same numbers, of another branch: an hour later."""
    return tuple(replace(one, at=one.at + timedelta(hours=1)) for one in events)


def put_back(sides: Sides, managed_id: str, events: Sequence[EventRecord], kept: int) -> None:
    """The store holds the first ``kept`` of ``events``, and has refused the last."""
    record(sides.engine, RecordBatch(managed_id, "run", tuple(events[:kept])), "t", sides.clock())
    with pytest.raises(Refused):
        record(sides.engine, RecordBatch(managed_id, "run", tuple(events[-1:])), "t", sides.clock())


async def restored(sides: Sides, batches: dict[str, list[RecordBatch]]) -> StreamsRestored:
    async def replayed(history: WorkflowHistory) -> list[RecordBatch]:
        return batches[history.workflow_id.removeprefix(certificate_workflow(""))]

    parts = RestoringParts(sides.engine, sides.client, "t", sides.clock, replayed)
    asked = RestoreStreams(tuple(behind(sides.engine, 10)))
    found: StreamsRestored = await ActivityEnvironment().run(RestoringActivities(parts).restore_streams, asked)
    return found


def batch(managed_id: str, events: Sequence[EventRecord]) -> RecordBatch:
    return RecordBatch(managed_id, "run", tuple(events))


async def test_what_a_store_lacks_is_made_again_from_what_its_run_recorded(sides: Sides) -> None:
    events = made(sides, "mc-r1")
    put_back(sides, "mc-r1", events, 2)
    await sides.run("mc-r1")
    found = await restored(sides, {"mc-r1": [batch("mc-r1", events[:3]), batch("mc-r1", events[3:])]})
    assert (found.streams, found.events, found.lost) == (1, len(events) - 2, ())
    assert tuple(events_of(sides.engine, "mc-r1")) == events
    assert behind(sides.engine, 10) == []


async def test_nothing_is_made_again_behind_events_of_another_branch(sides: Sides) -> None:
    """The store was put back to a time when it held what was given up since."""
    events = made(sides, "mc-r2")
    put_back(sides, "mc-r2", events, 2)
    await sides.run("mc-r2")
    others = elsewhere(events)
    found = await restored(sides, {"mc-r2": [batch("mc-r2", others)]})
    assert (found.streams, found.events) == (0, 0)
    [(managed_id, why)] = found.lost
    assert (managed_id, "another event 1" in why) == ("mc-r2", True)
    assert tuple(events_of(sides.engine, "mc-r2")) == events[:2]
    assert behind(sides.engine, 10) == ["mc-r2"]


async def test_what_was_given_up_with_a_gap_is_not_made_again_in_its_place(sides: Sides) -> None:
    """Somebody signed for a gap behind event 1, and the store is put back to there a second time."""
    events = made(sides, "mc-r3")
    put_back(sides, "mc-r3", events, 2)
    await sides.run("mc-r3")
    after = elsewhere(events[2:])
    run = [batch("mc-r3", events[:3]), batch("mc-r3", events[3:]), batch("mc-r3", after)]
    found = await restored(sides, {"mc-r3": run})
    assert (found.streams, found.lost) == (1, ())
    assert tuple(events_of(sides.engine, "mc-r3")) == (*events[:2], *after)


async def test_a_stream_that_cannot_be_made_whole_is_tried_last_the_next_time(sides: Sides) -> None:
    of = {one: made(sides, one) for one in ("mc-r4", "mc-r5")}
    for managed_id, events in of.items():
        put_back(sides, managed_id, events, 2)
        sides.clock.advance(timedelta(seconds=1))
        await sides.run(managed_id)
    assert behind(sides.engine, 10) == ["mc-r4", "mc-r5"]
    gone = {one: [batch(one, events[3:])] for one, events in of.items()}
    found = await restored(sides, gone)
    assert [one for one, _ in found.lost] == ["mc-r4", "mc-r5"]
    sides.clock.advance(timedelta(minutes=5))
    parts = RestoringParts(sides.engine, sides.client, "t", sides.clock, _none)
    await ActivityEnvironment().run(RestoringActivities(parts).restore_streams, RestoreStreams(("mc-r4",)))
    assert behind(sides.engine, 1) == ["mc-r5"]


async def _none(history: WorkflowHistory) -> list[RecordBatch]:
    raise ValueError(f"{history.workflow_id} does not do what it did")
