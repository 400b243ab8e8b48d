"""Discovery: fix a scope, look at its pages.  Looks stay in the store; only counts go back to the workflow."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TypeVar

from sqlalchemy.engine import Engine
from temporalio import activity

from activities.scanners import SCANNERS
from activities.scanners.base import Clock, Patience
from activities.scanners.files import expand, is_inside
from activities.scanners.sweep import Findings, Sweep, Targets
from activities.scope import FixedScope, fix_scope
from domain.certificate import LookOutcome
from domain.contracts import DiscoveryEnded, DiscoveryFailure, DiscoveryPlan, DiscoveryRequest, ScanPage, ScanReport
from domain.errors import NotReady
from domain.tiers import Policy, Scope
from store.sightings import looks as store

T = TypeVar("T")

LOCAL = "localhost"


@dataclass(frozen=True, slots=True)
class DiscoveryActivities:
    """``load_policy``: the policy in force; ``clock``: when a look was made."""

    engine: Engine
    load_policy: Callable[[], Policy]
    clock: Clock
    patience: Patience = field(default_factory=Patience)

    @activity.defn(name="begin_discovery")
    async def begin_discovery(self, request: DiscoveryRequest) -> DiscoveryPlan:
        """Fix the scope of a discovery and cut it into pages.  Idempotent by its id.

        Raises BadInput for anything outside the policy's scope, before the first look.
        """
        policy = await asyncio.to_thread(self.load_policy)
        fixed = await fix_scope(request, policy.scope)
        asked = store.Discovery(request.discovery_id, request.source, fixed.to_json(), fixed.pages, fixed.targets)
        asked = _with_its_run(asked)
        kept = await asyncio.to_thread(store.begin, self.engine, asked, self.clock())
        return DiscoveryPlan(kept.id, kept.pages, kept.targets)

    @activity.defn(name="scan_page")
    async def scan_page(self, page: ScanPage) -> ScanReport:
        """Look at one page and keep the looks.  Idempotent: a repetition overwrites its own looks.

        Heartbeats after every answer.  Raises NotFound for an unknown discovery.
        """
        discovery = await asyncio.to_thread(store.find, self.engine, page.discovery_id)
        fixed = FixedScope.from_json(discovery.scope)
        found = await self._files(fixed) if page.page >= fixed.tls_pages else await self._endpoints(fixed, page.page)
        kept = (page.discovery_id, page.page)
        certificates = list(found.certificates.values())
        await asyncio.to_thread(store.save_page, self.engine, kept, list(found.looks.values()), certificates)
        seen = sum(look.outcome is LookOutcome.SEEN for look in found.looks.values())
        counts = Counter(outcome.value for outcome in found.outcomes)
        return ScanReport(page.page, len(found.looks), seen, tuple(sorted(counts.items())))

    @activity.defn(name="fail_discovery")
    async def fail_discovery(self, failure: DiscoveryFailure) -> DiscoveryEnded:
        """Note that a discovery has failed, also one that was refused before it began.  Idempotent by its id."""
        request = failure.request
        failed = _with_its_run(store.Discovery(request.discovery_id, request.source, {}, 0, 0))
        await asyncio.to_thread(store.mark_failed, self.engine, failed, failure.detail, self.clock())
        return DiscoveryEnded(request.discovery_id)

    async def _endpoints(self, fixed: FixedScope, page: int) -> Findings:
        places = fixed.places(page)
        hosts = {host for host, _ in places}
        known = await asyncio.to_thread(store.slots_at, self.engine, hosts)
        wanted = set(places)
        mine = tuple(slot for slot in known if (slot.endpoint.host, slot.endpoint.port) in wanted)
        targets = Targets(places, fixed.names_at(hosts), mine)
        return await self._sweep("tls", fixed).endpoints(targets)

    async def _files(self, fixed: FixedScope) -> Findings:
        paths = await asyncio.to_thread(expand, fixed.paths)
        known = await asyncio.to_thread(store.slots_at, self.engine, [LOCAL])
        files = [s for s in known if s.endpoint.scheme == "file" and is_inside(s.endpoint.path, fixed.paths)]
        return await self._sweep("file", fixed).files(paths, files)

    def _sweep(self, scheme: str, fixed: FixedScope) -> Sweep:
        scope = Scope(fixed.cidrs, fixed.ports, (), fixed.paths)
        return Sweep(SCANNERS[scheme](self.clock, scope), self.patience, heartbeat)


def _with_its_run(discovery: store.Discovery) -> store.Discovery:
    """With the run of the workflow that asks; as it is outside an activity."""
    if not activity.in_activity():
        return discovery
    info = activity.info()
    return replace(discovery, workflow_id=info.workflow_id or "", run_id=info.workflow_run_id or "")


def heartbeat() -> None:
    """Tell Temporal that we live; nothing outside an activity (the watcher and the CLI scan too)."""
    if activity.in_activity():
        activity.heartbeat()


async def in_a_thread(work: Callable[[Callable[[], None]], T]) -> T:
    """What ``work`` gives, done in a thread; the beat that it is given is the activity's heartbeat.

    A thread cannot be stopped from outside: where the activity is cancelled, the next beat ends it.  The activity waits
    for that, so that no second attempt begins beside the first.
    """
    loop, is_cancelled = asyncio.get_running_loop(), Event()

    def beat() -> None:
        if is_cancelled.is_set():
            raise NotReady("the activity was cancelled or its time is over: what it began is done at its next attempt")
        # Temporal's heartbeats belong to the loop.
        loop.call_soon_threadsafe(heartbeat)

    working = asyncio.ensure_future(asyncio.to_thread(work, beat))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        is_cancelled.set()
        await asyncio.gather(working, return_exceptions=True)
        raise
