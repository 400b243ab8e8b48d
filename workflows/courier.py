"""Courier: one per person and channel; batches what they must be told, sends, reports what cannot be delivered."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from domain.contracts import Deliver, Delivery, Message, Undelivered
from domain.names import COURIER_WORKFLOW, DELIVERED_SIGNAL, TELL_SIGNAL, certificate_workflow
from workflows import patches, steps

# Long enough that one discovery's questions arrive as one mail, short enough for a rung.
GATHER_FOR = timedelta(seconds=5)
MOST_AT_ONCE = 50
BATCHES_PER_RUN = 100


@dataclass(frozen=True, slots=True)
class Route:
    """``waiting``: messages taken over from the run before."""

    person: str
    channel: str
    waiting: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliveryNews:
    message_id: str
    state: str


@workflow.defn(name=COURIER_WORKFLOW)
class Courier:
    @workflow.init
    def __init__(self, route: Route) -> None:
        self.waiting: list[Message] = list(route.waiting)
        self.given_up: Undelivered | None = None

    @workflow.run
    async def run(self, route: Route) -> None:
        for _ in range(BATCHES_PER_RUN):
            await workflow.wait_condition(lambda: bool(self.waiting))
            await workflow.sleep(GATHER_FOR, summary="gather what else must be told")
            batch = tuple(self.waiting[:MOST_AT_ONCE])
            delivery = await self.deliver(Deliver(route.person, route.channel, batch))
            self.waiting = self.waiting[len(batch) :]
            if delivery.state == "undeliverable":
                await self.report(batch)
            if self.given_up is not None:
                await self.note(self.given_up)
                self.given_up = None
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(Route(route.person, route.channel, tuple(self.waiting)))

    async def deliver(self, batch: Deliver) -> Delivery:
        try:
            return await steps.deliver(batch, summary=f"{len(batch.messages)} messages")
        except ActivityError as error:
            why = str(error.cause or error)
            self.given_up = Undelivered(batch, why)
            return Delivery("undeliverable", why)

    async def note(self, given_up: Undelivered) -> None:
        """After the report: people hear of it first, and the store's word may wait."""
        if not workflow.patched(patches.COURIER_NOTES):
            return
        try:
            await steps.note_undelivered(given_up, summary="note that it could not be delivered")
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("an outcome is not noted", extra={"error": str(error.cause)})

    async def report(self, batch: tuple[Message, ...]) -> None:
        for message in batch:
            lifecycle = workflow.get_external_workflow_handle(certificate_workflow(message.managed_id))
            try:
                await lifecycle.signal(DELIVERED_SIGNAL, DeliveryNews(message.id, "undeliverable"))
            except ApplicationError:
                # It is retired, so nobody waits for the news; the others in the batch still do.
                workflow.logger.info("a lifecycle has ended before its message failed")

    @workflow.signal(name=TELL_SIGNAL, description="Queue one message for this person")
    def tell(self, message: Message) -> None:
        if all(message.id != other.id for other in self.waiting):
            self.waiting.append(message)
