"""Every step of the house as an activity of the simulated world, and a store that keeps events by their number."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from domain import contracts as c
from domain.lifecycle.commands import Outcome, Step, StepBroke
from domain.lifecycle.decoding import happened_of
from domain.lifecycle.refold import Recalled, refold
from domain.lifecycle.state import LifecycleState
from domain.names import certificate_workflow
from tests.domain.simulation import World


@dataclass
class Activities:
    """Every step of the house, answered by a simulated world.  A fake: nothing outside the process is touched.

    ``refuse``: codes that the store would not redeem.  ``recorded``: events by their number, as the store keeps them.
    """

    env: WorkflowEnvironment
    world: World
    recorded: dict[int, c.EventRecord] = field(default_factory=dict)
    told: list[c.Message] = field(default_factory=list)
    archived: list[c.ArchiveRun] = field(default_factory=list)
    snapshots: list[c.Snapshot] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    approver: str = "person/head"
    # Nobody takes a message: every attempt to send one fails.
    mute: bool = False
    # Why the store takes no batch behind the first; empty: it takes all.
    refusing: str = ""
    refused: int = 0
    # Sends hang until it is set.
    hanging: asyncio.Event | None = None
    flaky: set[str] = field(default_factory=lambda: {"CollectOrder"})

    async def perform(self, step: Step) -> Outcome:
        name = type(step).__name__
        if name in self.flaky:
            self.flaky.discard(name)
            raise ApplicationError("the first attempt was lost")
        self.world.now = await self.env.get_current_time()
        broken = self.world.fail(step)
        if isinstance(broken, StepBroke):
            raise ApplicationError(broken.detail, non_retryable=True)
        return self.world.perform(step)

    @activity.defn(name="consult")
    async def consult(self, step: c.Consult) -> c.Observation:
        return await self.perform(step)  # type: ignore[return-value]  # what the step asks for

    @activity.defn(name="place_order")
    async def place_order(self, step: c.PlaceOrder) -> c.OrderPlaced:
        return await self.perform(step)  # type: ignore[return-value]  # what the step asks for

    @activity.defn(name="collect_order")
    async def collect_order(self, step: c.CollectOrder) -> c.OrderOutcome:
        return await self.perform(step)  # type: ignore[return-value]  # what the step asks for

    @activity.defn(name="revoke_order")
    async def revoke_order(self, step: c.RevokeOrder) -> c.Revoked:
        return await self.perform(step)  # type: ignore[return-value]  # what the step asks for

    @activity.defn(name="deploy")
    async def deploy(self, step: c.Deploy) -> c.DeployReport:
        # A signal while an activity runs, as a discovery's notice would come; this one is known already.
        await self.env.client.get_workflow_handle(certificate_workflow(step.managed_id)).signal("observe", "n-0")
        return await self.perform(step)  # type: ignore[return-value]  # what the step asks for

    @activity.defn(name="roll_back")
    async def roll_back(self, step: c.RollBack) -> c.DeployReport:
        return await self.perform(step)  # type: ignore[return-value]  # what the step asks for

    @activity.defn(name="look_again")
    async def look_again(self, step: c.LookAgain) -> c.LookReport:
        return await self.perform(step)  # type: ignore[return-value]  # what the step asks for

    @activity.defn(name="send")
    async def send(self, message: c.Message) -> c.Sent:
        if self.hanging is not None:
            await self.hanging.wait()
        if self.mute:
            raise ApplicationError("the mail server is gone", type="NotReady")
        self.told.append(message)
        return c.Sent(message.id)

    @activity.defn(name="redeem")
    async def redeem(self, warrant: c.RedeemWarrant) -> c.Redemption:
        if warrant.code in self.refuse:
            return c.Redemption(False, reason="invalid: the code is not known")
        return c.Redemption(True, self.approver, "security-head")

    @activity.defn(name="record")
    async def record(self, batch: c.RecordBatch) -> c.Recorded:
        if self.refusing and self.recorded:
            self.refused += 1
            raise ApplicationError(self.refusing, type="Refused", non_retryable=True)
        for event in batch.events:
            known = self.recorded.get(event.seq)
            if known is not None and (known.kind, known.facts) != (event.kind, event.facts):
                return c.Recorded("forked", max(self.recorded))
            self.recorded[event.seq] = event
        if batch.snapshot is not None:
            self.snapshots.append(batch.snapshot)
        return c.Recorded("recorded", max(self.recorded))

    @activity.defn(name="recall")
    async def recall(self, asked: c.Recall) -> Recalled:
        if "Recall" in self.flaky:
            self.flaky.discard("Recall")
            raise ApplicationError("the first attempt was lost")
        return Recalled(self.truth(asked.managed_id) if self.recorded else None, len(self.recorded) - 1)

    def truth(self, managed_id: str) -> LifecycleState:
        """What the recorded events amount to."""
        return refold(managed_id, [happened_of(self.recorded[seq]) for seq in sorted(self.recorded)])

    @activity.defn(name="archive")
    async def archive(self, run: c.ArchiveRun) -> c.Archived:
        self.archived.append(run)
        return c.Archived(run.run_id, 0, "")

    def all(self) -> list[Any]:
        return [
            self.consult,
            self.place_order,
            self.collect_order,
            self.revoke_order,
            self.deploy,
            self.roll_back,
            self.look_again,
            self.send,
            self.redeem,
            self.record,
            self.recall,
            self.archive,
        ]
