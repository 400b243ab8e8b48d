"""How activities and `everleaf upgrade` reach workflows; signal-with-start loses nothing where none runs yet."""

from temporalio.client import Client, WorkflowHandle
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.contracts import Message
from domain.lifecycle.rules import NEWEST
from domain.lifecycle.state import LifecycleState, Recalling
from domain.names import (
    DELIVERED_SIGNAL,
    LIFECYCLE_QUEUE,
    OBSERVE_SIGNAL,
    TELL_SIGNAL,
    certificate_workflow,
    courier_workflow,
)
from workflows.courier import Courier, DeliveryNews, Route
from workflows.lifecycle import PAGE_MEMO, CertificateLifecycle, Start
from workflows.search import RULES

# The one channel of this release.
CHANNEL = "email"

# Known from its first moment on, so that `everleaf upgrade` never takes a run that has just begun for an old one.
BEGUN_UNDER = TypedSearchAttributes([SearchAttributePair(RULES, NEWEST)])
# Couriers before lifecycles: thousands of those begin with one discovery, and a rung must not wait behind them.
PEOPLE = Priority(priority_key=2)


class Messenger:
    """Every method returns once Temporal has acknowledged it; a repetition is harmless: ids are known."""

    def __init__(self, client: Client, pages: str = "") -> None:
        """``pages``: where people read; a lifecycle says it in the Temporal UI, as the way back."""
        self._client = client
        self._pages = pages

    async def observe(self, managed_id: str, notice_id: str) -> None:
        """Tell a lifecycle that a notice is in the store; the first notice starts it."""
        try:
            await self._client.start_workflow(
                CertificateLifecycle.run,
                Start(managed_id, rules=NEWEST),
                id=certificate_workflow(managed_id),
                task_queue=LIFECYCLE_QUEUE,
                start_signal=OBSERVE_SIGNAL,
                start_signal_args=[notice_id],
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                # A retired lifecycle stays retired; one that was ended by other means is begun anew.
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                search_attributes=BEGUN_UNDER,
                static_summary=f"certificate {managed_id}",
                memo=self._memo(managed_id),
            )
        except WorkflowAlreadyStartedError:
            return

    async def begin_anew(self, managed_id: str) -> str:
        """Replace whatever runs for ``managed_id`` by a run that goes on from what the store holds; its run id.

        For runs of a release whose code is gone: their history cannot be replayed, so they cannot end by themselves.
        What they had not recorded yet is lost with them; what has changed in their places the next discovery tells.
        """
        begun = await self._begin(managed_id, WorkflowIDConflictPolicy.TERMINATE_EXISTING)
        assert begun.first_execution_run_id is not None  # a started workflow has one
        return begun.first_execution_run_id

    async def begin_again(self, managed_id: str) -> None:
        """Begin ``managed_id`` from what the store holds, where nothing runs for it; what runs is left alone."""
        await self._begin(managed_id, WorkflowIDConflictPolicy.USE_EXISTING)

    async def _begin(
        self, managed_id: str, conflict: WorkflowIDConflictPolicy
    ) -> WorkflowHandle[CertificateLifecycle, None]:
        return await self._client.start_workflow(
            CertificateLifecycle.run,
            Start(managed_id, LifecycleState(managed_id, recall=Recalling("everleaf", "ended")), rules=NEWEST),
            id=certificate_workflow(managed_id),
            task_queue=LIFECYCLE_QUEUE,
            id_conflict_policy=conflict,
            search_attributes=BEGUN_UNDER,
            static_summary=f"certificate {managed_id}",
            memo=self._memo(managed_id),
        )

    async def tell(self, message: Message) -> None:
        """Hand a message to the Courier of its person."""
        await self._client.start_workflow(
            Courier.run,
            Route(message.person, CHANNEL),
            id=courier_workflow(message.person, CHANNEL),
            task_queue=LIFECYCLE_QUEUE,
            start_signal=TELL_SIGNAL,
            start_signal_args=[message],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"courier to {message.person}",
            priority=PEOPLE,
        )

    async def give_up(self, message: Message) -> None:
        """Tell the lifecycle of ``message`` that it reached nobody; one that has ended waits for no news."""
        news = DeliveryNews(message.id, "undeliverable", message.person)
        try:
            await self._client.get_workflow_handle(certificate_workflow(message.managed_id)).signal(
                DELIVERED_SIGNAL, news
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    def _memo(self, managed_id: str) -> dict[str, str] | None:
        # A summary ends with its run; a memo goes on with the workflow.
        return {PAGE_MEMO: f"{self._pages}/certificates/{managed_id}"} if self._pages else None
