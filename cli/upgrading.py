"""`everleaf upgrade`: bring every lifecycle under the newest rules, a batch at a time; ``--dry-run`` says what that is.

One that this release can run is told to continue as new.  One of 0.1.0, whose code is gone, is replaced by a run that
goes on from what the store holds.  One that goes by the newest rules already is left alone.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Literal

from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from cli.home import Home
from cli.running import surroundings
from domain.errors import NotReady
from domain.lifecycle.rules import NEWEST
from domain.names import LIFECYCLE_WORKFLOW, UPGRADE_SIGNAL, certificate_workflow
from domain.settings import parse
from formats.payload_keys import parse_keys
from workflows.client import connect_within
from workflows.messenger import Messenger
from workflows.sealing import keys_of
from workflows.search import RULES

PATIENCE_SECONDS = 10.0
RUNNING = f'WorkflowType = "{LIFECYCLE_WORKFLOW}" AND ExecutionStatus = "Running"'
# What a run without the search attribute goes by: the release that did not write it.
BEFORE = "0.1.0"


@dataclass(frozen=True, slots=True)
class Change:
    """What would happen to one lifecycle.  ``busy``: a step of it is under way, which is waited for or begun again."""

    managed_id: str
    rules: str
    to: str
    how: Literal["continues as new", "begun anew from the store"]
    busy: bool = False


def upgrade(home: Home, batch: int, pause_seconds: float) -> int:
    """How many were changed.  Raises NotReady where Temporal does not answer."""
    return asyncio.run(_upgrade(home, batch, pause_seconds))


def changes(home: Home) -> list[Change]:
    """What ``upgrade`` would do, without doing it.  Raises NotReady where Temporal does not answer."""
    return asyncio.run(_changes(home))


def described(found: list[Change]) -> list[dict[str, object]]:
    return [asdict(change) for change in found]


async def _upgrade(home: Home, batch: int, pause_seconds: float) -> int:
    settings = parse(surroundings(home))
    client = await connect_within(settings, keys_of(settings, parse_keys), PATIENCE_SECONDS)
    return await change_all(client, Messenger(client, settings.api_url), batch, pause_seconds)


async def _changes(home: Home) -> list[Change]:
    settings = parse(surroundings(home))
    client = await connect_within(settings, keys_of(settings, parse_keys), PATIENCE_SECONDS)
    return await all_changes(client)


async def all_changes(client: Client) -> list[Change]:
    """Each with whether it is busy, which is asked of its run."""
    found = []
    try:
        async for change in _wanted(client):
            described_run = await client.get_workflow_handle(certificate_workflow(change.managed_id)).describe()
            busy = bool(described_run.raw_description.pending_activities)
            found.append(Change(change.managed_id, change.rules, change.to, change.how, busy))
    except RPCError as problem:
        raise NotReady(f"Temporal stopped answering ({problem.message}). Run it again.") from problem
    return found


async def change_all(client: Client, messenger: Messenger, batch: int, pause_seconds: float) -> int:
    """Change what is to be changed, ``batch`` at once, so that they do not all wake the worker together."""
    done, waiting = 0, list[Change]()
    try:
        async for change in _wanted(client):
            waiting.append(change)
            if len(waiting) == batch:
                done += await _change(client, messenger, waiting)
                waiting = []
                await asyncio.sleep(pause_seconds)
        return done + await _change(client, messenger, waiting)
    except RPCError as problem:
        raise NotReady(
            f"Temporal stopped answering after {done} lifecycles ({problem.message}). Run it again: twice harms none."
        ) from problem


async def _wanted(client: Client) -> AsyncIterator[Change]:
    async for run in client.list_workflows(RUNNING):
        rules = rules_of(run)
        managed_id = run.id.removeprefix(certificate_workflow(""))
        if rules == BEFORE:
            yield Change(managed_id, rules, NEWEST, "begun anew from the store")
        elif rules != NEWEST:
            yield Change(managed_id, rules, NEWEST, "continues as new")


def rules_of(run: WorkflowExecution) -> str:
    return run.typed_search_attributes.get(RULES) or BEFORE


async def _change(client: Client, messenger: Messenger, wanted: list[Change]) -> int:
    return sum(await asyncio.gather(*(_one(client, messenger, change) for change in wanted)))


async def _one(client: Client, messenger: Messenger, change: Change) -> bool:
    """False where it has ended since it was listed."""
    if change.how == "begun anew from the store":
        await messenger.begin_anew(change.managed_id)
        return True
    try:
        await client.get_workflow_handle(certificate_workflow(change.managed_id)).signal(UPGRADE_SIGNAL, NEWEST)
    except RPCError as problem:
        if problem.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
