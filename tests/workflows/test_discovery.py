"""Discovery as a workflow: each way that it can end, on the time-skipping server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain import contracts as c
from domain.names import LIFECYCLE_QUEUE, SCAN_QUEUE
from tests.launcher.waiting import LONG_SECONDS
from tests.workflows.keeping import replayed
from workflows.discovery import Discovery
from workflows.sandbox import Sandbox


@dataclass
class Site:
    """Everything that a Discovery asks for.  ``fails``: activities that fail, with their reason; ``done``: in order."""

    env: WorkflowEnvironment
    pages: int = 0
    new: int = 3
    fails: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    said: list[c.DiscoveryFailure] = field(default_factory=list)
    # Pages hang until they are cancelled.
    hangs: bool = False
    hanging: asyncio.Event = field(default_factory=asyncio.Event)

    def do(self, name: str) -> None:
        self.done.append(name)
        if name in self.fails:
            raise ApplicationError(self.fails[name], non_retryable=True)

    @activity.defn(name="begin_discovery")
    async def begin_discovery(self, asked: c.DiscoveryRequest) -> c.DiscoveryPlan:
        self.do("begin")
        return c.DiscoveryPlan(asked.discovery_id, self.pages, self.pages)

    @activity.defn(name="scan_page")
    async def scan_page(self, page: c.ScanPage) -> c.ScanReport:
        self.do(f"page {page.page}")
        if self.hangs:
            self.hanging.set()
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.1)
        return c.ScanReport(page.page, 2, 2)

    @activity.defn(name="adopt")
    async def adopt(self, asked: c.AdoptDiscovery) -> c.AdoptionReport:
        self.do("adopt")
        return c.AdoptionReport(asked.discovery_id, new=self.new, notices=self.new)

    @activity.defn(name="tell_lifecycles")
    async def tell_lifecycles(self, asked: c.TellLifecycles) -> c.LifecyclesTold:
        self.do("tell")
        return c.LifecyclesTold(self.new, self.new)

    @activity.defn(name="sweep")
    async def sweep(self, asked: c.SweepRuns) -> c.Swept:
        self.do("sweep")
        return c.Swept(0)

    @activity.defn(name="fail_discovery")
    async def fail_discovery(self, failure: c.DiscoveryFailure) -> c.DiscoveryEnded:
        self.said.append(failure)
        self.do("say")
        return c.DiscoveryEnded(failure.request.discovery_id)

    async def begin(self, given: object) -> WorkflowHandle[Any, c.AdoptionReport]:
        return await self.env.client.start_workflow(
            "Discovery", given, id="discovery/d", task_queue=LIFECYCLE_QUEUE, result_type=c.AdoptionReport
        )

    async def failed(self, given: object) -> WorkflowHandle[Any, Any]:
        handle = await self.begin(given)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        return handle


@asynccontextmanager
async def working(env: WorkflowEnvironment, **given: Any) -> AsyncIterator[Site]:
    site = Site(env, **given)
    queues: dict[str, list[Callable[..., Any]]] = {
        LIFECYCLE_QUEUE: [site.adopt, site.tell_lifecycles, site.sweep],
        SCAN_QUEUE: [site.begin_discovery, site.scan_page, site.fail_discovery],
    }
    async with AsyncExitStack() as stack:
        for queue, activities in queues.items():
            workflows = [Discovery] if queue == LIFECYCLE_QUEUE else []
            worker = Worker(
                env.client, task_queue=queue, workflows=workflows, activities=activities, workflow_runner=Sandbox()
            )
            await stack.enter_async_context(worker)
        yield site


async def test_a_discovery_scans_its_pages_adopts_tells_and_sweeps(env: WorkflowEnvironment) -> None:
    async with working(env, pages=5) as site:
        handle = await site.begin(c.DiscoveryRequest("d-1", "test"))
        assert await handle.result() == c.AdoptionReport("d-1", new=3, notices=3)
        await replayed(env.client, handle, "Discovery", "pages-are-scanned-adopted-and-told")
    assert sorted(site.done[1:6]) == [f"page {number}" for number in range(5)]
    assert site.done[6:] == ["adopt", "tell", "sweep"]
    assert not site.said


async def test_a_discovery_with_nothing_to_adopt_says_so(env: WorkflowEnvironment) -> None:
    async with working(env, new=0) as site:
        handle = await site.begin(c.DiscoveryRequest("d-1", "test"))
        assert await handle.result() == c.AdoptionReport("d-1")
        await replayed(env.client, handle, "Discovery", "nothing-is-adopted")
    assert site.done == ["begin", "adopt", "tell", "sweep"]


@pytest.mark.parametrize("step", ["tell", "sweep"])
async def test_an_adopted_discovery_is_done_also_when_what_comes_after_fails(
    env: WorkflowEnvironment, step: str
) -> None:
    async with working(env, fails={step: "the disk is full"}) as site:
        handle = await site.begin(c.DiscoveryRequest("d-1", "test"))
        assert (await handle.result()).new == 3
        await replayed(env.client, handle, "Discovery", f"{step}-fails-after-adoption")
    assert site.done == ["begin", "adopt", "tell", "sweep"]
    assert not site.said


async def test_a_page_that_fails_for_good_fails_the_discovery_and_begins_no_further_page(
    env: WorkflowEnvironment,
) -> None:
    async with working(env, pages=9, fails={"page 1": "the page is gone"}) as site:
        handle = await site.failed(c.DiscoveryRequest("d-1", "test"))
        await replayed(env.client, handle, "Discovery", "a-page-fails")
    assert [failure.detail for failure in site.said] == ["the page is gone"]
    assert "adopt" not in site.done
    assert "page 8" not in site.done


async def test_a_discovery_that_fails_says_so_in_the_store_with_its_reason(env: WorkflowEnvironment) -> None:
    request = c.DiscoveryRequest("d-2", "test", ports=(22,))
    async with working(env, fails={"begin": "cidrs: outside the scope"}) as site:
        handle = await site.failed(request)
        await replayed(env.client, handle, "Discovery", "a-failure-is-said")
    assert site.said == [c.DiscoveryFailure(request, "cidrs: outside the scope")]


async def test_a_failure_that_cannot_be_said_is_a_failure_all_the_same(env: WorkflowEnvironment) -> None:
    async with working(env, fails={"begin": "outside the scope", "say": "the disk is full"}) as site:
        handle = await site.failed(c.DiscoveryRequest("d-2", "test"))
        await replayed(env.client, handle, "Discovery", "a-failure-cannot-be-said")
    assert site.done == ["begin", "say"]


async def test_an_input_that_is_no_request_is_refused_and_said(env: WorkflowEnvironment) -> None:
    async with working(env) as site:
        handle = await site.failed({"discovery_id": "mine", "ports": ["443"]})
        await replayed(env.client, handle, "Discovery", "an-input-is-refused")
    assert [failure.request.discovery_id for failure in site.said] == ["mine"]
    assert site.done == ["say"]


async def test_a_cancelled_discovery_says_so_and_adopts_nothing(env: WorkflowEnvironment) -> None:
    async with working(env, pages=3, hangs=True) as site:
        handle = await site.begin(c.DiscoveryRequest("d-3", "test"))
        await asyncio.wait_for(site.hanging.wait(), LONG_SECONDS)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        assert isinstance(failed.value.cause, CancelledError)
        await replayed(env.client, handle, "Discovery", "it-is-cancelled")
    assert [failure.detail for failure in site.said] == ["it was cancelled"]
    assert "adopt" not in site.done
