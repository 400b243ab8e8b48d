"""Makes again what a store lacks that was put back to an earlier time, from the runs that Temporal still holds."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.engine import Engine
from temporalio import activity
from temporalio.client import Client, WorkflowHistory, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from activities.discovery import heartbeat
from domain.comparison import MOST_PAIRS, FindLostOrders, LostOrders, LostRevocations, RestoreStreams, StreamsRestored
from domain.contracts import RecordBatch
from domain.errors import Conflict, EverleafError, NotReady
from domain.lifecycle.decoding import happened_of
from domain.lifecycle.refold import refold
from domain.lifecycle.state import LifecycleState
from domain.names import LIFECYCLE_WORKFLOW, certificate_workflow
from domain.reconciling import standing
from store.facts import caught_up, event_of, events_of, heads_of, record, still_behind
from store.reader.reconciliations import lost_orders, revoked_orders
from store.sightings.regaining import regain

log = logging.getLogger(__name__)

RUNNING = f"WorkflowType = '{LIFECYCLE_WORKFLOW}' AND ExecutionStatus = 'Running'"


@dataclass(frozen=True, slots=True)
class RestoringParts:
    """``replayed``: the batches of events that one run had recorded; raises ValueError where it cannot be replayed."""

    engine: Engine
    client: Client
    release: str
    clock: Callable[[], datetime]
    replayed: Callable[[WorkflowHistory], Awaitable[list[RecordBatch]]]


class RestoringActivities:
    def __init__(self, parts: RestoringParts) -> None:
        self._parts = parts

    @activity.defn
    async def restore_streams(self, asked: RestoreStreams) -> StreamsRestored:
        """Record once more what the runs had recorded; idempotent.  Raises NotReady where Temporal does not answer."""
        streams, events, lost = 0, 0, list[tuple[str, str]]()
        try:
            async for managed_id in self._asked(asked):
                heartbeat()
                try:
                    made = await self._restore(managed_id)
                except (EverleafError, ValueError) as problem:
                    log.warning("a stream is not whole", extra={"certificate": managed_id, "why": str(problem)})
                    lost.append((managed_id, str(problem)[:300]))
                    await asyncio.to_thread(still_behind, self._parts.engine, managed_id, self._parts.clock())
                    continue
                streams, events = streams + bool(made), events + made
        except RPCError as error:
            raise NotReady(f"Temporal does not give the runs of lifecycles: {error.message}") from error
        return StreamsRestored(streams, events, tuple(lost[:MOST_PAIRS]))

    @activity.defn
    def find_lost_orders(self, asked: FindLostOrders) -> LostOrders:
        """What was issued and whose orders a store that was put back has forgotten, page by page."""
        with self._parts.engine.connect() as connection:
            found = lost_orders(connection, asked.after, MOST_PAIRS)
        return LostOrders(tuple(found), found[-1].order_key if len(found) == MOST_PAIRS else "")

    @activity.defn
    async def find_revoked_orders(self, asked: FindLostOrders) -> LostRevocations:
        """What was revoked, which a store that was put back may have forgotten, page by page."""
        with self._parts.engine.connect() as connection:
            found = revoked_orders(connection, asked.after, MOST_PAIRS)
        return LostRevocations(tuple(found), found[-1].order_key if len(found) == MOST_PAIRS else "")

    async def _asked(self, asked: RestoreStreams) -> AsyncIterator[str]:
        if not asked.everything:
            for managed_id in asked.managed_ids:
                yield managed_id
            return
        async for run in self._parts.client.list_workflows(RUNNING):
            heartbeat()
            managed_id = run.id.removeprefix(certificate_workflow(""))
            head = (await asyncio.to_thread(heads_of, self._parts.engine, [managed_id])).get(managed_id, -1)
            if await self._seq(managed_id) > head + 1:
                yield managed_id

    async def _seq(self, managed_id: str) -> int:
        """The number of the next event of a lifecycle; that of one which does not answer is taken for large."""
        handle = self._parts.client.get_workflow_handle(certificate_workflow(managed_id))
        try:
            state: LifecycleState = await handle.query("state", result_type=LifecycleState)
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return 2**62
        except RPCError as error:
            # One that has ended holds nothing more; one whose tasks fail must not keep all others waiting.
            return -1 if error.status is RPCStatusCode.NOT_FOUND else 2**62
        return state.seq

    async def _restore(self, managed_id: str) -> int:
        """How many events were made again.  Raises Refused where they begin behind a gap, Conflict where they do not
        follow on what the store holds."""
        engine = self._parts.engine
        head = (await asyncio.to_thread(heads_of, engine, [managed_id])).get(managed_id, -1)
        made, batches = 0, await self._batches(managed_id, head)
        await asyncio.to_thread(self._require_same_branch, managed_id, head, batches)
        for batch in batches:
            missing = tuple(event for event in batch.events if event.seq > head)
            if not missing:
                continue
            again = replace(batch, events=missing)
            recorded = await asyncio.to_thread(record, engine, again, self._parts.release, self._parts.clock())
            if recorded.outcome == "forked":
                raise Conflict(f"{managed_id}: the store holds another event {missing[0].seq} than its lifecycle made")
            made, head = made + len(missing), recorded.head
        await asyncio.to_thread(self._regain, managed_id)
        await asyncio.to_thread(caught_up, engine, managed_id)
        return made

    def _require_same_branch(self, managed_id: str, head: int, batches: Sequence[RecordBatch]) -> None:
        """Raises Conflict where the store's last event is of a branch that a reset or a signed gap has ended."""
        again = next((event for batch in batches for event in batch.events if event.seq == head), None)
        stored = event_of(self._parts.engine, managed_id, head)
        # Not its facts: today's code may say more of an old event than the release that recorded it.
        said = [(one.kind, one.cause, one.at) for one in (again, stored) if one is not None]
        if len(said) == 2 and said[0] != said[1]:
            raise Conflict(f"{managed_id}: the store holds another event {head} than its lifecycle made")

    def _regain(self, managed_id: str) -> None:
        """Raises Conflict where a discovery has given its places to another."""
        engine = self._parts.engine
        state = refold(managed_id, map(happened_of, events_of(engine, managed_id)))
        why = "" if state.retired else regain(engine, state, self._parts.clock())
        if why:
            raise Conflict(f"{managed_id} cannot be governed again: {why}")

    async def _batches(self, managed_id: str, head: int) -> list[RecordBatch]:
        """From the newest run back to the one that recorded the event behind ``head``."""
        found: list[RecordBatch] = []
        for run_id in await self._runs(managed_id):
            heartbeat()
            handle = self._parts.client.get_workflow_handle(certificate_workflow(managed_id), run_id=run_id)
            found = standing([*await self._parts.replayed(await handle.fetch_history()), *found])
            if found and found[0].events[0].seq <= head + 1:
                break
        return found

    async def _runs(self, managed_id: str) -> Sequence[str]:
        """Newest first."""
        query = f"WorkflowId = '{certificate_workflow(managed_id)}'"
        runs = [(run.start_time, run.run_id) async for run in self._parts.client.list_workflows(query)]
        return [run_id for _, run_id in sorted(runs, reverse=True)]
