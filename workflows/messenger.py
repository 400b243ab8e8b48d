"""How activities reach workflows: signal-with-start, so that nothing is lost when its workflow does not run yet."""

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.contracts import Message
from domain.names import LIFECYCLE_QUEUE, OBSERVE_SIGNAL, TELL_SIGNAL, certificate_workflow, courier_workflow
from workflows.courier import Courier, Route
from workflows.lifecycle import PAGE_MEMO, CertificateLifecycle, Start

# The one channel of this release.
CHANNEL = "email"


class Messenger:
    """Both methods return once Temporal has acknowledged the signal; a repetition is harmless: ids are known."""

    def __init__(self, client: Client, pages: str = "") -> None:
        """``pages``: where people read; a lifecycle says it in the Temporal UI, as the way back."""
        self._client = client
        self._pages = pages

    async def observe(self, managed_id: str, notice_id: str) -> None:
        """Tell a lifecycle that a notice is in the store; the first notice starts it."""
        try:
            await self._client.start_workflow(
                CertificateLifecycle.run,
                Start(managed_id),
                id=certificate_workflow(managed_id),
                task_queue=LIFECYCLE_QUEUE,
                start_signal=OBSERVE_SIGNAL,
                start_signal_args=[notice_id],
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                # A retired lifecycle stays retired; one that was ended by other means is begun anew.
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                static_summary=f"certificate {managed_id}",
                # A summary ends with its run; a memo goes on with the workflow.
                memo={PAGE_MEMO: f"{self._pages}/certificates/{managed_id}"} if self._pages else None,
            )
        except WorkflowAlreadyStartedError:
            return

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
        )
