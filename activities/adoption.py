"""Adoption: one transaction that resolves identity and writes what lifecycles must be told of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import TypeAdapter
from sqlalchemy.engine import Engine
from temporalio import activity

from activities.resolution import Resolution
from activities.scanners.base import Clock
from domain.contracts import AdoptDiscovery, AdoptionReport, Consult, Observation
from domain.tiers import Policy
from store.sightings import adoptions as store
from store.sightings.looks import discovery_of, mark_scanned
from store.sightings.notices import notice_of

REPORT = TypeAdapter(AdoptionReport)


@dataclass(frozen=True, slots=True)
class AdoptionActivities:
    """``new_id``: a fresh random managed id; ``failpoint``: called with the name of a point at which tests end the
    process."""

    engine: Engine
    load_policy: Callable[[], Policy]
    clock: Clock
    new_id: Callable[[], str]
    failpoint: Callable[[str], None]

    @activity.defn(name="adopt")
    async def adopt(self, asked: AdoptDiscovery) -> AdoptionReport:
        """Adopt a scanned discovery; it ends with the committed notices, which ``tell_lifecycles`` sends.

        Idempotent: a discovery that is adopted already is not resolved again.
        """
        policy = await asyncio.to_thread(self.load_policy)
        self.failpoint("adopt.begun")
        await asyncio.to_thread(mark_scanned, self.engine, asked.discovery_id)
        report = await asyncio.to_thread(self._resolve, asked.discovery_id, policy)
        self.failpoint("adopt.committed")
        return report

    @activity.defn(name="consult")
    def consult(self, asked: Consult) -> Observation:
        """What a notice says.  Raises NotFound, also where the notice is another certificate's."""
        return notice_of(self.engine, asked.managed_id, asked.notice_id)

    def _resolve(self, discovery_id: str, policy: Policy) -> AdoptionReport:
        now = self.clock()
        with store.adopting(self.engine) as connection:
            discovery = discovery_of(connection, discovery_id)
            if discovery.state == "adopted":
                return REPORT.validate_python(discovery.report)
            adoption = Resolution(connection, discovery, policy, now).adoption(self.new_id)
            store.write(connection, adoption, now)
            return adoption.report
