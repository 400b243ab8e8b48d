"""`everleaf upgrade`: tell lifecycles, a batch at a time, to continue as new under the newest rules."""

import asyncio

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli.home import Home
from cli.running import surroundings
from domain.errors import NotReady
from domain.names import LIFECYCLE_WORKFLOW, UPGRADE_SIGNAL
from domain.settings import parse
from workflows.client import connect_within

PATIENCE_SECONDS = 10.0
RUNNING = f'WorkflowType = "{LIFECYCLE_WORKFLOW}" AND ExecutionStatus = "Running"'


def upgrade(home: Home, batch: int, pause_seconds: float) -> int:
    """How many were told.  Raises NotReady where Temporal does not answer."""
    return asyncio.run(_upgrade(home, batch, pause_seconds))


async def _upgrade(home: Home, batch: int, pause_seconds: float) -> int:
    client = await connect_within(parse(surroundings(home)), PATIENCE_SECONDS)
    return await tell_all(client, batch, pause_seconds)


async def tell_all(client: Client, batch: int, pause_seconds: float) -> int:
    """Signal every running lifecycle, ``batch`` at once, so that they do not all wake the worker together."""
    told, waiting = 0, list[str]()
    try:
        async for found in client.list_workflows(RUNNING):
            waiting.append(found.id)
            if len(waiting) == batch:
                told += await _tell(client, waiting)
                waiting = []
                await asyncio.sleep(pause_seconds)
        return told + await _tell(client, waiting)
    except RPCError as problem:
        raise NotReady(
            f"Temporal stopped answering after {told} lifecycles ({problem.message}). Run it again: twice harms none."
        ) from problem


async def _tell(client: Client, ids: list[str]) -> int:
    return sum(await asyncio.gather(*(_one(client, workflow_id) for workflow_id in ids)))


async def _one(client: Client, workflow_id: str) -> bool:
    """False where it has ended since it was listed."""
    try:
        await client.get_workflow_handle(workflow_id).signal(UPGRADE_SIGNAL)
    except RPCError as problem:
        if problem.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
