"""Inventory against engine, on a real PostgreSQL and a real Temporal: what is found, begun again, handed over."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import reconciling
from activities.notification import CHANNEL
from activities.reconciling import FAILING, RUNNING, ReconcilingActivities, ReconcilingParts
from domain.contracts import BeginAgain, Compare, Compared, HandOver, Message, Observation, RecordBatch
from domain.lifecycle import view
from domain.lifecycle.state import LifecycleState
from domain.names import LIFECYCLE_WORKFLOW, certificate_workflow
from domain.people.messages import Retire
from domain.reconciling import EVERY, OVERDUE_AFTER
from domain.tiers import Tier
from store import tables
from store.deliveries import queue_delivery
from store.facts import record
from store.sightings.notices import OBSERVATION, mark_sent, unsent
from tests.activities.conftest import Clock, govern
from tests.api.conftest import record_of
from tests.domain.simulation import World
from tests.launcher.waiting import LONG_SECONDS
from workflows.lifecycle import Start
from workflows.messenger import Messenger

pytestmark = pytest.mark.server

# A queue that nobody polls: a lifecycle there runs and does nothing.
NOBODY = "nobody"


@dataclass
class Sides:
    """The store and Temporal, and what was handed over or given up."""

    engine: Engine
    client: Client
    clock: Clock = field(default_factory=Clock)
    handed: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)

    @property
    def activities(self) -> ReconcilingActivities:
        async def hand_over(message: Message) -> None:
            self.handed.append(message.id)

        async def give_up(message: Message) -> None:
            self.given_up.append(message.id)

        messenger = Messenger(self.client)
        begin, anew, observe = messenger.begin_again, messenger.begin_anew, messenger.observe
        return ReconcilingActivities(
            ReconcilingParts(self.engine, self.client, self.clock, begin, anew, observe, hand_over, give_up)
        )

    def govern(self, *managed_ids: str) -> None:
        for managed_id in managed_ids:
            govern(self.engine, managed_id)

    async def run(self, *managed_ids: str) -> None:
        """Their lifecycles run, and the lists of Temporal say so."""
        for managed_id in managed_ids:
            await self.client.start_workflow(
                LIFECYCLE_WORKFLOW, Start(managed_id), id=certificate_workflow(managed_id), task_queue=NOBODY
            )
        await self.listed(managed_ids)

    async def listed(self, managed_ids: Iterable[str], query: str = RUNNING) -> None:
        wanted = {certificate_workflow(one) for one in managed_ids}
        async with asyncio.timeout(LONG_SECONDS):
            while not wanted <= {one.id async for one in self.client.list_workflows(query)}:  # noqa: ASYNC110  # lists lag
                await asyncio.sleep(0.05)

    async def gone(self, managed_id: str) -> None:
        query = f"{RUNNING} AND WorkflowId = '{certificate_workflow(managed_id)}'"
        async with asyncio.timeout(LONG_SECONDS):
            while (await self.client.count_workflows(query)).count:  # noqa: ASYNC110  # lists lag
                await asyncio.sleep(0.05)

    async def compare(self, asked: Compare | None = None) -> Compared:
        compared: Compared = await ActivityEnvironment().run(self.activities.compare, asked or Compare())
        return compared

    async def found(self) -> dict[str, tuple[str, str]]:
        return {pair.managed_id: (pair.living, pair.running) for pair in (await self.compare()).pairs}

    def lived(self, managed_id: str, *, retired: bool = False) -> World:
        """It has a read model: its lifecycle recorded what it did until now."""
        world = World(tier=Tier.INTERNAL, now=self.clock(), state=LifecycleState(managed_id))
        world.adopt()
        world.work()
        if retired:
            world.send(Retire(world.code(), "decommissioned"))
        events = tuple(record_of(fact, world.state.generation, 0) for fact in world.happened)
        record(
            self.engine, RecordBatch(managed_id, "run-1", events, view.snapshot(world.state, world.now)), "t", world.now
        )
        return world

    def notice(self, managed_id: str, *notice_ids: str, sent: bool) -> None:
        with self.engine.begin() as connection:
            for notice_id in notice_ids:
                said = OBSERVATION.dump_python(Observation(notice_id, "looked", self.clock()), mode="json")
                row = {"id": notice_id, "managed_id": managed_id, "observation": said, "written_at": self.clock()}
                connection.execute(sa.insert(tables.notices).values(**row))
        if sent:
            mark_sent(self.engine, notice_ids, self.clock())


@pytest.fixture
def sides(database: Engine, temporal: WorkflowEnvironment) -> Sides:
    return Sides(database, temporal.client)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than two are many: they are counted by prefix, and listed only where the counts differ."""
    monkeypatch.setattr(reconciling, "LIST_BELOW", 2)


