"""The workflow that compares inventory and engine, on the time-skipping server, over pages that a test makes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain import contracts as c
from domain.names import ISSUE_QUEUE, LIFECYCLE_QUEUE, reconciliation_workflow
from domain.reconciling import HANDED_AFTER, UNDELIVERED_AFTER, counted
from workflows.reconciliation import Reconciliation
from workflows.sandbox import Sandbox

LOST = c.Pair("mc-a", "living", "absent", "a.example.in", "p-head")
STUCK = c.Pair("mc-b", "living", "failing", "b.example.in", "p-head")


@dataclass
class Seen:
    """What a comparison sees, page by page, and what was asked of each activity."""

    pages: list[tuple[c.Pair, ...]]
    store_was_put_back: bool = False
    mail_waits: bool = True
    behind: tuple[str, ...] = ()
    lost: tuple[tuple[str, str], ...] = ()
    forgotten: tuple[c.LostOrder, ...] = ()
    regained: list[c.LostOrders] = field(default_factory=list)
    held_when_restored: list[bool] = field(default_factory=list)
    restored: list[c.RestoreStreams] = field(default_factory=list)
    asked: list[c.Compare] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    handed: list[c.HandOver] = field(default_factory=list)
    noted: list[c.Reconciled] = field(default_factory=list)
    sent: list[c.Message] = field(default_factory=list)

    @activity.defn
    async def compare(self, asked: c.Compare) -> c.Compared:
        self.asked.append(asked)
        page = int(asked.after or "0")
        last = next((one for one in reversed(self.noted) if one.applied), None)
        return c.Compared(
            self.pages[page],
            str(page + 1) if page + 1 < len(self.pages) else "",
            living=2,
            running=1,
            before=tuple((one.kind, one.managed_id, one.told) for one in last.differences) if last else (),
            heads=("p-head",),
            store_was_put_back=self.store_was_put_back,
            held_since=last.held_since if last else None,
            behind=self.behind,
        )

    @activity.defn
    async def begin_again(self, asked: c.BeginAgain) -> c.BegunAgain:
        (self.replaced if asked.replacing else self.begun).extend(asked.managed_ids)
        return c.BegunAgain(len(asked.managed_ids), 0)

    @activity.defn
    async def restore_streams(self, asked: c.RestoreStreams) -> c.StreamsRestored:
        self.restored.append(asked)
        self.held_when_restored.append(bool(self.noted) and self.noted[-1].held_since is not None)
        self.behind = ()
        return c.StreamsRestored(1, 12, self.lost)

    @activity.defn
    async def find_lost_orders(self, asked: c.FindLostOrders) -> c.LostOrders:
        return c.LostOrders(self.forgotten)

    @activity.defn
    async def regain_issued(self, lost: c.LostOrders) -> c.Regained:
        self.regained.append(lost)
        return c.Regained(len(lost.orders), (("mc-a", "the key of order mc-a.1.1.1 is lost"),))

    @activity.defn
    async def hand_over(self, asked: c.HandOver) -> c.HandedOver:
        if not self.mail_waits:
            raise ApplicationError("no Courier can be begun", non_retryable=True)
        self.handed.append(asked)
        return c.HandedOver(0, 0)

    @activity.defn
    async def note_reconciliation(self, reconciled: c.Reconciled) -> c.Noted:
        self.noted.append(reconciled)
        return c.Noted(reconciled.id)

    @activity.defn
    async def send(self, message: c.Message) -> c.Sent:
        self.sent.append(message)
        return c.Sent(message.id)


@dataclass
class Office:
    env: WorkflowEnvironment
    count: int = 0

    async def compare(self, request: c.Reconcile | None = None) -> c.Noted:
        return await (await self.begin(request or c.Reconcile())).result()

    async def begin(self, request: c.Reconcile) -> WorkflowHandle[Reconciliation, c.Noted]:
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
        seen.hand_over,
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


async def test_every_page_is_read_what_is_lost_is_begun_again_and_told_once_by_name(env: WorkflowEnvironment) -> None:
    more = replace(LOST, managed_id="mc-c", name="c.example.in")
    seen = Seen([(LOST, STUCK), (), (more,)])
    async with office(env, seen) as here:
        await here.compare()
    assert [asked.after for asked in seen.asked] == ["", "1", "2"]
    assert seen.begun == ["mc-a", "mc-c"]
    [message] = seen.sent
    assert dict(message.facts) == {"begun-again": f"{counted('begun-again', 2)}: a.example.in, c.example.in"}
    [noted] = seen.noted
    assert noted.counts == (("begun-again", 2), ("stuck", 1))
    assert [(one.kind, one.managed_id, one.told) for one in noted.differences] == [
        ("begun-again", "mc-a", True),
        ("stuck", "mc-b", False),
        ("begun-again", "mc-c", True),
    ]


async def test_what_runs_of_an_earlier_time_is_replaced_and_what_is_lost_is_not(env: WorkflowEnvironment) -> None:
    seen = Seen([(LOST, replace(LOST, managed_id="mc-d", running="running", is_stale=True))])
    async with office(env, seen) as here:
        await here.compare()
    assert (seen.begun, seen.replaced) == (["mc-a"], ["mc-d"])


async def test_what_stays_stuck_is_told_at_the_second_sight_and_never_begun(env: WorkflowEnvironment) -> None:
    seen = Seen([(STUCK,)])
    async with office(env, seen) as here:
        for _ in range(3):
            await here.compare()
    assert seen.begun == []
    assert [dict(message.facts) for message in seen.sent] == [{"stuck": "1 lifecycle does not go on: b.example.in"}]


async def test_a_question_changes_nothing_and_tells_nobody(env: WorkflowEnvironment) -> None:
    seen = Seen([(LOST,)], store_was_put_back=True)
    async with office(env, seen) as here:
        await here.compare(c.Reconcile(apply=False))
    assert (seen.begun, seen.sent, seen.handed) == ([], [], [])
    [noted] = seen.noted
    assert not noted.applied
    assert [one.kind for one in noted.differences] == ["begun-again"]


async def test_a_store_that_was_put_back_holds_our_cas_until_somebody_says_so(env: WorkflowEnvironment) -> None:
    seen = Seen([()], store_was_put_back=True)
    async with office(env, seen) as here:
        await here.compare()
        seen.store_was_put_back = False
        await here.compare()
        # The first is written before anything is made again, which may take long or break off.
        assert [one.held_since is not None for one in seen.noted] == [True, True, True]
        assert len({one.held_since for one in seen.noted}) == 1
        assert seen.held_when_restored == [True]
        await here.compare(c.Reconcile(release=True))
    assert seen.noted[-1].held_since is None
    assert seen.restored == [c.RestoreStreams(everything=True)]
    assert ["was put back" in dict(message.facts).get("store", "") for message in seen.sent] == [True]


async def test_what_our_cas_have_forgotten_is_entered_before_they_sign_again(env: WorkflowEnvironment) -> None:
    seen = Seen([()], forgotten=(c.LostOrder("mc-a.1.1.1", "mc-a", "ff", "0a", "CN=Ours"),))
    async with office(env, seen) as here:
        await here.compare()
        assert seen.regained == []
        await here.compare(c.Reconcile(release=True))
    assert seen.regained == [c.LostOrders(seen.forgotten)]
    assert [dict(message.facts) for message in seen.sent] == [{"gap": "1 record is not whole: mc-a"}]
    assert [one.detail for one in seen.noted[-1].differences] == ["the key of order mc-a.1.1.1 is lost"]


async def test_what_a_store_lacks_is_made_again_and_what_cannot_be_is_told_once(env: WorkflowEnvironment) -> None:
    seen = Seen([()], behind=("mc-a",), lost=(("mc-b", "event 7 is missing"),))
    async with office(env, seen) as here:
        await here.compare(c.Reconcile(apply=False))
        assert seen.restored == []
        await here.compare()
        seen.behind = ("mc-b",)
        await here.compare()
    assert seen.restored == [c.RestoreStreams(("mc-a",)), c.RestoreStreams(("mc-b",))]
    first, second = (dict(message.facts) for message in seen.sent)
    assert first == {"made-again": "12 events of 1 certificates were made again", "gap": "1 record is not whole: mc-b"}
    assert second == {"made-again": "12 events of 1 certificates were made again"}


async def test_mail_that_cannot_be_handed_over_keeps_nobody_from_hearing(env: WorkflowEnvironment) -> None:
    seen = Seen([(LOST,)], mail_waits=False)
    async with office(env, seen) as here:
        await here.compare()
    assert len(seen.noted) == len(seen.sent) == 1


async def test_messages_are_handed_over_after_minutes_and_given_up_after_a_day(env: WorkflowEnvironment) -> None:
    seen = Seen([()])
    async with office(env, seen) as here:
        await here.compare()
    [asked] = seen.handed
    assert asked.queued_before - asked.given_up_before == UNDELIVERED_AFTER - HANDED_AFTER
