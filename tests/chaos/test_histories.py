"""Cancelled or reset in Temporal, a lifecycle goes on or waits for a person to resume it, and orders nothing twice."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from domain.names import certificate_workflow
from domain.people.messages import Receipt, Resume
from domain.tiers import Role
from store import access, tables
from tests.chaos.conftest import Estates, Measured
from tests.chaos.oracle import is_at_rest, judge
from tests.chaos.product import Product
from tests.launcher.waiting import until

pytestmark = [pytest.mark.e2e]


def schedules(name: str) -> Callable[[HistoryEvent], bool]:
    def is_it(event: HistoryEvent) -> bool:
        return event.activity_task_scheduled_event_attributes.activity_type.name == name

    return is_it


def reset_before(product: Product, managed_id: str, name: str) -> None:
    """As `temporal workflow reset` does: back to the task that asked for the activity ``name`` first."""

    async def back(client: Client) -> None:
        identity = certificate_workflow(managed_id)
        now = (await client.get_workflow_handle(identity).describe()).raw_description
        run_id = now.workflow_execution_info.first_run_id
        handle = client.get_workflow_handle(identity, run_id=run_id)
        task = 0
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                task = event.event_id
            if schedules(name)(event):
                break
        else:
            pytest.fail(f"the first run of {managed_id} never asked for {name}")
        await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=identity, run_id=run_id),
                reason="chaos",
                workflow_task_finish_event_id=task,
                request_id=f"reset-{managed_id}-{name}",
            )
        )

    product.ask(back)


def test_cancelling_a_lifecycle_ends_nothing(estate: Estates) -> None:
    with estate() as product:
        product.world.start_worker()
        product.world.discover()
        until(lambda: bool(product.orders()))

        async def cancel(client: Client) -> None:
            for managed_id in product.certificates():
                await client.get_workflow_handle(certificate_workflow(managed_id)).cancel()

        product.ask(cancel)
        until(lambda: is_at_rest(product))
        product.ask(cancel)
        product.compare()
        until(lambda: is_at_rest(product))
        judge(product)
        assert product.told() == []


def forked(product: Product) -> list[str]:
    """Which certificates wait for a person because the store holds other events under their numbers."""
    model = tables.managed_certificates.c
    rows = product.world.rows(sa.select(model.id, model.questions).order_by(model.id))
    return [row.id for row in rows if any(one["kind"] == "forked" for one in row.questions)]


def resume(product: Product, managed_id: str) -> None:
    engine, now = product.world.engine, datetime.now(UTC)
    actor = access.Actor("person/p-head", Role.SECURITY_HEAD, may_decide=True)
    bound = access.Binding(managed_id, "resume")
    code = access.mint_warrant(engine, actor=actor, bound_to=bound, lives=timedelta(hours=1), now=now)

    async def told(client: Client) -> Receipt:
        handle = client.get_workflow_handle(certificate_workflow(managed_id))
        own = f"resume-{managed_id}"
        receipt: Receipt = await handle.execute_update("resume", Resume(code), id=own, result_type=Receipt)
        return receipt

    assert product.ask(told).outcome == "accepted"


def test_a_reset_before_the_approval_and_before_the_order_is_told_and_orders_nothing_twice(
    estate: Estates, measured: Measured
) -> None:
    with estate(asks=True) as product:
        world = product.world
        world.start_worker()
        world.discover()

        def rests() -> bool:
            world.step()
            return is_at_rest(product)

        until(rests)
        orders = product.orders()
        [asked] = set(product.rows(sa.select(tables.approvals.c.managed_id)))
        [other] = set(product.certificates()) - {asked}
        reset_before(product, str(asked), "redeem")
        reset_before(product, other, "place_order")
        both = product.certificates()
        told = "Question:    forked"
        with measured("from two resets to the letter about them"):
            until(lambda: forked(product) == both)
            until(lambda: sum(letter.count(told) for letter in product.letters()) == 2)
        assert product.orders() == orders

        with measured("from resuming two that were reset to rest"):
            for managed_id in both:
                resume(product, managed_id)
            until(lambda: is_at_rest(product))
        product.compare()
        judge(product)
        assert product.orders() == orders
        assert sum(letter.count(told) for letter in product.letters()) == 2
