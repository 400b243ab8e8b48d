"""What a comparison sees where a test says it, and what it asked of whom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain import comparison as k
from domain import contracts as c
from domain.names import ISSUE_QUEUE, LIFECYCLE_QUEUE, reconciliation_workflow
from workflows.reconciliation import Reconciliation
from workflows.sandbox import Sandbox


@dataclass
class Seen:
    """What a comparison sees, page by page, and what was asked of each activity."""

    pages: list[tuple[k.Pair, ...]]
    store_was_put_back: bool = False
    held_since: datetime | None = None
    regains: bool = True
    breaks_at: int | None = None
    seen: list[k.NoteSeen] = field(default_factory=list)
    heard_when_seen: list[int] = field(default_factory=list)
    mail_waits: bool = True
    behind: tuple[str, ...] = ()
    lost: tuple[tuple[str, str], ...] = ()
    forgotten: tuple[k.LostOrder, ...] = ()
    regained: list[k.LostOrders] = field(default_factory=list)
    revoked: tuple[k.LostRevocation, ...] = ()
    revoked_again: list[k.LostRevocations] = field(default_factory=list)
    unremembered: tuple[tuple[str, str, str], ...] = ()
    held_when_restored: list[bool] = field(default_factory=list)
    restored: list[k.RestoreStreams] = field(default_factory=list)
    asked: list[k.Compare] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    handed: list[k.HandOver] = field(default_factory=list)
    noted: list[k.Reconciled] = field(default_factory=list)
    sent: list[c.Message] = field(default_factory=list)

    @activity.defn
    async def compare(self, asked: k.Compare) -> k.Compared:
        self.asked.append(asked)
        page = int(asked.after or "0")
        if page == self.breaks_at:
            raise ApplicationError("the store went away", non_retryable=True)
        last = next((one for one in reversed(self.noted) if one.applied), None)
        seen = [one for one in self.seen if last is not None and one.comparison_id == last.id]
        return k.Compared(
            self.pages[page],
            str(page + 1) if page + 1 < len(self.pages) else "",
            living=2,
            running=1,
            before=tuple((row.kind, row.managed_id, row.told) for one in seen for row in one.differences),
            heads=() if page else ("p-head",),
            store_was_put_back=self.store_was_put_back,
            held_since=self.held_since,
            behind=self.behind,
        )

    @activity.defn
    async def begin_again(self, asked: k.BeginAgain) -> k.BegunAgain:
        (self.replaced if asked.replacing else self.begun).extend(asked.managed_ids)
        return k.BegunAgain(len(asked.managed_ids), 0)

    @activity.defn
    async def restore_streams(self, asked: k.RestoreStreams) -> k.StreamsRestored:
        self.restored.append(asked)
        self.held_when_restored.append(self.held_since is not None)
        self.behind = ()
        return k.StreamsRestored(1, 12, self.lost)

    @activity.defn
    async def find_lost_orders(self, asked: k.FindLostOrders) -> k.LostOrders:
        page = int(asked.after or "0")
        return k.LostOrders(self.forgotten[page : page + 1], str(page + 1) if page + 1 < len(self.forgotten) else "")

    @activity.defn
    async def regain_issued(self, lost: k.LostOrders) -> k.Regained:
        if not self.regains:
            raise ApplicationError("the issue worker is away", non_retryable=True)
        self.regained.append(lost)
        return k.Regained(len(lost.orders), (("mc-a", "the key of order mc-a.1.1.1 is lost"),))

    @activity.defn
    async def find_forgotten(self, asked: k.FindForgotten) -> k.Forgotten:
        found, self.unremembered = self.unremembered, () if asked.regain else self.unremembered
        return k.Forgotten(found)

    @activity.defn
    async def find_revoked_orders(self, asked: k.FindLostOrders) -> k.LostRevocations:
        page = int(asked.after or "0")
        return k.LostRevocations(self.revoked[page : page + 1], str(page + 1) if page + 1 < len(self.revoked) else "")

    @activity.defn
    async def revoke_again(self, lost: k.LostRevocations) -> k.Regained:
        self.revoked_again.append(lost)
        return k.Regained(len(lost.orders))

    @activity.defn
    async def hand_over(self, asked: k.HandOver) -> k.HandedOver:
        if not self.mail_waits:
            raise ApplicationError("no Courier can be begun", non_retryable=True)
        self.handed.append(asked)
        return k.HandedOver(0, 0)

    @activity.defn
    async def note_seen(self, seen: k.NoteSeen) -> k.Noted:
        self.seen.append(seen)
        self.heard_when_seen.append(len(self.sent))
        return k.Noted(seen.comparison_id)

    @activity.defn
    async def note_reconciliation(self, reconciled: k.Reconciled) -> k.Noted:
        self.noted.append(reconciled)
        self.held_since = None if reconciled.release else self.held_since or reconciled.held_since
        return k.Noted(reconciled.id)

    @activity.defn
    async def send(self, message: c.Message) -> c.Sent:
        self.sent.append(message)
        return c.Sent(message.id)


@dataclass
class Office:
    env: WorkflowEnvironment
    count: int = 0

    async def compare(self, request: k.Reconcile | None = None) -> k.Noted:
        return await (await self.begin(request or k.Reconcile())).result()

    async def begin(self, request: k.Reconcile) -> WorkflowHandle[Reconciliation, k.Noted]:
        self.count += 1
        request = replace(request, id=request.id or f"r-{self.count}")
        return await self.env.client.start_workflow(
            Reconciliation.run, request, id=reconciliation_workflow(request.id), task_queue=LIFECYCLE_QUEUE
        )


@asynccontextmanager
async def office(env: WorkflowEnvironment, seen: Seen) -> AsyncIterator[Office]:
    activities: list[Callable[..., Any]] = [
        seen.compare,
        seen.begin_again,
        seen.restore_streams,
        seen.find_lost_orders,
        seen.regain_issued,
        seen.find_forgotten,
        seen.find_revoked_orders,
        seen.revoke_again,
        seen.hand_over,
        seen.note_seen,
        seen.note_reconciliation,
        seen.send,
    ]
    async with (
        Worker(
            env.client,
            task_queue=LIFECYCLE_QUEUE,
            workflows=[Reconciliation],
            activities=activities,
            workflow_runner=Sandbox(),
        ),
        Worker(env.client, task_queue=ISSUE_QUEUE, activities=activities, workflow_runner=Sandbox()),
    ):
        yield Office(env)
