"""Adoption: one transaction that resolves identity and writes what lifecycles must be told of it."""

import asyncio
import secrets
from base64 import b32encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy.engine import Engine
from temporalio import activity

from activities.discovery import in_a_thread
from activities.resolution.resolving import Given, resolve
from activities.scanners.base import Clock
from domain.contracts import AdoptDiscovery, AdoptionReport, Consult, Observation
from domain.tiers import Policy
from store.sightings.looks import mark_scanned
from store.sightings.notices import notice_of


def new_managed_id() -> str:
    """Random: what a certificate is says nothing about its id, and no two estates make the same."""
    return "mc-" + b32encode(secrets.token_bytes(10)).decode().lower()[:10]


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
        given = Given(self.engine, asked.discovery_id, policy, self.clock(), self.new_id)
        report = await in_a_thread(partial(resolve, given))
        self.failpoint("adopt.committed")
        return report

    @activity.defn(name="consult")
    def consult(self, asked: Consult) -> Observation:
        """What a notice says.  Raises NotFound, also where the notice is another certificate's."""
        return notice_of(self.engine, asked.managed_id, asked.notice_id)
