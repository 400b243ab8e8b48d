"""Courier: one per person and channel; batches what they must be told, sends, reports what cannot be delivered."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from domain.contracts import Deliver, Delivery, Message, Undelivered
from domain.names import COURIER_WORKFLOW, DELIVERED_SIGNAL, TELL_SIGNAL, certificate_workflow
from domain.people.telling import is_late
from workflows import steps
from workflows.patches import LATE_IS_UNDELIVERABLE

# Long enough that one discovery's questions arrive as one mail, short enough for a rung.
GATHER_FOR = timedelta(seconds=5)
MOST_AT_ONCE = 50
BATCHES_PER_RUN = 50
# Ids that it has taken, also those delivered: a lifecycle that continues as new sends again what it was sending, within
# minutes.  One discovery of thousands makes as many messages for one head of IT security.
IDS_KEPT = 5000
# What a run may hand to the next; a message has a kilobyte or two, and all of them together go into one payload.
MOST_CARRIED = 200
# Temporal ends a run at 51,200 events.  Far below that, what is carried too many is handed back to its lifecycles: what
# cannot be delivered counts as unanswered, and climbs; a run that is ended takes its messages along.
LONGEST_RUN = 20_000
# Temporal takes no more than 2,000 signals to others that are under way at once.
REPORTED_AT_ONCE = 500
TOO_LATE = "it was not sent before the next rung was due"


@dataclass(frozen=True, slots=True)
class Route:
    """``waiting``: messages taken over from the run before; ``taken``: ids of messages that it took, newest last."""

    person: str
    channel: str
    waiting: tuple[Message, ...] = ()
    taken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliveryNews:
    """``person``: whom ``message_id`` did not reach."""

    message_id: str
    state: str
    person: str = ""


@workflow.defn(name=COURIER_WORKFLOW)
class Courier:
    @workflow.init
    def __init__(self, route: Route) -> None:
        self.route = route
        self.waiting: list[Message] = list(route.waiting)
        # A map keeps its order: the oldest id is the first to be forgotten.
        self.taken: dict[str, None] = dict.fromkeys((*route.taken, *(message.id for message in route.waiting)))
        self.given_up: Undelivered | None = None

    @workflow.run
    async def run(self, route: Route) -> None:
        batches = 0
        while not self.may_roll(batches, workflow.info().get_current_history_length()):
            await workflow.wait_condition(lambda: bool(self.waiting))
            await workflow.sleep(GATHER_FOR, summary="gather what else must be told")
            await self.send_batch()
            batches += 1
        surplus = self.waiting[:-MOST_CARRIED]
        self.waiting = self.waiting[-MOST_CARRIED:]
        await self.report(tuple(surplus))
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self.successor())

    def may_roll(self, batches: int, length: int) -> bool:
        """After many batches, as soon as few messages wait; in any case before Temporal would end the run."""
        return length >= LONGEST_RUN or (batches >= BATCHES_PER_RUN and len(self.waiting) <= MOST_CARRIED)

    def successor(self) -> Route:
        return Route(self.route.person, self.route.channel, tuple(self.waiting), tuple(self.taken)[-IDS_KEPT:])

    async def send_batch(self) -> None:
        late = await self.give_up_what_is_late()
        batch = tuple(self.waiting[:MOST_AT_ONCE])
        if batch:
            await self.send(batch)
        # After the letter: people hear of it first, and the store's word may wait.
        for start in range(0, len(late), MOST_AT_ONCE):
            some = Deliver(self.route.person, self.route.channel, late[start : start + MOST_AT_ONCE])
            await self.note(Undelivered(some, TOO_LATE))

    async def give_up_what_is_late(self) -> tuple[Message, ...]:
        """Seen between two batches: what is being sent is heard of within the patience for one letter."""
        late = tuple(message for message in self.waiting if is_late(message, workflow.now()))
        if not late or not workflow.patched(LATE_IS_UNDELIVERABLE):
            return ()
        given_up = {message.id for message in late}
        self.waiting = [message for message in self.waiting if message.id not in given_up]
        await self.report(late)
        return late

    async def send(self, batch: tuple[Message, ...]) -> None:
        delivery = await self.deliver(Deliver(self.route.person, self.route.channel, batch))
        self.waiting = self.waiting[len(batch) :]
        if delivery.state == "undeliverable":
            await self.report(batch)
        if self.given_up is not None:
            await self.note(self.given_up)
            self.given_up = None

    async def deliver(self, batch: Deliver) -> Delivery:
        try:
            return await steps.deliver(batch, summary=f"{len(batch.messages)} messages")
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            why = str(error.cause or error)
            self.given_up = Undelivered(batch, why)
            return Delivery("undeliverable", why)

    async def note(self, given_up: Undelivered) -> None:
        """After the report: people hear of it first, and the store's word may wait."""
        try:
            await steps.note_undelivered(given_up, summary="note that it could not be delivered")
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("an outcome is not noted", extra={"error": str(error.cause)})

    async def report(self, batch: tuple[Message, ...]) -> None:
        """A batch at once: one task for it, and no lifecycle waits for another's."""
        for start in range(0, len(batch), REPORTED_AT_ONCE):
            some = batch[start : start + REPORTED_AT_ONCE]
            await asyncio.gather(*(self.report_one(message) for message in some))

    async def report_one(self, message: Message) -> None:
        lifecycle = workflow.get_external_workflow_handle(certificate_workflow(message.managed_id))
        try:
            await lifecycle.signal(DELIVERED_SIGNAL, DeliveryNews(message.id, "undeliverable", self.route.person))
        except ApplicationError:
            # It is retired, so nobody waits for the news; the others in the batch still do.
            workflow.logger.info("a lifecycle has ended before its message failed")

    @workflow.signal(name=TELL_SIGNAL, description="Queue one message for this person")
    def tell(self, message: Message) -> None:
        """Each id once, also one that was delivered long ago: a second letter would be a second alarm."""
        if message.id in self.taken:
            return
        self.taken[message.id] = None
        self.waiting.append(message)
        while len(self.taken) > IDS_KEPT:
            del self.taken[next(iter(self.taken))]
