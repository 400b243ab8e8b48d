"""Lifecycles that were ended by other means than ours come back from the store, told by name, with nothing ordered."""

import asyncio

import pytest
import sqlalchemy as sa
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client

from cli import engine
from domain.lifecycle.state import LifecycleState
from domain.names import certificate_workflow
from store import tables
from tests.chaos.product import Shaken
from tests.launcher.waiting import until

pytestmark = [pytest.mark.e2e]


def states(product: Shaken) -> dict[str, LifecycleState]:
    async def asked(client: Client) -> dict[str, LifecycleState]:
        found = {}
        for managed_id in product.certificates():
            handle = client.get_workflow_handle(certificate_workflow(managed_id))
            found[managed_id] = await handle.query("state", result_type=LifecycleState)
        return found

    return product.ask(asked)


def recalled(product: Shaken) -> list[object]:
    """Who holds an event that its lifecycle went on from the store."""
    events = tables.events.c
    return product.rows(sa.select(events.stream).where(events.kind == "state_recalled").order_by(events.stream))


def test_one_that_was_terminated_and_one_that_was_deleted_come_back_and_the_head_is_told_once(product: Shaken) -> None:
    first, second = product.certificates()
    before, orders = states(product), product.orders()

    async def lose(client: Client) -> None:
        await client.get_workflow_handle(certificate_workflow(first)).terminate("by hand")
        gone = WorkflowExecution(workflow_id=certificate_workflow(second))
        request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=gone)
        await client.workflow_service.delete_workflow_execution(request)

    product.ask(lose)
    until(lambda: product.statuses() == {first: "TERMINATED", second: "absent"})
    product.compare()
    until(product.all_run)
    until(lambda: recalled(product) == [first, second])
    until(lambda: len(product.told()) == 1)
    [letter] = product.told()
    name = product.world.home.name
    assert f"n0.{name}.example" in letter
    assert f"n1.{name}.example" in letter

    after = states(product)
    for managed_id, state in after.items():
        assert (state.life, state.generation, state.case) == (
            before[managed_id].life,
            before[managed_id].generation,
            before[managed_id].case,
        )
    product.compare()
    assert recalled(product) == [first, second]
    assert product.orders() == orders
    assert len(product.told()) == 1


def test_a_wiped_temporal_gets_its_schedules_and_every_lifecycle_again(product: Shaken) -> None:
    orders, compared = product.orders(), product.comparisons()
    product.wipe_temporal()
    # Nobody asks for it: the worker's own loop makes the Schedules anew, and the first comparison finds what is lost.
    until(lambda: product.comparisons() > compared)
    until(product.all_run)
    until(lambda: recalled(product) == product.certificates())
    until(lambda: len(product.told()) == 1)
    assert "2 lifecycles had ended" in product.told()[0]
    assert product.orders() == orders
    assert asyncio.run(schedules(product)) == {"discovery", "reconciliation"}
    # With the server's own retention of a day closed runs would be lost before they are archived.
    until(lambda: engine.retention(product.world.settings) >= engine.LEAST_RETENTION)


async def schedules(product: Shaken) -> set[str]:
    client = await product.world.client()
    return {one.id async for one in await client.list_schedules()}
