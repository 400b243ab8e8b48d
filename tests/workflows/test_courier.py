"""Courier as a workflow: each way that a message can go, on the time-skipping server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain import contracts as c
from domain.names import DELIVERED_SIGNAL, LIFECYCLE_QUEUE, TELL_SIGNAL, certificate_workflow
from tests.launcher.waiting import LONG_SECONDS
from tests.workflows.conftest import Theatre
from tests.workflows.keeping import replayed
from tests.workflows.test_real_server import real as real
from workflows import courier as rooms
from workflows.courier import BATCHES_PER_RUN, MOST_AT_ONCE, MOST_CARRIED, Courier, DeliveryNews, Route
from workflows.sandbox import Sandbox

MESSAGE = c.Message("mc-1.4", "mc-1", "asha", "security-head", "rung", datetime(2026, 11, 24, 6, tzinfo=UTC))
# What becomes of a batch.
Answer = Callable[[c.Deliver], Awaitable[c.Delivery]]
GONE = ApplicationError("the mail server is gone", type="NotReady", non_retryable=True)


@workflow.defn(name="Listener")
class Listener:
    """Stands for a lifecycle: hears what a Courier could not deliver."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @workflow.run
    async def run(self, wanted: int) -> list[str]:
        await workflow.wait_condition(lambda: len(self.heard) >= wanted)
        return self.heard

    @workflow.signal(name=DELIVERED_SIGNAL)
    def delivered(self, news: DeliveryNews) -> None:
        self.heard.append(f"{news.message_id} {news.state}")


@dataclass
class Desk:
    """A Courier with everything around it."""

    env: WorkflowEnvironment
    answer: Answer
    note_fails: bool = False
    batches: list[tuple[str, ...]] = field(default_factory=list)
    noted: list[c.Undelivered] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @activity.defn(name="deliver")
    async def deliver(self, batch: c.Deliver) -> c.Delivery:
        async with self.news:
            self.batches.append(tuple(message.id for message in batch.messages))
            self.news.notify_all()
        return await self.answer(batch)

    @activity.defn(name="note_undelivered")
    async def note_undelivered(self, given_up: c.Undelivered) -> c.Delivery:
        async with self.news:
            self.noted.append(given_up)
            self.news.notify_all()
        if self.note_fails:
            raise ApplicationError("the disk is full", non_retryable=True)
        return c.Delivery("undeliverable", given_up.detail)

    async def tell(self, *messages: c.Message) -> WorkflowHandle[Any, Any]:
        """Hand messages over as the activity ``send`` does."""
        for message in messages:
            handle = await self.env.client.start_workflow(
                Courier.run,
                Route("asha", "email"),
                id="courier/asha",
                task_queue=LIFECYCLE_QUEUE,
                start_signal=TELL_SIGNAL,
                start_signal_args=[message],
            )
        return handle

    async def until(self, fact: Callable[[], bool]) -> None:
        async with self.news:
            await asyncio.wait_for(self.news.wait_for(fact), LONG_SECONDS)

    async def listener(self, wanted: int, managed_id: str = "mc-1") -> WorkflowHandle[Any, list[str]]:
        return await self.env.client.start_workflow(
            Listener.run, wanted, id=certificate_workflow(managed_id), task_queue=LIFECYCLE_QUEUE
        )

    async def end(self, scenario: str) -> None:
        """Cancel the Courier and replay every run that it had."""
        courier = self.env.client.get_workflow_handle("courier/asha")
        await courier.cancel()
        with pytest.raises(WorkflowFailureError):
            await courier.result()
        await replayed(self.env.client, courier, "Courier", scenario)


async def delivered(batch: c.Deliver) -> c.Delivery:
    return c.Delivery("delivered")


async def refused(batch: c.Deliver) -> c.Delivery:
    return c.Delivery("undeliverable", "no such mailbox")


async def broken(batch: c.Deliver) -> c.Delivery:
    raise GONE


