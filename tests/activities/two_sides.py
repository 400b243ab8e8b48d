"""A store and a Temporal that a test makes differ."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.mending import MendingActivities, MendingParts
from activities.reconciling import RUNNING, ReconcilingActivities, ReconcilingParts
from domain.comparison import Compare, Compared
from domain.contracts import Message, Observation, RecordBatch
from domain.lifecycle import view
from domain.lifecycle.state import LifecycleState
from domain.names import LIFECYCLE_WORKFLOW, certificate_workflow
from domain.people.messages import Retire
from domain.tiers import Tier
from store import tables
from store.facts import record
from store.sightings.notices import OBSERVATION, mark_sent
from tests.activities.conftest import Clock, govern
from tests.api.conftest import record_of
from tests.domain.simulation import World
from tests.launcher.waiting import LONG_SECONDS
from workflows.lifecycle import Start
from workflows.messenger import Messenger

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
        return ReconcilingActivities(ReconcilingParts(self.engine, self.client, self.clock))

    @property
    def mending(self) -> MendingActivities:
        async def hand_over(message: Message) -> None:
            self.handed.append(message.id)

        async def give_up(message: Message) -> None:
            self.given_up.append(message.id)

        messenger = Messenger(self.client)
        begin, anew, observe = messenger.begin_again, messenger.begin_anew, messenger.observe
        return MendingActivities(MendingParts(self.engine, self.clock, begin, anew, observe, hand_over, give_up))

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
