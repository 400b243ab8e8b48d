"""Lays the certificates of the store beside the lifecycles of Temporal.

Ten thousand are compared in seconds: counts by the beginning of the id first, lists only where they differ.  Before
anything is called missing its workflow is described, because the lists of Temporal lag behind.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.engine import Connection, Engine
from temporalio import activity
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.discovery import heartbeat
from domain.clocks import TOLERANCE
from domain.comparison import MOST_PAIRS, Compare, Compared, Noted, NoteSeen, Pair, Reconciled, Running
from domain.errors import NotReady
from domain.names import LIFECYCLE_WORKFLOW, certificate_workflow
from domain.reconciling import OVERDUE_AFTER, listed_whole
from store.batches import batches
from store.facts import behind
from store.reader import reconciliations as reader
from store.reconciliations import note, note_seen

log = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

RUNNING = f"WorkflowType = '{LIFECYCLE_WORKFLOW}' AND ExecutionStatus = 'Running'"
# Temporal sets it once a few tasks of a workflow have failed in a row.
FAILING = f"{RUNNING} AND TemporalReportedProblems IS NOT NULL"
# Listing a thousand takes Temporal a second; more are counted first, and listed where the counts differ.
LIST_BELOW = 1000
# Every id of ours begins so.
ALL = "mc-"
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
DESCRIBED_AT_ONCE = 16
MOST_FAILING = 5000
EVER = datetime.min.replace(tzinfo=UTC)
STATUS: dict[int, Running] = {
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING: "running",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: "running",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED: "paused",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED: "completed",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED: "failed",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED: "canceled",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED: "terminated",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT: "timed-out",
}


@dataclass(frozen=True, slots=True)
class ReconcilingParts:
    engine: Engine
    client: Client
    clock: Callable[[], datetime]


class ReconcilingActivities:
    def __init__(self, parts: ReconcilingParts) -> None:
        self._parts = parts

    @activity.defn
    async def compare(self, asked: Compare) -> Compared:
        """The pairs that are not plainly well, page by page.  Raises NotReady where Temporal does not answer."""
        try:
            return await self._compare(asked)
        except RPCError as error:
            raise NotReady(f"Temporal does not say which lifecycles run: {error.message}") from error

    async def _compare(self, asked: Compare) -> Compared:
        now = self._parts.clock()
        late = now - OVERDUE_AFTER
        suspects = await self._differing(now, asked.after)
        failing = frozenset(await self._failing())
        overdue = await self._ask(reader.overdue_ids, late, asked.after, MOST_PAIRS + 1)
        stale = frozenset(await self._stale(asked))
        adrift = await self._ask(reader.orders_adrift, late, asked.after, MOST_PAIRS + 1)
        ordered = sorted(one for one in {*suspects, *failing, *overdue, *stale, *adrift} if one > asked.after)
        page, more = ordered[:MOST_PAIRS], ordered[MOST_PAIRS:]
        pairs = [
            replace(pair, is_stale=pair.managed_id in stale, adrift=adrift.get(pair.managed_id, ()))
            for pair in await self._pairs(page, failing)
        ]
        compared = await self._ask(_compared, asked, pairs, page[-1] if more else "")
        if asked.after:
            return compared
        behind_now = await asyncio.to_thread(behind, self._parts.engine, MOST_PAIRS)
        running = await self._parts.client.count_workflows(RUNNING)
        others = await self._ask(reader.of_no_pair, 2 * MOST_PAIRS + 1)
        return replace(
            compared,
            behind=tuple(behind_now),
            living=await self._ask(reader.count_living, ""),
            running=running.count,
            before=tuple({*compared.before, *others}),
            heads=tuple(await self._ask(reader.heads)),
        )

    async def _failing(self) -> list[str]:
        """Empty where the server is too old to report problems: what fails there is overdue in a quarter of an hour."""
        try:
            return await self._listed(FAILING, MOST_FAILING)
        except RPCError as error:
            if error.status is not RPCStatusCode.INVALID_ARGUMENT:
                raise
            log.warning("this Temporal does not say which tasks fail: %s", error.message)
            return []

    async def _stale(self, asked: Compare) -> list[str]:
        """Ids of which the store has recorded more than a Temporal that was put back can know.

        It was where it does not know the comparison that ended last; the newest that it knows says to when.  One by
        hand knows of none: it leaves them to the next of the Schedule, or it would replace every lifecycle.
        """
        last = await self._ask(reader.last_applied)
        if asked.by_hand or last is None or not last["workflow_id"]:
            return []
        if await self._knows(last["workflow_id"], last["run_id"]):
            return []
        noted = await self._ask(reader.noted_at, asked.previous)
        # Events are recorded by the clock of a worker, comparisons by the database's.
        since = noted - TOLERANCE if noted is not None else EVER
        return await self._ask(reader.recorded_since, since, asked.after, MOST_PAIRS + 1)

    async def _knows(self, workflow_id: str, run_id: str) -> bool:
        try:
            await self._parts.client.get_workflow_handle(workflow_id, run_id=run_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def _differing(self, now: datetime, after: str) -> set[str]:
        """Ids behind ``after`` that only one of the two has; lists lag, so some of them are well all the same.

        In the order of the ids, and no further than a page needs: with all of them missing, each page would else list
        all of them anew.
        """
        letters = await self._ask(reader.next_letters, ALL)
        whole = listed_whole(now, [ALL + letter for letter in letters])
        found, prefixes = set[str](), [ALL]
        while prefixes and len(found) <= MOST_PAIRS:
            prefix = prefixes.pop()
            heartbeat()
            if prefix < after[: len(prefix)]:
                continue
            lists = RUNNING + f" AND WorkflowId STARTS_WITH '{certificate_workflow(prefix)}'"
            living = await self._ask(reader.count_living, prefix)
            running = (await self._parts.client.count_workflows(lists)).count
            is_whole = whole.startswith(prefix) or prefix.startswith(whole)
            if max(living, running) <= LIST_BELOW:
                if living != running or is_whole:
                    known = await self._ask(reader.living_ids, prefix)
                    found |= {one for one in set(known) ^ set(await self._listed(lists)) if one > after}
            elif living != running or is_whole:
                more = await self._ask(reader.next_letters, prefix)
                prefixes += [prefix + letter for letter in sorted({*more, *LETTERS}, reverse=True)]
        return found

    async def _listed(self, query: str, most: int | None = None) -> list[str]:
        ids = []
        async for run in self._parts.client.list_workflows(query, page_size=LIST_BELOW, limit=most):
            ids.append(run.id.removeprefix(certificate_workflow("")))
            if len(ids) % LIST_BELOW == 0:
                heartbeat()
        return ids

    async def _pairs(self, managed_ids: Sequence[str], failing: frozenset[str]) -> list[Pair]:
        known = await self._ask(reader.known, managed_ids)
        found: list[Pair] = []
        for batch in batches(managed_ids, DESCRIBED_AT_ONCE):
            heartbeat()
            for managed_id, running in zip(batch, await asyncio.gather(*map(self._runs, batch)), strict=True):
                of_store = known.get(managed_id)
                is_failing = running == "running" and managed_id in failing
                found.append(
                    Pair(
                        managed_id,
                        of_store.living if of_store is not None else "unknown",
                        "failing" if is_failing else running,
                        of_store.name if of_store is not None else "",
                        of_store.head if of_store is not None else "",
                        of_store.next_at if of_store is not None else None,
                    )
                )
        return found

    async def _runs(self, managed_id: str) -> Running:
        try:
            described = await self._parts.client.get_workflow_handle(certificate_workflow(managed_id)).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return "absent"
            raise
        return STATUS.get(int(described.status), "running") if described.status is not None else "running"

    async def _ask(self, question: Callable[Concatenate[Connection, P], T], *about: P.args, **_: P.kwargs) -> T:
        def asked() -> T:
            with self._parts.engine.connect() as connection:
                return question(connection, *about, **_)

        return await asyncio.to_thread(asked)

    @activity.defn
    def note_seen(self, seen: NoteSeen) -> Noted:
        """Keep what a comparison saw, for the second sight of the next one; idempotent."""
        note_seen(self._parts.engine, seen.comparison_id, seen.differences)
        return Noted(seen.comparison_id)

    @activity.defn
    def note_reconciliation(self, reconciled: Reconciled) -> Noted:
        """Keep how a comparison ended; a repetition changes nothing."""
        note(self._parts.engine, reconciled)
        return Noted(reconciled.id)


def _compared(store: Connection, asked: Compare, pairs: Sequence[Pair], after: str) -> Compared:
    """``after``: where the next page begins."""
    last = reader.last_applied(store)
    return Compared(
        pairs=tuple(pairs),
        after=after,
        before=tuple(reader.seen_before(store, [pair.managed_id for pair in pairs])),
        store_was_put_back=bool(asked.previous) and not reader.is_known(store, asked.previous),
        held_since=last["held_since"] if last is not None else None,
    )
