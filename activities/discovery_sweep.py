"""Discoveries that ended in Temporal without a word: terminated or deleted there, nobody could say so in the store."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.engine import Engine
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import NotReady
from domain.names import discovery_workflow
from store.sightings.looks import Discovery, mark_failed, under_way

log = logging.getLogger(__name__)

# As long as `fail_discovery` may take: one that fails in an orderly way gives its own reason.
SAYS_ITSELF_FOR = timedelta(minutes=10)


async def close_lost(engine: Engine, client: Client, clock: Callable[[], datetime]) -> int:
    """Mark as failed what is under way in the store and runs no more in Temporal; gives how many.

    One that was reset there goes on under another run; its adoption makes it adopted all the same.
    """
    closed = 0
    for discovery in await asyncio.to_thread(under_way, engine, clock() - SAYS_ITSELF_FOR):
        activity.heartbeat(closed)
        why = await _why_lost(client, discovery)
        if why:
            log.warning("a discovery is lost", extra={"discovery": discovery.id, "why": why})
            await asyncio.to_thread(mark_failed, engine, discovery, why, clock())
            closed += 1
    return closed


async def _why_lost(client: Client, discovery: Discovery) -> str:
    """Empty while it runs.  Raises NotReady where Temporal does not say."""
    workflow_id = discovery.workflow_id or discovery_workflow(discovery.id)
    try:
        found = await client.get_workflow_handle(workflow_id, run_id=discovery.run_id or None).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return "Temporal knows its run no more"
        raise NotReady(f"Temporal does not describe {workflow_id}: {error.message}") from error
    if found.status is WorkflowExecutionStatus.RUNNING:
        return ""
    ended = found.status.name.lower().replace("_", " ") if found.status else "ended"
    return f"it was {ended} in Temporal" if ended == "terminated" else f"its run in Temporal is {ended}"
