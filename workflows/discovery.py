"""Discovery: scan a scope page by page, then adopt what was seen, once and whole."""

import asyncio
from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from domain.contracts import AdoptDiscovery, AdoptionReport, DiscoveryFailure, DiscoveryRequest, ScanPage, SweepRuns
from domain.names import DISCOVERY_WORKFLOW
from workflows import patches, steps

# Two pages at once keep the scanner busy while one of them waits for its slowest endpoint.
PAGES_AT_ONCE = 2


def reason_of(error: BaseException) -> str:
    """The words of the activity that failed, which is what a person can act on."""
    if is_cancelled_exception(error):
        return "it was cancelled"
    while isinstance(cause := getattr(error, "cause", None), BaseException):
        error = cause
    return getattr(error, "message", "") or str(error)


@workflow.defn(name=DISCOVERY_WORKFLOW)
class Discovery:
    """Ends when every look is stored and every notice is acknowledged by its lifecycle."""

    @workflow.init
    def __init__(self, request: DiscoveryRequest) -> None:
        self.pages = 0
        self.done = 0
        self.seen = 0

    @workflow.run
    async def run(self, request: DiscoveryRequest) -> AdoptionReport:
        if not request.discovery_id:
            info = workflow.info()
            request = replace(request, discovery_id=f"{info.workflow_id.removeprefix('discovery/')}-{info.run_id[:8]}")
        try:
            report = await self.look_and_adopt(request)
        except (ActivityError, asyncio.CancelledError) as error:
            await self.say_failed(DiscoveryFailure(request, reason_of(error)))
            raise
        await self.sweep()
        return report

    async def look_and_adopt(self, request: DiscoveryRequest) -> AdoptionReport:
        plan = await steps.begin_discovery(request, summary="check the scope, cut it into pages")
        self.pages = plan.pages
        waiting = list(range(plan.pages))
        try:
            await asyncio.gather(*(self.scan(plan.discovery_id, waiting) for _ in range(PAGES_AT_ONCE)))
        finally:
            # Where one page failed for good, the other lane begins no further one.
            waiting.clear()
        return await steps.adopt(AdoptDiscovery(plan.discovery_id), summary="adopt what was seen")

    async def say_failed(self, failure: DiscoveryFailure) -> None:
        """In the store too, where lists and pages read it."""
        if not workflow.patched(patches.DISCOVERY_SAYS_FAILED):
            return
        try:
            await steps.fail_discovery(failure, summary="note that it failed")
        except ActivityError as error:
            workflow.logger.warning("the failure is not noted", extra={"error": str(error.cause)})

    async def sweep(self) -> None:
        """What was adopted stays adopted: where this fails it is logged, and the next discovery repeats it."""
        try:
            await steps.sweep(SweepRuns(), summary="archive ended runs that nobody archived")
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("the sweep failed", extra={"error": str(error.cause)})

    async def scan(self, discovery_id: str, waiting: list[int]) -> None:
        while waiting:
            page = waiting.pop(0)
            report = await steps.scan_page(ScanPage(discovery_id, page), summary=f"page {page + 1} of {self.pages}")
            self.done += 1
            self.seen += report.seen
            workflow.set_current_details(f"{self.done} of {self.pages} pages, {self.seen} certificates seen")

    @workflow.query(description="Pages done, pages in all, certificates seen")
    def progress(self) -> dict[str, int]:
        return {"done": self.done, "pages": self.pages, "seen": self.seen}