@asynccontextmanager
async def at_work(
    env: WorkflowEnvironment, answer: Callable[[c.Deliver], Awaitable[c.Delivery]]
) -> AsyncIterator[Desk]:
    desk = Desk(env, answer)
    async with Worker(
        env.client,
        task_queue=LIFECYCLE_QUEUE,
        workflows=[Courier, Listener],
        activities=[desk.deliver, desk.note_undelivered],
        workflow_runner=Sandbox(),
    ):
        yield desk


def numbered(first: int, count: int) -> list[c.Message]:
    return [replace(MESSAGE, id=f"mc-{number}.1", managed_id=f"mc-{number}") for number in range(first, first + count)]


async def test_messages_of_one_moment_go_out_as_one_batch(env: WorkflowEnvironment) -> None:
    async with at_work(env, delivered) as desk:
        with env.auto_time_skipping_disabled():
            await desk.tell(*numbered(0, 3))
        await env.sleep(10)
        await desk.until(lambda: len(desk.batches) == 1)
        await desk.end("a-batch-is-sent")
    assert desk.batches == [("mc-0.1", "mc-1.1", "mc-2.1")]
    assert desk.noted == []


async def test_what_an_address_refuses_is_told_to_its_lifecycle(env: WorkflowEnvironment) -> None:
    async with at_work(env, refused) as desk:
        listener = await desk.listener(1)
        await desk.tell(MESSAGE)
        assert await asyncio.wait_for(listener.result(), LONG_SECONDS) == ["mc-1.4 undeliverable"]
        await desk.end("an-address-refuses")
    assert desk.noted == []


async def test_what_a_courier_gives_up_is_noted_after_its_lifecycle_has_heard_of_it(env: WorkflowEnvironment) -> None:
    async with at_work(env, broken) as desk:
        listener = await desk.listener(1)
        courier = await desk.tell(MESSAGE)
        await asyncio.wait_for(listener.result(), LONG_SECONDS)
        await desk.until(lambda: bool(desk.noted))
        await desk.end("what-is-given-up-is-noted")
    assert desk.noted == [c.Undelivered(c.Deliver("asha", "email", (MESSAGE,)), "NotReady: the mail server is gone")]
    history = await courier.fetch_history()
    kinds = [event.WhichOneof("attributes") for event in history.events]
    names = [event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events]
    told = kinds.index("signal_external_workflow_execution_initiated_event_attributes")
    assert told < names.index("note_undelivered")


async def test_what_waits_until_the_next_rung_is_due_is_given_up_and_the_rest_is_sent(env: WorkflowEnvironment) -> None:
    began = await env.get_current_time()

    async def answer(batch: c.Deliver) -> c.Delivery:
        """The mail server takes half a minute for the first letter; two messages come meanwhile."""
        if len(desk.batches) == 1:
            soon, later = began + timedelta(seconds=20), began + timedelta(days=1)
            await desk.tell(
                replace(MESSAGE, id="late", useful_until=soon), replace(MESSAGE, id="l", useful_until=later)
            )
            await env.sleep(30)
        return c.Delivery("delivered")

    async with at_work(env, answer) as desk:
        listener = await desk.listener(1)
        await desk.tell(MESSAGE)
        assert await asyncio.wait_for(listener.result(), LONG_SECONDS) == ["late undeliverable"]
        await desk.until(lambda: bool(desk.noted))
        await desk.end("what-is-late-is-given-up")
    assert desk.batches == [("mc-1.4",), ("l",)]
    assert [(one.id, given_up.detail) for given_up in desk.noted for one in given_up.batch.messages] == [
        ("late", "it was not sent before the next rung was due")
    ]


async def test_an_outcome_that_cannot_be_noted_stops_nothing(env: WorkflowEnvironment) -> None:
    async with at_work(env, broken) as desk:
        desk.note_fails = True
        await desk.tell(MESSAGE)
        await desk.until(lambda: len(desk.noted) == 1)
        await desk.tell(replace(MESSAGE, id="mc-1.5"))
        await desk.until(lambda: len(desk.noted) == 2)
        await desk.end("an-outcome-cannot-be-noted")
    assert desk.batches == [("mc-1.4",), ("mc-1.5",)]


