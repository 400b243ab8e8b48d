"""Writes down what lifecycles did, and keeps the histories of their ended runs."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Engine
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.discovery_sweep import close_lost
from domain.certificate import Life
from domain.contracts import MOST_FACTS, Archived, ArchiveRun, Recall, RecordBatch, Recorded, SweepRuns, Swept
from domain.errors import NotFound, NotReady
from domain.lifecycle.decoding import happened_of
from domain.lifecycle.portions import lives_that_fit
from domain.lifecycle.refold import Recalled, lacks, refold
from domain.lifecycle.rules import NEWEST, rule_set
from domain.names import LIFECYCLE_WORKFLOW
from domain.tiers import Issuer
from formats.paths import PathBuilder
from formats.x509 import life_of
from store.facts import events_of, record
from store.histories import History, has_history, keep_history, last_generation
from store.sightings.looks import certificates_of

log = logging.getLogger(__name__)

# A page that was asleep for longer reads everything anew.


@dataclass(frozen=True, slots=True)
class RecordingParts:
    """``release``: the version of the running code, written into every event; ``client``: for histories."""

    engine: Engine
    client: Client
    release: str
    clock: Callable[[], datetime]
    failpoint: Callable[[str], None] = lambda _: None
    # Of the policy in force: they say of which trust class a certificate is.
    issuers: Callable[[], Sequence[Issuer]] = tuple


class RecordingActivities:
    def __init__(self, parts: RecordingParts) -> None:
        self._parts = parts

    @activity.defn
    def record(self, batch: RecordBatch) -> Recorded:
        """Write events and read model in one transaction; a repetition is a no-op."""
        self._parts.failpoint("record.begun")
        answer = record(self._parts.engine, batch, self._parts.release, self._parts.clock())
        self._parts.failpoint("record.committed")
        return answer

    @activity.defn
    def recall(self, asked: Recall) -> Recalled:
        """The state that the recorded events of one lifecycle amount to.

        Raises BadInput where one is missing, or was written by a release that this one cannot read.
        """
        state = refold(asked.managed_id, map(happened_of, events_of(self._parts.engine, asked.managed_id)))
        if not state.seq:
            return Recalled(None, -1)
        return Recalled(state, state.seq - 1, self._facts(lacks(state)))

    def _facts(self, fingerprints: Sequence[str]) -> tuple[Life, ...]:
        """What events of releases before 0.2.0 do not hold of these certificates, read from their bytes."""
        if not fingerprints:
            return ()
        with self._parts.engine.connect() as connection:
            ders, facts = certificates_of(connection, fingerprints)
        issuers = self._parts.issuers()
        # Where they hang says nothing here: of what was served, those events hold no more than the leaf.
        alone = {one: PathBuilder().ways([ders[one]]).at_any_time() for one in fingerprints if one in facts}
        return lives_that_fit(
            [life_of(ders[one], issuers, path) for one, path in alone.items()], MOST_FACTS, rule_set(NEWEST)
        )

    @activity.defn
    async def archive(self, asked: ArchiveRun) -> Archived:
        """Keep the history of an ended run.  Raises NotFound where Temporal has forgotten it."""
        handle = self._parts.client.get_workflow_handle(asked.workflow_id, run_id=asked.run_id)
        try:
            fetched = await handle.fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NotFound(f"Temporal knows no run {asked.run_id} of {asked.workflow_id} any more.") from error
            raise NotReady(f"Temporal does not give the history: {error.message}") from error
        history = History(
            workflow_id=asked.workflow_id,
            run_id=asked.run_id,
            generation=asked.generation,
            release=self._parts.release,
            text=fetched.to_json(),
            events=len(fetched.events),
        )
        return await asyncio.to_thread(keep_history, self._parts.engine, history, self._parts.clock())

    @activity.defn
    async def sweep(self, asked: SweepRuns) -> Swept:
        """Archive completed lifecycles whose last run is not in the store; idempotent, at most ``asked.most``.

        Before that, discoveries that ended in Temporal without a word are marked as failed.
        """
        engine, archived = self._parts.engine, 0
        lost = await close_lost(engine, self._parts.client, self._parts.clock)
        query = f"WorkflowType = '{LIFECYCLE_WORKFLOW}' AND ExecutionStatus != 'Running'"
        query += " AND ExecutionStatus != 'ContinuedAsNew'"
        async for run in self._parts.client.list_workflows(query):
            activity.heartbeat(archived)
            if archived >= asked.most:
                break
            if await asyncio.to_thread(has_history, engine, run.id, run.run_id):
                continue
            generation = await asyncio.to_thread(last_generation, engine, run.id)
            try:
                await self.archive(ArchiveRun(run.id, run.run_id, generation))
            except NotFound:
                # Its retention ended between the list and this line; the others can still be kept.
                log.warning("an ended run is forgotten", extra={"workflow": run.id, "run": run.run_id})
                continue
            archived += 1
        return Swept(archived, lost)
