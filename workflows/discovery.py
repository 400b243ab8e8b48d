"""Discovery: scan a scope page by page, then adopt what was seen, once and whole."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from domain.contracts import (
    AdoptDiscovery,
    AdoptionReport,
    DiscoveryFailure,
    DiscoveryRequest,
    ScanPage,
    SweepRuns,
    TellLifecycles,
)
from domain.discovery_request import discovery_request
from domain.errors import BadInput
from domain.names import DISCOVERY_WORKFLOW
from workflows import steps

# Two pages at once keep the scanner busy while one of them waits for its slowest endpoint.
PAGES_AT_ONCE = 2

EVERYTHING = DiscoveryRequest()

if TYPE_CHECKING:
    Given = DiscoveryRequest
else:
    # Undecoded: what Temporal cannot decode fails the workflow's task, again and again, and never the workflow.
    Given = RawValue


def decoded(given: object) -> object:
    """The JSON of an input.  Raises BadInput."""
    if not isinstance(given, RawValue):
        return given
    try:
        return workflow.payload_converter().from_payload(given.payload)
    except (ValueError, KeyError, RuntimeError) as error:
        raise BadInput("input", "cannot be decoded", "Send one JSON object, with encoding json/plain.") from error


def id_in(given: object) -> str:
    """The id that a request gives itself, also where the rest of it is wrong: whoever asked looks for it there."""
    found = given.get("discovery_id") if isinstance(given, dict) else None
    try:
        return discovery_request({"discovery_id": found}).discovery_id if found else ""
    except BadInput:
        return ""


def reason_of(error: BaseException) -> str:
    """The words of the activity that failed, which is what a person can act on."""
    if is_cancelled_exception(error):
        return "it was cancelled"
    while isinstance(cause := getattr(error, "cause", None), BaseException):
        error = cause
    return getattr(error, "message", "") or str(error)


# TypeError: what Python says to two inputs.  Should a release of ours raise one, a look is lost, and the schedule looks
# again; a lifecycle would wait for the release that mends it.
@workflow.defn(name=DISCOVERY_WORKFLOW, failure_exception_types=[TypeError])
class Discovery:
    """Ends when every look is stored and adopted, and every lifecycle was told or tried: where one could not be told,
    the next discovery tells it.  A sweep of ended runs comes last; where it fails, that is logged."""

    def __init__(self) -> None:
        self.pages = 0
        self.done = 0
        self.seen = 0

    @workflow.run
    async def run(self, given: Given = EVERYTHING) -> AdoptionReport:
        request = await self.request_of(given)
        try:
            report = await self.look_and_adopt(request)
        except (ActivityError, asyncio.CancelledError) as error:
            await self.say_failed(DiscoveryFailure(request, reason_of(error)))
            raise
        await self.tell_lifecycles(report)
        await self.sweep()
        return report

    async def request_of(self, given: object) -> DiscoveryRequest:
        info = workflow.info()
        own_id = f"{info.workflow_id.removeprefix('discovery/')}-{info.run_id[:8]}"
        try:
            given = decoded(given)
            request = given if isinstance(given, DiscoveryRequest) else discovery_request(given)
        except BadInput as error:
            await self.say_failed(DiscoveryFailure(DiscoveryRequest(id_in(given) or own_id), str(error)))
            raise ApplicationError(str(error), type="BadInput", non_retryable=True) from None
        return request if request.discovery_id else replace(request, discovery_id=own_id)

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
        try:
            await steps.fail_discovery(failure, summary="note that it failed")
        except ActivityError as error:
            workflow.logger.warning("the failure is not noted", extra={"error": str(error.cause)})

    async def tell_lifecycles(self, report: AdoptionReport) -> None:
        """What was adopted stays adopted: where a lifecycle cannot be told, the next discovery tries again."""
        try:
            told = await steps.tell_lifecycles(TellLifecycles(report.discovery_id), summary="tell lifecycles")
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("not every lifecycle was told", extra={"error": str(error.cause)})
            return
        workflow.set_current_details(f"{told.certificates} lifecycles told with {told.notices} notices")

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
