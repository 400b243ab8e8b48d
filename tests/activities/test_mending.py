"""Lifecycles begun again and messages handed over, on a real PostgreSQL and a real Temporal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from activities.notification import CHANNEL
from domain.comparison import BeginAgain, HandOver
from domain.contracts import Message, RecordBatch
from domain.lifecycle.state import LifecycleState
from domain.names import certificate_workflow
from domain.reconciling import PATIENCE
from domain.tiers import Tier
from store import tables
from store.deliveries import queue_delivery
from store.facts import record
from store.sightings.notices import unsent
from tests.activities.two_sides import Sides
from tests.api.conftest import record_of
from tests.domain.simulation import World

pytestmark = pytest.mark.server


@pytest.fixture
def sides(database: Engine, temporal: WorkflowEnvironment) -> Sides:
    return Sides(database, temporal.client)


async def test_what_it_was_told_and_has_not_recorded_is_told_again(sides: Sides) -> None:
    sides.govern("mc-b1")
    sides.notice("mc-b1", "n-passed-over", sent=True)
    # What a lifecycle records of a notice that it was sent names it as its cause.
    sides.notice("mc-b1", "n-heard", sent=True)
    world = World(tier=Tier.INTERNAL, now=sides.clock(), state=LifecycleState("mc-b1"))
    world.adopt()
    world.work()
    heard = replace(record_of(world.happened[0], 1, 0), cause="notice/n-heard")
    record(sides.engine, RecordBatch("mc-b1", "run-1", (heard,)), "t", world.now)
    sides.notice("mc-b1", "n-lost", "n-lost-too", sent=True)
    begun = await ActivityEnvironment().run(sides.mending.begin_again, BeginAgain(("mc-b1",)))
    assert (begun.begun, begun.notices) == (1, 2)
    assert await signals(sides, "mc-b1") == ["n-lost", "n-lost-too"]
    assert unsent(sides.engine, 10) == []
    # One that runs is left alone: it is the same run afterwards.
    run = (await sides.client.get_workflow_handle(certificate_workflow("mc-b1")).describe()).run_id
    await ActivityEnvironment().run(sides.mending.begin_again, BeginAgain(("mc-b1",)))
    assert (await sides.client.get_workflow_handle(certificate_workflow("mc-b1")).describe()).run_id == run


async def signals(sides: Sides, managed_id: str) -> list[str]:
    """The notices that Temporal holds for it, in their order."""
    found = []
    handle = sides.client.get_workflow_handle(certificate_workflow(managed_id))
    async for event in handle.fetch_history_events():
        if event.HasField("workflow_execution_signaled_event_attributes"):
            payloads = event.workflow_execution_signaled_event_attributes.input.payloads
            found += await sides.client.data_converter.decode(payloads, [str])
    return found


async def test_what_waits_until_the_next_rung_is_due_is_given_up(sides: Sides) -> None:
    now = datetime(2026, 11, 30, tzinfo=UTC)
    for name, until in (("useful", now + timedelta(seconds=1)), ("late", now - PATIENCE), ("in a letter", now)):
        message = Message(name, "mc-1", "p-1", "owner", "rung", now, useful_until=until)
        queue_delivery(sides.engine, message, CHANNEL, now - timedelta(minutes=10))
    asked = HandOver(now - timedelta(minutes=2), now - timedelta(days=1), now)
    await ActivityEnvironment().run(sides.mending.hand_over, asked)
    assert (sides.handed, sides.given_up) == (["useful", "in a letter"], ["late"])


async def test_what_waits_is_handed_over_and_what_waits_too_long_is_given_up(sides: Sides) -> None:
    now = datetime(2026, 11, 30, tzinfo=UTC)
    for name, age in (("fresh", 1), ("waits", 10), ("old", 60 * 25)):
        message = Message(name, "mc-1", "p-1", "owner", "failed", now)
        queue_delivery(sides.engine, message, CHANNEL, now - timedelta(minutes=age))
    asked = HandOver(now - timedelta(minutes=2), now - timedelta(days=1), now)
    done = await ActivityEnvironment().run(sides.mending.hand_over, asked)
    assert (done.handed, done.given_up) == (1, 1)
    assert (sides.handed, sides.given_up) == (["waits"], ["old"])
    # Given up once: its lifecycle has heard it.
    await ActivityEnvironment().run(sides.mending.hand_over, asked)
    assert sides.given_up == ["old"]
    with sides.engine.connect() as connection:
        rows = connection.execute(sa.select(tables.deliveries.c.message_id, tables.deliveries.c.state))
        assert {row.message_id: row.state for row in rows} == {
            "fresh": "queued",
            "waits": "queued",
            "old": "undeliverable",
        }
