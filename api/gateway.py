"""The one place where the API speaks to Temporal.  A handle never keeps a run id: a lifecycle outlives its runs."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.engine_health import Pulse, pulse_of
from api.refusals import KINDS, refusal_of
from domain.certificate import Life
from domain.comparison import Reconcile
from domain.contracts import DiscoveryRequest, Terms
from domain.errors import Conflict, EverleafError, NotFound, NotReady
from domain.lifecycle.explaining import Because
from domain.lifecycle.state import LifecycleState
from domain.names import (
    DISCOVERY_WORKFLOW,
    LIFECYCLE_QUEUE,
    RECONCILIATION_WORKFLOW,
    certificate_workflow,
    discovery_workflow,
    reconciliation_workflow,
)
from domain.people.messages import Receipt, Warranted

log = logging.getLogger(__name__)

# A query answers in milliseconds; a worker that was killed keeps its sticky queue for 10 s.
QUERY_SECONDS = 10.0
# After this the sender is told that the outcome is not known yet; the update goes on.
UPDATE_SECONDS = 30.0
PROBE_SECONDS = 3.0
LONGEST_PAUSE_SECONDS = 3.0
# It is unknown whether the update happened: the same id again is the same update.
UNKNOWN = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.ABORTED}
UNKNOWN |= {RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
# Accepted, then its run ended before the handler did; the next run answers the same id.
ENDED_UNDER_IT = "AcceptedUpdateCompletedWorkflow"

T = TypeVar("T")


class Unanswered(NotReady):
    """Nobody knows yet whether the message was accepted; sending it again with the same id is safe."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """``seq``: events the lifecycle has counted; the read model lags while it holds fewer.  ``life`` and
    ``terms``: None before its first notice was read."""

    because: tuple[Because, ...]
    seq: int
    life: Life | None = None
    terms: Terms | None = None


@dataclass(frozen=True, slots=True)
class DiscoveryRun:
    """``state``: running, done or failed; ``failure``: the message of what ended it."""

    state: str
    failure: str = ""
    progress: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class LiveRun:
    """The newest run of a lifecycle: ``text`` is the JSON that the replayer accepts.  ``live``: it has not ended.
    ``generation`` 0: no worker said it."""

    run_id: str
    generation: int
    text: str
    events: int
    live: bool


class Gateway(Protocol):
    async def tell(self, managed_id: str, message: tuple[str, Warranted], update_id: str) -> Receipt:
        """Send (update name, message).  Raises what the lifecycle refused, or Unanswered after 30 s."""

    async def explain(self, managed_id: str) -> Explanation:
        """Raises NotFound, or NotReady where the lifecycle does not answer in 10 s."""

    async def newest_run(self, managed_id: str) -> LiveRun | None: ...

    async def start_discovery(self, request: DiscoveryRequest) -> None:
        """Start it; a second start of the same id changes nothing."""

    async def discovery(self, workflow_id: str, run_id: str = "") -> DiscoveryRun | None:
        """How a run of a discovery, or of a comparison, stands; None where Temporal knows none."""

    async def start_reconciliation(self, request: Reconcile) -> None:
        """Start it; a second start of the same id changes nothing."""

    async def answers(self) -> bool: ...

    async def pulse(self) -> Pulse: ...


class TemporalGateway:
    def __init__(
        self, client: Client, update_seconds: float = UPDATE_SECONDS, query_seconds: float = QUERY_SECONDS
    ) -> None:
        self._client = client
        self._update_seconds = update_seconds
        self._query_seconds = query_seconds

    def _lifecycle(self, managed_id: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(certificate_workflow(managed_id))

    async def tell(self, managed_id: str, message: tuple[str, Warranted], update_id: str) -> Receipt:
        deadline = time.monotonic() + self._update_seconds
        pause = 0.2
        while True:
            try:
                return await self._once(managed_id, message, (update_id, deadline - time.monotonic()))
            except (Unanswered, TimeoutError) as error:
                if time.monotonic() + pause > deadline:
                    raise Unanswered(
                        f"The lifecycle of {managed_id} has not answered in {self._update_seconds:.0f} s; it is not "
                        "known whether it took the message. Ask again, with the same Idempotency-Key."
                    ) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _once(self, managed_id: str, message: tuple[str, Warranted], attempt: tuple[str, float]) -> Receipt:
        """One try of (update id, seconds).  Raises Unanswered where another try with the same id is due."""
        update_id, seconds = attempt
        sending = self._lifecycle(managed_id).execute_update(message[0], message[1], id=update_id, result_type=Receipt)
        try:
            receipt = await asyncio.wait_for(sending, max(seconds, 0.1))
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == ENDED_UNDER_IT:
                raise Unanswered(cause.message) from error
            raise _refused(managed_id, cause) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise Unanswered(str(error)) from error
        except RPCError as error:
            raise _update_problem(error, managed_id) from error
        assert isinstance(receipt, Receipt)
        if receipt.outcome == "refused":
            raise refusal_of(receipt.detail)
        return receipt

    async def explain(self, managed_id: str) -> Explanation:
        return await self._asked(managed_id, self._explained(self._lifecycle(managed_id)))

    async def _explained(self, handle: WorkflowHandle[Any, Any]) -> Explanation:
        # One after the other: of two at once, a caller that goes away leaves an error that nobody retrieves.
        wait = timedelta(seconds=self._query_seconds)
        because = await handle.query("explain", result_type=tuple[Because, ...], rpc_timeout=wait)
        state = await handle.query("state", result_type=LifecycleState, rpc_timeout=wait)
        return Explanation(tuple(because), state.seq, state.life, state.terms)

    async def newest_run(self, managed_id: str) -> LiveRun | None:
        handle = self._lifecycle(managed_id)
        try:
            described = await self._asked(managed_id, handle.describe())
        except NotFound:
            return None
        # The run that was just described, not one that may follow it meanwhile.
        run = self._client.get_workflow_handle(handle.id, run_id=described.run_id)
        history = await self._asked(managed_id, run.fetch_history())
        live = described.status is WorkflowExecutionStatus.RUNNING
        generation = await self._generation(run)
        return LiveRun(described.run_id, generation, history.to_json(), len(history.events), live)

    async def _generation(self, run: WorkflowHandle[Any, Any]) -> int:
        """0 where no worker answers: the history itself is still there to be read."""
        try:
            state = await run.query("state", result_type=LifecycleState, rpc_timeout=timedelta(seconds=PROBE_SECONDS))
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return 0
        return int(state.generation)

    async def _asked(self, managed_id: str, answer: Awaitable[T]) -> T:
        """The answer of a lifecycle, within the patience of a query."""
        try:
            return await asyncio.wait_for(answer, self._query_seconds)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NotFound(f"Temporal knows no lifecycle of {managed_id}.") from error
            raise NotReady(f"The lifecycle of {managed_id} does not answer: {error.message}") from error
        except (TimeoutError, WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            raise NotReady(
                f"The lifecycle of {managed_id} does not answer. Look at its worker: everleaf status."
            ) from error

    async def start_discovery(self, request: DiscoveryRequest) -> None:
        summary = f"discovery asked by {request.source}"
        await self._start(DISCOVERY_WORKFLOW, request, discovery_workflow(request.discovery_id), summary)

    async def start_reconciliation(self, request: Reconcile) -> None:
        summary = "inventory and engine, compared because a person asked"
        await self._start(RECONCILIATION_WORKFLOW, request, reconciliation_workflow(request.id), summary)

    async def _start(self, workflow: str, request: object, identity: str, summary: str) -> None:
        try:
            await self._client.start_workflow(
                workflow,
                request,
                id=identity,
                task_queue=LIFECYCLE_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=summary,
            )
        except WorkflowAlreadyStartedError:
            return
        except RPCError as error:
            raise NotReady(f"Temporal does not start {identity}: {error.message}") from error

    async def discovery(self, workflow_id: str, run_id: str = "") -> DiscoveryRun | None:
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id or None)
        try:
            status = (await handle.describe()).status
            if status is WorkflowExecutionStatus.RUNNING:
                return DiscoveryRun("running", progress=await self._progress(handle))
            if status is WorkflowExecutionStatus.COMPLETED:
                return DiscoveryRun("done")
            await handle.result()
        except WorkflowFailureError as error:
            return DiscoveryRun("failed", _innermost(error))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise NotReady(f"Temporal does not answer: {error.message}") from error
        return DiscoveryRun("done")

    async def _progress(self, handle: WorkflowHandle[Any, Any]) -> dict[str, int] | None:
        """None where no worker answers: the discovery itself waits for the same worker."""
        wait = timedelta(seconds=PROBE_SECONDS)
        try:
            found = await handle.query("progress", result_type=dict[str, int], rpc_timeout=wait)
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return None
        return dict(found)

    async def pulse(self) -> Pulse:
        return await pulse_of(self._client)

    async def answers(self) -> bool:
        try:
            return await self._client.service_client.check_health(timeout=timedelta(seconds=PROBE_SECONDS))
        except (RPCError, RuntimeError):
            return False


def _refused(managed_id: str, cause: BaseException | None) -> EverleafError:
    """What the lifecycle refused in its own words; what broke in it instead is no word to the sender."""
    if isinstance(cause, ApplicationError) and cause.type in KINDS:
        return refusal_of(cause.message)
    log.error("a lifecycle broke on a message", extra={"certificate": managed_id, "error": str(cause)})
    return NotReady(f"The lifecycle of {managed_id} could not read this message; the log of the API names the error.")


def _update_problem(error: RPCError, managed_id: str) -> Exception:
    if error.status is RPCStatusCode.NOT_FOUND:
        return Conflict(f"retired: the lifecycle of {managed_id} has ended")
    if error.status in UNKNOWN:
        return Unanswered(error.message)
    return NotReady(f"Temporal refused the message: {error.message}")


def _innermost(error: BaseException) -> str:
    """The words of the activity that failed, which is what a person can act on."""
    found: BaseException = error
    while isinstance(cause := getattr(found, "cause", None), BaseException):
        found = cause
    return found.message if isinstance(found, FailureError) else str(found)
