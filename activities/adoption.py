"""Adoption: one transaction that resolves identity and writes its notices, then the notices are sent."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import TypeAdapter
from sqlalchemy.engine import Engine
from temporalio import activity

from activities.discovery import heartbeat
from activities.resolution import Resolution
from activities.scanners.base import Clock
from domain.contracts import AdoptDiscovery, AdoptionReport, Consult, Observation
from domain.tiers import Policy
from store.sightings import adoptions as store
from store.sightings.looks import discovery_of, mark_scanned
from store.sightings.notices import mark_sent, notice_of, unsent

AT_ONCE = 16
# Notices that are read and sent together.
PAGE = 1000
REPORT = TypeAdapter(AdoptionReport)


@dataclass(frozen=True, slots=True)
class AdoptionActivities:
    """``new_id``: a fresh random managed id; ``send(managed_id, notice_id)``: tells a lifecycle and returns once
    Temporal has acknowledged it; ``failpoint``: called with the name of a point at which tests end the process."""

    engine: Engine
    load_policy: Callable[[], Policy]
    clock: Clock
    new_id: Callable[[], str]
    send: Callable[[str, str], Awaitable[None]]
    failpoint: Callable[[str], None]

    @activity.defn(name="adopt")
    async def adopt(self, asked: AdoptDiscovery) -> AdoptionReport:
        """Adopt a scanned discovery, then send every unsent notice.

        Idempotent: a discovery that is adopted already is not resolved again; only what is unsent is sent.
        """
        policy = await asyncio.to_thread(self.load_policy)
        self.failpoint("adopt.begun")
        await asyncio.to_thread(mark_scanned, self.engine, asked.discovery_id)
        report = await asyncio.to_thread(self._resolve, asked.discovery_id, policy)
        self.failpoint("adopt.committed")
        await self._send_unsent()
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

    async def _send_unsent(self) -> None:
        """Page by page.  All are tried before the first failure is raised: one broken lifecycle must not keep others
        from hearing."""
        failures: list[BaseException] = []
        last = ""
        while page := await asyncio.to_thread(unsent, self.engine, PAGE, after=last):
            last = page[-1][1]
            failures += await self._send_page(page)
        for failure in failures:
            raise failure

    async def _send_page(self, page: list[tuple[str, str]]) -> list[BaseException]:
        """Per certificate in the order of writing, so that it hears of its slots before what was seen in them."""
        queues: dict[str, list[str]] = {}
        for managed_id, notice_id in page:
            queues.setdefault(managed_id, []).append(notice_id)
        free = asyncio.Semaphore(AT_ONCE)

        async def tell(managed_id: str, notices: list[str]) -> None:
            async with free:
                for notice_id in notices:
                    await self.send(managed_id, notice_id)
                    self.failpoint("adopt.told")
                    await asyncio.to_thread(mark_sent, self.engine, [notice_id], self.clock())
                    heartbeat()

        told = await asyncio.gather(*(tell(*queue) for queue in queues.items()), return_exceptions=True)
        return [failure for failure in told if isinstance(failure, BaseException)]