async def test_a_lifecycle_that_has_ended_keeps_no_other_from_hearing(env: WorkflowEnvironment) -> None:
    async with at_work(env, refused) as desk:
        listener = await desk.listener(1)
        with env.auto_time_skipping_disabled():
            await desk.tell(replace(MESSAGE, id="mc-9.1", managed_id="mc-9"), MESSAGE)
        assert await asyncio.wait_for(listener.result(), LONG_SECONDS) == ["mc-1.4 undeliverable"]
        await desk.end("a-lifecycle-has-ended")
    assert desk.batches == [("mc-9.1", "mc-1.4")]


async def test_a_courier_takes_each_id_once_also_when_it_was_delivered_in_an_earlier_run(
    env: WorkflowEnvironment,
) -> None:
    waiting = numbered(BATCHES_PER_RUN, 3)

    async def answer(batch: c.Deliver) -> c.Delivery:
        """Batch by batch the next message arrives; with the last batch of the run three, which the next run sends."""
        number = len(desk.batches)
        more = waiting if number == BATCHES_PER_RUN else numbered(number, 1) if number < BATCHES_PER_RUN else []
        if more:
            await desk.tell(*more)
        return c.Delivery("delivered")

    async with at_work(env, answer) as desk:
        first = await desk.tell(*numbered(0, 1))
        await env.sleep(3600)
        await desk.until(lambda: len(desk.batches) == BATCHES_PER_RUN + 1)
        # Sent again by a lifecycle that has continued as new meanwhile: delivered in the first run, and in this one.
        await desk.tell(*numbered(0, 1), waiting[0], *numbered(900, 1))
        await desk.until(lambda: len(desk.batches) == BATCHES_PER_RUN + 2)
        now = await env.client.get_workflow_handle("courier/asha").describe()
        assert now.run_id != first.first_execution_run_id
        await desk.end("a-run-hands-over-what-waits")
    sent = [message for batch in desk.batches for message in batch]
    assert len(sent) == len(set(sent))
    assert desk.batches[-2:] == [tuple(message.id for message in waiting), ("mc-900.1",)]


def test_what_a_run_hands_over_is_bounded() -> None:
    courier = Courier(Route("asha", "email", tuple(numbered(0, 6000))))
    assert not courier.may_roll(BATCHES_PER_RUN, 1000)
    assert courier.may_roll(BATCHES_PER_RUN, 20_000)
    courier.waiting = courier.waiting[:MOST_CARRIED]
    assert courier.may_roll(BATCHES_PER_RUN, 1000)
    assert MOST_AT_ONCE <= MOST_CARRIED
    assert len(courier.successor().taken) == 5000


async def test_thousands_that_are_handed_back_at_once_are_heard_of(
    real: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporal fails a task that has more than 2,000 signals to others under way, for ever."""
    monkeypatch.setattr(rooms, "LONGEST_RUN", 1)
    client = real.env.client
    waiting = tuple(replace(MESSAGE, id=f"mc-1.{number}") for number in range(MOST_CARRIED + 2300))
    async with Worker(
        client,
        task_queue=LIFECYCLE_QUEUE,
        workflows=[Courier, Listener],
        workflow_runner=Sandbox(),
    ):
        listener = await client.start_workflow(
            Listener.run, 2300, id=certificate_workflow("mc-1"), task_queue=LIFECYCLE_QUEUE
        )
        courier = await client.start_workflow(
            Courier.run, Route("asha", "email", waiting), id="courier/asha", task_queue=LIFECYCLE_QUEUE
        )
        heard = await asyncio.wait_for(listener.result(), LONG_SECONDS)
        await courier.terminate()
    assert sorted(heard) == sorted(f"mc-1.{number} undeliverable" for number in range(2300))
