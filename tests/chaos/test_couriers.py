"""People are told once, whatever becomes of their Courier and of the mail server."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError

from domain.names import courier_workflow
from store import tables
from tests.chaos.conftest import Estates, Measured
from tests.chaos.oracle import is_at_rest, judge
from tests.chaos.product import Product
from tests.launcher.waiting import until

pytestmark = [pytest.mark.e2e]
COURIER = courier_workflow("p-head", "email")
# Longer than the reconciler lets a Courier gather and post; the test puts a message back by this instead of waiting.
LONG_AGO = timedelta(minutes=3)


@pytest.fixture
def asking(estate: Estates) -> Iterator[Product]:
    """One certificate asks the head of IT security; its reconciler has looked once."""
    with estate(asks=True) as product:
        product.world.start_worker()
        until(lambda: product.comparisons() > 0)
        yield product


def queued(product: Product) -> int:
    return len(product.rows(sa.select(tables.deliveries.c.message_id).where(tables.deliveries.c.state == "queued")))


def holds_a_message(product: Product) -> bool:
    """Whether a Courier runs and tries in vain to post what it was given."""

    async def tries(client: Client) -> bool:
        told = await client.get_workflow_handle(COURIER).describe()
        posting = told.raw_description.pending_activities
        return told.status is WorkflowExecutionStatus.RUNNING and any(one.attempt > 1 for one in posting)

    return bool(product.rows(sa.select(tables.deliveries.c.message_id))) and product.ask(tries)


def queue_earlier(product: Product) -> None:
    deliveries = tables.deliveries
    earlier = sa.update(deliveries).where(deliveries.c.state == "queued")
    with product.world.engine.begin() as connection:
        connection.execute(earlier.values(queued_at=deliveries.c.queued_at - LONG_AGO))


def approve_and_rest(product: Product) -> None:
    def rests() -> bool:
        product.world.step()
        assert product.world.state == "waiting", product.world.last_words()
        return is_at_rest(product)

    until(rests)
    assert [receipt.outcome for receipt in product.world.receipts] == ["accepted"]


def asks_for_approval(product: Product) -> list[str]:
    return [letter for letter in product.letters() if "waits for your approval" in letter]


def test_what_a_terminated_and_a_cancelled_courier_held_is_sent_by_its_successor_once(
    asking: Product, measured: Measured
) -> None:
    assert asking.post is not None
    asking.post.close()
    asking.world.discover()
    until(lambda: holds_a_message(asking))

    async def terminate(client: Client) -> None:
        await client.get_workflow_handle(COURIER).terminate("by hand")

    async def cancel(client: Client) -> None:
        handle = client.get_workflow_handle(COURIER)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    for end_it in (terminate, cancel):
        asking.ask(end_it)
        queue_earlier(asking)
        asking.compare()
        until(lambda: holds_a_message(asking))
    assert queued(asking) == 1
    asking.ask(terminate)
    queue_earlier(asking)
    asking.post.open()
    with measured("from the return of the mail server to the letter of a new Courier"):
        asking.compare()
        until(lambda: len(asks_for_approval(asking)) == 1)

    approve_and_rest(asking)
    judge(asking)
    assert len(asks_for_approval(asking)) == 1


@pytest.mark.long
def test_a_mail_server_that_defers_and_then_hangs_gets_the_letter_once(asking: Product, measured: Measured) -> None:
    post = asking.post
    assert post is not None
    post.mood = "deferring"
    asking.world.discover()
    until(lambda: post.met["deferring"] > 1)
    post.mood = "hanging"
    until(lambda: post.met["hanging"] > 0)
    # The server that hangs is given up after 15 s, and asked again.
    until(lambda: holds_a_message(asking) and post.met["hanging"] > 1)
    assert queued(asking) == 1
    post.mood = "taking"
    with measured("from the return of the mail server to the letter"):
        until(lambda: len(asks_for_approval(asking)) == 1)

    approve_and_rest(asking)
    judge(asking)
    assert len(asks_for_approval(asking)) == 1