@pytest.mark.usefixtures("many")
async def test_only_the_prefixes_whose_counts_differ_are_listed(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ["mc-aaa", "mc-aab", "mc-abc", "mc-baa", "mc-bab", "mc-caa", "mc-2aa"]
    sides.govern(*ids)
    await sides.run(*(one for one in ids if one != "mc-abc"))
    monkeypatch.setattr(reconciling, "listed_whole", lambda now, prefixes: "mc-c")
    listed: list[str] = []
    listing = ReconcilingActivities._listed

    async def noted(self: ReconcilingActivities, query: str, most: int | None = None) -> list[str]:
        listed.append(query)
        return await listing(self, query, most)

    monkeypatch.setattr(ReconcilingActivities, "_listed", noted)
    assert await sides.found() == {"mc-abc": ("living", "absent")}
    prefixes = {query.partition("STARTS_WITH '")[2].rstrip("'") for query in listed} - {""}
    assert prefixes == {"certificate/mc-ab", "certificate/mc-c"}


@pytest.mark.usefixtures("many")
async def test_one_missing_behind_one_too_many_is_found_within_as_many_rounds_as_there_are_prefixes(
    sides: Sides,
) -> None:
    ids = ["mc-aaa", "mc-baa", "mc-bab", "mc-caa"]
    sides.govern(*ids)
    # Of b two are known and two run, but not the same two.
    await sides.run("mc-aaa", "mc-baa", "mc-bzz", "mc-caa")
    rounds = []
    for _ in range(3):
        sides.clock.advance(EVERY)
        rounds.append(await sides.found())
    found = {"mc-bab": ("living", "absent"), "mc-bzz": ("unknown", "running")}
    assert sorted(rounds, key=len) == [{}, {}, found]


async def test_how_a_lifecycle_ended_is_told_apart(sides: Sides) -> None:
    sides.govern("mc-a1", "mc-a2", "mc-a3", "mc-a4")
    await sides.run("mc-a1", "mc-a2", "mc-a3")
    await sides.client.get_workflow_handle(certificate_workflow("mc-a2")).terminate("by hand")
    gone = WorkflowExecution(workflow_id=certificate_workflow("mc-a3"))
    deletion = DeleteWorkflowExecutionRequest(namespace=sides.client.namespace, workflow_execution=gone)
    await sides.client.workflow_service.delete_workflow_execution(deletion)
    for managed_id in ("mc-a2", "mc-a3"):
        await sides.gone(managed_id)
    async with asyncio.timeout(LONG_SECONDS):
        while (await sides.found())["mc-a3"] != ("living", "absent"):  # noqa: ASYNC110  # Temporal deletes later
            await asyncio.sleep(0.05)
    assert await sides.found() == {
        "mc-a2": ("living", "terminated"),
        "mc-a3": ("living", "absent"),
        "mc-a4": ("living", "absent"),
    }


async def test_a_retired_one_and_one_that_was_not_told_yet_are_not_missing(sides: Sides) -> None:
    sides.govern("mc-r1", "mc-n1", "mc-n2")
    sides.lived("mc-r1", retired=True)
    sides.notice("mc-n1", "n-1", sent=False)
    sides.notice("mc-n2", "n-2", sent=True)
    compared = await sides.compare()
    assert [(pair.managed_id, pair.running) for pair in compared.pairs] == [("mc-n2", "absent")]
    assert (compared.living, compared.running) == (1, 0)


async def test_an_overdue_one_is_handed_over_with_since_when(sides: Sides) -> None:
    sides.govern("mc-o1")
    world = sides.lived("mc-o1")
    await sides.run("mc-o1")
    assert await sides.found() == {}
    shown = view.snapshot(world.state, world.now)
    assert shown is not None
    due = shown.next_action_at
    assert due is not None
    sides.clock.now = due + OVERDUE_AFTER
    assert await sides.found() == {}, "to the second"
    sides.clock.advance(timedelta(seconds=1))
    [pair] = (await sides.compare()).pairs
    assert (pair.managed_id, pair.running, pair.overdue_since) == ("mc-o1", "running", due)


async def test_what_differs_comes_in_pages_that_lose_none(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "MOST_PAIRS", 2)
    sides.govern("mc-a1", "mc-a2", "mc-a3")
    first = await sides.compare()
    second = await sides.compare(Compare(after=first.after))
    assert [pair.managed_id for pair in (*first.pairs, *second.pairs)] == ["mc-a1", "mc-a2", "mc-a3"]
    assert (first.after, second.after) == ("mc-a2", "")


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
    begun = await ActivityEnvironment().run(sides.activities.begin_again, BeginAgain(("mc-b1",)))
    assert (begun.begun, begun.notices) == (1, 2)
    assert await signals(sides, "mc-b1") == ["n-lost", "n-lost-too"]
    assert unsent(sides.engine, 10) == []
    # One that runs is left alone: it is the same run afterwards.
    run = (await sides.client.get_workflow_handle(certificate_workflow("mc-b1")).describe()).run_id
    await ActivityEnvironment().run(sides.activities.begin_again, BeginAgain(("mc-b1",)))
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


async def test_what_waits_is_handed_over_and_what_waits_too_long_is_given_up(sides: Sides) -> None:
    now = datetime(2026, 11, 30, tzinfo=UTC)
    for name, age in (("fresh", 1), ("waits", 10), ("old", 60 * 25)):
        message = Message(name, "mc-1", "p-1", "owner", "failed", now)
        queue_delivery(sides.engine, message, CHANNEL, now - timedelta(minutes=age))
    asked = HandOver(now - timedelta(minutes=2), now - timedelta(days=1))
    done = await ActivityEnvironment().run(sides.activities.hand_over, asked)
    assert (done.handed, done.given_up) == (1, 1)
    assert (sides.handed, sides.given_up) == (["waits"], ["old"])
    # Given up once: its lifecycle has heard it.
    await ActivityEnvironment().run(sides.activities.hand_over, asked)
    assert sides.given_up == ["old"]
    with sides.engine.connect() as connection:
        rows = connection.execute(sa.select(tables.deliveries.c.message_id, tables.deliveries.c.state))
        assert {row.message_id: row.state for row in rows} == {
            "fresh": "queued",
            "waits": "queued",
            "old": "undeliverable",
        }


@workflow.defn(name=LIFECYCLE_WORKFLOW, sandboxed=False)
class Broken:
    """A lifecycle whose code fails at every task, as a release with a defect would."""

    @workflow.run
    async def run(self, start: Start) -> None:
        raise RuntimeError("a defect")


# Temporal reports problems once five tasks in a row have failed, a minute after the first.
@pytest.mark.long
async def test_a_lifecycle_whose_tasks_fail_is_found_and_left_alone(sides: Sides) -> None:
    sides.govern("mc-f1", "mc-f2")
    await sides.run("mc-f1", "mc-f2")
    handle = await sides.client.start_workflow(
        LIFECYCLE_WORKFLOW, Start("mc-f3"), id=certificate_workflow("mc-f3"), task_queue="defect"
    )
    sides.govern("mc-f3")
    async with Worker(
        sides.client, task_queue="defect", workflows=[Broken], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        await sides.listed(["mc-f3"], FAILING)
        assert await sides.found() == {"mc-f3": ("living", "failing")}
        assert (await handle.describe()).run_id == handle.first_execution_run_id
